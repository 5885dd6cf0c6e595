//! What imports, exports and jobs need, over Redis: beyond the laws, what only Redis can show.

use std::collections::BTreeSet;
use std::time::Duration;

use onetap::domain::{
    Amended, Amendment, Cause, EditAct, EditOutcome, Forget, ImportOutcome, ImportStep, MemberEdit,
    Micros, Once, PostId, SourceId, StepToken, Verb,
};
use onetap::store::redis::{RedisOptions, RedisSource, RedisStore};
use onetap::store::{
    Deadline, DocumentWrite, Drift, Given, Maintenance, ReactorsQuery, Store, StoreError,
    SummaryQuery, USER_INDEX, WalkCursor, WalkedPost,
};
use redis::AsyncCommands as _;

use crate::support::cluster::Cluster;
use crate::support::fault_proxy::{Fault, FaultProxy, until};
use crate::support::redis_server::{Kind, RedisServer, options};
use crate::support::{changes, post, posts, prefix, reaction, soon, tap, user};

const THEN: u64 = 1_600_000_000_000_000;

fn edit(id: u64, name: &str, act: EditAct) -> MemberEdit {
    MemberEdit { user: user(id), reaction: reaction(name), act }
}

fn put(id: u64, name: &str, at: u64) -> MemberEdit {
    edit(id, name, EditAct::Put(Micros(at)))
}

fn amendment(post: PostId, once: Once, edits: Vec<MemberEdit>) -> Amendment {
    Amendment::new(post, Cause::Import, edits, once)
}

fn import(from: u64, merge: bool) -> Once {
    Once::Import(ImportStep { source: SourceId([7; 16]), from, more: false, merge })
}

async fn amend(store: &RedisStore, amendment: Amendment) -> Amended {
    store.amend(vec![amendment], soon()).await.remove(0).unwrap()
}

async fn counts(store: &RedisStore, post: PostId) -> Vec<(String, u64)> {
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let summary = store.summaries(query, soon()).await.unwrap().remove(0);
    summary.reactions.iter().map(|it| (it.reaction.to_string(), it.count)).collect()
}

/// How long the only step is kept, in ms.
async fn step_is_kept(server: &RedisServer) -> i64 {
    let mut client = server.client().await;
    let keys: Vec<String> = client.keys("*:s:*").await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    client.pttl(&keys[0]).await.unwrap()
}

async fn given(store: &RedisStore, id: u64, limit: usize) -> Vec<Given> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = store.given(user(id), after, limit, soon()).await.unwrap();
        assert!(page.given.len() <= limit);
        all.extend(page.given);
        after = all.last().cloned();
        if !page.more {
            return all;
        }
    }
}

