//! A walk over a cluster while slots move.

use std::collections::BTreeSet;
use std::time::Duration;

use onetap::domain::{Amendment, Cause, EditAct, MemberEdit, Micros, Once, Partition, PostId};
use onetap::store::redis::{RedisSource, RedisStore};
use onetap::store::{Maintenance as _, WalkCursor};

use crate::support::cluster::Cluster;
use crate::support::redis_server::{Kind, options};
use crate::support::{posts, prefix, reaction, soon, user};

/// Walks from a cursor to the end, or to one at which `stop` says so.
async fn walk(
    store: &RedisStore,
    mut after: Option<WalkCursor>,
    found: &mut BTreeSet<PostId>,
    stop: impl Fn(&WalkCursor) -> bool,
) -> Option<WalkCursor> {
    loop {
        let page = store.walk(after, 10, soon()).await.unwrap();
        found.extend(page.posts.into_iter().map(|it| it.post));
        after = page.next;
        if after.as_ref().is_none_or(&stop) {
            return after;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_walk_misses_no_post_whose_slot_is_moving_at_its_end() {
    let mut cluster = Cluster::start(Kind::Redis, 3, false).await;
    cluster.add(Kind::Redis).await;
    let store = RedisSource::new(&options(&cluster.url(), &prefix())).unwrap().attach();
    let posts = posts(1_500);
    let put = |post: &PostId| {
        let (user, reaction) = (user(1), reaction("like"));
        let edits = vec![MemberEdit { user, reaction, act: EditAct::Put(Micros(1_000)) }];
        Amendment::new(*post, Cause::Import, edits, Once::No)
    };
    for done in store.amend(posts.iter().map(put).collect(), soon()).await {
        done.unwrap();
    }
    let all: BTreeSet<PostId> = posts.iter().copied().collect();
    // Nodes are in the order of their slots. From the last to the first, which the walk has left by
    // then; and to a node without slots, to which no walk comes.
    for (nth, to) in [(255, 0), (254, 3)] {
        let slot = 64 * nth;
        let moving = |post: &&PostId| Partition::index(post.partition()) == usize::from(nth);
        assert!(posts.iter().any(|post| moving(&post)), "no post would move");
        let mut found = BTreeSet::new();
        let at_last = |next: &WalkCursor| next.0.starts_with("2-");
        let middle = walk(&store, None, &mut found, at_last).await;
        assert!(middle.is_some());
        cluster.move_keys(slot, 2, to, Duration::ZERO).await;
        walk(&store, middle, &mut found, |_| false).await;
        assert_eq!(found, all, "{:?}", all.difference(&found));
        // A walk that begins now.
        let mut found = BTreeSet::new();
        walk(&store, None, &mut found, |_| false).await;
        assert_eq!(found, all, "{:?}", all.difference(&found));
        // The slot is there at the end of a walk that began before.
        let mut found = BTreeSet::new();
        let middle = walk(&store, None, &mut found, at_last).await;
        cluster.end_move(slot, 2, to).await;
        walk(&store, middle, &mut found, |_| false).await;
        assert_eq!(found, all, "{:?}", all.difference(&found));
    }
}
