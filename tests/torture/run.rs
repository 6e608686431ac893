//! One run from its beginning to its report: rounds of load and faults, and quiet with a comparison after each.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pubsync_tests::{Database, Random, RedisServer, World};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    beacons::Beacons,
    checker::Checker,
    deck::Deck,
    faults::{Arena, Fault, Wires},
    fleet::Fleet,
    metrics::Metrics,
    options::Options,
    pace, poison,
    reader::Reader,
    report::{Collected, Report},
    shop::{self, Sizes},
    stamps::Stamps,
    targets::{Search, Store},
    timing::Timing,
    violations::{Broken, Violations},
    workload::Workload,
};

/// For `wait`, in seconds.
const PATIENCE: &str = "300";
/// For `wait` in the middle of it all.
const SOON: &str = "30";
/// The configuration of commands; that of workers is `pubsync.yaml`.
const DIRECT: &str = "direct.yaml";

/// Where everything happens.
struct Stage {
    world: World,
    store_url: String,
    sizes: Sizes,
    stamps: Arc<Stamps>,
    violations: Violations,
}

/// One run.
struct Run<'a> {
    stage: &'a Stage,
    arena: Arena<'a>,
    workload: Arc<Workload>,
    checker: Checker,
    random: Random,
    deck: Deck,
    options: Options,
    begun: Instant,
    faults: BTreeMap<&'static str, (u64, Timing)>,
    to_quiet: Timing,
    waits: u64,
}

/// Plays all rounds.
pub async fn play(options: Options) -> (Report, Violations) {
    let begun = Instant::now();
    let (stage, redis) = Stage::set(&options).await;
    let mut random = Random::seeded(options.seed);
    let metrics = Arc::new(Metrics::default());
    let Database::Postgres { url } = stage.world.database() else {
        panic!("the torture runs on PostgreSQL")
    };
    let beacons = Beacons::new(url, Arc::clone(&stage.stamps));
    let reads = Arc::new(AtomicU64::new(0));
    let mut watchers = stage.watch(&beacons, &metrics, &reads, &mut random);
    let wires = Wires::start(&stage.world, &redis.url()).await;
    let fleet = Fleet::start(
        &stage.world,
        Arc::clone(&metrics),
        stage.violations.clone(),
        random.fork(),
    );
    let redis_keys = redis.keys().below(stage.world.redis().prefix());
    let mut run = Run {
        arena: Arena {
            world: &stage.world,
            fleet,
            wires,
            redis,
            beacons: &beacons,
            random: random.fork(),
            violations: stage.violations.clone(),
            reprocessed: Timing::default(),
            longest: Duration::from_secs_f64(options.minutes.clamp(3.0, 15.0)),
            limit: Duration::from_secs(options.limit),
        },
        workload: Workload::new(
            &stage.world,
            stage.sizes,
            Arc::clone(&stage.stamps),
            Arc::clone(&beacons),
        ),
        checker: Checker::new(redis_keys, stage.violations.clone()),
        deck: Deck::new(options.only.as_deref()),
        options: options.clone(),
        begun,
        stage: &stage,
        faults: BTreeMap::new(),
        to_quiet: Timing::default(),
        waits: 0,
        random,
    };
    run.begin().await;
    let (first, length) = (
        Instant::now(),
        Duration::from_secs_f64(options.minutes * 60.0) / options.rounds,
    );
    let mut rounds = 0;
    while rounds < options.rounds && !run.is_over() {
        rounds += 1;
        run.round(first + length * rounds).await;
    }
    for error in run.arena.wires.errors() {
        stage
            .violations
            .add(Broken::Process, format!("the proxy: {error}"));
    }
    let processes = run.arena.fleet.started();
    // A run that is over is not ended in order.
    if !run.is_over() {
        run.arena.fleet.stop().await;
    }
    while let Some(ended) = watchers.try_join_next() {
        stage
            .violations
            .add(Broken::Process, format!("one who watched ended: {ended:?}"));
    }
    drop(watchers);
    let (calm, under_faults) = beacons.timings();
    let collected = Collected {
        lasted: begun.elapsed(),
        rounds,
        workload: run.workload.tally(),
        processes,
        faults: run.faults,
        reprocessed: run.arena.reprocessed,
        calm,
        under_faults,
        to_quiet: run.to_quiet,
        compared: run.checker.compared,
        reads: reads.load(Ordering::Relaxed),
        waits_checked: run.waits,
        options,
    };
    let report = Report::new(collected, &metrics, &stage.violations);
    (report, stage.violations.clone())
}

impl Stage {
    /// Database, virtual host, prefixes, a Redis of its own, tables, documents.
    async fn set(options: &Options) -> (Self, RedisServer) {
        let world = World::postgres("torture").await;
        let redis = RedisServer::start_durable(&world).await;
        let shared = world.services().redis.clone();
        world.configure(|config| {
            let config = config.replace(&shared, &redis.url());
            config.replace(
                "resend_after: 3",
                &format!("resend_after: {}", options.resend_after),
            )
        });
        let config = std::fs::read_to_string(world.folder().join("pubsync.yaml")).expect("pubsync.yaml");
        world.write(DIRECT, &config);
        let sizes = Sizes::of(options.roots);
        shop::open(&world, sizes).await;
        world.with_config(DIRECT, 0, &["apply", "--yes"]).await;
        let stage = Self {
            store_url: redis.url(),
            world,
            sizes,
            stamps: Arc::new(Stamps::new()),
            violations: Violations::default(),
        };
        (stage, redis)
    }

