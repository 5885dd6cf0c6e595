//! What all lanes to one Redis share.

use std::sync::Arc;

use tokio::sync::watch;

use crate::store::redis::cluster::Connector;
use crate::store::redis::ops::Settings;
use crate::store::{LaneStats, ThrottledWarnings};

/// Shared by all lanes, whatever runtime they are on.
#[derive(Debug)]
pub(crate) struct LaneContext {
    pub(crate) connector: Arc<Connector>,
    pub(crate) settings: Settings,
    /// The most calls that wait on one lane; more are refused as overload.
    pub(crate) queue_bound: usize,
    pub(crate) stats: Arc<LaneStats>,
    /// About connections.
    pub(super) connection_warnings: ThrottledWarnings,
    /// About calls: that a connection is there again says nothing of them.
    pub(super) call_warnings: ThrottledWarnings,
    /// About single answers: that other posts are well says nothing of a damaged one.
    pub(super) answer_warnings: ThrottledWarnings,
    /// Tells that a lane has just got a connection, or that there is another primary: no lane has
    /// to wait out its pause.
    pub(super) reachable: watch::Sender<()>,
}

impl LaneContext {
    pub(crate) fn new(connector: Arc<Connector>, settings: Settings, queue_bound: usize) -> Self {
        Self {
            connector,
            settings,
            queue_bound,
            stats: Arc::default(),
            connection_warnings: ThrottledWarnings::default(),
            call_warnings: ThrottledWarnings::default(),
            answer_warnings: ThrottledWarnings::default(),
            reachable: watch::Sender::default(),
        }
    }

    /// Sees to it that lanes leave a primary that has been replaced, even one that goes on
    /// answering. Returns at once where no sentinels watch.
    pub(super) async fn watch_primary(&self) {
        self.connector.look_out(|| self.reachable.send_replace(())).await;
    }
}
