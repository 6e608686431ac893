# `make test` is the whole check; CI runs the same command.

.DEFAULT_GOAL := help
.PHONY: help test services services-stop fmt lint unit differential mutants torture torture-short torture-mutants bench endurance examples demo clean toolchain

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 15

test: toolchain ## Start the services, check format and lints, build, torture for four minutes, run every test
	docker/services up >/dev/null
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo build --locked -p pubsync
	@$(MAKE) --no-print-directory torture-short
	@PUBSYNC_SERVICES_SET=1 docker/services stop
	@eval "$$(docker/services env)"; set -x; cargo test --workspace --locked

services: ## Start PostgreSQL, RabbitMQ, Redis and OpenSearch, print their addresses
	@docker/services up

services-stop: ## Stop them, and those of the torture
	@docker/services stop
	@PUBSYNC_SERVICES_SET=1 docker/services stop

fmt: toolchain ## Format the code
	cargo fmt --all

lint: toolchain ## Check format and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: ## Run the tests that need no services
	cargo test --workspace --lib --locked

# Files of SQLite stand in memory where that can be: thousands of databases wait for no disk.
differential: ## Compare 10,000 random cases with a second reading of the language (PUBSYNC_SEED, PUBSYNC_SEEDS)
	docker/services up >/dev/null
	@eval "$$(docker/services env)"; if [ -w /dev/shm ]; then export TMPDIR=/dev/shm; fi; set -x; \
	    PUBSYNC_SEED=$${PUBSYNC_SEED:-0} PUBSYNC_SEEDS=$${PUBSYNC_SEEDS:-10000} \
	    cargo test --release --locked -p pubsync-tests --test flows differential::differential -- --nocapture

mutants: ## Break the product on purpose, and see the comparison find each
	docker/services up >/dev/null
	@eval "$$(docker/services env)"; cargo test --locked -p pubsync-tests --test flows differential::mutants -- --ignored --nocapture

# It kills services, so it has a set of its own. Two at the same time need two.
torture torture-short torture-mutants: export PUBSYNC_SERVICES_SET := $(or $(PUBSYNC_SERVICES_SET),1)

torture: ## Kill, cut and freeze everything for 40 minutes, and look for what was lost (PUBSYNC_SEED, PUBSYNC_MINUTES)
	docker/services up >/dev/null
	cargo build --release --locked -p pubsync
	@eval "$$(docker/services env)"; set -x; cargo run --release --locked -p pubsync-tests --bin torture -- \
	    --seed $${PUBSYNC_SEED:-1} --minutes $${PUBSYNC_MINUTES:-40} --rounds 8 --roots 20000 --rate 40 --report target/torture

torture-short: ## Four minutes of it in a debug build
	docker/services up >/dev/null
	cargo build --locked -p pubsync
	@eval "$$(docker/services env)"; cargo run --locked -p pubsync-tests --bin torture -- --seed $${PUBSYNC_SEED:-1}

torture-mutants: ## Break the product on purpose, and see the torture find each (PUBSYNC_MUTANT)
	docker/services up >/dev/null
	@eval "$$(docker/services env)"; cargo run --locked -p pubsync-tests --bin torture -- mutants $$PUBSYNC_MUTANT

bench: ## Measure against the real services, in release mode
	docker/services up >/dev/null
	@eval "$$(docker/services env)"; set -x; cargo run --release -p pubsync-bench --locked

endurance: ## Outages, poison, backlogs of 1 GiB and large documents, with numbers (PUBSYNC_ONLY). Wants a quiet machine
	docker/services up >/dev/null
	cargo build --release --locked -p pubsync
	@eval "$$(docker/services env)"; set -x; cargo test --release --locked -p pubsync-tests --test flows \
	    endurance::$$PUBSYNC_ONLY -- --ignored --nocapture --test-threads=1

examples: ## Build the example sets at 10,000 products, compare with the naive evaluator
	docker/services up >/dev/null
	@eval "$$(docker/services env)"; set -x; cargo test --release --locked -p pubsync-tests --test flows \
	    examples::size -- --ignored --nocapture --test-threads=1

demo: ## Run the whole way of a change in one process, without services
	cargo run --release --locked -p pubsync -- demo

clean: ## Remove what builds and the demo leave behind
	cargo clean
	rm -rf pubsync-demo

toolchain:
	@for part in rustfmt clippy; do \
	    cargo $${part#rust} --version >/dev/null 2>&1 || rustup component add $$part || { \
	        echo "$$part is missing and rustup cannot add it: install it beside $$(cargo --version)" >&2; exit 1; \
	    }; \
	done
