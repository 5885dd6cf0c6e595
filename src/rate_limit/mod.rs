//! How much each user may do, and each address without a token.
//!
//! A bucket fills at a steady rate. Each tap takes one unit out of its user's bucket, and an empty
//! bucket refuses. Removing has buckets of its own, ten times larger: a user whose adding is
//! refused can still undo. First reactions have buckets that fill more slowly, so that nobody fills
//! the store with invented posts. The buckets are those of this process, and their number is
//! bounded.

mod buckets;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};

use self::buckets::Buckets;
use crate::domain::UserId;
use crate::telemetry::stats;

/// How many times larger the buckets for removing are.
const MORE_TO_REMOVE: u32 = 10;

/// In this time an empty bucket of first reactions becomes full.
const WINDOW_OF_FIRST: Duration = Duration::from_secs(3600);

/// How much each caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateOptions {
    /// How many taps that add a user may send at once.
    pub adding: NonZeroU32,
    /// How many first reactions a user may send at once, and in each hour after that.
    pub first: NonZeroU32,
    /// How many reads a user, or an address, may send at once.
    pub reading: NonZeroU32,
    /// In this time an empty bucket becomes full, except those of first reactions.
    pub window: Duration,
    /// The most callers who have a bucket of their own, for each kind of bucket.
    pub callers: usize,
}

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Adding reactions.
    Adding,
    /// Removing reactions.
    Removing,
    /// Reading.
    Reading,
}

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// A user.
    User(UserId),
    /// A caller without a token, at this address. None for one behind a Unix socket.
    Address(Option<IpAddr>),
}

/// A bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// What the policy is called.
    pub policy: &'static str,
    /// How much its full buckets hold.
    pub quota: u32,
    /// In how many seconds an empty one becomes full.
    pub window: u64,
    /// After how many seconds the caller may try again, at least one.
    pub wait: u64,
}

stats! {
    /// What the limits have refused.
    pub struct RateStats {
        /// Taps that add, refused because their user had sent too many.
        Counter adding: "rate_limited_adding",
        /// Taps refused because they would have been the first of their reaction on a post, and
        /// their user had sent too many such.
        Counter first: "rate_limited_first",
        /// Taps that remove, refused because their user had sent too many.
        Counter removing: "rate_limited_removing",
        /// Reads refused because their user or address had sent too many.
        Counter reading: "rate_limited_reading",
        /// Requests of callers who had no bucket of their own, because --rate-limit-callers others
        /// had one.
        Counter shared: "rate_limit_shared_bucket_requests",
    }
}

/// A policy, and the buckets that are not full.
#[derive(Debug)]
struct Policy {
    name: &'static str,
    quota: NonZeroU32,
    window: Duration,
    /// After how long an empty bucket holds one unit.
    each: Duration,
    buckets: Buckets,
    limiter: RateLimiter<u64, Buckets, MonotonicClock, NoOpMiddleware<std::time::Instant>>,
}

/// Units that were taken out of a bucket before it was known whether they would be needed.
#[derive(Debug)]
#[must_use = "they stay taken unless they are given back"]
pub struct Taken<'a> {
    policy: &'a Policy,
    key: u64,
    units: u32,
}

/// The limits of this process. All workers share them.
#[derive(Debug)]
pub struct RateLimits {
    adding: Policy,
    first: Policy,
    removing: Policy,
    reading: Policy,
    /// Keeps callers from choosing ids whose hashes are equal.
    hasher: RandomState,
    stats: Arc<RateStats>,
}

impl RateLimits {
    /// Full buckets for everyone.
    pub fn new(options: &RateOptions) -> Self {
        let stats = Arc::default();
        let more = NonZeroU32::new(MORE_TO_REMOVE).unwrap_or(NonZeroU32::MIN);
        let buckets = || Buckets::new(options.callers, Arc::clone(&stats));
        let policy = |name, quota| Policy::new(name, quota, options.window, buckets());
        // A tap that adds is counted by the bucket for adding.
        let uncounted = Buckets::new(options.callers, Arc::default());
        let first = Policy::new("first-reactions", options.first, WINDOW_OF_FIRST, uncounted);
        Self {
            adding: policy("adding", options.adding),
            first,
            removing: policy("removing", options.adding.saturating_mul(more)),
            reading: policy("reading", options.reading),
            hasher: RandomState::new(),
            stats,
        }
    }

    /// What the limits have refused.
    pub fn stats(&self) -> Arc<RateStats> {
        Arc::clone(&self.stats)
    }

    /// Takes `units` out of the caller's bucket, all or none.
    ///
    /// # Errors
    ///
    /// If the bucket does not hold so many.
    pub fn take(&self, deed: Deed, client: Client, units: NonZeroU32) -> Result<(), Exceeded> {
        let (policy, refused) = match deed {
            Deed::Adding => (&self.adding, &self.stats.adding),
            Deed::Removing => (&self.removing, &self.stats.removing),
            Deed::Reading => (&self.reading, &self.stats.reading),
        };
        let taken = policy.take(self.hasher.hash_one(client.network()), units);
        taken.map_err(|wait| {
            refused.add(1);
            policy.exceeded(wait)
        })
    }

    /// Takes out of the caller's bucket what is needed if so many taps are the first of their
    /// reaction on their post. Only the store knows whether they are. The refusal is not counted:
    /// the taps may go on if they are not.
    ///
    /// # Errors
    ///
    /// If the bucket does not hold so many.
    pub fn take_first(&self, client: Client, units: NonZeroU32) -> Result<Taken<'_>, Exceeded> {
        let (policy, key) = (&self.first, self.hasher.hash_one(client.network()));
        policy.take(key, units).map_err(|wait| policy.exceeded(wait))?;
        Ok(Taken { policy, key, units: units.min(policy.quota).get() })
    }
}

impl Taken<'_> {
    /// Puts them back: they were not needed.
    pub fn give_back(self) {
        self.policy.buckets.give_back(self.key, self.policy.each * self.units);
    }
}

impl Policy {
    fn new(name: &'static str, quota: NonZeroU32, window: Duration, buckets: Buckets) -> Self {
        let each = (window / quota.get()).max(Duration::from_nanos(1));
        let rate = Quota::with_period(each).expect("it is not zero").allow_burst(quota);
        let limiter = RateLimiter::new(rate, buckets.clone(), MonotonicClock);
        Self { name, quota, window, each, buckets, limiter }
    }

    /// After how long it is worth to try again, if the bucket does not hold so many.
    fn take(&self, key: u64, units: NonZeroU32) -> Result<(), Duration> {
        // More than a full bucket holds could never be taken.
        match self.limiter.check_key_n(&key, units.min(self.quota)) {
            Ok(Err(until)) => Err(until.wait_time_from(self.limiter.clock().now())),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    fn exceeded(&self, wait: Duration) -> Exceeded {
        Exceeded {
            policy: self.name,
            quota: self.quota.get(),
            window: self.window.as_secs(),
            wait: wait.as_secs() + u64::from(wait.subsec_nanos() > 0),
        }
    }
}

impl Client {
    /// A network usually gets 2^64 addresses of IPv6 at once, so all of them are one caller.
    fn network(self) -> Self {
        let Self::Address(Some(address)) = self else { return self };
        Self::Address(Some(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
            address @ IpAddr::V4(_) => address,
        }))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
