//! Forgotten members leave the file bit by bit, and files of the previous release stay right.

use std::collections::BTreeMap;

use onetap::domain::{Add, Edit, Form, Keyed, RulesEdit, What};
use redb::{ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::*;
use crate::support::file::{forget, until_quiet};
use crate::support::{reaction, user};

const POSTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("posts");
const META: TableDefinition<&str, u64> = TableDefinition::new("onetap");
const LOG: TableDefinition<(u8, u64, u64), &[u8]> = TableDefinition::new("log");
const EXPIRY: TableDefinition<(u64, &[u8; 16], &[u8; 16]), ()> = TableDefinition::new("expiry");

/// How many members the store forgets in these tests: two entries each.
const MANY: u64 = 4000;

/// Number of commits, and the keys in `posts`.
fn entries(file: &Path) -> (u64, Vec<Vec<u8>>) {
    let engine = redb::Database::open(file).unwrap();
    let txn = engine.begin_read().unwrap();
    let commits = txn.open_table(META).unwrap().get("commits").unwrap().unwrap().value();
    let posts = txn.open_table(POSTS).unwrap();
    (commits, posts.iter().unwrap().map(|entry| entry.unwrap().0.value().to_vec()).collect())
}

/// Writes entries in the form of the previous release.
fn add(file: &Path, posts: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let engine = redb::Database::open(file).unwrap();
    let txn = engine.begin_write().unwrap();
    let mut table = txn.open_table(POSTS).unwrap();
    for (key, value) in posts {
        table.insert(&key[..], &value[..]).unwrap();
    }
    drop(table);
    txn.commit().unwrap();
}

/// A post with these members, as the previous release kept it.
fn old_post(
    post: PostId,
    name: &str,
    users: std::ops::RangeInclusive<u64>,
) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let of = |parts: &[&[u8]]| [post.as_uuid().as_bytes(), &parts.concat()[..]].concat();
    let number = |n: u64| n.to_be_bytes().to_vec();
    let (count, name) = (users.clone().count() as u64, name.as_bytes());
    let mut kept = BTreeMap::from([(of(&[]), number(1000)), (of(&[b"c", name]), number(count))]);
    for id in users {
        let text = id.to_string();
        kept.insert(of(&[b"m", name, &[0], text.as_bytes()]), number(id));
        kept.insert(of(&[b"o", name, &[0], &number(id), text.as_bytes()]), Vec::new());
    }
    kept
}

async fn shown(store: &FileStore, post: PostId) -> (u64, usize, Option<bool>) {
    let query =
        SummaryQuery { posts: vec![post], viewer: Some(crate::support::user(7)), recent: 2 };
    let summary = store.summaries(query, soon()).await.unwrap().remove(0);
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 10_000 };
    let listed = store.reactors(query, soon()).await.unwrap().reactors.len();
    (summary.total(), listed, summary.reactions.first().and_then(|it| it.mine))
}

#[tokio::test]
async fn forgotten_members_are_hidden_at_once_and_leave_a_thousand_entries_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let (post, other) = (post(), post());
    drop(open_at(&file));
    add(&file, &old_post(post, "like", 1..=MANY));
    add(&file, &old_post(other, "like", 1..=5));
    let (commits, before) = entries(&file);

    let store = open_at(&file);
    assert_eq!(shown(&store, post).await, (MANY, MANY as usize, Some(true)));
    assert_eq!(forget(&store, post, None).await, MANY);
    assert_eq!(shown(&store, post).await, (0, 0, None));
    // The same member again, while the old one is still there.
    let anew = store.tap(tap(Verb::Toggle, post, 7, "like"), soon()).await.unwrap();
    assert_eq!((anew.active, anew.count), (true, 1));
    assert_eq!(shown(&store, post).await, (1, 1, Some(true)));
    drop(store);
    let (later, left) = entries(&file);
    let dropped = before.len() - left.len();
    assert!(dropped <= 1000 * usize::try_from(later - commits).unwrap(), "{dropped} at once");
    assert!(left.len() > 2000, "all went at once, which would stall the writer: {}", left.len());

    // A new start goes on, without taps too.
    let store = open_at(&file);
    assert_eq!(shown(&store, post).await, (1, 1, Some(true)));
    until_quiet(&store).await;
    assert_eq!(shown(&store, post).await, (1, 1, Some(true)));
    assert_eq!(shown(&store, other).await, (5, 5, Some(false)));
    assert_eq!(store.tap(tap(Verb::Unset, post, 7, "like"), soon()).await.unwrap().count, 0);
    drop(store);
    let (_, left) = entries(&file);
    let of_other = |key: &&Vec<u8>| key.starts_with(other.as_uuid().as_bytes());
    assert_eq!(left.iter().filter(of_other).count(), 12);
    assert_eq!(left.len(), 12, "entries of a forgotten post stay");
}

