//! What all lanes to one Redis share.

use std::sync::Arc;

use tokio::sync::watch;

use super::metrics::ScriptTimes;
use crate::store::LaneStats;
use crate::store::redis::cluster::Connector;
use crate::store::redis::ops::Settings;
use crate::telemetry::ThrottledWarnings;

/// Shared by all lanes, on any runtime.
#[derive(Debug)]
pub(crate) struct LaneContext {
    pub(crate) connector: Arc<Connector>,
    pub(crate) settings: Settings,
    /// The most calls that wait on one lane; the lane refuses more as overload.
    pub(crate) queue_bound: usize,
    pub(crate) stats: Arc<LaneStats>,
    pub(crate) script_times: Arc<ScriptTimes>,
    /// Warnings about connections.
    pub(super) connection_warnings: ThrottledWarnings,
    /// Warnings about calls. Separate, because a new connection does not show that calls succeed.
    pub(super) call_warnings: ThrottledWarnings,
    /// Warnings about single answers. Separate, because a good answer does not show that a damaged
    /// post is repaired.
    pub(super) answer_warnings: ThrottledWarnings,
    /// Wakes the lanes that wait to connect: another lane got a connection, or the primary changed.
    pub(super) reachable: watch::Sender<()>,
}

impl LaneContext {
    pub(crate) fn new(connector: Arc<Connector>, settings: Settings, queue_bound: usize) -> Self {
        Self {
            connector,
            settings,
            queue_bound,
            stats: Arc::default(),
            script_times: Arc::default(),
            connection_warnings: ThrottledWarnings::default(),
            call_warnings: ThrottledWarnings::default(),
            answer_warnings: ThrottledWarnings::default(),
            reachable: watch::Sender::default(),
        }
    }

    /// Makes lanes leave a primary that was replaced, even if it still answers. Returns at once
    /// without sentinels.
    pub(super) async fn watch_primary(&self) {
        self.connector.look_out(|| self.reachable.send_replace(())).await;
    }
}
