//! A JWKS document (RFC 7517): public keys, each for one algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The most keys of a document.
const MAX_KEYS: usize = 100;

/// The public keys of a JWKS document.
#[derive(Clone, Debug, Default)]
pub struct Jwks {
    pub(super) keys: Vec<PublicKey>,
}

/// A key, which is good for this algorithm alone.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// Why a JWKS document cannot be used: `PROBLEM; HINT`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwks {
    /// Not the JSON of such a document.
    #[error("it is not a JWKS document; write a JSON object with a list `keys` (RFC 7517)")]
    NotJwks,
    /// No key that we can use.
    #[error(
        "it has no key to verify signatures with; give at least one for EdDSA (Ed25519), RS256 or \
         ES256"
    )]
    Empty,
    /// More keys than anyone has.
    #[error("it has more than 100 keys; drop the old ones")]
    TooMany,
    /// A secret, or the private part of a key.
    #[error(
        "key {0} has a secret part; leave only public keys in it (a secret goes into the file of \
         --jwt-hs256-secret-file)"
    )]
    Private(usize),
    /// A member is missing, or has a value that no such key has.
    #[error("key {0} has no good `{1}`; export the key again")]
    Broken(usize, &'static str),
    /// Two keys that a token cannot tell apart.
    #[error("two keys have the same `kid`, or both have none; give each key a `kid` of its own")]
    Twice,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Value>,
    k: Option<Value>,
}

impl Jwks {
    /// Reads a document. It may have keys for other purposes and algorithms: we leave them out.
    ///
    /// # Errors
    ///
    /// If the text is no such document, or has no key that we can use, or has a secret in it.
    pub fn read(text: &[u8]) -> Result<Self, InvalidJwks> {
        let document: Document = serde_json::from_slice(text).map_err(|_| InvalidJwks::NotJwks)?;
        if document.keys.len() > MAX_KEYS {
            return Err(InvalidJwks::TooMany);
        }
        let mut keys: Vec<PublicKey> = Vec::new();
        for (i, entry) in document.keys.into_iter().enumerate() {
            let number = i + 1;
            if entry.d.is_some() || entry.k.is_some() {
                return Err(InvalidJwks::Private(number));
            }
            let Some(algorithm) = entry.algorithm() else { continue };
            let key = entry.key(algorithm).map_err(|name| InvalidJwks::Broken(number, name))?;
            if keys.iter().any(|other| other.kid == entry.kid) {
                return Err(InvalidJwks::Twice);
            }
            keys.push(PublicKey { kid: entry.kid, algorithm, key });
        }
        if keys.is_empty() { Err(InvalidJwks::Empty) } else { Ok(Self { keys }) }
    }
}

impl Entry {
    /// The one algorithm that the key is good for. None if it is not for us.
    fn algorithm(&self) -> Option<Algorithm> {
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|all| all.iter().any(|op| op == "verify"));
        let (algorithm, names): (_, &[&str]) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => (Algorithm::RS256, &["RS256"]),
            ("EC", Some("P-256")) => (Algorithm::ES256, &["ES256"]),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, &["EdDSA", "Ed25519"]),
            _ => return None,
        };
        let named = self.alg.as_deref().is_none_or(|alg| names.contains(&alg));
        (signs && verifies && named).then_some(algorithm)
    }

    /// The key, or the name of the member that is wrong.
    fn key(&self, algorithm: Algorithm) -> Result<DecodingKey, &'static str> {
        let member = |name, value: &Option<String>| {
            value.as_ref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).ok_or(name)
        };
        let point = |name, value| match member(name, value) {
            Ok(bytes) if bytes.len() == 32 => Ok(bytes),
            _ => Err(name),
        };
        Ok(match algorithm {
            Algorithm::RS256 => {
                let (n, e) = (member("n", &self.n)?, member("e", &self.e)?);
                // ring verifies with 2048 to 8192 bits.
                let bits =
                    n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
                match ((2048..=8192).contains(&bits), n[..].first(), e[..].first()) {
                    (false, ..) | (_, Some(0), _) => return Err("n"),
                    (_, _, None | Some(0)) => return Err("e"),
                    _ => DecodingKey::from_rsa_raw_components(&n, &e),
                }
            }
            Algorithm::ES256 => {
                let (x, y) = (point("x", &self.x)?, point("y", &self.y)?);
                DecodingKey::from_ec_der(&[&[4][..], &x, &y].concat())
            }
            _ => DecodingKey::from_ed_der(&point("x", &self.x)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> InvalidJwks {
        Jwks::read(text.as_bytes()).expect_err(text)
    }

    const X: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn a_document_without_a_usable_key_is_refused() {
        for broken in ["", "{", "[]", "null", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#] {
            assert_eq!(problem(broken), InvalidJwks::NotJwks, "{broken}");
        }
        let alien = r#"{"keys":[{"kty":"EC","crv":"P-384","x":"a"},{"kty":"X"},
            {"kty":"RSA","alg":"PS256"},{"kty":"RSA","use":"enc"},
            {"kty":"RSA","key_ops":["encrypt"]}]}"#;
        assert_eq!(problem(alien), InvalidJwks::Empty);
        assert_eq!(problem(r#"{"keys":[]}"#), InvalidJwks::Empty);
        let many = format!(r#"{{"keys":[{}]}}"#, [r#"{"kty":"X"}"#; 101].join(","));
        assert_eq!(problem(&many), InvalidJwks::TooMany);
    }

    #[test]
    fn a_secret_is_no_public_key() {
        for secret in [r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), ed(r#""d":"AAAA""#)] {
            assert_eq!(problem(&format!(r#"{{"keys":[{secret}]}}"#)), InvalidJwks::Private(1));
        }
    }

    fn ed(more: &str) -> String {
        format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}",{more}}}"#)
    }

    #[test]
    fn a_broken_key_is_named() {
        for (key, number) in [
            (r#"{"kty":"OKP","crv":"Ed25519"}"#, "x"),
            (r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#, "x"),
            (r#"{"kty":"EC","crv":"P-256","x":"!","y":"AAAA"}"#, "x"),
            (r#"{"kty":"RSA","e":"AQAB"}"#, "n"),
            (r#"{"kty":"RSA","n":"AAAA","e":"AQAB"}"#, "n"),
        ] {
            let text = format!(r#"{{"keys":[{key}]}}"#);
            assert_eq!(problem(&text), InvalidJwks::Broken(1, number), "{key}");
        }
    }

    #[test]
    fn each_key_has_a_name_of_its_own() {
        let two = |a: &str, b: &str| format!(r#"{{"keys":[{},{}]}}"#, ed(a), ed(b));
        assert_eq!(problem(&two(r#""kid":"a""#, r#""kid":"a""#)), InvalidJwks::Twice);
        assert_eq!(problem(&two(r#""z":1"#, r#""z":1"#)), InvalidJwks::Twice);
        let read = Jwks::read(two(r#""kid":"a""#, r#""kid":"A""#).as_bytes());
        assert_eq!(read.expect("two keys").keys.len(), 2);
    }
}
