//! One run from its beginning to its report: rounds of load and faults, and quiet with a comparison after each.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use pubsync_tests::{Database, Random, RedisServer, World};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    beacons::Beacons,
    checker::Checker,
    deck::{Card, Deck},
    faults::{Arena, Fault, Wires},
    fleet::{Fleet, Watchers},
    options::Options,
    own::OwnServices,
    pace, poison,
    reader::Reader,
    report::{self, Collected, Report},
    secrets::{self, Secrets},
    shop::{self, Sizes, Version},
    stamps::Stamps,
    targets::{Search, Store},
    timing::Timing,
    violations::{Broken, Violations},
    windows::Windows,
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
    windows: Windows,
    secrets: Secrets,
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
    /// `wait`s that were checked.
    waits: Arc<AtomicU64>,
}

/// Plays all rounds.
pub async fn play(options: Options) -> (Report, Violations) {
    let own = OwnServices::from_env();
    let _alone = own.as_ref().map(OwnServices::alone);
    // Before others change it under the run.
    let commit = report::commit();
    let begun = Instant::now();
    let mut random = Random::seeded(options.seed);
    let (stage, redis) = Stage::set(&options, Secrets::new(&mut random)).await;
    let watchers = Watchers {
        metrics: Arc::default(),
        bounds: Arc::default(),
        secrets: stage.secrets.clone(),
    };
    let Database::Postgres { url } = stage.world.database() else {
        panic!("the torture runs on PostgreSQL")
    };
    let beacons = Beacons::new(url, Arc::clone(&stage.stamps));
    let reads = Arc::new(AtomicU64::new(0));
    let mut watching = stage.watch(&beacons, &watchers, &reads, &mut random);
    let wires = Arc::new(Wires::start(&stage.world, &redis.url()).await);
    let fleet = Fleet::start(
        &stage.world,
        watchers.clone(),
        stage.violations.clone(),
        random.fork(),
    );
    let workload = Workload::new(
        &stage.world,
        stage.sizes,
        Arc::clone(&stage.stamps),
        Arc::clone(&beacons),
    );
    let deck = Deck::new(options.only.as_deref(), own.is_some());
    let redis_keys = redis.keys().below(stage.world.redis().prefix());
    let mut run = Run {
        arena: Arena {
            world: &stage.world,
            fleet,
            wires,
            redis,
            own,
            workload: Arc::clone(&workload),
            windows: stage.windows.clone(),
            secrets: stage.secrets.clone(),
            version: Version::First,
            direct: DIRECT,
            remembered: Vec::new(),
            echoes: 0,
            beacons: &beacons,
            random: random.fork(),
            violations: stage.violations.clone(),
            reprocessed: Timing::default(),
            repaired: Timing::default(),
            usual: Duration::from_secs_f64(options.minutes.clamp(2.0, 6.0)),
            limit: Duration::from_secs(options.limit),
        },
        workload,
        checker: Checker::new(redis_keys, stage.violations.clone()),
        faults: deck.names().map(|name| (name, Default::default())).collect(),
        deck,
        options: options.clone(),
        begun,
        stage: &stage,
        to_quiet: Timing::default(),
        waits: Arc::default(),
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
        let round = AssertUnwindSafe(run.round(first + length * rounds));
        // A report is written all the same.
        if round.catch_unwind().await.is_err() {
            let what = "the torture itself failed: the panic stands above".to_owned();
            stage.violations.add(Broken::Process, what);
            break;
        }
    }
    for error in run.arena.wires.errors() {
        stage
            .violations
            .add(Broken::Process, format!("the proxy: {error}"));
    }
    let processes = run.arena.fleet.started();
    // A run that is over is not ended in order.
    if !run.is_over() {
        run.read_everything().await;
        run.arena.fleet.stop().await;
    }
    while let Some(ended) = watching.try_join_next() {
        stage
            .violations
            .add(Broken::Process, format!("one who watched ended: {ended:?}"));
    }
    drop(watching);
    if !stage.violations.is_empty() {
        stage.keep_logs().await;
    }
    let (calm, under_faults) = beacons.timings();
    let collected = Collected {
        commit,
        lasted: begun.elapsed(),
        rounds,
        workload: run.workload.tally(),
        processes,
        faults: run.faults,
        reprocessed: run.arena.reprocessed,
        repaired: run.arena.repaired,
        calm,
        under_faults,
        to_quiet: run.to_quiet,
        compared: run.checker.compared,
        reads: reads.load(Ordering::Relaxed),
        waits_checked: run.waits.load(Ordering::Relaxed),
        echoes: run.arena.echoes,
        most: watchers.bounds.most(),
        options,
    };
    let report = Report::new(collected, &watchers.metrics, &stage.violations);
    (report, stage.violations.clone())
}

