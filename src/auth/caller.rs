//! Callers and what they may do.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::{Add, PostId, UserId};

/// The most posts that one token may name.
pub const MAX_GRANTS: usize = 100;

/// Who sent a request, where the service authenticates callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Nobody: the request has no token.
    Anonymous,
    /// A user of the forum, by a token.
    Person(Person),
    /// The forum's back end, a moderators' tool or an operator's, by a service key.
    Service(Service),
}

impl Caller {
    /// From which second since 1970 on the token or the key is not valid.
    pub fn expires(&self) -> Option<u64> {
        match self {
            Self::Anonymous => None,
            Self::Person(person) => Some(person.exp),
            Self::Service(service) => service.expires,
        }
    }

    /// Whether the token or the key is not valid any more at `now`.
    pub(super) fn has_expired(&self, now: u64) -> bool {
        self.expires().is_some_and(|expires| expires <= now)
    }

    /// How many tokens it counts for in the memory of verified tokens.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Person(Person { posts: Some(posts), .. }) => 1 + posts.len(),
            _ => 1,
        }
    }
}

/// A user with a valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The claim `sub`.
    pub user: UserId,
    /// The claim `exp`, in seconds since 1970. From this second on the token is not valid.
    pub exp: u64,
    /// The claim `posts`. None if the token does not have it.
    pub posts: Option<Grants>,
}

/// The posts that a token is good for, and what its user may add to each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(pub(super) BTreeMap<PostId, Add>);

impl Grants {
    /// What the user may add to a post. None if the token is not good for it.
    pub fn of(&self, post: PostId) -> Option<Add> {
        self.0.get(&post).copied()
    }

    /// How many posts it names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it names no post.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The posts, and what the user may add to each.
    pub fn iter(&self) -> impl Iterator<Item = (PostId, Add)> {
        self.0.iter().map(|(post, add)| (*post, *add))
    }
}

/// A holder of a service key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of the key, for the log.
    pub name: String,
    /// What the key is good for.
    pub scopes: Scopes,
    /// From this second since 1970 on the key is not valid. None for a key that does not expire.
    pub expires: Option<u64>,
}

macro_rules! scopes {
    ($($name:ident $word:literal $meaning:literal;)*) => {
        /// What a service key is good for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scope { $(#[doc = $meaning] $name),* }

        impl Scope {
            /// Every scope.
            pub const EACH: &[Self] = &[$(Self::$name),*];

            /// The word in the file of service keys.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }
        }
    };
}

scopes! {
    ActAs "act-as" "Tap and read in the name of any user.";
    Moderate "moderate" "Moderators' calls: rules, locks, forgetting, jobs, import, export, read-only.";
    Read "read" "Read everything, for any viewer.";
    Feed "feed" "Follow the change log.";
    Admin "admin" "The operator's calls: metrics, import, export, read-only.";
}

impl Scope {
    /// The scope that has this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::EACH.iter().copied().find(|scope| scope.word() == word)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether a scope is in the set.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Whether one of these scopes is in the set.
    pub fn has_any(self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|scope| self.has(*scope))
    }

    /// Reads `act-as,read`.
    ///
    /// # Errors
    ///
    /// The first word that is not a scope.
    pub fn from_words(words: &str) -> Result<Self, String> {
        let mut scopes = Self::default();
        for word in words.split(',') {
            let scope = Scope::from_word(word).ok_or_else(|| word.to_owned())?;
            scopes.0 |= 1 << scope as u8;
        }
        Ok(scopes)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = Scope::EACH.iter().filter(|scope| self.has(**scope));
        f.write_str(&has.map(|scope| scope.word()).collect::<Vec<_>>().join(","))
    }
}