async fn walk(store: &RedisStore, limit: usize) -> Vec<WalkedPost> {
    let (mut all, mut after) = (Vec::new(), None::<WalkCursor>);
    loop {
        let page = store.walk(after, limit, soon()).await.unwrap();
        all.extend(page.posts);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn an_import_is_counted_with_its_old_times_and_once() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let server = RedisServer::start(kind, &[]);
        let (store, post) = (server.store(), post());
        let rows = vec![put(1, "like", THEN), put(2, "like", THEN + 1), put(1, "love", THEN)];
        let first = amend(&store, amendment(post, import(0, false), rows.clone())).await;
        assert_eq!(first.outcomes, [EditOutcome::Added; 3]);
        assert_eq!(first.import, ImportOutcome::Applied);
        assert_eq!(counts(&store, post).await, [("like".into(), 2), ("love".into(), 1)]);
        let again = amend(&store, amendment(post, import(0, false), rows)).await;
        assert_eq!((again.import, again.revision), (ImportOutcome::Done, first.revision));
        let query = ReactorsQuery { post, reaction: None, after: None, limit: 9 };
        let reactors = store.reactors(query, soon()).await.unwrap().reactors;
        let times: Vec<_> = reactors.iter().map(|it| it.reacted_at.0 - THEN).collect();
        assert_eq!(times, [1, 0, 0]);
        let entries = changes(&store, post.partition(), 10).await.unwrap();
        assert_eq!(entries.len(), 3);
        assert_eq!(entries[2].change.revision, first.revision);
        // The next rows of the file; then rows that come before what the store has.
        let more = amend(&store, amendment(post, import(3, false), vec![put(3, "love", 5)])).await;
        assert_eq!(more.import, ImportOutcome::Applied);
        let lost = amend(&store, amendment(post, import(9, false), vec![put(4, "love", 5)])).await;
        assert_eq!(lost.import, ImportOutcome::Behind);
        // A delta empties the post, and its mark goes, but not those beside it.
        let mut client = server.client().await;
        let marks = client.keys::<_, Vec<String>>("*:i:*").await.unwrap().remove(0);
        let own = post.as_uuid().as_bytes();
        let mark: Vec<u8> = client.hget(&marks, own).await.unwrap();
        assert_eq!(mark.len(), 40);
        let _: () = client.hset(&marks, &[9; 16], &[2; 40]).await.unwrap();
        let all = EditAct::RemoveUpTo(Micros(u64::MAX >> 12));
        let gone = [(1, "like"), (2, "like"), (1, "love"), (3, "love")];
        let gone = gone.map(|(id, name)| edit(id, name, all.clone())).to_vec();
        let emptied = amend(&store, amendment(post, import(4, false), gone)).await;
        assert_eq!(emptied.outcomes, [EditOutcome::Removed; 4]);
        assert_eq!(counts(&store, post).await, []);
        assert_eq!(client.hkeys::<_, Vec<[u8; 16]>>(&marks).await.unwrap(), [[9; 16]]);
        let again = amend(&store, amendment(post, import(0, false), vec![put(1, "x", 1)])).await;
        assert_eq!(again.outcomes, [EditOutcome::Added]);
        assert!(client.hexists::<_, _, bool>(&marks, own).await.unwrap());
        assert_eq!(client.hlen::<_, u64>(&marks).await.unwrap(), 2);
    }
}

#[tokio::test]
async fn live_taps_keep_an_import_off_or_let_only_newer_rows_in() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let (store, post) = (server.store(), post());
    let tapped = store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap().revision.0;
    let rows = vec![put(1, "like", tapped), put(2, "like", tapped + 1)];
    let refused = amend(&store, amendment(post, import(0, false), rows.clone())).await;
    assert_eq!(refused.import, ImportOutcome::LiveTaps);
    let merged = amend(&store, amendment(post, import(0, true), rows)).await;
    assert_eq!(merged.outcomes, [EditOutcome::Lost, EditOutcome::Added]);
    // The next step of the same import still knows how old the live tap is.
    let next = vec![put(3, "like", tapped), put(4, "like", tapped + 2)];
    let next = amend(&store, amendment(post, import(2, true), next)).await;
    assert_eq!(next.outcomes, [EditOutcome::Lost, EditOutcome::Added]);
    assert_eq!(counts(&store, post).await, [("like".into(), 3)]);
}

#[tokio::test]
async fn a_step_whose_answer_was_lost_is_repeated_and_writes_nothing() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let proxy = FaultProxy::start(server.address()).await;
    let store = RedisSource::new(&options(&proxy.url(), &prefix())).unwrap().attach();
    let post = post();
    store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.unwrap();
    let once = Once::Step(StepToken([9; 16]));
    let rows = vec![
        edit(1, "like", EditAct::RemoveUpTo(Micros(u64::MAX >> 12))),
        edit(1, "love", EditAct::Restore(Micros(THEN))),
    ];
    let step = amendment(post, once, rows);
    amend(&store, amendment(crate::support::post(), Once::No, vec![put(1, "like", 1)])).await;
    proxy.fault(Fault::SwallowReplies);
    let short = Deadline::after(Duration::from_millis(400));
    let lost = store.amend(vec![step.clone()], short).await.remove(0);
    assert_eq!(lost, Err(StoreError::OutcomeUnknown));
    proxy.fault(Fault::None);
    until("the service taps again", async || {
        store.tap(tap(Verb::Set, post, 1, "like"), soon()).await.is_ok()
    })
    .await;
    let again = amend(&store, step.clone()).await;
    assert!(again.replayed);
    assert_eq!(again.outcomes, [EditOutcome::Removed, EditOutcome::Added]);
    assert_eq!(amend(&store, step).await, again);
    assert_eq!(counts(&store, post).await, [("like".into(), 1), ("love".into(), 1)]);
    let kept = step_is_kept(&server).await;
    assert!((3_000_000..=3_600_000).contains(&kept), "for an hour: {kept} ms");
}

