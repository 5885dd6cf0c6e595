//! Asking sentinels who the primary is.
//!
//! All are asked at once, and what most of them say is so: a sentinel that was cut off from the
//! others goes on naming the primary of yesterday. During a failover one names the new primary
//! first; once most of them do, none goes back. Whoever connects asks anew.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisError};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::address::Node;
use super::dial::{ConnectError, Dialer};

/// How often each is asked by the one who watches them.
const WATCHED_EVERY: Duration = Duration::from_millis(100);

/// The sentinels that watch over one primary.
pub(crate) struct Sentinels<'a> {
    pub(crate) dialer: &'a Dialer,
    pub(crate) nodes: &'a [Node],
    /// What they call the primary.
    pub(crate) name: &'a str,
    /// The most time for all of it.
    pub(crate) timeout: Duration,
}

impl Sentinels<'_> {
    /// Where the primary may be, the likeliest place first; at least one. If no place has most of
    /// their votes, it may still be where it was `known` to be.
    pub(crate) async fn primaries(&self, known: Option<Node>) -> Result<Vec<Node>, ConnectError> {
        // Half of the time, so that a sentinel that is silent leaves some for the primary.
        let asked = self.nodes.iter().map(|node| timeout(self.timeout / 2, self.ask(node)));
        let mut answers: FuturesUnordered<_> = asked.collect();
        let mut votes: Vec<(usize, Node)> = Vec::new();
        let mut problem = None;
        while let Some(answer) = answers.next().await {
            let silent = || Err(ConnectError::Unreachable("no sentinel answers in time".into()));
            match answer.unwrap_or_else(|_| silent()) {
                Ok((_, node)) => {
                    let place = votes.iter().position(|(_, voted)| *voted == node);
                    let place = place.unwrap_or(votes.len());
                    if place == votes.len() {
                        votes.push((0, node));
                    }
                    votes[place].0 += 1;
                    if self.is_most(votes[place].0) {
                        return Ok(vec![votes.swap_remove(place).1]);
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
            _ => {
                let named = votes.into_iter().map(|(_, node)| node);
                let others = named.filter(|node| Some(node) != known.as_ref());
                Ok(known.iter().cloned().chain(others).collect())
            }
        }
    }

    /// Asks them again and again, each on a connection that is kept, and tells whenever most of
    /// them have come to name another primary.
    pub(crate) async fn watch(&self, elected: impl Fn(&Node)) {
        let votes = Mutex::new(Votes { named: vec![None; self.nodes.len()], elected: None });
        let vote = |i: usize, node: Option<Node>| {
            let mut votes = votes.lock();
            votes.named[i] = node;
            // Only a change counts: what the others said may be a moment old.
            let most = votes.most(|count| self.is_most(count)).cloned();
            if most.is_some() && most != votes.elected {
                most.iter().for_each(&elected);
                votes.elected = most;
            }
        };
        let vote = &vote;
        let watching = self.nodes.iter().enumerate().map(|(i, sentinel)| async move {
            loop {
                let mut told = timeout(self.timeout, self.ask(sentinel)).await;
                while let Ok(Ok((connection, node))) = told {
                    vote(i, Some(node));
                    tokio::time::sleep(WATCHED_EVERY).await;
                    told = timeout(self.timeout, self.ask_again(connection, sentinel)).await;
                }
                vote(i, None);
                tokio::time::sleep(WATCHED_EVERY).await;
            }
        });
        join_all(watching).await;
    }

    fn is_most(&self, count: usize) -> bool {
        count > self.nodes.len() / 2
    }

    /// What one sentinel says, and the connection on which it does.
    async fn ask(&self, sentinel: &Node) -> Named {
        let mut connection = self.dialer.dial_sentinel(sentinel, true).await?;
        let mut answer = self.question(&mut connection).await;
        if matches!(&answer, Err(error) if error.code() == Some("NOAUTH")) {
            connection = self.dialer.dial_sentinel(sentinel, false).await?;
            answer = self.question(&mut connection).await;
        }
        Ok((connection, self.understand(answer, sentinel)?))
    }

    async fn ask_again(&self, mut connection: MultiplexedConnection, sentinel: &Node) -> Named {
        let answer = self.question(&mut connection).await;
        Ok((connection, self.understand(answer, sentinel)?))
    }

    async fn question(&self, connection: &mut MultiplexedConnection) -> AddressReply {
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(self.name);
        question.query_async(connection).await
    }

    fn understand(&self, answer: AddressReply, sentinel: &Node) -> Result<Node, ConnectError> {
        match answer {
            Ok(Some((host, port))) => Ok(Node { host, port }),
            Ok(None) => Err(ConnectError::Foreign(format!(
                "the sentinel at {sentinel} knows no primary named `{}`: in --store \
                 redis+sentinel://host[:port],…/name, use the name in its `sentinel monitor` line",
                self.name
            ))),
            Err(error) if error.code() == Some("ERR") => Err(ConnectError::Foreign(format!(
                "the server at {sentinel} is not a sentinel: for a single Redis, use redis://host"
            ))),
            Err(error) => Err(error.into()),
        }
    }
}

type AddressReply = Result<Option<(String, u16)>, RedisError>;
type Named = Result<(MultiplexedConnection, Node), ConnectError>;

/// What each of them said last, and what most of them did.
struct Votes {
    named: Vec<Option<Node>>,
    elected: Option<Node>,
}

impl Votes {
    fn most(&self, is_most: impl Fn(usize) -> bool) -> Option<&Node> {
        let count =
            |node: &&Node| self.named.iter().flatten().filter(|named| named == node).count();
        self.named.iter().flatten().find(|node| is_most(count(node)))
    }
}