impl Stage {
    /// Database, virtual host, prefixes, a Redis of its own, tables, documents.
    async fn set(options: &Options, secrets: Secrets) -> (Self, RedisServer) {
        let world = World::postgres("torture").await;
        let redis = RedisServer::start_durable(&world, &secrets.store).await;
        let shared = world.services().redis.clone();
        world.configure(|config| {
            let config = config.replace(&shared, &redis.url());
            config.replace(
                "resend_after: 3",
                &format!("resend_after: {}", options.resend_after),
            )
        });
        secrets.plant(&world).await;
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
            windows: Windows::default(),
            secrets,
        };
        (stage, redis)
    }

    /// For those who want to know what happened: what the processes wrote, and what is open.
    async fn keep_logs(&self) {
        let folder = std::env::temp_dir().join(format!("{}-logs", self.world.name()));
        let status = self.world.command(DIRECT, &["status"]).await;
        let failures = self.world.command(DIRECT, &["failures", "ls", "--all"]).await;
        let said = format!("{}\n{}", status.stdout, failures.stdout);
        let kept = std::fs::rename(self.world.folder().join("logs"), &folder)
            .and_then(|()| std::fs::write(folder.join("status"), said));
        match kept {
            Ok(()) => eprintln!("what the processes wrote is in {}", folder.display()),
            Err(error) => eprintln!("{}: {error}", folder.display()),
        }
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
        watchers: &Watchers,
        reads: &Arc<AtomicU64>,
        random: &mut Random,
    ) -> JoinSet<()> {
        let mut watching = JoinSet::new();
        let reader = Reader::new(
            random.fork(),
            self.sizes,
            Arc::clone(&self.stamps),
            self.violations.clone(),
            self.windows.clone(),
        );
        let bounds = Arc::clone(&watchers.bounds);
        watching.spawn(Arc::clone(&bounds).look(self.violations.clone()));
        watching.spawn(bounds.ask(self.world.services().postgres.clone(), secrets::USER));
        watching.spawn(reader.run(self.store(), self.search(), Arc::clone(reads)));
        watching.spawn(Arc::clone(&watchers.metrics).collect());
        watching.spawn(Arc::clone(beacons).watch(self.store()));
        watching.spawn(Arc::clone(beacons).blink());
        watching
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
        self.checker.check(&self.stage.world, self.arena.version).await;
    }

    /// Load and faults until then; then quiet.
    async fn round(&mut self, end: Instant) {
        let running = self.workload.start(&mut self.random, self.options.rate);
        poison::add(&self.stage.world).await;
        while Instant::now() < end && !self.is_over() {
            let hand = self.deck.hand(&mut self.random);
            let at_once = self.random.one_in(4);
            self.strike(&hand, at_once).await;
            pace::pause(Duration::from_millis(self.random.up_to(500))).await;
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
        poison::forget(&self.stage.world, DIRECT).await;
        self.checker.check(&self.stage.world, self.arena.version).await;
    }

    /// Faults at the same time, and how long it takes until all has arrived; or the next ones follow at once.
    async fn strike(&mut self, hand: &[Card], at_once: bool) {
        let names = hand.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" + ");
        eprintln!("{:>5.0} s {names}", self.begun.elapsed().as_secs_f64());
        let (stage, beacons) = (self.stage, self.arena.beacons);
        beacons.under_fire.store(true, Ordering::Relaxed);
        let asks = self.random.one_in(3) && !hand[0].1.loses();
        let met = if asks {
            let waits = Arc::clone(&self.waits);
            tokio::join!(self.inflict(hand), stage.ask_wait(beacons, &waits)).0
        } else {
            self.inflict(hand).await
        };
        for ((name, _), met) in hand.iter().zip(&met) {
            self.faults.entry(name).or_default().0 += u64::from(*met);
        }
        if at_once || !met.contains(&true) {
            return;
        }
        match beacons.converge(self.arena.limit).await {
            // Of several nobody knows which took how long: none of them took longer.
            Ok(timing) if !hand[0].1.is_alone() => {
                for ((name, _), _) in hand.iter().zip(&met).filter(|(_, met)| **met) {
                    self.faults.entry(name).or_default().1.add(timing.longest());
                }
            }
            Ok(_) => {}
            Err(behind) => {
                let what = format!(
                    "{names}: beacons {behind:?} did not arrive within {} s",
                    self.options.limit
                );
                self.stage.violations.add(Broken::Slow, what);
            }
        }
        beacons.under_fire.store(false, Ordering::Relaxed);
    }

    /// All of a hand: the first is any, the others are on wires. Tells of each whether it met anything.
    async fn inflict(&mut self, hand: &[Card]) -> Vec<bool> {
        let wires = Arc::clone(&self.arena.wires);
        let mut beside = Vec::new();
        for (_, fault) in &hand[1..] {
            if let Fault::Wire(service, rule) = *fault {
                let times = 1 + self.random.below(3);
                beside.push(wires.cut_at(service, rule, times));
            }
        }
        let (first, beside) = tokio::join!(self.arena.inflict(hand[0].1), futures::future::join_all(beside));
        let mut met = vec![first];
        met.extend(beside);
        met
    }

    /// I9 of commands: what they say holds no password.
    async fn read_everything(&self) {
        for arguments in [
            &["status"][..],
            &["status", "--json"],
            &["config", "show"],
            &["failures", "ls"],
        ] {
            let output = self.stage.world.command(DIRECT, arguments).await;
            let text = format!("{}{}", output.stdout, output.stderr);
            let place = format!("the output of `{}`", arguments.join(" "));
            self.stage.secrets.look(&place, &text, &self.stage.violations);
        }
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
    async fn ask_wait(&self, beacons: &Beacons, waits: &AtomicU64) {
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
        waits.fetch_add(1, Ordering::Relaxed);
        for missing in missing {
            self.violations.add(Broken::WaitLied, missing);
        }
    }
}

/// `wait` says by its exit that failures are open; everything else has arrived.
fn failures_only(stderr: &str) -> bool {
    stderr.contains("failures are open")
}