#[tokio::test]
async fn what_a_user_gave_comes_newest_first_and_without_what_is_gone() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let server = RedisServer::start(kind, &[]);
        let (store, posts) = (server.store(), posts(60));
        // Half of them at one time.
        let at = |i: usize| THEN + u64::try_from(i.saturating_sub(30)).unwrap();
        for (i, post) in posts.iter().enumerate() {
            let rows = vec![put(1, "like", at(i)), put(12, "like", at(i))];
            amend(&store, amendment(*post, Once::No, rows)).await;
        }
        store.tap(tap(Verb::Set, posts[0], 1, "love"), soon()).await.unwrap();
        store.tap(tap(Verb::Unset, posts[1], 1, "like"), soon()).await.unwrap();
        store.forget(Forget { post: posts[2], reaction: None, actor: None }, soon()).await.unwrap();
        let all = given(&store, 1, 100).await;
        assert_eq!(all.len(), 59);
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(all[0].reaction, reaction("love"));
        assert!(all.iter().all(|it| it.post != posts[1] && it.post != posts[2]));
        for limit in [1, 7, 58, 59] {
            assert_eq!(given(&store, 1, limit).await, all, "in pages of {limit}");
        }
        assert_eq!(given(&store, 12, 9).await.len(), 59);
        assert_eq!(given(&store, 2, 9).await, []);
        // The hints of a forgotten post go when somebody reads them.
        let mut client = server.client().await;
        let mut hints = 0;
        for key in client.keys::<_, Vec<String>>("*:u:*").await.unwrap() {
            hints += client.zcard::<_, usize>(key).await.unwrap();
        }
        assert_eq!(hints, 59 + 59);
    }
}

/// Each list asks all partitions. In a lane of so few places, reads find room only if they share it
/// with no list.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_what_users_gave_keep_no_read_of_a_post_waiting() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let few = RedisOptions { queue_bound: 16, ..server.options(&prefix()) };
    let (store, posts) = (RedisSource::new(&few).unwrap().attach(), posts(100));
    for post in &posts {
        amend(&store, amendment(*post, Once::No, vec![put(1, "like", THEN)])).await;
    }
    let lists: Vec<_> = (0..10)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { given(&store, 1, 1_000).await.len() })
        })
        .collect();
    let mut reads = 0;
    while !lists.iter().all(|list| list.is_finished()) {
        assert_eq!(counts(&store, posts[reads % 100]).await, [("like".into(), 1)]);
        reads += 1;
    }
    for list in lists {
        assert_eq!(list.await.unwrap(), 100);
    }
    assert!(reads > 0);
}

#[tokio::test]
async fn a_walk_comes_by_every_post_and_begins_anew_at_another_server() {
    let mut server = RedisServer::start(Kind::Redis, &[]);
    let prefix = prefix();
    let source = RedisSource::new(&server.options(&prefix)).unwrap();
    let (store, posts) = (source.attach(), posts(300));
    for post in &posts {
        amend(&store, amendment(*post, Once::No, vec![put(1, "like", THEN)])).await;
    }
    let seen = |walked: Vec<WalkedPost>| -> BTreeSet<PostId> {
        walked.into_iter().map(|it| it.post).collect()
    };
    let all: BTreeSet<PostId> = posts.iter().copied().collect();
    let walked = walk(&store, 20).await;
    assert!(walked.iter().any(|it| it.seen == [reaction("like")]));
    assert_eq!(seen(walked), all);
    for odd in ["", "x", "1-2-3"] {
        let odd = store.walk(Some(WalkCursor(odd.into())), 10, soon()).await;
        assert!(matches!(odd, Err(StoreError::Unavailable(_))), "{odd:?}");
    }
    // A cursor of another process is not taken for one of this one.
    let far = store.walk(None, 10, soon()).await.unwrap().next.unwrap();
    let changed = far.0.rsplitn(3, '-').collect::<Vec<_>>();
    let other = format!("{}-1-{}", changed[2], changed[0]);
    let mut after = Some(WalkCursor(other));
    let mut found = BTreeSet::new();
    while after.is_some() {
        let page = store.walk(after, 50, soon()).await.unwrap();
        found.extend(seen(page.posts));
        after = page.next;
    }
    assert_eq!(found, all);
    let _ = &mut server;
}

