//! Jobs about users with text ids, also such as begin alike.

use onetap::domain::{Amendment, Cause, EditAct, MemberEdit, Micros, Once, PostId};
use onetap::jobs::{Lists, Task};
use onetap::store::{AnyStore, Maintenance as _};

use super::{Jobs, held};
use crate::store::each::on_stores;
use crate::support::{posts, reaction, soon};

on_stores! { [memory, file, redis] {
    jobs_tell_users_with_text_ids_apart,
} }

async fn put(store: &AnyStore, post: PostId, members: &[(&str, &str, u64)]) {
    let edit = |(id, name, at): &(&str, &str, u64)| MemberEdit {
        user: id.parse().unwrap(),
        reaction: reaction(name),
        act: EditAct::Put(Micros(*at)),
    };
    let edits = members.iter().map(edit).collect();
    let amendment = Amendment::new(post, Cause::Import, edits, Once::No);
    store.amend(vec![amendment], soon()).await.remove(0).unwrap();
}

async fn are(store: &AnyStore, posts: &[PostId], members: &[(&str, &str, u64)]) {
    let entry = |(id, name, at): &(&str, &str, u64)| (((*id).into(), (*name).into()), *at);
    for post in posts {
        assert_eq!(held(store, *post).await, members.iter().map(entry).collect(), "{post}");
    }
}

async fn jobs_tell_users_with_text_ids_apart(store: AnyStore) {
    let (jobs, posts) = (Jobs::over(&store), posts(300));
    let (longest, shorter) = ("x".repeat(64), "x".repeat(63));
    let ids = ["@anna:forum|1.example", "@anna:forum|1.exampl", &longest, &shorter, "7", "a+b=c~d"];
    for post in &posts {
        let members: Vec<_> = ids.iter().zip(10..).map(|(id, at)| (*id, "heart", at)).collect();
        put(&store, *post, &members).await;
    }
    let id = |n: usize| ids[n].parse().unwrap();
    let job = jobs.done(Task::Erase { user: id(0) }).await;
    assert_eq!(job.numbers.get("removed"), 300);
    let job = jobs.done(Task::MergeUser { from: id(2), to: id(3) }).await;
    assert_eq!((job.numbers.get("removed"), job.numbers.get("made_older")), (300, 300));
    let rest = [(ids[1], "heart", 11), (ids[3], "heart", 12), ("7", "heart", 14)];
    are(&store, &posts, &[&rest[..], &[(ids[5], "heart", 15)]].concat()).await;
    let task = Task::Rename { from: reaction("heart"), to: reaction("love"), listed: false };
    jobs.done(task).await;
    let task = Task::Retract { reaction: None, since: None, until: Some(14), listed: false };
    let users = vec![id(1), id(4), id(5)];
    let job = jobs.done_with(task, Lists { users, ..Lists::default() }).await;
    let lines = jobs.lines(&job).await;
    assert_eq!(lines.len(), 600);
    let named = |id| lines.iter().filter(|line| line.contains(&format!("\"{id}\""))).count();
    assert_eq!((named(ids[1]), named("7")), (300, 300));
    are(&store, &posts, &[(ids[3], "love", 12), (ids[5], "love", 15)]).await;
    let job = jobs.done(Task::MovePost { from: posts[0], to: posts[1] }).await;
    assert_eq!(job.numbers.get("there_already"), 2);
    are(&store, &posts[..1], &[]).await;
    let job = jobs.done(Task::Audit { repair: true }).await;
    assert_eq!((job.numbers.get("drifted"), job.numbers.get("damaged")), (0, 0));
}
