//! The body of a request for a job.

use std::collections::HashSet;
use std::hash::Hash;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::dto::{JobBody, PostIdJson, UserIdJson};
use super::super::problem::{Code, Problem};
use super::Query;
use crate::domain::{Palettes, PostId, Reaction};
use crate::jobs::{Lists, MOST_POSTS, MOST_USERS, Task};

const KINDS: &str = "audit, erase, retract, rename, merge_user, copy_post, move_post";

fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(Code::InvalidBody, detail)
}

impl JobBody {
    /// What the job is to do. `query` knows which users the caller may name.
    pub(in crate::http) fn task(
        self,
        query: &Query,
        palettes: &Palettes,
    ) -> Result<(Task, Lists), Problem> {
        let kind = self
            .kind
            .clone()
            .ok_or_else(|| invalid(format!("`kind` is missing; it is one of: {KINDS}")))?;
        self.has_only_fields_of(&kind)?;
        let posts = self.posts.map(listed_posts).transpose()?;
        let listed = posts.is_some();
        let mut lists = Lists { users: Vec::new(), posts: posts.unwrap_or_default() };
        let task = match kind.as_str() {
            "audit" => Task::Audit { repair: self.repair.unwrap_or_default() },
            "erase" => Task::Erase { user: query.named_in_json(needed("user_id", self.user_id)?)? },
            "retract" => {
                let users = needed("user_ids", self.user_ids)?.into_iter();
                let users =
                    users.map(|id| query.named_in_json(id)).collect::<Result<Vec<_>, _>>()?;
                lists.users = once(users, "user_ids", "users", MOST_USERS)?;
                let since = self.since.map(|text| micros("since", &text)).transpose()?;
                let until = self.until.map(|text| micros("until", &text)).transpose()?;
                if since.zip(until).is_some_and(|(since, until)| since > until) {
                    return Err(invalid("`since` lies after `until`; exchange them"));
                }
                let reaction = self.reaction.map(|text| text.parse()).transpose()?;
                Task::Retract { reaction, since, until, listed }
            }
            "rename" => {
                let (from, to) = (reaction("from", self.from)?, reaction("to", self.to)?);
                different(&from, &to)?;
                offered(palettes, &to)?;
                Task::Rename { from, to, listed }
            }
            "merge_user" => {
                let from = query.named_in_json(needed("from", self.from)?)?;
                let to = query.named_in_json(needed("to", self.to)?)?;
                different(&from, &to)?;
                Task::MergeUser { from, to }
            }
            "copy_post" | "move_post" => {
                let (from, to) = (post("from", self.from)?, post("to", self.to)?);
                different(&from, &to)?;
                match kind.as_str() {
                    "copy_post" => Task::CopyPost { from, to },
                    _ => Task::MovePost { from, to },
                }
            }
            _ => return Err(invalid(format!("`kind` is not one of: {KINDS}"))),
        };
        Ok((task, lists))
    }

    /// Refuses fields that mean nothing to this kind of job. A moderator who sends `posts` with
    /// `erase` expects that other posts stay as they are.
    fn has_only_fields_of(&self, kind: &str) -> Result<(), Problem> {
        let takes: &[&str] = match kind {
            "audit" => &["repair"],
            "erase" => &["user_id"],
            "retract" => &["user_ids", "reaction", "posts", "since", "until"],
            "rename" => &["from", "to", "posts"],
            "merge_user" | "copy_post" | "move_post" => &["from", "to"],
            _ => return Err(invalid(format!("`kind` is not one of: {KINDS}"))),
        };
        let there = [
            ("repair", self.repair.is_some()),
            ("user_id", self.user_id.is_some()),
            ("user_ids", self.user_ids.is_some()),
            ("reaction", self.reaction.is_some()),
            ("posts", self.posts.is_some()),
            ("since", self.since.is_some()),
            ("until", self.until.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
        ];
        match there.iter().find(|(name, there)| *there && !takes.contains(name)) {
            Some((name, _)) => {
                let takes = takes.join(", ");
                Err(invalid(format!("a job of the kind {kind} takes no `{name}`, but: {takes}")))
            }
            None => Ok(()),
        }
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Problem> {
    value.ok_or_else(|| invalid(format!("`{name}` is missing")))
}

fn different<T: PartialEq>(from: &T, to: &T) -> Result<(), Problem> {
    if from == to { Err(invalid("`from` and `to` are the same")) } else { Ok(()) }
}

fn reaction(name: &str, value: Option<UserIdJson>) -> Result<Reaction, Problem> {
    Ok(needed(name, value)?.into_text().parse()?)
}

fn post(name: &str, value: Option<UserIdJson>) -> Result<PostId, Problem> {
    Ok(needed(name, value)?.into_text().parse()?)
}

/// A renaming to what no palette counts would make a reaction that nobody may add.
fn offered(palettes: &Palettes, to: &Reaction) -> Result<(), Problem> {
    let counted = palettes.iter().any(|palette| {
        let verdict = palette.verdict(to);
        verdict.allowed && !verdict.is_alias
    });
    if counted {
        return Ok(());
    }
    let detail = format!(
        "no palette has {to} under this name; GET /v1/palettes lists what they have; add it to a \
         palette first"
    );
    Err(Problem::new(Code::ReactionNotAllowed, detail))
}

fn listed_posts(ids: Vec<PostIdJson>) -> Result<Vec<PostId>, Problem> {
    let posts = ids.into_iter().map(|id| Ok(id.into_text().parse()?));
    once(posts.collect::<Result<Vec<PostId>, Problem>>()?, "posts", "posts", MOST_POSTS)
}

/// Drops repetitions, and refuses a list that is empty or too long.
fn once<T: Copy + Eq + Hash>(
    ids: Vec<T>,
    name: &str,
    what: &str,
    most: usize,
) -> Result<Vec<T>, Problem> {
    let mut seen = HashSet::new();
    let ids: Vec<T> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
    if ids.is_empty() || ids.len() > most {
        return Err(invalid(format!("`{name}` names {} {what}; name 1 to {most}", ids.len())));
    }
    Ok(ids)
}

fn micros(name: &str, text: &str) -> Result<u64, Problem> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    time.and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1000).ok()).ok_or_else(|| {
        invalid(format!(
            "`{name}` is no time after 1970 in RFC 3339; write it as in 2026-11-25T08:30:00Z"
        ))
    })
}