#[tokio::test]
async fn an_audit_finds_and_mends_what_somebody_else_has_falsified() {
    for kind in [Kind::Redis, Kind::Valkey] {
        let server = RedisServer::start(kind, &[]);
        let (store, mut client) = (server.store(), server.client().await);
        let post = post();
        let rows = vec![put(1, "like", THEN), put(2, "like", THEN), put(3, "love", THEN)];
        let revision = amend(&store, amendment(post, Once::No, rows)).await.revision;
        let key = client.keys::<_, Vec<String>>(format!("*:p:{post}")).await.unwrap().remove(0);
        let indexed = vec![(reaction("like"), user(1)), (reaction("love"), user(3))];
        let walked = WalkedPost { post, own: true, seen: vec![reaction("sad")] };
        let audit = async |repair| {
            store.audit(walked.clone(), indexed.clone(), repair, soon()).await.unwrap()
        };
        let sound = audit(true).await;
        assert_eq!((sound.drift, sound.repaired, sound.revision), (vec![], false, revision));

        // An index from before there was one: its repair is no change of the post.
        for hints in client.keys::<_, Vec<String>>("*:u:*").await.unwrap() {
            let _: () = client.del(hints).await.unwrap();
        }
        assert_eq!(given(&store, 1, 9).await, []);
        assert_eq!(audit(false).await.drift, [Drift::NotIndexed(2)]);
        let mended = audit(true).await;
        assert_eq!((mended.repaired, mended.revision), (true, revision));
        assert_eq!(given(&store, 1, 9).await.len(), 1);

        let _: () = client.hset(&key, "like", 7).await.unwrap();
        let _: () = client.hset(&key, "wow", 1).await.unwrap();
        let _: () = client.hset(&key, "_add", "nobody").await.unwrap();
        let _: () = client.hdel(&key, "_rev").await.unwrap();
        let _: () = client.zadd(format!("{key}:sad"), 4, 1).await.unwrap();
        let mut found = audit(false).await.drift;
        found.sort_by_key(|it| format!("{it:?}"));
        let count =
            |name: &str, count, members| Drift::Count { reaction: reaction(name), count, members };
        let wrong = [count("like", 7, 2), count("sad", 0, 1), count("wow", 1, 0)];
        assert_eq!(found[..3], wrong);
        assert_eq!(found[3..], [Drift::Revision, Drift::Rules]);
        let mended = audit(true).await;
        assert!(mended.repaired && mended.revision > revision);
        assert_eq!(audit(true).await.drift, []);
        let right = [("like", 2), ("love", 1), ("sad", 1)];
        assert_eq!(counts(&store, post).await, right.map(|(name, n)| (name.into(), n)));

        let _: () = client.del(format!("{key}:love")).await.unwrap();
        let _: () = client.set(format!("{key}:love"), "x").await.unwrap();
        assert_eq!(audit(true).await.drift, [Drift::Damaged("love".into())]);
        // Members without a hash.
        let _: () = client.del(&[key.clone(), format!("{key}:love")]).await.unwrap();
        let lost = WalkedPost { post, own: true, seen: vec![reaction("like")] };
        let mended = store.audit(lost, vec![], true, soon()).await.unwrap();
        assert_eq!(mended.drift, [count("like", 0, 2), Drift::Revision]);
        assert_eq!(counts(&store, post).await, [("like".into(), 2)]);
    }
}

