//! The keys as all workers share them, and the tokens that a worker has verified.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::{Caller, Keys, Unverified, sha256};

/// How many tokens a worker remembers: twice this at most. A post that a token names counts as a
/// token, so that the memory has a bound whatever tokens hold.
const REMEMBERED: usize = 32_768;

/// The keys, which may be replaced while the service runs.
#[derive(Debug)]
pub struct KeyRing {
    /// How many times the keys were replaced.
    generation: AtomicU64,
    current: RwLock<(u64, Arc<Keys>)>,
}

impl KeyRing {
    /// The first keys.
    pub fn new(keys: Keys) -> Arc<Self> {
        let current = RwLock::new((0, Arc::new(keys)));
        Arc::new(Self { generation: AtomicU64::new(0), current })
    }

    /// Replaces all keys. What the old ones verified counts no longer.
    pub fn replace(&self, keys: Keys) {
        let mut current = self.current.write();
        let generation = current.0 + 1;
        *current = (generation, Arc::new(keys));
        self.generation.store(generation, Ordering::Release);
    }
}

/// The callers that one worker has verified by the newest keys, by the SHA-256 of the whole token.
#[derive(Debug)]
pub struct VerifiedTokens {
    ring: Arc<KeyRing>,
    known: Mutex<Known>,
}

/// What is known by one generation of the keys. When `newer` is full, it becomes `older`, and what
/// was not used since then is forgotten.
#[derive(Debug)]
struct Known {
    generation: u64,
    keys: Arc<Keys>,
    newer: HashMap<[u8; 32], Arc<Caller>>,
    older: HashMap<[u8; 32], Arc<Caller>>,
    weight: usize,
}

impl VerifiedTokens {
    /// Of a worker.
    pub fn new(ring: &Arc<KeyRing>) -> Self {
        let (generation, keys) = ring.current.read().clone();
        let known =
            Known { generation, keys, newer: HashMap::new(), older: HashMap::new(), weight: 0 };
        Self { ring: Arc::clone(ring), known: Mutex::new(known) }
    }

    /// Who the bearer of a token is, at `now` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// Why the token is not accepted. Nothing of a refused token is kept.
    pub fn judge(&self, bearer: &str, now: u64) -> Result<Arc<Caller>, Unverified> {
        // Before hashing it.
        if bearer.len() > super::MAX_TOKEN_BYTES {
            return Err(Unverified::TooLong);
        }
        let hash = sha256(bearer.as_bytes());
        let mut known = self.known.lock();
        if self.ring.generation.load(Ordering::Acquire) != known.generation {
            known.begin(self.ring.current.read().clone());
        }
        if let Some(caller) = known.find(&hash, now) {
            return Ok(caller);
        }
        let caller = Arc::new(known.keys.judge(bearer, now)?);
        known.keep(hash, &caller);
        Ok(caller)
    }
}

/// A token that was valid once, for a response that goes on for long.
#[derive(Clone, Debug)]
pub struct Standing {
    tokens: Arc<VerifiedTokens>,
    bearer: Box<str>,
    caller: Arc<Caller>,
    /// The keys by which it was last verified. None until the first look.
    generation: Option<u64>,
}

impl Standing {
    /// Of a caller that was verified just now.
    pub fn new(tokens: &Arc<VerifiedTokens>, bearer: &str, caller: &Arc<Caller>) -> Self {
        let (tokens, caller) = (Arc::clone(tokens), Arc::clone(caller));
        Self { tokens, bearer: bearer.into(), caller, generation: None }
    }

    /// Whether new keys do not verify the token any more, or verify somebody who may do other
    /// things. Costs next to nothing while the keys are the same.
    pub fn has_ended(&mut self, now: u64) -> bool {
        let generation = self.tokens.ring.generation.load(Ordering::Acquire);
        if self.generation.replace(generation) == Some(generation) {
            return false;
        }
        !self.tokens.judge(&self.bearer, now).is_ok_and(|caller| caller == self.caller)
    }
}

impl Known {
    fn begin(&mut self, (generation, keys): (u64, Arc<Keys>)) {
        *self = Self { generation, keys, newer: HashMap::new(), older: HashMap::new(), weight: 0 };
    }

