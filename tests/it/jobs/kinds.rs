//! What each kind of job does with reactions whose times are known.

use onetap::domain::{Exclusive, PaletteSpec, What};
use onetap::jobs::{Lists, State, Task};
use onetap::store::{AnyStore, DocumentWrite, Maintenance as _, USER_INDEX};

use super::{Jobs, are, held, put};
use crate::store::each::on_stores;
use crate::support::judge::log_of;
use crate::support::palettes::palettes;
use crate::support::{post, posts, reaction, soon, user};

on_stores! { [memory, file, redis] {
    erasing_removes_all_that_a_user_gave_and_nothing_else,
    a_retraction_names_what_it_removed,
    renaming_keeps_the_older_time_and_one_entry_a_member,
    of_two_that_exclude_each_other_the_newer_stays,
    merging_users_gives_all_to_one_of_them,
    a_post_can_be_copied_and_moved,
    a_dry_run_changes_nothing_and_counts,
    a_cancelled_job_ends_after_its_step,
    two_runners_do_a_job_once,
    an_audit_of_a_sound_store_finds_nothing,
    many_jobs_are_listed_newest_first,
    an_older_store_gets_its_index_first,
} }

on_stores! { [cluster] {
    erasing_removes_all_that_a_user_gave_and_nothing_else,
    renaming_keeps_the_older_time_and_one_entry_a_member,
    merging_users_gives_all_to_one_of_them,
    a_post_can_be_copied_and_moved,
    an_audit_of_a_sound_store_finds_nothing,
} }

async fn erasing_removes_all_that_a_user_gave_and_nothing_else(store: AnyStore) {
    let (jobs, posts) = (Jobs::over(&store), posts(1_200));
    for (n, post) in posts.iter().enumerate() {
        put(&store, *post, &[(7, "like", 10 + n as u64), (7, "love", 11), (8, "like", 12)]).await;
    }
    let job = jobs.done(Task::Erase { user: user(7) }).await;
    assert_eq!((job.numbers.get("found"), job.numbers.get("removed")), (2_400, 2_400));
    assert_eq!((job.done, job.total), (2_400, Some(2_400)));
    for post in &posts {
        assert_eq!(held(&store, *post).await, are(&[(8, "like", 12)]));
    }
    let left = store.given(user(7), None, 10, soon()).await.unwrap();
    assert_eq!(left.given, vec![]);
    // The log says why, and who did it. The receipt names no reaction of an erased user.
    let log = log_of(&store, &posts[..1]).await.remove(&posts[0]).unwrap();
    let erased: Vec<_> = log.iter().filter(|change| change.actor == Some(user(9))).collect();
    assert_eq!(erased.len(), 2);
    for change in erased {
        let What::Reaction { user: of, active, cause, .. } = &change.what else { panic!() };
        assert_eq!((*of, *active, format!("{cause:?}")), (user(7), false, "Erase".to_owned()));
    }
    assert_eq!(jobs.lines(&job).await, Vec::<String>::new());
    // A user without reactions, twice.
    assert_eq!(jobs.done(Task::Erase { user: user(7) }).await.numbers.get("found"), 0);
}

fn retract(reaction: Option<&str>, since: Option<u64>, until: Option<u64>, listed: bool) -> Task {
    let reaction = reaction.map(crate::support::reaction);
    Task::Retract { reaction, since, until, listed }
}

async fn a_retraction_names_what_it_removed(store: AnyStore) {
    let (jobs, posts) = (Jobs::over(&store), posts(3));
    let members = [(1, "like", 100), (2, "like", 200), (3, "like", 300), (1, "love", 150)];
    for post in &posts {
        put(&store, *post, &members).await;
    }
    let users =
        |ids: &[u64]| Lists { users: ids.iter().map(|id| user(*id)).collect(), ..Lists::default() };
    let listed = Lists { posts: posts[..2].to_vec(), ..users(&[1, 2]) };
    let job = jobs.done_with(retract(Some("like"), Some(100), Some(199), true), listed).await;
    let expected = posts[..2].iter().map(|post| {
        format!(
            "{{\"post_id\":\"{post}\",\"user_id\":\"1\",\"reaction\":\"like\",\
             \"reacted_at\":\"1970-01-01T00:00:00.000100Z\"}}"
        )
    });
    let mut expected: Vec<String> = expected.collect();
    expected.sort();
    assert_eq!(jobs.lines(&job).await, expected);
    assert_eq!(job.total, Some(2), "users");
    for post in &posts[..2] {
        assert_eq!(held(&store, *post).await, are(&members[1..]));
    }
    assert_eq!(held(&store, posts[2]).await, are(&members));
    // Without a filter, all of these users goes.
    let job = jobs.done_with(retract(None, None, None, false), users(&[1, 3])).await;
    assert_eq!(job.numbers.get("removed"), 7);
    for post in &posts {
        assert_eq!(held(&store, *post).await, are(&[(2, "like", 200)]));
    }
}

fn rename(listed: bool) -> Task {
    Task::Rename { from: reaction("heart"), to: reaction("love"), listed }
}

