//! Who the primary is: one belief that all lanes share, so that none of them is behind the others.
//!
//! A primary whose replica was promoted goes on answering until it is demoted. Each lane has a
//! connection of its own, and they find the new one one after the other. What one of them was told
//! by the old one must not be passed on once another has spoken with the new one: it would be older
//! than what has been answered already. So there is a generation, which rises whenever the primary
//! is held to be another one, and before anything is sent there. Whoever has a connection of an
//! earlier generation leaves it, and believes no reply that comes on it any more.

use parking_lot::{Mutex, MutexGuard};

use crate::store::redis::net::{DEMOTED, Lease, Node};

/// A server that takes writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) node: Node,
    /// Of its process, which tells two servers apart behind one name; if it says so.
    pub(crate) run_id: Option<String>,
}

/// What is believed.
#[derive(Debug, Default)]
struct Belief {
    generation: u64,
    /// Nobody, until somebody was found in this generation.
    server: Option<Server>,
    /// Of who is found in this generation.
    lease: Lease,
}

impl Belief {
    fn next_generation(&mut self) {
        self.generation += 1;
        std::mem::take(&mut self.lease).end();
    }
}

/// The primary that all lanes go to.
#[derive(Debug, Default)]
pub(crate) struct Primary(Mutex<Belief>);

impl Primary {
    /// The generation, and where it is, as far as anybody knows.
    pub(crate) fn known(&self) -> (u64, Option<Node>) {
        let (generation, node, _) = self.believed();
        (generation, node)
    }

    /// The same, and the lease of who is there.
    pub(crate) fn believed(&self) -> (u64, Option<Node>, Lease) {
        let belief = self.belief();
        let node = belief.server.as_ref().map(|server| server.node.clone());
        (belief.generation, node, belief.lease.clone())
    }

    /// Holds this server to be the primary: the search for it began in generation `since`. Nothing,
    /// if all have turned to another one since then, because what was found may be older news.
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

    /// Turns away from whoever is believed, if it is not at this node; says whether it was so.
    pub(crate) fn doubt_unless_at(&self, node: &Node) -> bool {
        let mut belief = self.belief();
        let elsewhere = belief.server.as_ref().is_some_and(|server| server.node != *node);
        if elsewhere {
            belief.next_generation();
            belief.server = None;
        }
        elsewhere
    }

    /// Turns away from whoever gave this lease: it takes writes no more.
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
        // Another process at the same place.
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
        // That it leads to the new one makes up for its being late.
        assert!(primary.believe(server(2, "b"), since).is_some());
        assert!(new.holds());
        // Who asks now and is sent back may go back.
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