    /// A token that is still valid. It moves to the newer ones.
    fn find(&mut self, hash: &[u8; 32], now: u64) -> Option<Arc<Caller>> {
        if let Some(caller) = self.newer.get(hash) {
            return (!caller.has_expired(now)).then(|| Arc::clone(caller));
        }
        let caller = self.older.remove(hash).filter(|caller| !caller.has_expired(now))?;
        self.keep(*hash, &caller);
        Some(caller)
    }

    fn keep(&mut self, hash: [u8; 32], caller: &Arc<Caller>) {
        let weight = caller.weight();
        if self.weight + weight > REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
            self.weight = 0;
        }
        self.weight += weight;
        self.newer.insert(hash, Arc::clone(caller));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{ClaimRules, Minted, Secret, mint};

    fn secret(byte: u8) -> Secret {
        Secret::of_file(&[byte; 32]).expect("long enough")
    }

    fn keys(byte: u8) -> Keys {
        Keys::new(ClaimRules::default()).with_secret(&secret(byte))
    }

    fn token(user: u64, exp: u64, byte: u8) -> String {
        let user = user.try_into().expect("a user");
        mint(&Minted { user, exp, posts: None }, &ClaimRules::default(), &secret(byte))
    }

    fn remembered(tokens: &VerifiedTokens) -> usize {
        let known = tokens.known.lock();
        known.newer.len() + known.older.len()
    }

    #[test]
    fn a_verified_token_counts_until_it_expires_or_the_keys_change() {
        let ring = KeyRing::new(keys(1));
        let tokens = VerifiedTokens::new(&ring);
        let token = token(42, 100, 1);
        let first = tokens.judge(&token, 50).expect("valid");
        let second = tokens.judge(&token, 99).expect("valid");
        assert!(Arc::ptr_eq(&first, &second), "verified once");
        assert!(matches!(tokens.judge(&token, 100), Err(Unverified::Expired)));
        ring.replace(keys(2));
        assert!(matches!(tokens.judge(&token, 50), Err(Unverified::BadSignature)));
        assert_eq!(remembered(&tokens), 0);
        ring.replace(keys(1));
        assert!(tokens.judge(&token, 50).is_ok());
    }

    #[test]
    fn a_standing_ends_when_new_keys_do_not_verify_its_token() {
        let ring = KeyRing::new(keys(1));
        let tokens = Arc::new(VerifiedTokens::new(&ring));
        let token = token(42, 100, 1);
        let caller = tokens.judge(&token, 50).expect("valid");
        let mut standing = Standing::new(&tokens, &token, &caller);
        assert!(!standing.has_ended(50));
        ring.replace(keys(1));
        assert!(!standing.has_ended(50), "the new keys verify it too");
        ring.replace(keys(2));
        assert!(standing.has_ended(50));
    }

    #[test]
    fn tokens_that_differ_anywhere_are_different_tokens() {
        let ring = KeyRing::new(keys(1));
        let tokens = VerifiedTokens::new(&ring);
        let token = token(42, 100, 1);
        assert!(tokens.judge(&token, 50).is_ok());
        for i in 0..token.len() {
            let mut wrong = token.clone().into_bytes();
            wrong[i] = if wrong[i] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert!(tokens.judge(&wrong, 50).is_err(), "{i}");
        }
        assert_eq!(remembered(&tokens), 1, "nothing of refused tokens is kept");
    }

    #[test]
    fn the_memory_of_tokens_is_bounded() {
        let caller = |user: u64| {
            let person = crate::auth::Person {
                user: user.try_into().expect("a user"),
                exp: 100,
                posts: None,
            };
            Arc::new(Caller::Person(person))
        };
        let ring = KeyRing::new(keys(1));
        let tokens = VerifiedTokens::new(&ring);
        let often = sha256(b"often");
        tokens.known.lock().keep(often, &caller(1));
        for n in 1..=5 * REMEMBERED as u64 {
            let mut known = tokens.known.lock();
            known.keep(sha256(&n.to_be_bytes()), &caller(n));
            if n % 1000 == 0 {
                assert!(known.find(&often, 0).is_some(), "what is used stays");
            }
        }
        assert!(remembered(&tokens) <= 2 * REMEMBERED);
    }
}