async fn renaming_keeps_the_older_time_and_one_entry_a_member(store: AnyStore) {
    let (jobs, posts) = (Jobs::over(&store), posts(3));
    let members =
        [(1, "heart", 10), (2, "heart", 20), (2, "love", 5), (3, "heart", 30), (3, "love", 40)];
    for post in &posts {
        put(&store, *post, &members).await;
    }
    put(&store, posts[0], &[(4, "like", 50)]).await;
    let listed = Lists { posts: vec![posts[0]], ..Lists::default() };
    let job = jobs.done_with(rename(true), listed).await;
    assert_eq!((job.numbers.get("removed"), job.numbers.get("added")), (3, 1));
    assert_eq!((job.numbers.get("there_already"), job.numbers.get("made_older")), (1, 1));
    let renamed = [(1, "love", 10), (2, "love", 5), (3, "love", 30), (4, "like", 50)];
    assert_eq!(held(&store, posts[0]).await, are(&renamed));
    assert_eq!(held(&store, posts[1]).await, are(&members));
    jobs.done(rename(false)).await;
    for post in &posts[1..] {
        assert_eq!(held(&store, *post).await, are(&renamed[..3]));
    }
}

async fn of_two_that_exclude_each_other_the_newer_stays(store: AnyStore) {
    let group = ["up", "down", "heart"].map(reaction).to_vec();
    let spec = PaletteSpec { exclusive: Exclusive::Groups(vec![group]), ..PaletteSpec::default() };
    let jobs = Jobs::with(&store, palettes(&[("default", spec)]), 1_000_000);
    let (first, second, third) = (post(), post(), post());
    // User 1 has the newer `down`, user 2 the newer `up`: only one of both may be left.
    put(&store, first, &[(1, "up", 10), (2, "up", 40), (3, "like", 5)]).await;
    put(&store, second, &[(1, "down", 20), (2, "down", 30)]).await;
    jobs.done(Task::MovePost { from: first, to: second }).await;
    assert_eq!(held(&store, first).await, are(&[]));
    assert_eq!(held(&store, second).await, are(&[(1, "down", 20), (2, "up", 40), (3, "like", 5)]));
    put(&store, third, &[(5, "up", 10), (6, "down", 20), (7, "heart", 9), (7, "up", 3)]).await;
    jobs.done(Task::MergeUser { from: user(5), to: user(6) }).await;
    jobs.done(Task::Rename { from: reaction("up"), to: reaction("down"), listed: false }).await;
    let third = held(&store, third).await;
    // A renaming within a group: user 7 had the newer `heart`.
    assert_eq!(third, are(&[(6, "down", 20), (7, "heart", 9)]));
}

async fn merging_users_gives_all_to_one_of_them(store: AnyStore) {
    let (jobs, posts) = (Jobs::over(&store), posts(2));
    put(&store, posts[0], &[(1, "like", 10), (2, "like", 20), (1, "love", 30)]).await;
    put(&store, posts[1], &[(1, "like", 20), (2, "like", 10)]).await;
    let job = jobs.done(Task::MergeUser { from: user(1), to: user(2) }).await;
    assert_eq!((job.numbers.get("found"), job.numbers.get("added")), (3, 1));
    assert_eq!(held(&store, posts[0]).await, are(&[(2, "like", 10), (2, "love", 30)]));
    assert_eq!(held(&store, posts[1]).await, are(&[(2, "like", 10)]));
    assert_eq!(store.given(user(1), None, 10, soon()).await.unwrap().given, vec![]);
    assert_eq!(store.given(user(2), None, 10, soon()).await.unwrap().given.len(), 3);
}

async fn a_post_can_be_copied_and_moved(store: AnyStore) {
    let (jobs, from, to) = (Jobs::over(&store), post(), post());
    let members: Vec<(u64, &str, u64)> = (1..=700).map(|id| (id, "like", 1_000 + id)).collect();
    put(&store, from, &members).await;
    put(&store, to, &[(1, "like", 5), (1000, "love", 6)]).await;
    let mut all = are(&members);
    all.extend(are(&[(1, "like", 5), (1000, "love", 6)]));
    let job = jobs.done(Task::CopyPost { from, to }).await;
    assert_eq!((job.numbers.get("added"), job.numbers.get("removed")), (699, 0));
    assert_eq!((job.done, job.total), (700, Some(700)));
    assert_eq!(held(&store, from).await, are(&members));
    assert_eq!(held(&store, to).await, all);
    let job = jobs.done(Task::MovePost { from, to }).await;
    assert_eq!((job.numbers.get("there_already"), job.numbers.get("removed")), (700, 700));
    assert_eq!(held(&store, from).await, are(&[]));
    assert_eq!(held(&store, to).await, all);
}

