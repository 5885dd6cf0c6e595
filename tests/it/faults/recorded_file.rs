//! The fault suite for the store file. The service is killed, and the power of its disk is cut
//! during its group commits. After kill -9 the system still has its cache, so that alone would
//! prove nothing about syncs. A power cut keeps what was synced, and any part of the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use onetap::domain::{self, PostId, Tap, Verb};
use onetap::store::file::{FileOptions, FileStore};
use onetap::store::{AnyStore, ReactorsQuery, Retention, Store as _, StoreError, SummaryQuery};
use onetap_loadtest::history::{self, Outcome, Recorder, TapAnswer};
use onetap_loadtest::verify::{self, Rules, Verdict};

use crate::faults::recorded::{TWO_SECONDS, Trial, variable};
use crate::support::file::OPTIONS;
use crate::support::ledger::{numbered_tap, tapped_posts};
use crate::support::power::{Disk, Left, random};
use crate::support::program::{Program, onetap};
use crate::support::redis_server::free_port;
use crate::support::soon;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_over_a_file_is_killed() {
    // Not in the folder for temporary files, which may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = format!("file:{}", folder.path().join("store.redb").display());
    let listen = format!("127.0.0.1:{}", free_port());
    // A short log, because each start checks all of it.
    let short = ["--threads", "2", "--change-log-retention-seconds", "60"];
    let start = || {
        let args = [&["--listen", &listen, "--store", &store], &short[..]].concat();
        Program::spawn(&mut onetap(&args))
    };
    let mut program = Some(start());
    let trial =
        Trial::new("kill -9 of the service over a file", listen.parse().unwrap(), TWO_SECONDS);
    let reports = trial
        .run(async |_| {
            // Dropping it kills it.
            drop(program.take());
            program = Some(start());
        })
        .await;
    let unknown: usize = reports.iter().map(|report| report.verdict.unknown).sum();
    assert!(unknown > 0, "no kill came between a tap and its answer");
}

const CALLERS: u64 = 24;

/// Callers of a store, and the record of their taps.
struct Callers {
    store: AnyStore,
    recorder: Arc<Recorder>,
    /// How many taps have started.
    begun: Arc<AtomicU64>,
}

impl Callers {
    /// One attempt at a tap. `key` is the text of its key, if it has one.
    async fn tap(&self, tap: &Tap, key: &str) -> Result<domain::Outcome, StoreError> {
        let sent_micros = self.recorder.now_micros();
        let answer = self.store.tap(tap.clone(), soon()).await;
        let at_micros = self.recorder.now_micros();
        let outcome = match &answer {
            Ok(told) => Outcome::Answered {
                at_micros,
                answer: TapAnswer {
                    active: told.active,
                    changed: told.changed,
                    count: told.count,
                    revision: told.revision.0,
                    changes: None,
                    replayed: told.replayed,
                    replaced: Vec::new(),
                },
            },
            // If it took effect, it did so in the commit that has just failed.
            Err(StoreError::OutcomeUnknown) => {
                Outcome::Unknown { not_after_micros: Some(at_micros) }
            }
            Err(_) => Outcome::Refused,
        };
        let (verb, reaction) = tap.act.one().expect("a tap on one reaction");
        self.recorder.tap(&history::Tap {
            post_id: tap.post.to_string().into(),
            reaction: reaction.to_string().into(),
            user_id: tap.user.integer().unwrap(),
            verb: match verb {
                Verb::Toggle => history::Verb::Toggle,
                Verb::Set => history::Verb::Set,
                Verb::Unset => history::Verb::Unset,
            },
            sent_micros,
            key: tap.keyed.map(|_| key.to_owned().into()),
            outcome,
        });
        answer
    }

    /// Reads a post. With `whole` it reads all reactors, as the final state.
    async fn read(&self, post: PostId, whole: bool) -> Result<(), StoreError> {
        let sent_micros = self.recorder.now_micros();
        let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
        let summary = self.store.summaries(query, soon()).await?.remove(0);
        let mut reactors = std::collections::BTreeMap::new();
        for counted in summary.reactions.iter().filter(|_| whole) {
            let reaction = Some(counted.reaction.clone());
            let query = ReactorsQuery { post, reaction, after: None, limit: 1000 };
            let users = self.store.reactors(query, soon()).await?.reactors;
            let users = users
                .into_iter()
                .map(|reactor| reactor.user.integer().unwrap())
                .collect::<Vec<_>>();
            reactors.insert(counted.reaction.to_string().into(), users);
        }
        let counts = summary.reactions.iter().map(|r| (r.reaction.to_string().into(), r.count));
        self.recorder.read(&history::Read {
            post_id: post.to_string().into(),
            sent_micros,
            answered_micros: self.recorder.now_micros(),
            revision: summary.revision.0,
            changes: None,
            total: Some(summary.total()),
            reactions: counts.collect(),
            reactors: whole.then_some(reactors),
        });
        Ok(())
    }

