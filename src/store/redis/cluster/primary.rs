//! The primary that all lanes share, so that no lane is behind the others.
//!
//! A primary whose replica was promoted still answers until it is demoted, and each lane finds the
//! new primary in its own time. Once one lane has used the new primary, no lane may pass on a reply
//! of the old one: it would be older than what onetap has answered already. Hence the generation.
//! It rises when onetap takes another server for the primary, before it sends anything there. A
//! connection of an earlier generation is closed, and no lane believes a reply that still comes on
//! it.

use parking_lot::{Mutex, MutexGuard};

use crate::store::redis::net::{DEMOTED, Lease, Node};

/// A server that takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) node: Node,
    /// The run id of its process, if the user may read it. It tells apart two servers behind one
    /// name.
    pub(crate) run_id: Option<String>,
}

/// What onetap believes now.
#[derive(Debug, Default)]
struct Belief {
    generation: u64,
    /// None until a lane has found a server in this generation.
    server: Option<Server>,
    /// The lease of the server found in this generation.
    lease: Lease,
}

impl Belief {
    fn next_generation(&mut self) {
        self.generation += 1;
        std::mem::take(&mut self.lease).end();
    }
}

/// The primary that all lanes use.
#[derive(Debug, Default)]
pub(crate) struct Primary(Mutex<Belief>);

impl Primary {
    /// The generation, and the node of the primary, if known.
    pub(crate) fn known(&self) -> (u64, Option<Node>) {
        let (generation, node, _) = self.believed();
        (generation, node)
    }

    /// The same, and the primary's lease.
    pub(crate) fn believed(&self) -> (u64, Option<Node>, Lease) {
        let belief = self.belief();
        let node = belief.server.as_ref().map(|server| server.node.clone());
        (belief.generation, node, belief.lease.clone())
    }

    /// Accepts this server as the primary; the search for it began in generation `since`. Returns
    /// None if the lanes have moved to another server since then: the search may be out of date.
    pub(crate) fn believe(&self, server: Server, since: u64) -> Option<Lease> {
        let mut belief = self.belief();
        let known = belief.server.as_ref();
        if known != Some(&server) {
            if belief.generation != since {
                return None;
            }
            if known.is_some() {
                belief.next_generation();
            }
            belief.server = Some(server);
        }
        Some(belief.lease.clone())
    }

    /// Leaves the present primary unless it is at this node; returns whether it did.
    pub(crate) fn doubt_unless_at(&self, node: &Node) -> bool {
        let mut belief = self.belief();
        let elsewhere = belief.server.as_ref().is_some_and(|server| server.node != *node);
        if elsewhere {
            belief.next_generation();
            belief.server = None;
        }
        elsewhere
    }

    /// Leaves the server that this lease is for: it takes writes no more.
    pub(crate) fn leave(&self, lease: &Lease) {
        let mut belief = self.belief();
        // Only one holds at a time.
        if lease.holds() {
            lease.end_because(DEMOTED);
            belief.next_generation();
            belief.server = None;
        }
    }

    fn belief(&self) -> MutexGuard<'_, Belief> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16, run_id: &str) -> Server {
        Server { node: Node { host: "h".into(), port }, run_id: Some(run_id.into()) }
    }

    #[test]
    fn who_finds_another_primary_takes_the_lease_of_those_before() {
        let primary = Primary::default();
        let first = primary.believe(server(1, "a"), 0).expect("the first");
        let second = primary.believe(server(1, "a"), 0).expect("the same");
        assert!(first.holds() && second.holds());
        // Another process at the same address.
        let other = primary.believe(server(1, "b"), 0).expect("the next");
        assert!(!first.holds() && !second.holds() && other.holds());
        assert_eq!(primary.known().0, 1);
    }

    #[test]
    fn what_was_looked_for_before_the_change_is_not_gone_back_to() {
        let primary = Primary::default();
        let since = primary.known().0;
        assert!(primary.believe(server(1, "a"), since).is_some());
        let new = primary.believe(server(2, "b"), since).expect("the new one");
        assert!(primary.believe(server(1, "a"), since).is_none());
        // It is late, but it found the same server as the others.
        assert!(primary.believe(server(2, "b"), since).is_some());
        assert!(new.holds());
        // A search that begins now may go back to the first server.
        assert!(primary.believe(server(1, "a"), primary.known().0).is_some());
        assert!(!new.holds());
    }

    #[test]
    fn who_was_demoted_is_left_by_all_and_may_come_back() {
        let primary = Primary::default();
        let [first, same] = [1, 2].map(|_| primary.believe(server(1, "a"), 0).expect("it"));
        primary.leave(&first);
        assert!(!first.holds() && !same.holds());
        assert_eq!(primary.known(), (1, None));
        assert!(primary.believe(server(1, "a"), 0).is_none(), "looked at before");
        let back = primary.believe(server(1, "a"), 1).expect("promoted again");
        primary.leave(&same);
        assert!(back.holds(), "that is old news");
    }

    #[test]
    fn another_name_from_the_sentinels_is_enough_to_leave() {
        let primary = Primary::default();
        let node = |port| server(port, "").node;
        assert!(!primary.doubt_unless_at(&node(2)), "nobody is believed yet");
        let lease = primary.believe(server(1, "a"), 0).expect("the first");
        assert!(!primary.doubt_unless_at(&node(1)) && lease.holds());
        assert!(primary.doubt_unless_at(&node(2)) && !lease.holds());
        assert_eq!(primary.known(), (1, None));
        assert!(primary.believe(server(1, "a"), 0).is_none(), "looked for too early");
        assert!(primary.believe(server(2, "b"), 1).expect("it").holds());
        assert_eq!(primary.known().0, 1);
    }
}