/// Each generation hides those before it: of a post that has another reaction, and of one that was
/// empty meanwhile.
#[tokio::test]
async fn a_post_may_be_forgotten_again_before_its_members_have_left() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let post = post();
    drop(open_at(&file));
    add(&file, &old_post(post, "like", 1..=MANY));
    let store = open_at(&file);
    let (mut likes, mut others) = (MANY, 0);
    for round in 0..6 {
        let (name, goes) = if round % 2 == 0 {
            store.tap(tap(Verb::Set, post, 9, "love"), soon()).await.unwrap();
            others = 1;
            (Some("like"), likes)
        } else {
            (None, likes + std::mem::take(&mut others))
        };
        assert_eq!(forget(&store, post, name).await, goes, "round {round}");
        assert_eq!(shown(&store, post).await.0, others);
        let fresh = store.tap(tap(Verb::Set, post, 7, "like"), soon()).await.unwrap();
        assert_eq!((fresh.changed, fresh.count), (true, 1));
        // Without another reaction, the post has no entry of its own then.
        let gone = store.tap(tap(Verb::Unset, post, 7, "like"), soon()).await.unwrap();
        assert_eq!((gone.changed, gone.count), (true, 0));
        likes = 70 + round;
        let taps = (1..=likes).map(|id| store.tap(tap(Verb::Set, post, id, "like"), soon()));
        for outcome in futures_util::future::join_all(taps).await {
            assert!(outcome.unwrap().changed);
        }
        assert_eq!(shown(&store, post).await.0, likes + others);
    }
    assert_eq!(forget(&store, post, None).await, likes + others);
    until_quiet(&store).await;
    drop(store);
    assert!(entries(&file).1.is_empty());
}

/// What the previous release wrote, byte by byte: a post, a record, and an entry of the log.
#[tokio::test]
async fn a_file_of_the_previous_release_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let (post, now) = (post(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    let now = u64::try_from(now.as_micros()).unwrap();
    let keyed = keyed_tap(Form::Set, post, 7, "like", "k");
    let Some(Keyed { key, .. }) = keyed.keyed else { panic!("a key") };
    let (id, expires) = (*post.as_uuid().as_bytes(), now + 300_000_000);
    let record = [
        &expires.to_be_bytes()[..],
        b"s\x01\x01",
        &9_u64.to_be_bytes(),
        &1000_u64.to_be_bytes(),
        b"like",
    ];
    let entry = [
        &b"t\x01"[..],
        &id,
        &7_u64.to_be_bytes(),
        &1000_u64.to_be_bytes(),
        &now.to_be_bytes(),
        b"like",
    ];
    let engine = redb::Database::create(&file).unwrap();
    let txn = engine.begin_write().unwrap();
    for (name, value) in [("layout", 1), ("commits", 3), ("floor", 0)] {
        txn.open_table(META).unwrap().insert(name, value).unwrap();
    }
    let at = (u8::try_from(post.partition().index()).unwrap(), now / 1000, 0);
    txn.open_table(LOG).unwrap().insert(at, &entry.concat()[..]).unwrap();
    txn.open_table(EXPIRY).unwrap().insert((expires, &id, key.as_bytes()), ()).unwrap();
    txn.open_table(POSTS).unwrap();
    txn.commit().unwrap();
    drop(engine);
    let mut posts = old_post(post, "like", 1..=9);
    posts.insert([&id[..], b"r", key.as_bytes()].concat(), record.concat());
    add(&file, &posts);

    let store = open_at(&file);
    assert_eq!(shown(&store, post).await, (9, 9, Some(true)));
    let log = changes(&store, post.partition(), 10).await.unwrap();
    assert_eq!(log[0].change.flag(), Some((user(7), &reaction("like"), true)));
    let again = store.tap(keyed, soon()).await.unwrap();
    assert_eq!((again.replayed, again.count, again.revision), (true, 9, Revision(1000)));
    let more = store.tap(tap(Verb::Set, post, 10, "like"), soon()).await.unwrap();
    assert_eq!((more.changed, more.count), (true, 10));
    let edit = Edit::Rules(Some("qa".parse().unwrap()), Add::Existing);
    let ruled = store.rule(RulesEdit { post, edit, actor: None }, soon()).await.unwrap();
    assert!(ruled.revision > more.revision);
    assert_eq!(forget(&store, post, Some("like")).await, 10);
    drop(store);
    let store = open_at(&file);
    assert_eq!(shown(&store, post).await, (0, 0, None));
    let log = changes(&store, post.partition(), 10).await.unwrap();
    assert_eq!(log.len(), 4);
    assert_eq!(log[3].change.what, What::Forgotten(Some(reaction("like"))));
}
