//! Asking sentinels who the primary is.
//!
//! All are asked at once, and what most of them say is tried first: a sentinel that was cut off
//! from the others goes on naming the primary of yesterday. Nothing is kept: whoever connects asks.

use std::time::Duration;

use deadpool_redis::redis::{self, RedisError};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::address::Node;
use super::dial::{ConnectError, Dialer};

/// Where the primary may be, the likeliest place first; at least one.
pub(super) async fn primaries(
    dialer: &Dialer,
    sentinels: &[Node],
    name: &str,
    timeout: Duration,
) -> Result<Vec<Node>, ConnectError> {
    // Half of the time, so that a sentinel that is silent leaves some for the primary.
    let asked = sentinels
        .iter()
        .map(|sentinel| tokio::time::timeout(timeout / 2, ask(dialer, sentinel, name)));
    let mut answers: FuturesUnordered<_> = asked.collect();
    let mut votes: Vec<(usize, Node)> = Vec::new();
    let mut problem = None;
    while let Some(answer) = answers.next().await {
        let silent = || Err(ConnectError::Unreachable("no sentinel answers in time".into()));
        match answer.unwrap_or_else(|_| silent()) {
            Ok(node) => {
                match votes.iter_mut().find(|(_, voted)| *voted == node) {
                    Some((count, _)) => *count += 1,
                    None => votes.push((1, node)),
                }
                if votes.iter().any(|(count, _)| *count > sentinels.len() / 2) {
                    break;
                }
            }
            // One that answers says more than one that cannot be reached.
            Err(error @ ConnectError::Foreign(_)) => problem = Some(error),
            Err(error) => problem = problem.or(Some(error)),
        }
    }
    votes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    match problem {
        Some(problem) if votes.is_empty() => Err(problem),
        _ => Ok(votes.into_iter().map(|(_, node)| node).collect()),
    }
}

/// What one sentinel says.
async fn ask(dialer: &Dialer, sentinel: &Node, name: &str) -> Result<Node, ConnectError> {
    let mut question = redis::cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let put = async |as_nobody| {
        let mut connection = dialer.dial_sentinel(sentinel, as_nobody).await?;
        Ok::<_, ConnectError>(question.query_async(&mut connection).await)
    };
    let mut answer: Result<Option<(String, u16)>, RedisError> = put(true).await?;
    if matches!(&answer, Err(error) if error.code() == Some("NOAUTH")) {
        answer = put(false).await?;
    }
    match answer {
        Ok(Some((host, port))) => Ok(Node { host, port }),
        Ok(None) => Err(ConnectError::Foreign(format!(
            "the sentinel at {sentinel} knows no primary named `{name}`: --store \
             redis+sentinel://host[:port],…/name takes the name in its `sentinel monitor` line"
        ))),
        Err(error) if error.code() == Some("ERR") => Err(ConnectError::Foreign(format!(
            "the server at {sentinel} is not a sentinel: name a single Redis as redis://host"
        ))),
        Err(error) => Err(error.into()),
    }
}
