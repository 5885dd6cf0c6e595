//! Records the final state, when nothing can change it any more.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Shared;
use crate::client::{Client, ClientError};
use crate::history::Read;

/// How long the service may be away at the end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Records the final state of every post.
pub(super) async fn record(shared: &Shared) -> Result<(), ClientError> {
    let quiet = shared.quiet_micros.load(Ordering::Relaxed);
    let wait = quiet.saturating_sub(shared.recorder.now_micros());
    tokio::time::sleep(Duration::from_micros(wait)).await;
    let mut client = None;
    for post in &shared.posts {
        let until = Instant::now() + PATIENCE;
        loop {
            match state(shared, &mut client, post).await {
                Ok(Some(end)) => {
                    shared.recorder.read(&end);
                    break;
                }
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => client = None,
                Ok(None) if Instant::now() > until => return Err(ClientError::Restless),
                Ok(None) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Reads the state of a post; None if it changed during the read.
async fn state(
    shared: &Shared,
    client: &mut Option<Client>,
    post: &str,
) -> Result<Option<Read<'static>>, ClientError> {
    let client = match client {
        Some(client) => client,
        None => client.insert(shared.target.connect().await?),
    };
    let sent = shared.recorder.now_micros();
    let before = client.summary(post).await?;
    let mut reactors = BTreeMap::new();
    for counted in &before.reactions {
        let users = client.reactors(post, &counted.reaction).await?;
        reactors.insert(counted.reaction.clone().into(), users);
    }
    let after = client.summary(post).await?;
    let answered = shared.recorder.now_micros();
    // Other posts raise the revision of a post without reactions.
    let empty = before.reactions.is_empty() && after.reactions.is_empty();
    if after.revision != before.revision && !empty {
        return Ok(None);
    }
    Ok(Some(Read { reactors: Some(reactors), ..after.read(post, sent, answered) }))
}
