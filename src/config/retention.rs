//! `[retention]`: how long, and how much, a store keeps besides its state.

use std::time::Duration;

use clap::Args;

use super::units;
use crate::store::Retention;

/// How long, and how much, a store keeps of what is not state.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "retention")]
pub struct RetentionConfig {
    /// How long the change log keeps an entry
    ///
    /// An entry costs about 81 bytes.
    #[arg(long, alias = "change-log-retention-seconds", default_value = "1h",
          value_name = "DURATION", value_parser = units::retention)]
    pub change_log_retention: Duration,

    /// The most entries that the change log of a partition keeps, give or take a hundred
    ///
    /// There are 256 partitions.
    #[arg(long, default_value = "10000", value_parser = units::count(1000..=u32::MAX))]
    pub change_log_max_entries: u32,

    /// How long onetap keeps the answer to a tap with an idempotency key
    ///
    /// At least twice `--request-timeout`. A record costs about 184 bytes in Redis.
    #[arg(long, alias = "idempotency-retention-seconds", default_value = "10m",
          value_name = "DURATION", value_parser = units::retention)]
    pub idempotency_retention: Duration,

    /// The most idempotency records that the taps of this process keep alive
    ///
    /// Half of them may come at once, the other half only evenly over `--idempotency-retention`.
    /// One partition may have an eighth of them. More taps with a key get 503 `overloaded`; taps
    /// without a key go on.
    #[arg(long, default_value = "2000000", value_parser = units::count(1000..=u32::MAX))]
    pub idempotency_max_records: u32,
}

impl RetentionConfig {
    pub(super) fn retention(&self) -> Retention {
        Retention {
            change_log: self.change_log_retention,
            change_log_entries: self.change_log_max_entries,
            records: self.idempotency_retention,
            most_records: self.idempotency_max_records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_stores() {
        let settings = Settings::read(["onetap"]).expect("the defaults");
        let own = settings.sections.retention.retention();
        assert_eq!(format!("{own:?}"), format!("{:?}", Retention::default()));
    }
}
