//! Whether what a server answers may still be passed on.

use tokio::sync::watch;

use super::address::Node;
use super::primary::Belief;
use super::topology::Known;

/// Why a connection to it was opened, as long as that is so. Once another server has taken its
/// place, its replies are older than what that one answers.
#[derive(Clone, Debug)]
pub(super) enum Standing {
    /// It is the primary of this generation.
    Primary(watch::Receiver<Belief>, u64),
    /// It has slots of the cluster.
    Node(watch::Receiver<Known>, Node),
}

impl Standing {
    pub(super) fn holds(&self) -> bool {
        match self {
            Self::Primary(belief, generation) => is_of(&belief.borrow(), *generation),
            Self::Node(known, node) => has(&known.borrow(), node),
        }
    }

    /// Waits until it holds no more.
    pub(super) async fn until_lost(&self) {
        // Nobody is left who could say otherwise, if the sender is gone.
        match self.clone() {
            Self::Primary(mut belief, generation) => {
                let _ = belief.wait_for(|belief| !is_of(belief, generation)).await;
            }
            Self::Node(mut known, node) => {
                let _ = known.wait_for(|known| !has(known, &node)).await;
            }
        }
    }
}

fn is_of(belief: &Belief, generation: u64) -> bool {
    belief.generation == generation
}

fn has(known: &Known, node: &Node) -> bool {
    matches!(known, Known::Map(map) if map.has(node))
}