#[tokio::test]
async fn a_document_is_written_only_over_the_expected_version() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let store = server.store();
    let write = async |expected, body: Option<&[u8]>, keep| {
        let body = body.map(<[u8]>::to_vec);
        let write = DocumentWrite { name: "jobs/a".into(), expected, body, keep };
        store.write_document(write, soon()).await.unwrap()
    };
    let read = async || store.document("jobs/a", soon()).await.unwrap();
    assert_eq!(read().await, None);
    assert!(!write(1, Some(b"x"), None).await);
    let binary: Vec<u8> = (0..=255).collect();
    assert!(write(0, Some(&binary), None).await);
    assert!(!write(0, Some(b"y"), None).await);
    let document = read().await.unwrap();
    assert_eq!((document.version, document.body), (1, binary));
    assert!(write(1, Some(b""), Some(Duration::from_millis(30))).await);
    until("it expires", async || read().await.is_none()).await;
    assert!(write(0, Some(b"z"), None).await);
    assert!(!write(2, None, None).await);
    assert!(write(1, None, None).await);
    assert_eq!(read().await, None);
    // A new store knows from its first start that its index is complete.
    assert_eq!(store.document(USER_INDEX, soon()).await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn a_cluster_keeps_all_of_it() {
    let cluster = Cluster::start(Kind::Redis, 3, false).await;
    let store = RedisSource::new(&options(&cluster.url(), &prefix())).unwrap().attach();
    let posts = posts(120);
    let step = |post: &PostId| amendment(*post, import(0, false), vec![put(1, "like", THEN)]);
    let done = store.amend(posts.iter().map(step).collect(), soon()).await;
    assert!(done.iter().all(|it| it.as_ref().unwrap().outcomes == [EditOutcome::Added]));
    let walked: BTreeSet<_> = walk(&store, 15).await.into_iter().map(|it| it.post).collect();
    assert_eq!(walked, posts.iter().copied().collect());
    assert_eq!(given(&store, 1, 50).await.len(), 120);
    assert_eq!(store.document(USER_INDEX, soon()).await.unwrap().unwrap().version, 1);
    for name in ["a", "b", "c", "d"] {
        let body = Some(vec![1]);
        let write = DocumentWrite { name: name.into(), expected: 0, body, keep: None };
        assert!(store.write_document(write, soon()).await.unwrap());
    }
}

#[tokio::test]
async fn removing_works_while_memory_is_full() {
    let server = RedisServer::start(Kind::Redis, &[]);
    let (store, mut client, posts) = (server.store(), server.client().await, posts(2));
    for post in &posts {
        let rows = (1..=20).map(|id| put(id, "like", THEN)).collect();
        amend(&store, amendment(*post, Once::No, rows)).await;
    }
    let mut limit = redis::cmd("CONFIG");
    let _: () = limit.arg(&["SET", "maxmemory", "1"]).query_async(&mut client).await.unwrap();
    let adding = amendment(posts[0], Once::No, vec![put(21, "like", THEN)]);
    let refused = store.amend(vec![adding], soon()).await.remove(0);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let remove = |id| edit(id, "like", EditAct::RemoveUpTo(Micros(THEN)));
    let step = amendment(posts[0], Once::Step(StepToken([1; 16])), (1..=9).map(remove).collect());
    let removed = amend(&store, step.clone()).await;
    assert_eq!(removed.outcomes, [EditOutcome::Removed; 9]);
    assert!(amend(&store, step).await.replayed);
    let kept = step_is_kept(&server).await;
    assert!((1..=60_000).contains(&kept), "memory is full: {kept} ms");
    assert_eq!(counts(&store, posts[0]).await, [("like".into(), 11)]);
    let body = Some(b"how far a job is".to_vec());
    let write = DocumentWrite { name: "jobs/a".into(), expected: 0, body, keep: None };
    assert!(store.write_document(write, soon()).await.unwrap());
}
