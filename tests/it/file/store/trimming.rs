//! What the store file drops: old records and entries; and what it keeps: counts and floors.

use super::*;

#[tokio::test]
async fn records_and_log_entries_go_when_they_are_too_old() {
    let short = Duration::from_secs(2);
    let retention = Retention { change_log: short, records: short, ..Retention::default() };
    let options = FileOptions { retention, ..OPTIONS };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = FileStore::open(&file, options).unwrap();
    let one = keyed_tap(onetap::domain::Form::Toggle, post(), 1, "like", "k");
    assert!(store.tap(one.clone(), soon()).await.unwrap().active);
    assert!(store.tap(one.clone(), soon()).await.unwrap().replayed);
    tokio::time::sleep(short).await;
    let anew = store.tap(one.clone(), soon()).await.unwrap();
    assert!(anew.changed && !anew.active, "the key is free again");
    let again = store.tap(one.clone(), soon()).await.unwrap();
    assert!(again.replayed && !again.active, "what is swept is the old record, not the new one");
    tokio::time::sleep(short).await;
    // This many commits trim every partition once.
    for _ in 0..256 {
        store.probe(soon()).await.unwrap();
    }
    let log = changes(&store, one.post.partition(), 10).await.unwrap();
    assert!(log.is_empty(), "{log:?}");
    drop(store);
    let engine = redb::Database::open(&file).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&engine).unwrap();
    let left = redb::TableDefinition::<(u64, &[u8; 16], &[u8; 16]), ()>::new("expiry");
    let left = redb::ReadableTableMetadata::len(&txn.open_table(left).unwrap()).unwrap();
    assert_eq!(left, 0, "records are swept");
    let posts = redb::TableDefinition::<&[u8], &[u8]>::new("posts");
    let left = redb::ReadableTableMetadata::len(&txn.open_table(posts).unwrap()).unwrap();
    assert_eq!(left, 0, "of a post without reactions nothing stays");
}

/// After a failure the store opens the file again. By then another file may be there, or none.
#[tokio::test]
async fn a_file_that_is_not_the_same_any_more_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (file, aside) = (folder.path().join("store.redb"), folder.path().join("aside.redb"));
    let store = format!("file:{}", file.display());
    // The file may not grow beyond a MiB or two, as on a full disk.
    let full = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    let program = [env!("CARGO_BIN_EXE_onetap"), "--listen", "127.0.0.1:0", "--store", &store];
    let mut limited = Command::new("sh");
    limited.args(["-c", full, "sh"]).args(program).env_clear().stdin(Stdio::null());
    let service = Program::spawn(&mut limited);
    let path = format!("/v1/posts/{}/reactions", post());
    let tap =
        async |user: usize| service.send("PUT", &format!("{path}/like/users/{user}")).await.status;
    let (mut counted, mut in_doubt, mut users) = (0, 0, 1..);
    let mut burst = async || {
        let answers = users.by_ref().take(200).map(tap).collect::<Vec<_>>();
        let answers = futures_util::future::join_all(answers).await;
        counted += answers.iter().filter(|status| **status == 201).count();
        in_doubt += answers.iter().filter(|status| **status == 504).count();
        answers.contains(&503)
    };
    while !burst().await {}
    // First there is no file, then another one that looks like it.
    fs::rename(&file, &aside).unwrap();
    let (said, began) = ("opened at the start is not there any more; put it back", Instant::now());
    while !service.log().contains(said) {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", service.log());
        burst().await;
        assert!(!file.exists(), "an empty store was begun");
    }
    fs::copy(&aside, &file).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        assert_eq!(tap(1_000_000).await, 503);
        assert_eq!(service.send("GET", &path).await.status, 503);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fs::rename(&aside, &file).unwrap();
    let there = || async {
        tap(1).await;
        service.send("GET", &path).await.status == 200
    };
    service.until("back", there).await;
    let total = service.send("GET", &path).await.ok(200)["total"].as_u64().unwrap();
    let total = usize::try_from(total).unwrap();
    assert!((counted..=counted + in_doubt).contains(&total), "{counted}, {in_doubt}: {total}");
    assert!(counted > 200);
}

