//! What the tests run against: real servers, real services, and a client that can send any bytes.

pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod events;
pub(crate) mod fault_proxy;
pub(crate) mod file;
pub(crate) mod forms;
pub(crate) mod http;
pub(crate) mod judge;
pub(crate) mod keyed_load;
pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod lua;
pub(crate) mod palettes;
pub(crate) mod postgres;
pub(crate) mod power;
pub(crate) mod program;
pub(crate) mod promtool;
pub(crate) mod redis_server;
pub(crate) mod sentinels;
pub(crate) mod service;
pub(crate) mod stopwatch;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use onetap::domain::{Form, IdempotencyKey, Keyed, Partition, PostId, Reaction, Tap, UserId, Verb};
use onetap::store::{ChangeLog, Deadline, LogEntry, StoreError};

/// A key prefix that no other test uses.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A post that no other test uses.
pub(crate) fn post() -> PostId {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    numbered_post(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Two posts that share a partition, and that no other test uses.
pub(crate) fn two_posts_of_one_partition() -> (PostId, PostId) {
    let first = post();
    let second =
        std::iter::repeat_with(post).find(|second| second.partition() == first.partition());
    (first, second.unwrap())
}

/// Posts that no other test uses.
pub(crate) fn posts(n: usize) -> Vec<PostId> {
    (0..n).map(|_| post()).collect()
}

pub(crate) fn numbered_post(n: u32) -> PostId {
    format!("0192f0c1-2345-7890-abcd-{:04x}{n:08x}", std::process::id() & 0xFFFF).parse().unwrap()
}

pub(crate) fn user(id: u64) -> UserId {
    id.try_into().unwrap()
}

pub(crate) fn reaction(text: &str) -> Reaction {
    text.parse().unwrap()
}

pub(crate) fn tap(verb: Verb, post: PostId, user_id: u64, name: &str) -> Tap {
    Tap::new(post, user(user_id), verb, reaction(name))
}

/// The same tap by a user with this id, which may be a text.
pub(crate) fn by(user: &str, tap: Tap) -> Tap {
    Tap { user: user.parse().unwrap(), ..tap }
}

/// A tap with an idempotency key.
pub(crate) fn keyed_tap(form: Form, post: PostId, user_id: u64, name: &str, key: &str) -> Tap {
    let key = IdempotencyKey::new(key, post, user(user_id)).unwrap();
    let plain = tap(Verb::Set, post, user_id, name);
    Tap { act: form.act(reaction(name)), keyed: Some(Keyed { key, form }), ..plain }
}

/// A deadline that is long enough for any test.
pub(crate) fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// The oldest entries of a partition's change log.
pub(crate) async fn changes(
    store: &impl ChangeLog,
    partition: Partition,
    limit: usize,
) -> Result<Vec<LogEntry>, StoreError> {
    Ok(store.read(partition, None, limit, soon()).await?.entries)
}
