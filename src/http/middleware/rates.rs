//! Rate limits on reads. Those on taps stand at their handlers, which know how much a tap adds.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::Request;

use super::super::permissions::Permit;
use super::super::problem::Problem;
use super::super::server::Peer;
use super::client::{Network, address};
use crate::auth::Caller;
use crate::rate_limit::{Client, Deed, RateLimits};

/// How much each caller may read.
#[derive(Debug)]
pub struct ReadRates {
    limits: Arc<RateLimits>,
    /// Whose `X-Forwarded-For` is believed.
    proxies: Vec<Network>,
}

impl ReadRates {
    /// These limits, where clients come through these proxies.
    pub fn new(limits: Arc<RateLimits>, proxies: Vec<Network>) -> Self {
        Self { limits, proxies }
    }

    /// Counts a read: of a user, or of the address that a caller without a token has. Holders of
    /// service keys read for many.
    pub(super) fn admit(&self, permit: Permit, request: &Request) -> Result<(), Problem> {
        if !permit.is_read() {
            return Ok(());
        }
        let extensions = request.extensions();
        let client = match extensions.get::<Arc<Caller>>().map(AsRef::as_ref) {
            Some(Caller::Service(_)) => return Ok(()),
            Some(Caller::Person(person)) => Client::User(person.user),
            Some(Caller::Anonymous) | None => {
                let peer = extensions.get::<Peer>().and_then(|peer| peer.0);
                Client::Address(address(peer, request.headers(), &self.proxies))
            }
        };
        Ok(self.limits.take(Deed::Reading, client, NonZeroU32::MIN)?)
    }
}