    fn store(&self) -> Store {
        Store::new(&self.store_url, self.world.redis().prefix())
    }

    fn search(&self) -> Search {
        Search::new(&self.world.services().opensearch, self.world.search().prefix())
    }

    /// Those who look on, until the set is dropped.
    fn watch(
        &self,
        beacons: &Arc<Beacons>,
        metrics: &Arc<Metrics>,
        reads: &Arc<AtomicU64>,
        random: &mut Random,
    ) -> JoinSet<()> {
        let mut watchers = JoinSet::new();
        let reader = Reader::new(
            random.fork(),
            self.sizes,
            Arc::clone(&self.stamps),
            self.violations.clone(),
        );
        watchers.spawn(reader.run(self.store(), self.search(), Arc::clone(reads)));
        watchers.spawn(Arc::clone(metrics).collect());
        watchers.spawn(Arc::clone(beacons).watch(self.store()));
        watchers.spawn(Arc::clone(beacons).blink());
        watchers
    }
}

impl Run<'_> {
    /// Nobody asks for more.
    fn is_over(&self) -> bool {
        self.options.first_only && !self.stage.violations.is_empty()
    }

    /// The first build, and a look that nothing is wrong before anything happened.
    async fn begin(&mut self) {
        self.stage
            .world
            .with_config(DIRECT, 0, &["wait", "--timeout", PATIENCE])
            .await;
        let _silence = self.arena.beacons.silence().await;
        self.quiet().await;
        self.checker.check(&self.stage.world).await;
    }

    /// Load and faults until then; then quiet.
    async fn round(&mut self, end: Instant) {
        let running = self.workload.start(&mut self.random, self.options.rate);
        poison::add(&self.stage.world).await;
        while Instant::now() < end && !self.is_over() {
            let (name, fault) = self.deck.next(&mut self.random);
            let at_once = self.random.one_in(3);
            self.strike(name, fault, at_once).await;
            pace::pause(Duration::from_millis(self.random.up_to(1000))).await;
            self.arena.fleet.look_after();
        }
        running.stop().await;
        if self.is_over() {
            return;
        }
        let beacons = self.arena.beacons;
        let _silence = beacons.silence().await;
        let last = Instant::now();
        self.quiet().await;
        poison::check(&self.stage.world, &self.stage.violations).await;
        poison::heal(&self.stage.world).await;
        self.quiet().await;
        self.to_quiet.add(last.elapsed());
        self.checker.check(&self.stage.world).await;
    }

    /// One fault, and how long it takes until all has arrived; or the next one follows at once.
    async fn strike(&mut self, name: &'static str, fault: Fault, at_once: bool) {
        eprintln!("{:>5.0} s {name}", self.begun.elapsed().as_secs_f64());
        let beacons = self.arena.beacons;
        beacons.under_fire.store(true, Ordering::Relaxed);
        let met = if self.random.one_in(3) {
            let (stage, waits) = (self.stage, &mut self.waits);
            tokio::join!(self.arena.inflict(fault), stage.ask_wait(beacons, waits)).0
        } else {
            self.arena.inflict(fault).await
        };
        let entry = self.faults.entry(name).or_default();
        entry.0 += u64::from(met);
        if at_once || !met {
            return;
        }
        match beacons.converge(self.arena.limit).await {
            Ok(timing) => entry.1.add(timing.longest()),
            Err(behind) => {
                let what = format!(
                    "{name}: beacons {behind:?} did not arrive within {} s",
                    self.options.limit
                );
                self.stage.violations.add(Broken::Slow, what);
            }
        }
        beacons.under_fire.store(false, Ordering::Relaxed);
    }

    /// All work is done, or the violation says what is not.
    async fn quiet(&self) {
        let limit = self.options.limit.to_string();
        let output = self
            .stage
            .world
            .command(DIRECT, &["wait", "--timeout", &limit])
            .await;
        if output.code != 0 && !failures_only(&output.stderr) {
            let status = self.stage.world.command(DIRECT, &["status"]).await;
            let what = format!("{} {}", output.stderr.trim(), status.stdout);
            self.stage.violations.add(Broken::Slow, what);
        }
    }
}

impl Stage {
    /// When `wait` returns, what was committed before is there, whatever happens meanwhile.
    async fn ask_wait(&self, beacons: &Beacons, waits: &mut u64) {
        let committed = beacons.committed();
        let output = self.world.command(DIRECT, &["wait", "--timeout", SOON]).await;
        // There may be too much to wait for, and sessions of commands are terminated too.
        if output.code != 0 && !failures_only(&output.stderr) {
            return;
        }
        let Some(missing) = beacons
            .missing(&committed, &mut self.store(), &self.search())
            .await
        else {
            return;
        };
        *waits += 1;
        for missing in missing {
            self.violations.add(Broken::WaitLied, missing);
        }
    }
}

/// `wait` says by its exit that failures are open; everything else has arrived.
fn failures_only(stderr: &str) -> bool {
    stderr.contains("failures are open")
}
