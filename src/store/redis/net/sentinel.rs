//! Asks the sentinels which server is the primary.
//!
//! onetap asks all at once and follows the majority: a sentinel that is cut off from the others
//! still names an old primary. During a failover one sentinel names the new primary first; once a
//! majority does, none goes back. Each attempt to connect asks again.

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

/// How often the watch asks each sentinel.
const WATCHED_EVERY: Duration = Duration::from_millis(100);

/// The sentinels that watch one primary.
pub(crate) struct Sentinels<'a> {
    pub(crate) dialer: &'a Dialer,
    pub(crate) nodes: &'a [Node],
    /// The name of the primary at the sentinels.
    pub(crate) name: &'a str,
    /// The most time for the whole search.
    pub(crate) timeout: Duration,
}

impl Sentinels<'_> {
    /// Where the primary may be, the likeliest server first; at least one. If no server has a
    /// majority, the `known` one may still be the primary.
    pub(crate) async fn primaries(&self, known: Option<Node>) -> Result<Vec<Node>, ConnectError> {
        // Half of the time, so that a silent sentinel leaves some for the primary.
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
                // An error in an answer says more than a sentinel that cannot be reached.
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

    /// Keeps asking the sentinels, each on a connection that stays open. Calls `elected` whenever
    /// the majority has changed to another primary.
    pub(crate) async fn watch(&self, elected: impl Fn(&Node)) {
        let votes = Mutex::new(Votes { named: vec![None; self.nodes.len()], elected: None });
        let vote = |i: usize, node: Option<Node>| {
            let mut votes = votes.lock();
            votes.named[i] = node;
            // Only a change counts: the other answers may be a moment old.
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

    /// The answer of one sentinel, and the connection to it.
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

/// The last answer of each sentinel, and the last majority.
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
