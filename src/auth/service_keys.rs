//! Service keys: long random texts that the forum's back end and operators hold. The service knows
//! only their SHA-256. A fast hash is right here: nobody guesses 256 random bits.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::{Choice, ConstantTimeEq as _};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Scope, Scopes, Service, Unverified, sha256};

/// What every service key begins with, so that secret scanners and people recognize one. No JWT
/// begins with it.
pub const KEY_PREFIX: &str = "otk_";

/// How many random bytes a key has.
pub const RANDOM_BYTES: usize = 32;

/// The most keys of a file.
const MAX_KEYS: usize = 1000;

/// The service keys of a file.
#[derive(Clone, Debug, Default)]
pub struct ServiceKeys(Vec<Known>);

#[derive(Clone, Debug)]
struct Known {
    hash: [u8; 32],
    service: Service,
}

/// Why a file of service keys cannot be used: `PROBLEM; HINT`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceKeys {
    /// Not a single key.
    #[error("it has no key; add a line of `onetap service-key`")]
    Empty,
    /// More keys than anyone has.
    #[error("it has more than 1000 keys; drop the old ones")]
    TooMany,
    /// A line that is no key.
    #[error("line {0}: {1}; write NAME SCOPES EXPIRY SHA256, as `onetap service-key` prints it")]
    Line(usize, String),
}

impl ServiceKeys {
    /// Reads a file: a line for each key, empty lines, and lines that begin with `#`.
    ///
    /// # Errors
    ///
    /// If a line is wrong, or no key is there.
    pub fn read(text: &str) -> Result<Self, InvalidServiceKeys> {
        let mut keys: Vec<Known> = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| InvalidServiceKeys::Line(i + 1, why);
            let key = known(line).map_err(wrong)?;
            if keys.iter().any(|other| other.hash == key.hash) {
                return Err(wrong("the hash is there twice".into()));
            }
            keys.push(key);
        }
        match keys.len() {
            0 => Err(InvalidServiceKeys::Empty),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(InvalidServiceKeys::TooMany),
        }
    }

    /// Whose key this is. The time does not show how much of a hash matches, nor which one.
    pub(super) fn judge(&self, key: &str, now: u64) -> Result<Service, Unverified> {
        let hash = sha256(key.as_bytes());
        let mut found = None;
        for known in &self.0 {
            let same: Choice = known.hash.ct_eq(&hash);
            if same.into() {
                found = Some(&known.service);
            }
        }
        let service = found.ok_or(Unverified::UnknownServiceKey)?;
        match service.expires {
            Some(expires) if expires <= now => Err(Unverified::ExpiredServiceKey),
            _ => Ok(service.clone()),
        }
    }
}

fn known(line: &str) -> Result<Known, String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [name, scopes, expires, hash] = fields[..] else {
        return Err(format!("it has {} fields instead of 4", fields.len()));
    };
    let scopes = Scopes::from_words(scopes).map_err(|_| {
        let words = Scope::EACH.iter().map(|scope| scope.word());
        format!("a scope is one of {}", words.collect::<Vec<_>>().join(", "))
    })?;
    let expires = match expires {
        "never" => None,
        time => {
            let time = OffsetDateTime::parse(time, &Rfc3339);
            let time = time.ok().and_then(|time| u64::try_from(time.unix_timestamp()).ok());
            Some(time.ok_or("the expiry is neither `never` nor like 2027-01-31T00:00:00Z")?)
        }
    };
    let hash = unhex(hash).ok_or("the hash is not 64 hexadecimal digits")?;
    Ok(Known { hash, service: Service { name: name.to_owned(), scopes, expires } })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in hash.iter_mut().enumerate() {
        let digits = &text[2 * i..2 * i + 2];
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

/// A new key out of random bytes.
pub fn new_service_key(random: [u8; RANDOM_BYTES]) -> String {
    format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(random))
}

/// The line of a key in the file. `expiry` is `never` or a time.
pub fn key_line(name: &str, scopes: Scopes, expiry: &str, key: &str) -> String {
    let mut line = format!("{name} {scopes} {expiry} ");
    for byte in sha256(key.as_bytes()) {
        // Writing to a string cannot fail.
        let _ = write!(line, "{byte:02x}");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(words: &str) -> Scopes {
        Scopes::from_words(words).expect(words)
    }

    #[test]
    fn several_keys_are_good_at_once_until_each_expires() {
        let [old, new, other] = [1, 2, 3].map(|byte| new_service_key([byte; RANDOM_BYTES]));
        let file = format!(
            "# rotated in January\n{}\n\n  {}\n",
            key_line("forum", scopes("act-as,read"), "1970-01-01T00:01:00Z", &old),
            key_line("forum", scopes("moderate"), "never", &new),
        );
        let keys = ServiceKeys::read(&file).expect("two keys");
        let found = keys.judge(&old, 59).expect("not expired");
        assert_eq!((found.name.as_str(), found.scopes), ("forum", scopes("act-as,read")));
        assert_eq!(found.expires, Some(60));
        assert!(matches!(keys.judge(&old, 60), Err(Unverified::ExpiredServiceKey)));
        let found = keys.judge(&new, u64::MAX).expect("it never expires");
        assert!(found.scopes.has(Scope::Moderate) && !found.scopes.has(Scope::Admin));
        assert!(matches!(keys.judge(&other, 0), Err(Unverified::UnknownServiceKey)));
    }

    #[test]
    fn a_key_that_is_wrong_by_one_byte_is_unknown() {
        let key = new_service_key([7; RANDOM_BYTES]);
        let keys = ServiceKeys::read(&key_line("a", scopes("read"), "never", &key));
        let keys = keys.expect("a key");
        assert!(keys.judge(&key, 0).is_ok());
        for i in KEY_PREFIX.len()..key.len() {
            let mut wrong = key.clone().into_bytes();
            wrong[i] ^= 1;
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert!(keys.judge(&wrong, 0).is_err(), "{i}");
        }
        assert!(keys.judge(&key[..key.len() - 1], 0).is_err());
        assert!(keys.judge(&format!("{key}A"), 0).is_err());
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let hash = "ab".repeat(32);
        for (line, word) in [
            ("forum read never".to_owned(), "3 fields"),
            (format!("forum read never {hash} x"), "5 fields"),
            (format!("forum write never {hash}"), "one of act-as, moderate"),
            (format!("forum read, never {hash}"), "one of act-as, moderate"),
            (format!("forum read 2027 {hash}"), "neither `never`"),
            (format!("forum read 1969-01-01T00:00:00Z {hash}"), "neither `never`"),
            (format!("forum read never {}", &hash[1..]), "64 hexadecimal"),
            (format!("forum read never +{}", &hash[1..]), "64 hexadecimal"),
            (
                format!("a read never {hash}\nb read never {hash}"),
                "line 2: the hash is there twice",
            ),
        ] {
            let why = ServiceKeys::read(&line).expect_err(&line).to_string();
            assert!(why.contains(word) && why.contains("line"), "{line}: {why}");
        }
        assert_eq!(ServiceKeys::read("# none\n").err(), Some(InvalidServiceKeys::Empty));
    }
}
