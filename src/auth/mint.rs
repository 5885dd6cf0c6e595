//! Minting tokens by HS256, for tests and for trying things out.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;

use super::{ClaimRules, Secret, cryptography};
use crate::domain::{PostId, UserId};

/// What a minted token says, besides audience and issuer.
#[derive(Clone, Debug)]
pub struct Minted {
    /// The user.
    pub user: UserId,
    /// When it expires, in seconds since 1970.
    pub exp: u64,
    /// The posts that it is good for.
    pub posts: Option<Vec<PostId>>,
}

#[derive(Serialize)]
struct MintedClaims<'a> {
    sub: String,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    posts: Option<Vec<String>>,
}

/// A token that a service with this secret and these rules accepts.
pub fn mint(minted: &Minted, rules: &ClaimRules, secret: &Secret) -> String {
    cryptography::install();
    let claims = MintedClaims {
        sub: minted.user.to_string(),
        exp: minted.exp,
        aud: rules.audience.as_deref(),
        iss: rules.issuer.as_deref(),
        posts: minted.posts.as_ref().map(|posts| posts.iter().map(ToString::to_string).collect()),
    };
    let key = EncodingKey::from_secret(secret.expose()).expect("a secret is not empty");
    encode(&Header::default(), &claims, &key).expect("plain data, and HS256 signs anything")
}