/// Another file may get the same inode number. Then its number of commits tells the two apart.
#[tokio::test]
async fn a_storage_that_has_gone_back_is_not_gone_on_with() {
    let (now, before) = (Disk::new(), Disk::new());
    let replaced = Arc::new(AtomicBool::new(false));
    let (source, is_replaced) = ([now.clone(), before.clone()], Arc::clone(&replaced));
    let open = move || source[usize::from(is_replaced.load(Ordering::SeqCst))].open();
    let store = FileStore::with_backend(open, OPTIONS).unwrap();
    drop(on(&before));
    let one = tap(Verb::Set, post(), 1, "like");
    assert!(store.tap(one.clone(), soon()).await.unwrap().changed);
    replaced.store(true, Ordering::SeqCst);
    now.fail_next(Fault::Write);
    let (other, began) = (tap(Verb::Set, one.post, 2, "like"), Instant::now());
    while began.elapsed() < Duration::from_millis(1500) {
        assert!(store.tap(other.clone(), soon()).await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replaced.store(false, Ordering::SeqCst);
    works_again(&AnyStore::File(store.clone())).await;
    assert_eq!(store.tap(other, soon()).await.unwrap().count, 2);
}

/// The log is trimmed as fast as it grows, even when many taps of one post share a commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_a_hot_post_does_not_outgrow_its_trimming() {
    let disk = Disk::new();
    let kept = Retention { change_log: Duration::from_millis(100), ..OPTIONS.retention };
    let (handle, options) = (disk.clone(), FileOptions { retention: kept, ..OPTIONS });
    let store = FileStore::with_backend(move || handle.open(), options).unwrap();
    let post = post();
    for round in 0..40 {
        let taps =
            (0..100).map(|n| store.tap(tap(Verb::Set, post, 1 + 100 * round + n, "like"), soon()));
        for outcome in futures_util::future::join_all(taps).await {
            assert!(outcome.unwrap().changed);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let left = changes(&store, post.partition(), 10_000).await.unwrap();
    assert!((1..=2000).contains(&left.len()), "{} of 4000 entries are left", left.len());
}

/// Positions in the log only rise. So after a clock was ahead once, they stay ahead for as long.
#[tokio::test]
async fn a_clock_that_was_ahead_once_keeps_nothing_for_as_long() {
    let folder = tempfile::tempdir().unwrap();
    let (file, clock, post) = (folder.path().join("store.redb"), ShiftedClock::new(), post());
    let store = format!("file:{}", file.display());
    let args = ["--listen", "127.0.0.1:0", "--store", &store, "--change-log-retention-seconds"];
    clock.shift(365 * 24 * 3_600_000);
    let mut command = onetap(&[&args[..], &["1"]].concat());
    let mut service = Program::spawn(command.envs(clock.variables()));
    let keyed = async |user: u64| {
        let path = format!("/v1/posts/{post}/reactions/like/users/{user}/toggle");
        let key = [("idempotency-key", "k")];
        let mut connection = Connection::open(service.address).await;
        let answer = connection.send("POST", &path, &key, "").await;
        assert_eq!(answer.ok(200)["active"], true);
    };
    for user in 1..=300 {
        keyed(user).await;
    }
    clock.shift(0);
    for user in 250..=310 {
        // For the first 300 taps, the answers stay as they were.
        keyed(user).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // This many commits trim every partition once.
    for _ in 0..256 {
        assert_eq!(service.send("GET", "/readyz").await.status, 200);
    }
    service.terminate();
    assert_eq!(service.exit_code().await, Some(0));
    let store = open_at(&file);
    let log = changes(&store, post.partition(), 1000).await.unwrap();
    assert!(log.is_empty(), "{} entries are left", log.len());
    drop(store);
    let engine = redb::Database::open(&file).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&engine).unwrap();
    let expiry = redb::TableDefinition::<(u64, &[u8; 16], &[u8; 16]), ()>::new("expiry");
    let expiry = txn.open_table(expiry).unwrap();
    assert_eq!(redb::ReadableTableMetadata::len(&expiry).unwrap(), 310);
    let last = redb::ReadableTable::last(&expiry).unwrap().unwrap().0.value().0;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(u128::from(last) < (now + Duration::from_secs(600)).as_micros(), "{last}");
}

#[tokio::test]
async fn a_count_that_is_false_is_healed_by_the_next_tap() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let post = post();
    let store = open_at(&file);
    for id in 1..=3 {
        store.tap(tap(Verb::Set, post, id, "like"), soon()).await.unwrap();
    }
    let before = store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    drop(store);
    let engine = redb::Database::open(&file).unwrap();
    let txn = engine.begin_write().unwrap();
    let posts = redb::TableDefinition::<&[u8], &[u8]>::new("posts");
    let key = [&post.as_uuid().as_bytes()[..], b"clike"].concat();
    txn.open_table(posts).unwrap().insert(&key[..], &7_u64.to_be_bytes()[..]).unwrap();
    txn.commit().unwrap();
    drop(engine);
    let store = open_at(&file);
    let healed = store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    assert_eq!((healed.count, healed.changed), (3, false));
    assert!(healed.revision > before.revision);
    assert_eq!(changes(&store, post.partition(), 10).await.unwrap().len(), 3);
}

async fn revision_of(store: &FileStore, post: PostId) -> Revision {
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    store.summaries(query, soon()).await.unwrap()[0].revision
}

/// The file keeps the floor, which is the revision of posts without state. So a clock that is set
/// back does not lower it.
#[tokio::test]
async fn a_floor_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let (emptied, same) = two_posts_of_one_partition();
    let store = open_at(&file);
    assert_eq!(revision_of(&store, same).await, Revision(0));
    store.tap(tap(Verb::Set, emptied, 1, "like"), soon()).await.unwrap();
    assert_eq!(revision_of(&store, same).await, Revision(0), "nothing became empty");
    let gone = store.tap(tap(Verb::Unset, emptied, 1, "like"), soon()).await.unwrap().revision;
    assert_eq!(revision_of(&store, same).await, gone);
    drop(store);
    let store = open_at(&file);
    assert_eq!([revision_of(&store, same).await, revision_of(&store, emptied).await], [gone; 2]);
    // As after a clock that was an hour ahead.
    drop(store);
    let ahead = gone.0 + 3_600_000_000;
    set_top(&file, &format!("floor/{}", same.partition().index()), ahead);
    let store = open_at(&file);
    assert_eq!(revision_of(&store, same).await.0, ahead);
    let first = store.tap(tap(Verb::Set, same, 1, "like"), soon()).await.unwrap();
    assert!(first.revision.0 > ahead, "{first:?}");
}

/// A file of an earlier release has one floor for all posts: the clock of its last commit.
#[tokio::test]
async fn the_floor_of_an_earlier_release_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    drop(open_at(&file));
    let told = Revision(4_000_000_000_000_000);
    set_top(&file, "floor", told.0);
    let (store, post) = (open_at(&file), post());
    assert_eq!(revision_of(&store, post).await, told);
    let first = store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    assert!(first.revision > told);
    store.tap(tap(Verb::Unset, post, 1, "like"), soon()).await.unwrap();
    assert!(revision_of(&store, post).await > first.revision);
}

