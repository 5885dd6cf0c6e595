//! `[jobs]`: how fast jobs and the background audit go.

use clap::Args;

use super::units;
use crate::jobs::Rates;

/// How fast jobs and the background audit go.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "jobs")]
pub struct JobsConfig {
    /// Reactions and posts that the jobs of this process look at or change, a second
    ///
    /// A change costs Redis about 15 µs, so the default takes less than a tenth of its time from
    /// taps.
    #[arg(long, default_value = "5000", value_parser = units::count(10..=1_000_000))]
    pub jobs_rate: u32,

    /// Posts that the background audit of this process compares with their members, a second; 0
    /// turns it off
    ///
    /// `onetap_audit_posts_total` counts them, and `onetap_audit_posts_drifted_total` those that
    /// disagree.
    #[arg(long, default_value = "10", value_parser = units::count(0..=10_000))]
    pub audit_rate: u32,
}

impl JobsConfig {
    pub(super) fn rates(&self) -> Rates {
        Rates { jobs: self.jobs_rate, audit: self.audit_rate }
    }
}
