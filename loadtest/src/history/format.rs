//! The file format: one JSON object per line, as in `loadtest/HISTORY.md`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{History, Limit, Outcome, Palette, Read, Replaced, Tap, TapAnswer, Verb};

/// The version of the format that this release reads and writes.
const VERSION: u64 = 1;

/// Why a file is not a history.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// A line is not of the format.
    #[error("line {line}: {problem}")]
    Line {
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

/// A user id: a string, since JavaScript rounds above 2^53, or an integer.
#[derive(Clone, Copy, Debug)]
struct User(u64);

impl Serialize for User {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<'a> {
            Number(u64),
            #[serde(borrow)]
            Text(Cow<'a, str>),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Some(number),
            Either::Text(text) => text.parse().ok(),
        }
        .map(Self)
        .ok_or_else(|| serde::de::Error::custom("a user id is an integer from 0 to 2^64 - 1"))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Count<'a> {
    #[serde(borrow)]
    reaction: Cow<'a, str>,
    count: u64,
}

/// All fields of all kinds of lines.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Wire<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    initial: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    post_id: Option<Cow<'a, str>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    reaction: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<Verb>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_micros: Option<u64>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    outcome: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reactions: Option<Vec<Count<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reactors: Option<BTreeMap<Cow<'a, str>, Vec<User>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    palette: Option<Palette>,
    #[serde(borrow, skip_serializing_if = "Vec::is_empty")]
    replaced: Vec<Count<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Limit>,
}

fn json(wire: &Wire<'_>) -> String {
    serde_json::to_string(wire).expect("plain fields have a JSON form")
}

/// The first line. `source` says in free words where the history comes from.
pub(super) fn header_line(source: &str, palette: Option<&Palette>) -> String {
    json(&Wire {
        kind: "history".into(),
        version: Some(VERSION),
        initial: Some("empty".into()),
        source: Some(source.into()),
        palette: palette.cloned(),
        ..Wire::default()
    })
}

/// The last line of a file with this many lines, itself included.
pub(super) fn end_line(lines: u64) -> String {
    json(&Wire { kind: "end".into(), lines: Some(lines), ..Wire::default() })
}

/// The line of a tap, without the line break.
pub(super) fn tap_line(tap: &Tap<'_>) -> String {
    json(&tap_wire(tap))
}

/// A tap as JSON.
pub fn tap_value(tap: &Tap<'_>) -> serde_json::Value {
    serde_json::json!(tap_wire(tap))
}

fn tap_wire<'a>(tap: &'a Tap<'_>) -> Wire<'a> {
    let mut wire = Wire {
        kind: "tap".into(),
        post_id: Some(tap.post_id.as_ref().into()),
        reaction: Some(tap.reaction.as_ref().into()),
        user_id: Some(User(tap.user_id)),
        verb: Some(tap.verb),
        key: tap.key.as_deref().map(Cow::from),
        sent_micros: Some(tap.sent_micros),
        ..Wire::default()
    };
    match &tap.outcome {
        Outcome::Answered { at_micros, answer } => {
            wire.outcome = Some("answered".into());
            wire.answered_micros = Some(*at_micros);
            wire.active = Some(answer.active);
            wire.changed = Some(answer.changed);
            wire.count = Some(answer.count);
            wire.revision = Some(answer.revision);
            wire.changes = answer.changes;
            wire.replayed = answer.replayed.then_some(true);
            let count =
                |one: &'a Replaced| Count { reaction: (&*one.reaction).into(), count: one.count };
            wire.replaced = answer.replaced.iter().map(count).collect();
        }
        Outcome::Refused => wire.outcome = Some("refused".into()),
        Outcome::RuledOut { at_micros, limit } => {
            wire.outcome = Some("refused".into());
            wire.answered_micros = Some(*at_micros);
            wire.code = Some(*limit);
        }
        Outcome::Unknown { not_after_micros } => {
            wire.outcome = Some("unknown".into());
            wire.not_after_micros = *not_after_micros;
        }
    }
    wire
}

/// The line of a read, without the line break.
pub(super) fn read_line(read: &Read<'_>) -> String {
    let users = |users: &Vec<u64>| users.iter().map(|user| User(*user)).collect();
    let count = |(name, count): &(Cow<'_, str>, u64)| Count {
        reaction: name.clone().into_owned().into(),
        count: *count,
    };
    json(&Wire {
        kind: if read.reactors.is_some() { "final" } else { "read" }.into(),
        post_id: Some(read.post_id.as_ref().into()),
        sent_micros: Some(read.sent_micros),
        answered_micros: Some(read.answered_micros),
        revision: Some(read.revision),
        changes: read.changes,
        total: read.total,
        reactions: Some(read.reactions.iter().map(count).collect()),
        reactors: read
            .reactors
            .as_ref()
            .map(|all| all.iter().map(|(name, all)| (name.as_ref().into(), users(all))).collect()),
        ..Wire::default()
    })
}

