//! Who the callers are, and which users and posts a request of theirs may name.
//!
//! Without keys the service is open: it believes every user id, and nobody is `me`. With keys, a
//! person acts and reads only as the token's user, and a service key for any user. Extractors ask
//! here about each user and each post that a request names. Which callers may make a call at all
//! stands in [`permissions`](super::permissions).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::request::Parts;

use super::dto::UserIdJson;
use super::problem::{Code, Problem};
use crate::auth::{self, Person};
use crate::domain::{Add, PostId, UserId, UserIds};

/// Who may see who reacted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reactors {
    /// All who may read counts.
    #[default]
    Public,
    /// People with a token, and service keys.
    Members,
    /// Service keys alone.
    Service,
}

/// Text that is not a [`Reactors`].
#[derive(Debug, thiserror::Error)]
#[error("it has no such value; give one of: public, members, service")]
pub struct InvalidReactors;

impl FromStr for Reactors {
    type Err = InvalidReactors;

    fn from_str(text: &str) -> Result<Self, InvalidReactors> {
        match text {
            "public" => Ok(Self::Public),
            "members" => Ok(Self::Members),
            "service" => Ok(Self::Service),
            _ => Err(InvalidReactors),
        }
    }
}

impl fmt::Display for Reactors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Members => "members",
            Self::Service => "service",
        })
    }
}

/// What callers may do, where the service authenticates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Callers without a token may read.
    pub public_reads: bool,
    /// Who may see who reacted.
    pub reactors: Reactors,
    /// People act and read only on posts that their token names.
    pub require_post_grant: bool,
}

/// How the service knows its callers, and which ids users have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Access {
    ids: UserIds,
    /// None if every caller may do everything.
    rules: Option<AccessRules>,
}

/// The caller of one request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    access: Access,
    /// None where every caller may do everything.
    who: Option<Arc<auth::Caller>>,
}

impl Access {
    /// Users have ids of this kind, and every caller may do everything.
    pub fn new(ids: UserIds) -> Self {
        Self { ids, rules: None }
    }

    /// The middleware authenticates callers, who may do what these rules say.
    #[must_use]
    pub fn with_rules(self, rules: Option<AccessRules>) -> Self {
        Self { rules, ..self }
    }

    /// Who sent a request.
    pub(super) fn caller(self, parts: &Parts) -> Caller {
        let known = || parts.extensions.get::<Arc<auth::Caller>>().cloned();
        // A request that has not passed the middleware is of nobody.
        let who = self.rules.map(|_| known().unwrap_or_else(|| auth::Caller::Anonymous.into()));
        Caller { access: self, who }
    }
}

impl Caller {
    fn person(&self) -> Option<&Person> {
        match self.who.as_deref() {
            Some(auth::Caller::Person(person)) => Some(person),
            _ => None,
        }
    }

    /// The token's user.
    pub(super) fn subject(&self) -> Option<UserId> {
        self.person().map(|person| person.user)
    }

    /// From which second since 1970 on the token or the key is not valid.
    pub(super) fn expires(&self) -> Option<u64> {
        self.who.as_ref()?.expires()
    }

    /// The user in whose name the caller acts or reads: an id, or `me`.
    pub(super) fn user(&self, text: &str) -> Result<UserId, Problem> {
        let user = self.named(text)?;
        match self.who.as_deref() {
            None | Some(auth::Caller::Service(_)) => Ok(user),
            Some(auth::Caller::Person(person)) if person.user == user => Ok(user),
            Some(auth::Caller::Person(_)) => {
                let detail = "a token is good for its own user alone; send `me`, or use a service \
                              key";
                Err(Problem::new(Code::Forbidden, detail))
            }
            Some(auth::Caller::Anonymous) => {
                let detail = "only callers with a token may name a viewer; leave `user_id` out, or \
                              send a token";
                Err(Problem::new(Code::Unauthenticated, detail))
            }
        }
    }