/// A log that one client fills is trimmed to its limit, and keeps the newest entries.
#[tokio::test]
async fn a_log_keeps_no_more_entries_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let retention = Retention { change_log_entries: 300, ..Retention::default() };
    let file = folder.path().join("store.redb");
    let open = || FileStore::open(&file, FileOptions { retention, ..OPTIONS }).unwrap();
    let (mut store, post) = (open(), post());
    for round in 0..20 {
        if round == 10 {
            drop(store);
            store = open();
        }
        let taps = (0..100).map(|id| store.tap(tap(Verb::Toggle, post, 1 + id, "like"), soon()));
        let outcomes = futures_util::future::join_all(taps).await;
        let last = outcomes.into_iter().map(|o| o.unwrap().revision).max();
        let log = changes(&store, post.partition(), 10_000).await.unwrap();
        assert!(log.len() <= 400, "{} entries after {round} rounds", log.len());
        assert_eq!(log.last().map(|entry| entry.change.revision), last);
    }
}

/// With holes in the file, a full disk could break a commit in the middle.
#[tokio::test]
async fn the_file_has_no_holes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let room = |file: &Path| {
        let about = fs::metadata(file).unwrap();
        (about.blocks() * 512, about.len())
    };
    // Some file systems never reserve room for zeros. There the test can show nothing.
    let zeros = folder.path().join("zeros");
    fs::write(&zeros, vec![0; 1 << 20]).unwrap();
    fs::File::open(&zeros).unwrap().sync_all().unwrap();
    let (backed, len) = room(&zeros);
    if backed < len {
        eprintln!("NOT SHOWN: the file system below target/ backs {backed} of {len} zeros");
        return;
    }
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    // Several rounds, because taps slowly fill the holes of a file that has grown.
    for round in 0..30 {
        let (backed, len) = room(&file);
        assert!(backed >= len, "{backed} of {len} bytes are backed after {round} rounds");
        let taps = (0..100).map(|n| store.tap(numbered_tap("h", 100 * round + n), soon()));
        futures_util::future::join_all(taps).await;
    }
}

/// Above the number of members that the store counts, it adds to and subtracts from a kept count.
#[tokio::test]
async fn counts_of_many_are_the_number_of_members() {
    let (store, _folder) = fresh();
    let (store, post) = (Arc::new(AnyStore::File(store)), post());
    for (verb, users, expected) in [
        (Verb::Set, 1..=200, 200),
        (Verb::Unset, 20..=150, 69),
        (Verb::Toggle, 60..=80, 90),
        (Verb::Unset, 1..=200, 0),
    ] {
        let taps = users.map(|id| store.tap(tap(verb, post, id, "like"), soon()));
        let outcomes = futures_util::future::join_all(taps).await;
        assert_eq!(outcomes.last().unwrap().as_ref().unwrap().count, expected);
    }
}
