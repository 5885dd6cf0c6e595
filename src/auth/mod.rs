//! Who calls: verification of people's tokens and of service keys.
//!
//! This room reads no file, no clock and no network. Callers bring keys, token and time.

mod caller;
mod claims;
mod cryptography;
#[cfg(test)]
mod fuzz_tests;
mod jwks;
mod key_ring;
mod keys;
mod mint;
mod service_keys;
mod unverified;

pub use caller::{Caller, Grants, MAX_GRANTS, Person, Scope, Scopes, Service};
pub use claims::ClaimRules;
pub use jwks::{InvalidJwks, Jwks};
pub use key_ring::{KeyRing, Standing, VerifiedTokens};
pub use keys::{Keys, MAX_TOKEN_BYTES, Secret, SecretTooShort};
pub use mint::{Minted, mint};
pub use service_keys::{
    InvalidServiceKeys, KEY_PREFIX, RANDOM_BYTES, ServiceKeys, key_line, new_service_key,
};
pub use unverified::Unverified;

/// The SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}