    /// The same in JSON, where an integer id may be a number.
    pub(super) fn user_in_json(&self, id: UserIdJson) -> Result<UserId, Problem> {
        self.user(&self.text_of(id)?)
    }

    /// A user that the request only speaks of: an id, or `me`.
    pub(super) fn named(&self, text: &str) -> Result<UserId, Problem> {
        if text != "me" {
            return Ok(self.access.ids.parse(text)?);
        }
        let (code, detail) = match self.who.as_deref() {
            Some(auth::Caller::Person(person)) => return Ok(person.user),
            Some(auth::Caller::Service(_)) => (
                Code::InvalidUserId,
                "`me` is the user of a token, and a service key has none; send the user id",
            ),
            Some(auth::Caller::Anonymous) => {
                (Code::Unauthenticated, "`me` is the user of a token; send one")
            }
            None => (
                Code::Unauthenticated,
                "`me` is the user of a token, and this service takes none; send the user id",
            ),
        };
        Err(Problem::new(code, detail))
    }

    /// The same in JSON.
    pub(super) fn named_in_json(&self, id: UserIdJson) -> Result<UserId, Problem> {
        self.named(&self.text_of(id)?)
    }

    fn text_of(&self, id: UserIdJson) -> Result<String, Problem> {
        match (id, self.access.ids) {
            (UserIdJson::Number(number), UserIds::Text) => {
                let detail = format!(
                    "user ids are texts here, and this one is a number: send it as a string, \
                     \"{number}\""
                );
                Err(Problem::new(Code::InvalidUserId, detail))
            }
            (id, _) => Ok(id.into_text()),
        }
    }

    /// The moderator that the header `Onetap-Actor` names.
    pub(super) fn actor(&self, text: &str) -> Result<UserId, Problem> {
        match self.who.as_deref() {
            None | Some(auth::Caller::Service(_)) => self.named(text),
            Some(auth::Caller::Person(_) | auth::Caller::Anonymous) => {
                let detail = "only a service key may name a moderator; leave the header out";
                Err(Problem::new(Code::Forbidden, detail))
            }
        }
    }

    /// The post, if the token is good for it.
    pub(super) fn post(&self, post: PostId) -> Result<PostId, Problem> {
        let (Some(rules), Some(person)) = (self.access.rules, self.person()) else {
            return Ok(post);
        };
        let granted = match &person.posts {
            Some(posts) => posts.of(post).is_some(),
            None => !rules.require_post_grant,
        };
        if granted {
            return Ok(post);
        }
        let detail = format!(
            "the token is not good for post {post}: its claim `posts` does not name it; get a \
             token that does"
        );
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// Refuses a token that is good for some posts alone.
    pub(super) fn all_posts(&self) -> Result<(), Problem> {
        let (Some(rules), Some(person)) = (self.access.rules, self.person()) else {
            return Ok(());
        };
        if person.posts.is_none() && !rules.require_post_grant {
            return Ok(());
        }
        let detail = "the token is good for some posts alone, and this call is about all; ask post \
                      by post, or use a service key";
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// What the token lets its user add to a post.
    pub(super) fn add(&self, post: PostId) -> Add {
        let grants = self.person().and_then(|person| person.posts.as_ref());
        grants.and_then(|grants| grants.of(post)).unwrap_or_default()
    }

    /// Refuses those who may not see who reacted.
    pub(super) fn sees_reactors(&self) -> Result<(), Problem> {
        let (Some(rules), Some(who)) = (self.access.rules, self.who.as_deref()) else {
            return Ok(());
        };
        match (rules.reactors, who) {
            (Reactors::Public, _)
            | (_, auth::Caller::Service(_))
            | (Reactors::Members, auth::Caller::Person(_)) => Ok(()),
            (Reactors::Members, auth::Caller::Anonymous) => Err(Problem::new(
                Code::Unauthenticated,
                "only callers with a token may see who reacted; send one",
            )),
            (Reactors::Service, _) => Err(Problem::new(
                Code::Forbidden,
                "only service keys may see who reacted; ask for counts, without `recent`",
            )),
        }
    }
}