/// Reads a whole history.
///
/// # Errors
///
/// At the first line that is not of the format.
pub fn read_file(mut file: impl BufRead) -> Result<History, Damaged> {
    let mut history = History::default();
    let (mut text, mut line, mut ended) = (String::new(), 0, false);
    loop {
        text.clear();
        let damaged = |problem: String, line| Err(Damaged::Line { line, problem });
        match file.read_line(&mut text) {
            Ok(0) if ended => return Ok(history),
            Ok(0) => {
                let problem = "the file ends without its end line: it was cut, or the recording \
                               did not finish";
                return damaged(problem.into(), line + 1);
            }
            Ok(_) => line += 1,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return damaged("not UTF-8".into(), line + 1);
            }
            Err(error) => return Err(error.into()),
        }
        let result = if ended {
            Err("something follows the end line".into())
        } else {
            take(text.trim_end(), line, &mut history)
        };
        match result {
            Ok(end) => ended = end,
            Err(problem) => return damaged(problem, line),
        }
    }
}

/// Adds a line to the history; returns whether it is the last.
fn take(text: &str, line: u64, history: &mut History) -> Result<bool, String> {
    // The parser sees one line at a time, so its line number is always 1.
    let problem =
        |error: serde_json::Error| error.to_string().replace(" at line 1 column", ", column");
    let wire: Wire<'_> = serde_json::from_str(text).map_err(problem)?;
    match (wire.kind.as_ref(), line) {
        ("history", 1) => {
            header(&wire)?;
            history.palette = wire.palette;
            Ok(false)
        }
        (_, 1) => Err("a history begins with a line of the kind \"history\"".into()),
        ("history", _) => Err("a second header".into()),
        ("tap", _) => tap(wire).map(|tap| history.tap(line, &tap)).map(|()| false),
        ("read" | "final", _) => read(wire).map(|read| history.read(line, &read)).map(|()| false),
        ("end", _) => match need(wire.lines, "lines")? {
            lines if lines == line => Ok(true),
            lines => Err(format!("the end line says {lines} lines, but it is line {line}")),
        },
        (kind, _) => Err(format!("a line of the unknown kind {kind:?}")),
    }
}

fn need<T>(value: Option<T>, name: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{name}` is missing"))
}

fn header(wire: &Wire<'_>) -> Result<(), String> {
    match (need(wire.version, "version")?, need(wire.initial.as_deref(), "initial")?) {
        (VERSION, "empty") => Ok(()),
        (VERSION, other) => Err(format!("`initial` may only be \"empty\", not {other:?}")),
        (other, _) => Err(format!("version {other} of the format; this release reads {VERSION}")),
    }
}

fn tap(wire: Wire<'_>) -> Result<Tap<'_>, String> {
    let sent_micros = need(wire.sent_micros, "sent_micros")?;
    let outcome = match need(wire.outcome.as_deref(), "outcome")? {
        "answered" => Outcome::Answered {
            at_micros: not_before(sent_micros, wire.answered_micros, "answered_micros")?,
            answer: TapAnswer {
                active: need(wire.active, "active")?,
                changed: need(wire.changed, "changed")?,
                count: need(wire.count, "count")?,
                revision: need(wire.revision, "revision")?,
                changes: wire.changes,
                replayed: wire.replayed.unwrap_or(false),
                replaced: wire.replaced.iter().map(replaced).collect(),
            },
        },
        "refused" => match wire.code {
            None => Outcome::Refused,
            Some(limit) => Outcome::RuledOut {
                at_micros: not_before(sent_micros, wire.answered_micros, "answered_micros")?,
                limit,
            },
        },
        "unknown" => Outcome::Unknown {
            not_after_micros: match wire.not_after_micros {
                None => None,
                some => Some(not_before(sent_micros, some, "not_after_micros")?),
            },
        },
        other => return Err(format!("the unknown outcome {other:?}")),
    };
    Ok(Tap {
        post_id: need(wire.post_id, "post_id")?,
        reaction: need(wire.reaction, "reaction")?,
        user_id: need(wire.user_id, "user_id")?.0,
        verb: need(wire.verb, "verb")?,
        sent_micros,
        key: wire.key,
        outcome,
    })
}

fn replaced(one: &Count<'_>) -> Replaced {
    Replaced { reaction: one.reaction.clone().into_owned(), count: one.count }
}

fn not_before(sent: u64, value: Option<u64>, name: &str) -> Result<u64, String> {
    match need(value, name)? {
        value if value < sent => Err(format!("`{name}` is {value}, before it was sent at {sent}")),
        value => Ok(value),
    }
}

fn read(wire: Wire<'_>) -> Result<Read<'_>, String> {
    let sent_micros = need(wire.sent_micros, "sent_micros")?;
    let reactions = need(wire.reactions, "reactions")?;
    let mut names = HashSet::new();
    if let Some(twice) = reactions.iter().find(|entry| !names.insert(entry.reaction.as_ref())) {
        return Err(format!("the reaction {:?} is listed twice", twice.reaction));
    }
    let reactors = match wire.kind.as_ref() {
        "final" => Some(need(wire.reactors, "reactors")?),
        _ => None,
    };
    let users = |users: Vec<User>| users.into_iter().map(|user| user.0).collect();
    Ok(Read {
        post_id: need(wire.post_id, "post_id")?,
        sent_micros,
        answered_micros: not_before(sent_micros, wire.answered_micros, "answered_micros")?,
        revision: need(wire.revision, "revision")?,
        changes: wire.changes,
        total: wire.total,
        reactions: reactions.into_iter().map(|entry| (entry.reaction, entry.count)).collect(),
        reactors: reactors
            .map(|all| all.into_iter().map(|(name, list)| (name, users(list))).collect()),
    })
}
