//! Which callers may make which call: the one table. `SECURITY.md` has it for readers, and a test
//! tries each cell.

use super::access::AccessRules;
use super::problem::{Code, Problem};
use crate::auth::{Caller, Scope};

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permit {
    /// Everyone. The service does not even look at a token.
    Anyone,
    /// A person as the token's user; `act-as` for any user.
    Tap,
    /// A person, `read` and `act-as`; with `--public-reads` everyone.
    Read,
    /// As [`Permit::Read`], and `moderate`.
    ReadRules,
    /// As [`Permit::Read`], within `--reactors`.
    Reactors,
    /// A person as the token's user; `read` and `act-as` for any user.
    ReadOwn,
    /// As [`Permit::Read`]. A stream ends when its token or key is not valid any more.
    Follow,
    /// `moderate`.
    Moderate,
    /// `moderate` and `admin`.
    Carry,
    /// `admin`.
    Operate,
}

use Permit::{Anyone, Carry, Follow, Moderate, Operate, Reactors, Read, ReadOwn, ReadRules, Tap};

/// A row for each call of the API. A call without a row does not start.
const TABLE: &[(&str, &str, Permit)] = &[
    ("POST", "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}/toggle", Tap),
    ("PUT", "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}", Tap),
    ("DELETE", "/v1/posts/{post_id}/reactions/{reaction}/users/{user_id}", Tap),
    ("PUT", "/v1/posts/{post_id}/users/{user_id}/reactions", Tap),
    ("DELETE", "/v1/posts/{post_id}/users/{user_id}/reactions", Tap),
    ("GET", "/v1/posts/{post_id}/users/{user_id}/reactions", ReadOwn),
    ("GET", "/v1/posts/{post_id}/reactions", Read),
    ("GET", "/v1/posts/reactions", Read),
    ("POST", "/v1/posts/reactions/query", Read),
    ("GET", "/v1/posts/reactions/stream", Follow),
    ("GET", "/v1/posts/{post_id}/reactions/{reaction}/users", Reactors),
    ("GET", "/v1/posts/{post_id}/users", Reactors),
    ("POST", "/v1/posts/{post_id}/users/query", Reactors),
    // Front ends load the palettes without a token, and they are the same for everyone.
    ("GET", "/v1/palettes", Anyone),
    ("GET", "/v1/posts/{post_id}/rules", ReadRules),
    ("PUT", "/v1/posts/{post_id}/rules", Moderate),
    ("DELETE", "/v1/posts/{post_id}/rules", Moderate),
    ("PUT", "/v1/posts/{post_id}/lock", Moderate),
    ("DELETE", "/v1/posts/{post_id}/lock", Moderate),
    ("DELETE", "/v1/posts/{post_id}/reactions", Moderate),
    ("DELETE", "/v1/posts/{post_id}/reactions/{reaction}", Moderate),
    ("POST", "/v1/posts/reactions/forget", Moderate),
    ("GET", "/v1/users/{user_id}/reactions", ReadOwn),
    ("DELETE", "/v1/users/{user_id}/reactions", Moderate),
    ("POST", "/v1/jobs", Moderate),
    ("GET", "/v1/jobs", Moderate),
    ("GET", "/v1/jobs/{job_id}", Moderate),
    ("DELETE", "/v1/jobs/{job_id}", Moderate),
    ("GET", "/v1/jobs/{job_id}/receipt", Moderate),
    ("POST", "/v1/import", Carry),
    ("GET", "/v1/export", Carry),
    ("PUT", "/v1/read-only", Carry),
    ("DELETE", "/v1/read-only", Carry),
    ("GET", "/healthz", Anyone),
    ("GET", "/readyz", Anyone),
    ("GET", "/metrics", Operate),
];

/// The row of a call.
pub(super) fn of(method: &str, path: &str) -> Option<Permit> {
    let row = TABLE.iter().find(|row| (row.0, row.1) == (method, path));
    row.map(|(_, _, permit)| *permit)
}

impl Permit {
    /// The scopes of service keys that may make the call.
    fn scopes(self) -> &'static [Scope] {
        match self {
            Anyone => Scope::EACH,
            Tap => &[Scope::ActAs],
            Read | Follow | Reactors | ReadOwn => &[Scope::Read, Scope::ActAs],
            ReadRules => &[Scope::Read, Scope::ActAs, Scope::Moderate],
            Moderate => &[Scope::Moderate],
            Carry => &[Scope::Moderate, Scope::Admin],
            Operate => &[Scope::Admin],
        }
    }

    /// Whether the call reads what users gave.
    pub(super) fn is_read(self) -> bool {
        matches!(self, Read | Follow | ReadRules | Reactors | ReadOwn)
    }

    /// Refuses a caller who may not make the call, whatever users and posts it names.
    pub(super) fn judge(self, caller: &Caller, rules: AccessRules) -> Result<(), Problem> {
        let may = match caller {
            Caller::Anonymous => match self {
                Anyone => true,
                Read | Follow | ReadRules | Reactors => rules.public_reads,
                Tap | ReadOwn | Moderate | Carry | Operate => false,
            },
            Caller::Person(_) => !matches!(self, Moderate | Carry | Operate),
            Caller::Service(service) => service.scopes.has_any(self.scopes()),
        };
        if may {
            return Ok(());
        }
        let words = self.scopes().iter().map(|scope| format!("`{}`", scope.word()));
        let words = words.collect::<Vec<_>>().join(" or ");
        Err(match caller {
            Caller::Anonymous => Problem::new(
                Code::Unauthenticated,
                "this call needs a token; send it in the header Authorization: Bearer",
            ),
            Caller::Person(_) => Problem::new(
                Code::Forbidden,
                format!("this call needs a service key with the scope {words}"),
            ),
            Caller::Service(service) => Problem::new(
                Code::Forbidden,
                format!(
                    "the service key `{}` does not have the scope {words}; use a key that has it",
                    service.name
                ),
            ),
        })
    }
}
