//! Imports and jobs on a store file: files of earlier releases, audits, power cuts, what expires.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use onetap::domain::{
    Amended, Amendment, Cause, EditAct, EditOutcome, ImportOutcome, ImportStep, MemberEdit, Micros,
    Once, PostId, SourceId, StepToken, Verb,
};
use onetap::store::file::{FileStore, back_up};
use onetap::store::{
    Audited, Document, DocumentWrite, Drift, Given, Maintenance as _, ReactorsQuery, Store as _,
    SummaryQuery, USER_INDEX, WalkedPost,
};
use redb::{ReadableTable as _, ReadableTableMetadata as _, TableDefinition};

use crate::support::file::{OPTIONS, forget, fresh, open_at, until_quiet};
use crate::support::power::{Disk, Left, random};
use crate::support::{post, posts, reaction, soon, tap, user};

const POSTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("posts");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("onetap");
const GIVEN: TableDefinition<'_, &[u8], ()> = TableDefinition::new("given");
const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
const UNTIL: TableDefinition<'_, &[u8], ()> = TableDefinition::new("until");

fn put(id: u64, name: &str, at: u64) -> MemberEdit {
    MemberEdit { user: user(id), reaction: reaction(name), act: EditAct::Put(Micros(at)) }
}

fn amendment(post: PostId, edits: Vec<MemberEdit>, once: Once) -> Amendment {
    Amendment::new(post, Cause::Import, edits, once)
}

async fn amend(store: &FileStore, amendment: Amendment) -> Amended {
    store.amend(vec![amendment], soon()).await.remove(0).unwrap()
}

async fn given(store: &FileStore, id: u64) -> Vec<Given> {
    store.given(user(id), None, 10_000, soon()).await.unwrap().given
}

async fn document(store: &FileStore, name: &str) -> Option<Document> {
    store.document(name, soon()).await.unwrap()
}

async fn write(store: &FileStore, name: &str, expected: u64, keep: Option<Duration>) {
    let body = Some(name.as_bytes().to_vec());
    let write = DocumentWrite { name: name.to_owned(), expected, body, keep };
    assert!(store.write_document(write, soon()).await.unwrap());
}

/// Users by reaction, with their times.
async fn members(store: &FileStore, post: PostId) -> BTreeMap<(String, u64), u64> {
    let query = ReactorsQuery { post, reaction: None, after: None, limit: 100_000 };
    let listed = store.reactors(query, soon()).await.unwrap().reactors.into_iter();
    let members: BTreeMap<_, _> = listed
        .map(|it| ((it.reaction.to_string(), it.user.integer().unwrap()), it.reacted_at.0))
        .collect();
    let query = SummaryQuery { posts: vec![post], viewer: None, recent: 0 };
    let shown = store.summaries(query, soon()).await.unwrap().remove(0);
    assert_eq!(shown.total(), members.len() as u64);
    members
}

/// Changes a closed file behind the store's back.
fn changed(file: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let engine = redb::Database::open(file).unwrap();
    let txn = engine.begin_write().unwrap();
    change(&txn);
    txn.commit().unwrap();
}

/// How many entries the index, the documents, and the expiry times of a closed file have.
fn lengths(file: &Path) -> (u64, u64, u64) {
    let engine = redb::Database::open(file).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&engine).unwrap();
    let given = txn.open_table(GIVEN).unwrap().len().unwrap();
    let documents = txn.open_table(DOCUMENTS).unwrap().len().unwrap();
    (given, documents, txn.open_table(UNTIL).unwrap().len().unwrap())
}

async fn audit(store: &FileStore, post: PostId, ids: &[u64], repair: bool) -> Audited {
    let members = ids.iter().map(|id| (reaction("like"), user(*id))).collect();
    let walked = WalkedPost { post, own: true, seen: Vec::new() };
    store.audit(walked, members, repair, soon()).await.unwrap()
}