async fn a_dry_run_changes_nothing_and_counts(store: AnyStore) {
    let (jobs, post) = (Jobs::over(&store), post());
    let members = [(1, "heart", 10), (2, "heart", 20)];
    put(&store, post, &members).await;
    let revision = log_of(&store, &[post]).await[&post].last().unwrap().revision;
    for task in [rename(false), Task::Erase { user: user(1) }] {
        let found = if matches!(task, Task::Erase { .. }) { 1 } else { 2 };
        let started = jobs.book.start(task, Lists::default(), None, true, soon()).await.unwrap();
        let job = jobs.ended(&started).await;
        assert_eq!((job.state, job.numbers.get("found")), (State::Done, found));
        assert_eq!(job.numbers.get("removed"), 0);
    }
    assert_eq!(held(&store, post).await, are(&members));
    assert_eq!(log_of(&store, &[post]).await[&post].last().unwrap().revision, revision);
}

async fn a_cancelled_job_ends_after_its_step(store: AnyStore) {
    // So slow that it has not got far when it is cancelled.
    let jobs = Jobs::with(&store, onetap::domain::Palettes::unconfigured(), 500);
    let posts = posts(1_000);
    for post in &posts {
        put(&store, *post, &[(7, "like", 10)]).await;
    }
    let started = jobs.start(Task::Erase { user: user(7) }, Lists::default()).await;
    jobs.book.cancel(&started.id, soon()).await.unwrap().unwrap();
    let job = jobs.ended(&started).await;
    assert_eq!(job.state, State::Cancelled);
    let left = store.given(user(7), None, 2_000, soon()).await.unwrap().given.len() as u64;
    assert_eq!(left + job.numbers.get("removed"), 1_000);
    assert!(left > 0, "it was not cancelled in time");
    // What has ended stays as it is.
    let again = jobs.book.cancel(&started.id, soon()).await.unwrap().unwrap();
    assert_eq!(again, job);
}

async fn two_runners_do_a_job_once(store: AnyStore) {
    let posts = posts(2_000);
    for (n, post) in posts.iter().enumerate() {
        put(&store, *post, &[(7, "heart", 10 + n as u64), (8, "heart", 12), (8, "love", 3)]).await;
    }
    // Over memory and a file nobody looks at leases, so that both work at once.
    let both = [Jobs::over(&store), Jobs::over(&store)];
    let started = both[0].start(rename(false), Lists::default()).await;
    both[1].book.page(None, 10, soon()).await.unwrap();
    let job = both[1].ended(&started).await;
    assert_eq!(job.state, State::Done);
    let number = |name| job.numbers.get(name);
    assert_eq!(
        (number("removed"), number("added"), number("there_already")),
        (4_000, 2_000, 2_000)
    );
    for (n, post) in posts.iter().enumerate() {
        let expected = are(&[(7, "love", 10 + n as u64), (8, "love", 3)]);
        assert_eq!(held(&store, *post).await, expected);
    }
}

async fn an_audit_of_a_sound_store_finds_nothing(store: AnyStore) {
    let (jobs, posts) = (Jobs::over(&store), posts(30));
    for post in &posts {
        put(&store, *post, &[(1, "like", 10), (2, "like", 20)]).await;
    }
    let many: Vec<(u64, &str, u64)> = (1..=2_500).map(|id| (id, "love", id)).collect();
    put(&store, posts[0], &many).await;
    for repair in [false, true] {
        let job = jobs.done(Task::Audit { repair }).await;
        assert_eq!((job.numbers.get("drifted"), job.numbers.get("damaged")), (0, 0));
        assert_eq!((job.numbers.get("posts"), job.numbers.get("members")), (30, 2_560));
        assert_eq!(jobs.lines(&job).await, Vec::<String>::new());
    }
}

async fn many_jobs_are_listed_newest_first(store: AnyStore) {
    let jobs = Jobs::over(&store);
    let mut ids = Vec::new();
    for id in 1..=7 {
        ids.push(jobs.done(Task::Erase { user: user(id) }).await.id);
        // Jobs of one millisecond have no order.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    ids.reverse();
    let (mut listed, mut before) = (Vec::new(), None);
    loop {
        let page = jobs.book.page(before.as_ref(), 3, soon()).await.unwrap();
        listed.extend(page.jobs.into_iter().map(|job| job.id));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(listed, ids);
}

async fn an_older_store_gets_its_index_first(store: AnyStore) {
    let post = post();
    put(&store, post, &[(7, "like", 10), (8, "like", 20)]).await;
    // A store of an earlier release has no such document.
    if let Some(document) = store.document(USER_INDEX, soon()).await.unwrap() {
        let (name, expected) = (USER_INDEX.to_owned(), document.version);
        let write = DocumentWrite { name, expected, body: None, keep: None };
        assert!(store.write_document(write, soon()).await.unwrap());
    }
    let jobs = Jobs::over(&store);
    let job = jobs.done(Task::Erase { user: user(7) }).await;
    assert_eq!(job.numbers.get("removed"), 1);
    assert!(store.document(USER_INDEX, soon()).await.unwrap().is_some());
    let listed = jobs.book.page(None, 10, soon()).await.unwrap().jobs;
    let kinds: Vec<_> = listed.iter().map(|job| (job.task.kind(), job.state)).collect();
    assert!(kinds.contains(&("audit", State::Done)), "{kinds:?}");
}
