//! `[rates]`: how much each user may do, and each address without a token.

use std::num::NonZeroU32;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{ConfigError, Settings, Source, units};
use crate::rate_limit::RateOptions;

/// How much each user may do, and each address without a token.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "rates")]
pub struct RatesConfig {
    /// Refuse users, and addresses without a token, that send too much, with 429 `rate_limited`
    /// [default: true with a file of keys, else false]
    ///
    /// Each process counts for itself.
    #[arg(long, action = ArgAction::Set)]
    pub rate_limits: Option<bool>,

    /// How many taps that add a user may send at once
    ///
    /// A user may send ten times as many that remove. Both come back within `--rate-limit-window`.
    #[arg(long, default_value = "120", value_parser = units::count(120..=100_000))]
    pub rate_limit_adding: u32,

    /// How many taps of a user may be the first of their reaction on a post at once, and in each
    /// hour after that
    ///
    /// This bounds how many invented posts a user can fill the store with. Beyond it, a user may
    /// add only what somebody has on the post already.
    #[arg(long, default_value = "300", value_parser = units::count(120..=1_000_000))]
    pub rate_limit_first_reactions: u32,

    /// How many reads a user may send at once; without a token, how many all callers at one address
    /// may send
    ///
    /// An address of IPv6 counts by its first 64 bits.
    #[arg(long, default_value = "1200", value_parser = units::count(120..=1_000_000))]
    pub rate_limit_reading: u32,

    /// The time in which a user or an address that has sent all of it may send all of it again
    ///
    /// It comes back steadily: 120 taps in 30 seconds are four a second.
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = units::window)]
    pub rate_limit_window: Duration,

    /// The most users, and addresses, whose taps and reads each process counts
    ///
    /// Only those count who have sent something within `--rate-limit-window`, or a first reaction
    /// within an hour. Beyond this number, all newcomers together may do what one may.
    #[arg(long, default_value = "100000", value_parser = units::count(1..=10_000_000))]
    pub rate_limit_callers: u32,
}

impl RatesConfig {
    /// None without limits. `keys`: the service authenticates callers.
    pub(super) fn options(
        &self,
        settings: &Settings,
        keys: bool,
    ) -> Result<Option<RateOptions>, ConfigError> {
        if self.rate_limits.unwrap_or(keys) {
            let count = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
            return Ok(Some(RateOptions {
                adding: count(self.rate_limit_adding),
                first: count(self.rate_limit_first_reactions),
                reading: count(self.rate_limit_reading),
                window: self.rate_limit_window,
                callers: self.rate_limit_callers as usize,
            }));
        }
        for key in [
            "rate-limit-adding",
            "rate-limit-first-reactions",
            "rate-limit-reading",
            "rate-limit-window",
            "rate-limit-callers",
            "trusted-proxies",
        ] {
            if settings.given.source(&key.replace('-', "_")) != Source::Default {
                let hint = "set --rate-limits=true, or drop it";
                let problem = "it means nothing without rate limits";
                return Err(ConfigError::new(format!("--{key}"), problem, hint));
            }
        }
        Ok(None)
    }
}