/// Makes a file as the previous release left it.
fn without_tables(file: &Path) {
    changed(file, |txn| {
        for name in ["given", "documents", "until"] {
            assert!(
                txn.delete_table(TableDefinition::<&[u8], ()>::new(name)).is_ok_and(|it| it) || {
                    txn.delete_table(TableDefinition::<&str, &[u8]>::new(name)).unwrap()
                }
            );
        }
        txn.open_table(META).unwrap().remove("indexed").unwrap();
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_previous_release_opens_as_it_is_and_audits_complete_its_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    let posts = posts(3);
    for post in &posts {
        for id in 1..=3 {
            store.tap(tap(Verb::Set, *post, id, "like"), soon()).await.unwrap();
        }
    }
    drop(store);
    without_tables(&file);
    // A copy of it is made, and is like it.
    let copy = folder.path().join("copy.redb");
    back_up(&file, &copy, |_| {}).unwrap();
    for file in [copy, file] {
        let store = open_at(&file);
        assert_eq!(document(&store, USER_INDEX).await, None);
        assert!(given(&store, 1).await.is_empty());
        assert_eq!(audit(&store, posts[0], &[1, 2, 3], false).await.drift, [Drift::NotIndexed(3)]);
        // What comes now is in the index, but that does not make it complete.
        store.tap(tap(Verb::Unset, posts[0], 1, "like"), soon()).await.unwrap();
        store.tap(tap(Verb::Set, posts[0], 1, "like"), soon()).await.unwrap();
        assert_eq!((given(&store, 1).await.len(), document(&store, USER_INDEX).await), (1, None));
        for walked in store.walk(None, 100, soon()).await.unwrap().posts {
            let audited = audit(&store, walked.post, &[1, 2, 3], true).await;
            assert!(audited.repaired, "{audited:?}");
            let again = audit(&store, walked.post, &[1, 2, 3], true).await;
            assert_eq!((again.drift, again.revision), (Vec::new(), audited.revision));
        }
        write(&store, USER_INDEX, 0, None).await;
        drop(store);
        let store = open_at(&file);
        assert!(document(&store, USER_INDEX).await.is_some());
        for id in 1..=3 {
            assert_eq!(given(&store, id).await.len(), 3);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_incomplete_once_an_earlier_release_has_written_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    store.tap(tap(Verb::Set, post(), 1, "like"), soon()).await.unwrap();
    assert!(document(&store, USER_INDEX).await.is_some());
    write(&store, "other", 0, None).await;
    drop(store);
    // The earlier release counts its commits, and does not know the index.
    changed(&file, |txn| {
        let mut meta = txn.open_table(META).unwrap();
        let commits = meta.get("commits").unwrap().unwrap().value();
        assert_eq!(meta.get("indexed").unwrap().unwrap().value(), commits);
        meta.insert("commits", commits + 1).unwrap();
    });
    let store = open_at(&file);
    assert_eq!(document(&store, USER_INDEX).await, None);
    store.tap(tap(Verb::Set, post(), 1, "like"), soon()).await.unwrap();
    assert_eq!(document(&store, USER_INDEX).await, None, "a commit of ours does not complete it");
    assert!(document(&store, "other").await.is_some());
    write(&store, USER_INDEX, 0, None).await;
    drop(store);
    assert!(document(&open_at(&file), USER_INDEX).await.is_some());
}

/// A key of a post's entry.
fn key(post: PostId, rest: &[&[u8]]) -> Vec<u8> {
    [&post.as_uuid().as_bytes()[..], &rest.concat()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_finds_and_repairs_what_does_not_agree() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    let all = posts(7);
    for post in &all {
        amend(&store, amendment(*post, (1..=80).map(|id| put(id, "like", id)).collect(), Once::No))
            .await;
    }
    // One of them has sets of a later generation.
    forget(&store, all[3], None).await;
    until_quiet(&store).await;
    amend(&store, amendment(all[3], vec![put(1, "like", 9), put(2, "sad", 9)], Once::No)).await;
    drop(store);
    let eight = |n: u64| n.to_be_bytes();
    changed(&file, |txn| {
        let mut posts = txn.open_table(POSTS).unwrap();
        posts.insert(&key(all[0], &[b"clike"])[..], &eight(79)[..]).unwrap();
        posts.remove(&key(all[1], &[b"clike"])[..]).unwrap();
        posts.insert(&key(all[1], &[b"csad"])[..], &eight(5)[..]).unwrap();
        posts.remove(&key(all[2], &[])[..]).unwrap();
        posts.remove(&key(all[3], &[b"clike"])[..]).unwrap();
        posts.remove(&key(all[4], &[b"olike\0", &eight(7), b"7"])[..]).unwrap();
        posts.remove(&key(all[5], &[])[..]).unwrap();
        posts.remove(&key(all[5], &[b"clike"])[..]).unwrap();
        let mut given = txn.open_table(GIVEN).unwrap();
        let hint = [&eight(3)[..], &eight(3), all[0].as_uuid().as_bytes(), b"like"].concat();
        assert!(given.remove(&hint[..]).unwrap().is_some());
    });
    let store = open_at(&file);
    let like = |count, members| Drift::Count { reaction: reaction("like"), count, members };
    let sad = Drift::Count { reaction: reaction("sad"), count: 5, members: 0 };
    let cases = [
        (all[0], vec![like(79, 80), Drift::NotIndexed(1)]),
        (all[1], vec![like(0, 80), sad]),
        (all[2], vec![Drift::Revision]),
        (all[3], vec![like(0, 1)]),
        (all[5], vec![like(0, 80), Drift::Revision]),
        (all[6], vec![]),
    ];
    // A walk comes by the post of which members alone are left.
    let walked = store.walk(None, 100, soon()).await.unwrap().posts;
    let found: BTreeSet<_> = walked.iter().map(|it| it.post).collect();
    assert_eq!(found, all.iter().copied().collect());
    for (post, drift) in cases {
        let before = audit(&store, post, &[3], false).await;
        assert_eq!((&before.drift, before.repaired), (&drift, false), "{post}");
        let repaired = audit(&store, post, &[3], true).await;
        assert_eq!((&repaired.drift, repaired.repaired), (&drift, !drift.is_empty()));
        assert_eq!(repaired.revision > before.revision, !drift.is_empty());
        let after = audit(&store, post, &[1, 2, 3], false).await;
        assert_eq!((after.drift, after.revision), (Vec::new(), repaired.revision));
        assert_eq!(members(&store, post).await.len(), if post == all[3] { 2 } else { 80 });
    }
    // An audit does not guess what a broken list should be.
    let broken = audit(&store, all[4], &[], true).await;
    assert!(matches!(broken.drift[..], [Drift::Damaged(_)]) && !broken.repaired, "{broken:?}");
    // A head that is not of our form is damage, too.
    drop(store);
    changed(&file, |txn| {
        let mut posts = txn.open_table(POSTS).unwrap();
        posts.insert(&key(all[6], &[])[..], &b"odd"[..]).unwrap();
    });
    let broken = audit(&open_at(&file), all[6], &[], true).await;
    assert!(matches!(broken.drift[..], [Drift::Damaged(_)]) && !broken.repaired, "{broken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_leaves_the_index_and_what_came_back_stays_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    let post = post();
    let rows = |ids: std::ops::RangeInclusive<u64>| {
        amendment(post, ids.map(|id| put(id, "like", id)).collect(), Once::No)
    };
    for from in [1, 1001, 2001] {
        amend(&store, rows(from..=from + 999)).await;
    }
    assert_eq!(forget(&store, post, None).await, 3000);
    assert!(given(&store, 1).await.is_empty(), "entries of the index may still be there");
    // An import brings some back, with their times, while the others are dropped.
    amend(&store, rows(1..=500)).await;
    until_quiet(&store).await;
    for id in [1, 500] {
        assert_eq!(given(&store, id).await.len(), 1);
    }
    assert_eq!(audit(&store, post, &(1..=500).collect::<Vec<_>>(), false).await.drift, []);
    drop(store);
    assert_eq!(lengths(&file), (500, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_expired_goes_with_later_commits_and_the_rest_is_in_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.redb");
    let store = open_at(&file);
    let all = posts(3);
    let import = |post| {
        let step = ImportStep { source: SourceId([1; 16]), from: 0, more: false, merge: false };
        amendment(post, vec![put(1, "like", 5)], Once::Import(step))
    };
    let step = |post| amendment(post, vec![put(2, "like", 5)], Once::Step(StepToken([2; 16])));
    write(&store, "brief", 0, Some(Duration::from_micros(1))).await;
    write(&store, "long", 0, Some(Duration::from_secs(600))).await;
    amend(&store, import(all[0])).await;
    amend(&store, step(all[1])).await;
    drop(store);
    let copy = folder.path().join("copy.redb");
    back_up(&file, &copy, |_| {}).unwrap();
    assert_eq!(lengths(&copy), (2, 2, 3), "the brief document is gone");
    let store = open_at(&copy);
    assert_eq!(amend(&store, import(all[0])).await.import, ImportOutcome::Done);
    assert!(amend(&store, step(all[1])).await.replayed);
    assert!(document(&store, "long").await.is_some());
    drop(store);
    // A day later, or a month.
    changed(&copy, |txn| {
        let (mut until, mut posts) =
            (txn.open_table(UNTIL).unwrap(), txn.open_table(POSTS).unwrap());
        let keys: Vec<Vec<u8>> =
            until.iter().unwrap().map(|it| it.unwrap().0.value().to_vec()).collect();
        for old in keys {
            until.remove(&old[..]).unwrap();
            until.insert(&[&[0; 8][..], &old[8..]].concat()[..], ()).unwrap();
            if old[8] == b'e' {
                let mut value = posts.get(&old[9..]).unwrap().unwrap().value().to_vec();
                value[..8].copy_from_slice(&[0; 8]);
                posts.insert(&old[9..], &value[..]).unwrap();
            }
        }
    });
    let store = open_at(&copy);
    // What has expired does not count, even before it is dropped.
    assert_eq!(amend(&store, step(all[1])).await.outcomes, [EditOutcome::Unchanged]);
    assert!(amend(&store, step(all[1])).await.replayed, "a new answer");
    store.tap(tap(Verb::Set, all[2], 1, "like"), soon()).await.unwrap();
    drop(store);
    assert_eq!(lengths(&copy), (3, 1, 1));
}

/// Each step adds ten members, or moves or removes them. It is there whole or not at all, with its
/// mark or its answer, and what was acknowledged is there.
async fn power_cuts_while_amending(rounds: u64, left: impl Fn(u64) -> Left) {
    let (disk, mut seed, mut acknowledged, mut in_doubt) = (Disk::new(), 5, 0, 0);
    let on = |disk: &Disk| {
        let disk = disk.clone();
        FileStore::with_backend(move || disk.open(), OPTIONS).unwrap()
    };
    for round in 0..rounds {
        let store = on(&disk);
        let all = posts(4);
        disk.cut_after(20 + u32::try_from(random(&mut seed) % 300).unwrap());
        let mut sent = Vec::new();
        let mut done = 0;
        'calls: for n in 0_u64.. {
            let steps = all.iter().enumerate().map(|(i, post)| {
                let edits = (1..=10).map(|id| put(10 * (n % 3) + id, "like", n + 1)).collect();
                let token = u128::from(round) << 96 | u128::from(n) << 32 | i as u128;
                let step = ImportStep {
                    source: SourceId([3; 16]),
                    from: 10 * n,
                    more: true,
                    merge: false,
                };
                let once = match i % 2 {
                    0 => Once::Step(StepToken(token.to_be_bytes())),
                    _ => Once::Import(step),
                };
                amendment(*post, edits, once)
            });
            let steps: Vec<_> = steps.collect();
            sent.clone_from(&steps);
            for answer in store.amend(steps, soon()).await {
                if answer.is_err() {
                    break 'calls;
                }
            }
            done = n + 1;
        }
        assert!(disk.is_cut());
        drop(store);
        disk.restore(left(round));
        let store = on(&disk);
        let expected = |calls: u64| {
            let times = (0..calls).flat_map(|n| (1..=10).map(move |id| (10 * (n % 3) + id, n + 1)));
            times.map(|(id, at)| (("like".to_owned(), id), at)).collect::<BTreeMap<_, _>>()
        };
        // The calls of one commit are there or not, all of them.
        let found = members(&store, all[0]).await;
        let applied = if found == expected(done) { done } else { done + 1 };
        for post in &all {
            assert_eq!(members(&store, *post).await, expected(applied), "round {round}");
            let ids: Vec<_> = (1..=30).collect();
            assert_eq!(audit(&store, *post, &ids, false).await.drift, [], "round {round}");
        }
        for (step, n) in sent.into_iter().zip(0..) {
            let again = amend(&store, step).await;
            let known = again.replayed || again.import == ImportOutcome::Done;
            assert_eq!(known, applied > done, "round {round}, post {n}: {again:?}");
        }
        (acknowledged, in_doubt) = (acknowledged + done, in_doubt + u64::from(applied > done));
    }
    println!("{rounds} power cuts: {acknowledged} calls acknowledged, {in_doubt} applied in doubt");
    assert!(acknowledged > rounds, "the cuts met too little");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_leaves_each_amendment_whole() {
    power_cuts_while_amending(10, |_| Left::Nothing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_that_tears_the_last_pages_leaves_each_amendment_whole() {
    power_cuts_while_amending(10, Left::Some).await;
}

/// An acknowledged document is there after a start, and its versions go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_there_after_a_start() {
    let (store, folder) = fresh();
    write(&store, "jobs/a", 0, None).await;
    write(&store, "jobs/a", 1, None).await;
    drop(store);
    let store = open_at(&folder.path().join("store.redb"));
    assert_eq!(document(&store, "jobs/a").await.map(|it| it.version), Some(2));
    write(&store, "jobs/a", 2, None).await;
}
