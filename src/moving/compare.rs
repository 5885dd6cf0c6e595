//! What differs between an input and a store: both sorted by post, user and reaction, side by side.

use std::cmp::Ordering;

use serde::Serialize;

use super::export::Exported;
use super::outward::Reader;
use super::posts::Posts;
use super::row::Line;
use super::sorted::Sorted;
use crate::domain::{
    DEFAULT_PALETTE, MOST_EDITS, Micros, PaletteName, PostId, Reaction, Rules, UserId,
};

/// What an input and a store are compared by. The rules of a post come behind its members.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A user's reaction.
    Member(UserId, Reaction),
    /// The rules of the post.
    Rules,
}

/// What an input or a store says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// When the user reacted.
    At(Micros),
    /// The rules.
    Rules(Rules),
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The post.
    pub post: PostId,
    /// A member of it, or its rules.
    pub subject: Subject,
    /// What the input says; None if it does not have it, or has it as off or as the default.
    pub input: Option<Said>,
    /// What the store says; likewise.
    pub store: Option<Said>,
}

/// How many there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Members in the input alone.
    pub missing: u64,
    /// Members in the store alone.
    pub extra: u64,
    /// Members in both, with another time.
    pub time: u64,
    /// Members in both, with the same time.
    pub same: u64,
    /// Posts with other rules.
    pub rules: u64,
}

#[derive(Serialize)]
struct DifferenceJson<'a> {
    differs: &'static str,
    post_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<SaidJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<SaidJson<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SaidJson<'a> {
    At(String),
    Rules { palette: &'a str, add: &'static str, locked: bool },
}

impl<'a> From<&'a Said> for SaidJson<'a> {
    fn from(said: &'a Said) -> Self {
        match said {
            Said::At(at) => Self::At(at.to_string()),
            Said::Rules(Rules { palette, add, locked }) => Self::Rules {
                palette: palette.as_ref().map_or(DEFAULT_PALETTE, PaletteName::as_str),
                add: add.word(),
                locked: *locked,
            },
        }
    }
}

impl Difference {
    fn kind(&self) -> &'static str {
        match (&self.subject, &self.input, &self.store) {
            (Subject::Rules, ..) => "rules",
            (_, Some(_), None) => "missing",
            (_, None, _) => "extra",
            (_, Some(_), Some(_)) => "time",
        }
    }

    /// A line of JSON, without its end.
    pub fn line(&self) -> String {
        let member = match &self.subject {
            Subject::Member(user, reaction) => Some((user.to_string(), reaction.as_str())),
            Subject::Rules => None,
        };
        let (user_id, reaction) = member.unzip();
        let line = DifferenceJson {
            differs: self.kind(),
            post_id: self.post.to_string(),
            user_id,
            reaction,
            input: self.input.as_ref().map(SaidJson::from),
            store: self.store.as_ref().map(SaidJson::from),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

impl Differences {
    /// How many differences there are.
    pub fn all(&self) -> u64 {
        self.missing + self.extra + self.time + self.rules
    }

    fn count(&mut self, subject: &Subject, input: Option<&Said>, store: Option<&Said>) {
        let counter = match (subject, input, store) {
            (Subject::Rules, input, store) if input == store => return,
            (Subject::Rules, ..) => &mut self.rules,
            (_, Some(input), Some(store)) if input == store => &mut self.same,
            (_, Some(_), Some(_)) => &mut self.time,
            (_, Some(_), None) => &mut self.missing,
            (_, None, _) => &mut self.extra,
        };
        *counter += 1;
    }
}

type Entry = ((PostId, Subject), Said);

/// What an input has: members that are on, and rules that are not the default ones, each once.
struct Wanted(Posts);

impl Wanted {
    fn next(&mut self) -> std::io::Result<Option<Entry>> {
        while let Some(key) = self.0.member()? {
            match self.0.line(&key)? {
                Line::Member(row) if row.active => {
                    let subject = Subject::Member(row.user, row.reaction);
                    return Ok(Some(((row.post, subject), Said::At(row.at))));
                }
                Line::Rules(post, rules) if !rules.is_default() => {
                    return Ok(Some(((post, Subject::Rules), Said::Rules(rules))));
                }
                // A row that is off is as good as none.
                Line::Member(_) | Line::Rules(..) => {}
            }
        }
        Ok(None)
    }
}

/// What a store has.
struct Held {
    store: Reader,
    part: std::vec::IntoIter<Exported>,
    /// Whether to compare rules: a table has none.
    with_rules: bool,
    /// The rules of the post whose members come now.
    rules: Option<(PostId, Rules)>,
    next: Option<Entry>,
}

impl Held {
    fn line(&mut self) -> Option<Exported> {
        loop {
            match self.part.next() {
                Some(line) => return Some(line),
                None => self.part = self.store.part()?.into_iter(),
            }
        }
    }

    fn next(&mut self) -> Option<Entry> {
        loop {
            if let Some(next) = self.next.take() {
                return Some(next);
            }
            let (post, entry) = match self.line() {
                Some(Exported::Member(moved)) => {
                    let subject = Subject::Member(moved.reactor.user, moved.reactor.reaction);
                    let at = Said::At(moved.reactor.reacted_at);
                    (Some(moved.post), Some(((moved.post, subject), at)))
                }
                Some(Exported::Rules(post, rules)) => {
                    let before = self.rules.replace((post, rules)).filter(|_| self.with_rules);
                    match before {
                        Some((post, rules)) => {
                            return Some(((post, Subject::Rules), Said::Rules(rules)));
                        }
                        None => continue,
                    }
                }
                Some(Exported::Forgotten(..)) => continue,
                None => (None, None),
            };
            // An export has the rules before the members. Here they come behind them.
            let ended = self.rules.as_ref().is_some_and(|(own, _)| Some(*own) != post);
            self.next = entry;
            match self.rules.take_if(|_| ended).filter(|_| self.with_rules) {
                Some((post, rules)) => return Some(((post, Subject::Rules), Said::Rules(rules))),
                None if self.next.is_none() => return None,
                None => {}
            }
        }
    }
}

/// Compares, on a thread that may wait. `found` gets each difference; false ends it.
pub(crate) fn compare(
    keys: Sorted,
    store: Reader,
    with_rules: bool,
    mut found: impl FnMut(&Difference) -> bool,
) -> std::io::Result<Differences> {
    let mut wanted = Wanted(Posts::of(keys, MOST_EDITS));
    let mut differences = Differences::default();
    let part = Vec::new().into_iter();
    let mut held = Held { store, part, with_rules, rules: None, next: None };
    let (mut want, mut have) = (wanted.next()?, held.next());
    loop {
        let order = match (&want, &have) {
            (None, None) => return Ok(differences),
            // What did not come is not missing; the caller has the reason.
            (Some(_), None) if held.store.has_failed() => return Ok(differences),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((wants, _)), Some((has, _))) => wants.cmp(has),
        };
        let (mut input, mut stored) = (None, None);
        if order.is_le() {
            input = std::mem::replace(&mut want, wanted.next()?);
        }
        if order.is_ge() {
            stored = std::mem::replace(&mut have, held.next());
        }
        let of = |entry: &Option<Entry>| entry.as_ref().map(|(of, _)| of.clone());
        let Some((post, subject)) = of(&input).or_else(|| of(&stored)) else { continue };
        let (input, store) = (input.map(|(_, said)| said), stored.map(|(_, said)| said));
        differences.count(&subject, input.as_ref(), store.as_ref());
        if input != store && !found(&Difference { post, subject, input, store }) {
            return Ok(differences);
        }
    }
}
