//! The background audit: it goes through all posts, a few a second, and counts what disagrees.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::audit::audit;
use super::look::patience;
use super::plan::Pending;
use super::stats::AuditStats;
use crate::store::{AnyStore, DocumentWrite, Drift, Maintenance as _, StoreError, USER_INDEX};

/// How long it waits after the last post, and after an error.
const REST: Duration = Duration::from_secs(10);

/// Compares posts for ever, `rate` a second. It repairs nothing, except that it has the index of
/// what users gave completed again when a member is missing there.
pub(super) async fn sample(store: &AnyStore, rate: u32, stats: &Arc<AuditStats>) {
    if rate == 0 {
        return std::future::pending().await;
    }
    let (mut after, mut posts) = (None, VecDeque::new());
    loop {
        let Some(pending) = posts.pop_front() else {
            match store.walk(after.take(), 100, patience()).await {
                Ok(page) => {
                    for why in &page.damaged {
                        stats.failed.add(1);
                        tracing::warn!("{why}");
                    }
                    let found = page.posts.into_iter();
                    posts = found.map(|walked| Pending::new(walked.post, walked.seen)).collect();
                    after = page.next;
                    if after.is_none() {
                        stats.rounds.add(1);
                        tokio::time::sleep(REST).await;
                    } else {
                        tokio::time::sleep(Duration::from_secs(1) / rate).await;
                    }
                }
                Err(_) => tokio::time::sleep(REST).await,
            }
            continue;
        };
        compare(store, &pending, stats).await;
        tokio::time::sleep(Duration::from_secs(1) / rate).await;
    }
}

/// Compares a post, and its newest members with the index.
async fn compare(store: &AnyStore, pending: &Pending, stats: &Arc<AuditStats>) {
    match audit(store, pending, false).await {
        Ok(looked) => {
            stats.posts.add(1);
            let is_gap = |drift: &Drift| matches!(drift, Drift::NotIndexed(_));
            if looked.audited.drift.iter().any(is_gap) && doubt_index(store).await.is_err() {
                tokio::time::sleep(REST).await;
            }
            if let Some(drift) = looked.audited.drift.first() {
                stats.drifted.add(1);
                tracing::warn!(
                    "{}: its state disagrees with itself ({drift:?}); start a job of the kind \
                     `audit` with `repair`",
                    pending.post
                );
            }
        }
        Err(StoreError::Damaged(why)) => {
            stats.failed.add(1);
            tracing::warn!("{}: {why}", pending.post);
        }
        Err(_) => tokio::time::sleep(REST).await,
    }
}

/// The index of what users gave is not complete, though the store says so: an older release has
/// tapped beside us, or a copy of the store was put back. The runner audits all posts then.
async fn doubt_index(store: &AnyStore) -> Result<(), StoreError> {
    let Some(document) = store.document(USER_INDEX, patience()).await? else { return Ok(()) };
    let (name, expected) = (USER_INDEX.to_owned(), document.version);
    let write = DocumentWrite { name, expected, body: None, keep: None };
    if store.write_document(write, patience()).await? {
        tracing::warn!("the index of what users gave has gaps; an audit of all posts begins");
    }
    Ok(())
}
