//! Lanes: shared, pipelined connections that carry operations in batches.

mod batch;
mod call;
mod clock;
mod context;
mod error_class;
#[expect(clippy::module_inception, reason = "the lane itself")]
mod lane;
mod link;
mod metrics;
mod retry_delay;
mod routing;

pub(crate) use self::call::Call;
pub(crate) use self::context::LaneContext;
pub use self::metrics::ScriptTimes;
pub(crate) use self::routing::Lanes;
