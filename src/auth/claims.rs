//! The claims of a token. We check them ourselves: `jsonwebtoken` rounds a fractional `exp`,
//! ignores a null `nbf`, accepts a missing `aud` or `iss` where one is expected, and reads the
//! clock.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{Grants, MAX_GRANTS, Person, Unverified};
use crate::domain::{Add, PostId, UserIds};

/// How many seconds `nbf` may lie ahead of our clock. `exp` gets no such allowance: a stream and a
/// cached token end at `exp`, and a caller gets a new token in time.
const NBF_LEEWAY_SECONDS: u64 = 5;

/// What the claims of a good token say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimRules {
    /// Which ids users have.
    pub user_ids: UserIds,
    /// What `aud` has to be or contain. Without it, a token for some audience is for another one.
    pub audience: Option<String>,
    /// What `iss` has to be.
    pub issuer: Option<String>,
}

/// The claims that onetap reads. serde refuses a claim that is there twice.
#[derive(Deserialize)]
pub(super) struct Claims {
    #[serde(default, deserialize_with = "present")]
    sub: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    exp: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    aud: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    iss: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    posts: Option<Value>,
}

/// A claim that is null is present, and has the wrong type.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Claims {
    /// The person, if the claims are good at `now`.
    pub(super) fn judge(self, rules: &ClaimRules, now: u64) -> Result<Person, Unverified> {
        let exp = seconds("exp", self.exp.as_ref())?.ok_or(Unverified::Missing("exp"))?;
        let nbf = seconds("nbf", self.nbf.as_ref())?;
        if exp <= now {
            return Err(Unverified::Expired);
        }
        if nbf.is_some_and(|nbf| nbf > now.saturating_add(NBF_LEEWAY_SECONDS)) {
            return Err(Unverified::NotYet);
        }
        audience(self.aud.as_ref(), rules.audience.as_deref())?;
        if let Some(issuer) = &rules.issuer {
            let iss = self.iss.as_ref().ok_or(Unverified::Missing("iss"))?;
            if text("iss", iss)? != issuer {
                return Err(Unverified::Foreign("iss"));
            }
        }
        let sub = self.sub.as_ref().ok_or(Unverified::Missing("sub"))?;
        let user = rules.user_ids.parse(text("sub", sub)?)?;
        Ok(Person { user, exp, posts: self.posts.as_ref().map(grants).transpose()? })
    }
}

/// A time: a whole number of seconds since 1970.
fn seconds(name: &'static str, claim: Option<&Value>) -> Result<Option<u64>, Unverified> {
    let wrong = Unverified::WrongType(name, "a whole number of seconds since 1970");
    claim.map(|claim| claim.as_u64().ok_or(wrong)).transpose()
}

fn text<'v>(name: &'static str, claim: &'v Value) -> Result<&'v str, Unverified> {
    claim.as_str().ok_or(Unverified::WrongType(name, "a string"))
}

/// RFC 7519: a token that names audiences is invalid for a service that is none of them.
fn audience(aud: Option<&Value>, expected: Option<&str>) -> Result<(), Unverified> {
    let wrong = || Unverified::WrongType("aud", "a string or a list of strings");
    let names: Vec<&str> = match aud {
        None if expected.is_none() => return Ok(()),
        None => return Err(Unverified::Missing("aud")),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => {
            all.iter().map(|name| name.as_str().ok_or_else(wrong)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong()),
    };
    let is_ours = expected.is_some_and(|expected| names.contains(&expected));
    if is_ours { Ok(()) } else { Err(Unverified::Foreign("aud")) }
}

/// The posts: a list of ids, or an object from id to what may be added.
fn grants(claim: &Value) -> Result<Grants, Unverified> {
    let post = |id: &str| {
        id.parse::<PostId>().map_err(|_| Unverified::BadGrants("names something else than a post"))
    };
    let pairs = match claim {
        Value::Array(ids) if ids.len() <= MAX_GRANTS => ids
            .iter()
            .map(|id| post(id.as_str().unwrap_or_default()).map(|post| (post, Add::All)))
            .collect::<Result<Vec<_>, _>>()?,
        Value::Object(posts) if posts.len() <= MAX_GRANTS => posts
            .iter()
            .map(|(id, add)| {
                let add = add.as_str().and_then(Add::from_word);
                Ok((post(id)?, add.ok_or(Unverified::BadGrants("has an unknown `add`"))?))
            })
            .collect::<Result<Vec<_>, Unverified>>()?,
        Value::Array(_) | Value::Object(_) => {
            return Err(Unverified::BadGrants("names more than 100 posts"));
        }
        _ => return Err(Unverified::BadGrants("is neither a list nor an object")),
    };
    let mut grants = BTreeMap::new();
    for (post, add) in pairs {
        if grants.insert(post, add).is_some_and(|other| other != add) {
            return Err(Unverified::BadGrants("names a post twice"));
        }
    }
    Ok(Grants(grants))
}
