//! Rows of NDJSON: a line is a reaction, or the rules of a post.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::input::{Input, InputError};
use super::meaning::{Fields, Meaning, Parsing};
use super::rejects::{Numbered, Rejected};
use super::row::Line;
use crate::domain::{Add, DEFAULT_PALETTE, Rules};

/// The longest line. A longer one is rejected without being kept.
const MOST_BYTES: usize = 64 * 1024;

/// An input of NDJSON.
pub(crate) struct Lines {
    input: Input,
    line: Vec<u8>,
    number: u64,
}

/// An id as a text or an integer.
#[derive(Deserialize)]
#[serde(untagged)]
enum IdText<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Integer(u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineJson<'a> {
    /// The last line of a receipt, and lines of posts that a job could not make sound: no rows.
    receipt: Option<IgnoredAny>,
    drift: Option<IgnoredAny>,
    #[serde(rename = "repaired")]
    _repaired: Option<IgnoredAny>,
    damaged: Option<IgnoredAny>,
    #[serde(borrow)]
    post_id: Option<IdText<'a>>,
    #[serde(borrow)]
    user_id: Option<IdText<'a>>,
    #[serde(borrow)]
    reaction: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reacted_at: Option<Cow<'a, str>>,
    active: Option<bool>,
    #[serde(borrow)]
    palette: Option<Cow<'a, str>>,
    #[serde(borrow)]
    add: Option<Cow<'a, str>>,
    locked: Option<bool>,
    forgotten: Option<bool>,
}

impl<'a> IdText<'a> {
    fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Integer(integer) => integer.to_string().into(),
        }
    }
}

impl Lines {
    pub(crate) fn open(input: Input) -> Self {
        Self { input, line: Vec::new(), number: 0 }
    }

    /// The next line that is not empty, with its number; None at the end.
    pub(crate) fn next(
        &mut self,
        meaning: &Meaning,
        parsing: &mut Parsing<'_>,
    ) -> Result<Option<Numbered>, InputError> {
        loop {
            let Some(too_long) = self.read()? else { return Ok(None) };
            let text = self.line.trim_ascii();
            if text.is_empty() && !too_long {
                continue;
            }
            let line = match too_long {
                true => Err(format!("it is longer than {MOST_BYTES} bytes")),
                false => match line(text, meaning, parsing) {
                    Ok(None) => continue,
                    Ok(Some(line)) => Ok(line),
                    Err(why) => Err(why),
                },
            };
            let line = line.map_err(|reason| Rejected {
                line: self.number,
                reason,
                row: vec![String::from_utf8_lossy(text).into_owned()],
            });
            return Ok(Some((self.number, line)));
        }
    }

    /// Reads up to the end of a line, and says whether the line is too long. None at the end.
    fn read(&mut self) -> Result<Option<bool>, InputError> {
        let (mut too_long, mut some) = (false, false);
        self.line.clear();
        loop {
            let bytes = self.input.next()?;
            if bytes.is_empty() {
                self.number += u64::from(some);
                return Ok(some.then_some(too_long));
            }
            some = true;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > MOST_BYTES {
                too_long = true;
                self.line.clear();
            } else if !too_long {
                self.line.extend_from_slice(part);
            }
            let consumed = end.map_or(bytes.len(), |end| end + 1);
            self.input.consume(consumed);
            if end.is_some() {
                self.number += 1;
                return Ok(Some(too_long));
            }
        }
    }

    /// The input, after the end.
    pub(crate) fn into_input(self) -> Input {
        self.input
    }
}

fn line(text: &[u8], meaning: &Meaning, parsing: &mut Parsing<'_>) -> Result<Option<Line>, String> {
    let json: LineJson<'_> = serde_json::from_slice(text)
        .map_err(|error| format!("it is not a line of an export: {error}"))?;
    if json.receipt.is_some() || json.drift.is_some() || json.damaged.is_some() {
        return Ok(None);
    }
    if meaning.receipt && (json.reacted_at.is_none() || json.active.is_some()) {
        return Err("it is no line of the receipt of a job".into());
    }
    if json.forgotten == Some(true) {
        return Err("somebody forgot this post, which an import cannot repeat; send DELETE \
                    /v1/posts/{post_id}/reactions, then import its rows"
            .into());
    }
    match json {
        LineJson {
            post_id: Some(post_id),
            user_id: Some(user),
            reaction: Some(reaction),
            reacted_at: Some(at),
            active,
            palette: None,
            add: None,
            locked: None,
            ..
        } => {
            let active = active.map(|active| if active { "t" } else { "f" }.into());
            let (post, user) = (post_id.text(), user.text());
            parsing
                .row(&Fields { post, user, reaction, active, at })
                .map(|row| Some(Line::Member(row)))
        }
        LineJson {
            post_id: Some(post_id),
            user_id: None,
            reaction: None,
            reacted_at: None,
            active: None,
            palette: Some(palette),
            add: Some(add),
            locked: Some(locked),
            ..
        } => {
            let add = Add::from_word(&add).ok_or("add is not all, existing or none")?;
            let named = (palette != DEFAULT_PALETTE).then(|| palette.parse());
            let palette = named.transpose().map_err(|error| format!("palette: {error}"))?;
            Ok(Some(Line::Rules(meaning.post(&post_id.text())?, Rules { palette, add, locked })))
        }
        _ => {
            Err("it needs post_id, user_id, reaction and reacted_at, or post_id, palette, add and \
                  locked"
                .into())
        }
    }
}