    /// Taps and reads until the store answers no more. Returns the last tap if its outcome is
    /// unknown.
    async fn run(self: Arc<Self>, round: u64, caller: u64) -> Option<(Tap, String)> {
        let (posts, run) = (tapped_posts(), format!("p{round}"));
        // Each round sends other taps.
        let first = (round << 32) + caller;
        for n in (first..).step_by(usize::try_from(CALLERS).unwrap()) {
            self.begun.fetch_add(1, Ordering::Relaxed);
            let (tap, key) = (numbered_tap(&run, n), format!("{run}-{n}"));
            match self.tap(&tap, &key).await {
                Ok(_) => {}
                Err(StoreError::OutcomeUnknown) => return Some((tap, key)),
                Err(_) => return None,
            }
            if n % 8 == 0 {
                // Ignore the result: if the file is closed, the next tap shows it.
                let _ =
                    self.read(posts[usize::try_from(n / 8).unwrap() % posts.len()], false).await;
            }
        }
        None
    }
}

/// Many callers tap, while the power is cut in the middle of writes and syncs, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_power_is_cut_in_group_commits() {
    let taps = variable("ONETAP_FAULT_TAPS", 3000);
    let rounds = variable("ONETAP_FAULT_ROUNDS", 3).max(12);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("history.ndjson");
    let recorder = Arc::new(Recorder::create(&path, "power cuts of the store file", None).unwrap());
    let (begun, disk, mut seed) = (Arc::new(AtomicU64::new(0)), Disk::new(), 3);
    let retention = Retention {
        change_log: Duration::from_secs(2),
        records: Duration::from_secs(60),
        ..Retention::default()
    };
    let open = || {
        let disk = disk.clone();
        let options = FileOptions { retention, ..OPTIONS };
        let store = FileStore::with_backend(move || disk.open(), options).unwrap();
        let (recorder, begun) = (Arc::clone(&recorder), Arc::clone(&begun));
        Arc::new(Callers { store: AnyStore::File(store), recorder, begun })
    };
    let (began, mut sent_again) = (Instant::now(), 0);
    let mut callers = open();
    for round in 0..rounds {
        let goal = begun.load(Ordering::Relaxed) + taps / rounds;
        let running: Vec<_> = (0..CALLERS)
            .map(|caller| tokio::spawn(Arc::clone(&callers).run(round, caller)))
            .collect();
        while begun.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let left = match round % 6 {
            0 => Left::Nothing,
            2 => Left::Beginning,
            4 => Left::Some(round),
            _ => Left::All,
        };
        match left {
            Left::All => disk.cut_in_a_sync().await,
            _ => disk.cut_after(1 + u32::try_from(random(&mut seed) % 200).unwrap()),
        }
        let mut in_doubt = Vec::new();
        for caller in running {
            in_doubt.extend(caller.await.unwrap());
        }
        assert!(disk.is_cut());
        drop(callers);
        disk.restore(left);
        callers = open();
        for (tap, key) in in_doubt.iter().filter(|(tap, _)| tap.keyed.is_some()) {
            callers.tap(tap, key).await.unwrap();
            sent_again += 1;
        }
    }
    for post in tapped_posts() {
        callers.read(post, true).await.unwrap();
    }
    drop(callers);
    Arc::into_inner(recorder).unwrap().finish().unwrap();
    let verdict = verify::file(&path, Rules::default()).unwrap();
    report(rounds, &verdict, began.elapsed());
    if !verdict.is_right() {
        panic!("{:?}, in {}", verdict.violations, folder.keep().display());
    }
    let resolved = verdict.replayed > 0 && verdict.replayed < sent_again;
    assert!(resolved, "the cuts did not meet both what was applied and what was not");
}

fn report(rounds: u64, verdict: &Verdict, spent: Duration) {
    println!(
        "fault: power cuts in group commits | struck {rounds} | taps {} | answered {} | refused {} | \
         unknown {} | filled {} | replayed {} | violations {} | {:.0}/s",
        verdict.attempts,
        verdict.answered,
        verdict.refused,
        verdict.unknown,
        verdict.filled,
        verdict.replayed,
        verdict.violations.len(),
        verdict.attempts as f64 / spent.as_secs_f64(),
    );
}
