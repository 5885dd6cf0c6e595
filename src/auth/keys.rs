//! All keys of the service, and the judgement of a bearer token.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};

use super::claims::Claims;
use super::jwks::PublicKey;
use super::{Caller, ClaimRules, Jwks, KEY_PREFIX, Person, ServiceKeys, Unverified, cryptography};

/// The longest token. A hundred posts with what may be added to each take 7 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// The shortest secret: the length of an HMAC-SHA-256 (RFC 7518).
const MIN_SECRET_BYTES: usize = 32;

/// The secret for HS256.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// A secret that can be guessed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret has {0} bytes and needs at least 32; write one with `openssl rand -base64 48`")]
pub struct SecretTooShort(usize);

impl Secret {
    /// The secret in a file: its bytes less one final newline.
    ///
    /// # Errors
    ///
    /// If it has less than 32 bytes.
    pub fn of_file(bytes: &[u8]) -> Result<Self, SecretTooShort> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        match bytes.len() {
            MIN_SECRET_BYTES.. => Ok(Self(bytes.to_vec())),
            length => Err(SecretTooShort(length)),
        }
    }

    /// The bytes.
    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The keys by which the service knows its callers.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Keys for people's tokens. Each is good for one algorithm alone.
    people: Vec<PublicKey>,
    services: ServiceKeys,
    rules: ClaimRules,
}

impl Keys {
    /// No keys yet; people's claims have to follow `rules`.
    pub fn new(rules: ClaimRules) -> Self {
        cryptography::install();
        Self { rules, ..Self::default() }
    }

    /// Accepts tokens that are signed by HS256 with this secret. They name no `kid`.
    #[must_use]
    pub fn with_secret(mut self, secret: &Secret) -> Self {
        // A secret is never empty, which is the only error.
        if let Ok(key) = DecodingKey::from_secret(secret.expose()) {
            self.people.push(PublicKey { kid: None, algorithm: Algorithm::HS256, key });
        }
        self
    }

    /// Accepts tokens that one of these keys has signed.
    #[must_use]
    pub fn with_jwks(mut self, jwks: Jwks) -> Self {
        self.people.extend(jwks.keys);
        self
    }

    /// Accepts these service keys.
    #[must_use]
    pub fn with_services(mut self, services: ServiceKeys) -> Self {
        self.services = services;
        self
    }

    /// Who the bearer of this token or key is, at `now` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// Why it is not accepted.
    pub fn judge(&self, bearer: &str, now: u64) -> Result<Caller, Unverified> {
        if bearer.len() > MAX_TOKEN_BYTES {
            return Err(Unverified::TooLong);
        }
        if bearer.starts_with(KEY_PREFIX) {
            return self.services.judge(bearer, now).map(Caller::Service);
        }
        self.person(bearer, now).map(Caller::Person)
    }

    fn person(&self, token: &str, now: u64) -> Result<Person, Unverified> {
        let header = decode_header(token).map_err(|_| Unverified::Unreadable)?;
        let key = self.key(header.alg, header.kid.as_deref())?;
        // The claims are ours to judge; `decode` checks the signature, and that the algorithm is
        // the key's.
        let mut validation = Validation::new(key.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        let decoded = decode::<Claims>(token, &key.key, &validation);
        let claims = decoded.map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Unverified::BadSignature,
            ErrorKind::Json(_) => Unverified::BadClaims,
            _ => Unverified::Unreadable,
        })?;
        claims.claims.judge(&self.rules, now)
    }

    /// The key that a token names by `alg` and `kid`. A `kid` is only compared: it is no path, and
    /// nothing is fetched by it.
    fn key(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<&PublicKey, Unverified> {
        let of_algorithm = || self.people.iter().filter(|key| key.algorithm == algorithm);
        if of_algorithm().next().is_none() {
            return Err(Unverified::NoSuchAlgorithm(name(algorithm)));
        }
        if kid.is_some() {
            let named = of_algorithm().find(|key| key.kid.as_deref() == kid);
            return named.ok_or(Unverified::NoSuchKey);
        }
        let mut all = of_algorithm();
        match (all.next(), all.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Unverified::WhichKey),
        }
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::HS256 => "HS256",
        Algorithm::ES256 => "ES256",
        Algorithm::RS256 => "RS256",
        Algorithm::EdDSA => "EdDSA",
        _ => "(one that onetap does not take)",
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
