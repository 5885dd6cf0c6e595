//! The query of a request. Unknown and repeated names are errors: a caller that misspells `limit`
//! should notice.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::super::access::{Access, Caller};
use super::super::dto::UserIdJson;
use super::super::problem::{Code, Problem};
use crate::domain::{PostId, UserId};

/// The most posts of one call.
const MAX_POSTS: usize = 100;

/// The most newest users of each reaction in a summary.
const MAX_RECENT: usize = 20;

/// The most reactors of a page, and the default.
const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 25;

/// The query as names and values, decoded once.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    /// Decides which users `user_id` may name.
    caller: Caller,
}

impl<S: Send + Sync> FromRequestParts<S> for Query
where
    Access: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Ok(Self { pairs, caller: Access::from_ref(state).caller(parts) })
    }
}

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidQuery, detail)
}

impl Query {
    /// Refuses names that the call does not take.
    pub(crate) fn only(self, names: &[&str]) -> Result<Self, Problem> {
        self.has_only(names)?;
        Ok(self)
    }

    /// Refuses the same names, by reference.
    pub(in crate::http) fn has_only(&self, names: &[&str]) -> Result<(), Problem> {
        match self.pairs.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) if names.is_empty() => {
                Err(invalid(format!("this call takes no query; leave out `{name}`")))
            }
            Some((name, _)) => {
                Err(invalid(format!("`{name}` is not one of: {}", names.join(", "))))
            }
        }
    }

    fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.pairs.iter().filter(|(key, _)| key == name);
        let first = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            return Err(invalid(format!("`{name}` is there more than once; give it once")));
        }
        Ok(first)
    }

    fn number(&self, name: &str, min: usize, max: usize) -> Result<Option<usize>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(invalid(format!("`{name}` has to be a number from {min} to {max}"))),
        }
    }

    /// `user_id`: the viewer. The token's user, unless said otherwise.
    pub(crate) fn viewer(&self) -> Result<Option<UserId>, Problem> {
        match self.one("user_id")? {
            Some(text) => self.caller.user(text).map(Some),
            None => Ok(self.caller.subject()),
        }
    }

    /// The same of a body.
    pub(in crate::http) fn viewer_in_json(
        &self,
        id: Option<UserIdJson>,
    ) -> Result<Option<UserId>, Problem> {
        match id {
            Some(id) => self.caller.user_in_json(id).map(Some),
            None => Ok(self.caller.subject()),
        }
    }

    /// A user that the request only speaks of.
    pub(in crate::http) fn named(&self, text: &str) -> Result<UserId, Problem> {
        self.caller.named(text)
    }

    /// The same of a body.
    pub(in crate::http) fn named_in_json(&self, id: UserIdJson) -> Result<UserId, Problem> {
        self.caller.named_in_json(id)
    }

    /// Who sent the request.
    pub(in crate::http) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// `recent`: how many of the newest users.
    pub(in crate::http) fn recent(&self) -> Result<usize, Problem> {
        let recent = self.number("recent", 0, MAX_RECENT)?.unwrap_or(0);
        self.may_name(recent)
    }

    /// The same of a body.
    pub(in crate::http) fn recent_in_json(&self, recent: Option<u64>) -> Result<usize, Problem> {
        self.may_name(in_body("recent", recent.unwrap_or(0), 0, MAX_RECENT)?)
    }

    /// The newest users are names of people who reacted.
    fn may_name(&self, recent: usize) -> Result<usize, Problem> {
        if recent > 0 {
            self.caller.sees_reactors()?;
        }
        Ok(recent)
    }

    /// `limit`: how long a page is.
    pub(in crate::http) fn limit(&self) -> Result<usize, Problem> {
        Ok(self.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT))
    }

    /// `cursor`, unparsed.
    pub(in crate::http) fn cursor(&self) -> Result<Option<&str>, Problem> {
        self.one("cursor")
    }

    /// `since`, unparsed.
    pub(in crate::http) fn since(&self) -> Result<Option<&str>, Problem> {
        self.one("since")
    }

    /// `hide`, any number of times, unparsed.
    pub(super) fn hidden(&self) -> impl Iterator<Item = &str> {
        let hidden = self.pairs.iter().filter(|(name, _)| name == "hide");
        hidden.map(|(_, text)| text.as_str())
    }

    /// `post_id`, any number of times.
    pub(crate) fn posts(&self) -> Result<Vec<PostId>, Problem> {
        let texts = self.pairs.iter().filter(|(name, _)| name == "post_id");
        self.granted(posts(texts.map(|(_, text)| text), Code::InvalidQuery, "post_id")?)
    }

    /// The posts, if the token is good for all of them.
    pub(in crate::http) fn granted(&self, posts: Vec<PostId>) -> Result<Vec<PostId>, Problem> {
        posts.into_iter().map(|post| self.caller.post(post)).collect()
    }
}

/// The posts of a list, without repetitions, in the order of their first mention.
pub(in crate::http) fn posts(
    texts: impl Iterator<Item = impl AsRef<str>>,
    code: Code,
    name: &str,
) -> Result<Vec<PostId>, Problem> {
    let mut posts: Vec<PostId> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for text in texts {
        let post = text.as_ref().parse()?;
        if seen.insert(post) {
            posts.push(post);
        }
    }
    if posts.is_empty() || posts.len() > MAX_POSTS {
        let detail = format!("`{name}` names {} posts; name 1 to {MAX_POSTS}", posts.len());
        return Err(Problem::new(code, detail));
    }
    Ok(posts)
}

/// Checks the length of a page in a body by the rule of the query.
pub(in crate::http) fn limit_in_body(limit: Option<u64>) -> Result<usize, Problem> {
    in_body("limit", limit.unwrap_or(DEFAULT_LIMIT as u64), 1, MAX_LIMIT)
}

fn in_body(name: &str, number: u64, min: usize, max: usize) -> Result<usize, Problem> {
    match usize::try_from(number) {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => {
            let detail = format!("`{name}` has to be a number from {min} to {max}");
            Err(Problem::new(Code::InvalidBody, detail))
        }
    }
}
