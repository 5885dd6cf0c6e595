//! Why a token or a key is not accepted.

use crate::domain::InvalidUserId;

/// Why a token or a key is not accepted. The text goes to the caller: it says what is wrong with
/// the token, and never what the service's keys are.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// Longer than any good token.
    #[error("the token has more than {} bytes; put less into it", super::MAX_TOKEN_BYTES)]
    TooLong,
    /// Not three parts of base64url with JSON in them, or not a known algorithm.
    #[error(
        "the token is not a JWT that onetap can read; sign a JWT by HS256, EdDSA, ES256 or RS256"
    )]
    Unreadable,
    /// The claims are no JSON object, or a claim is there twice or of an impossible type.
    #[error("the token's claims are not an object of claims with the right types; correct them")]
    BadClaims,
    /// No key of the service has this algorithm.
    #[error("the service has no key for the token's `alg` {0}; sign by an algorithm of its keys")]
    NoSuchAlgorithm(&'static str),
    /// No key of the service has this `kid`.
    #[error("the service has no key with the token's `kid` and `alg`; sign by a key that it has")]
    NoSuchKey,
    /// Without `kid`, and several keys could be meant.
    #[error("the token has no `kid`, and the service has several keys; name the key in `kid`")]
    WhichKey,
    /// The signature is wrong.
    #[error("the token's signature does not match its key; sign in again")]
    BadSignature,
    /// A claim is missing.
    #[error("the token has no claim `{0}`; add it")]
    Missing(&'static str),
    /// A claim has the wrong type.
    #[error("the token's claim `{0}` is not {1}; correct it")]
    WrongType(&'static str, &'static str),
    /// `exp` has passed.
    #[error("the token has expired; sign in again")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet; use it from its `nbf` on")]
    NotYet,
    /// `aud` or `iss` is another one.
    #[error(
        "the token's claim `{0}` is not what this service expects; get a token for this service"
    )]
    Foreign(&'static str),
    /// `sub` is no user id.
    #[error("the token's claim `sub` is not a user id: {0}")]
    NoUser(#[from] InvalidUserId),
    /// `posts` is too long, or has something else than post ids.
    #[error(
        "the token's claim `posts` {0}; send a list of at most 100 post ids, or an object from post id to `all`, `existing` or `none`"
    )]
    BadGrants(&'static str),
    /// No service key has this hash.
    #[error(
        "the service does not know this key; check it, or create one with `onetap service-key`"
    )]
    UnknownServiceKey,
    /// The service key has expired.
    #[error("the service key has expired; use a newer one")]
    ExpiredServiceKey,
}
