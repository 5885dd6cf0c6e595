//! The lines of an export as text.

use std::fmt::Write as _;

use serde::Serialize;

use super::export::{Exported, Moved};
use super::meaning::{COLUMNS, Meaning, PostIds};
use crate::domain::{DEFAULT_PALETTE, Micros, PaletteName};

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    #[default]
    NdJson,
    /// A table as PostgreSQL's COPY writes it.
    Csv,
}

/// What a table cannot say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Posts with rules.
    pub rules: u64,
    /// Posts, or reactions of posts, that were forgotten.
    pub forgotten: u64,
    /// Members of posts that are no integers of this kind.
    pub other_posts: u64,
}

/// Writes lines.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    meaning: Meaning,
    /// What was left out.
    pub left_out: LeftOut,
}

#[derive(Serialize)]
#[serde(untagged)]
enum LineJson<'a> {
    Member {
        post_id: String,
        user_id: String,
        reaction: &'a str,
        reacted_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        active: Option<bool>,
    },
    Rules {
        post_id: String,
        palette: &'a str,
        add: &'static str,
        locked: bool,
    },
    Forgotten {
        post_id: String,
        reaction: Option<&'a str>,
        forgotten: bool,
    },
}

impl Writer {
    /// Writes in this form. In a table, names and ids are those of the input that `meaning` is of.
    pub fn new(format: Format, meaning: Meaning) -> Self {
        Self { format, meaning, left_out: LeftOut::default() }
    }

    /// What stands before all lines.
    pub fn header(&self) -> String {
        match self.format {
            Format::NdJson => String::new(),
            Format::Csv => {
                let names = COLUMNS.map(|name| self.meaning.column(name));
                names.join(",") + "\n"
            }
        }
    }

    /// Appends a line, if this form can say it.
    pub fn write(&mut self, line: &Exported, text: &mut String) {
        match self.format {
            Format::NdJson => {
                // It is plain data, so it is JSON.
                text.push_str(&serde_json::to_string(&line_json(line)).unwrap_or_default());
                text.push('\n');
            }
            Format::Csv => match line {
                Exported::Member(moved) => self.row(moved, text),
                Exported::Rules(..) => self.left_out.rules += 1,
                Exported::Forgotten(..) => self.left_out.forgotten += 1,
            },
        }
    }

    fn row(&mut self, moved: &Moved, text: &mut String) {
        let Moved { post, reactor, active } = moved;
        let post = match self.meaning.post_ids {
            PostIds::Uuid => post.to_string(),
            PostIds::Integer(kind) => match post.to_integer(kind) {
                Some(integer) => integer.to_string(),
                None => {
                    self.left_out.other_posts += 1;
                    return;
                }
            },
        };
        let mut named = self.meaning.map.iter().filter(|(_, ours)| *ours == reactor.reaction);
        let name = named.next().map_or(reactor.reaction.as_str(), |(theirs, _)| theirs);
        let at = copied(reactor.reacted_at);
        let flag = if *active { 't' } else { 'f' };
        let name = quoted(name);
        // A String takes everything.
        let _ = writeln!(text, "{post},{},{name},{flag},{at},{at}", reactor.user);
    }
}

fn quoted(name: &str) -> std::borrow::Cow<'_, str> {
    match name.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", name.replace('"', "\"\"")).into(),
        false => name.into(),
    }
}

/// A time as PostgreSQL's COPY writes it in UTC: `2024-03-01 12:00:00.5+00`.
fn copied(at: Micros) -> String {
    let text = at.to_string().replace('T', " ");
    let digits = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    format!("{digits}+00")
}

fn line_json(line: &Exported) -> LineJson<'_> {
    match line {
        Exported::Member(Moved { post, reactor, active }) => LineJson::Member {
            post_id: post.to_string(),
            user_id: reactor.user.to_string(),
            reaction: reactor.reaction.as_str(),
            reacted_at: reactor.reacted_at.to_string(),
            active: (!active).then_some(false),
        },
        Exported::Rules(post, rules) => LineJson::Rules {
            post_id: post.to_string(),
            palette: rules.palette.as_ref().map_or(DEFAULT_PALETTE, PaletteName::as_str),
            add: rules.add.word(),
            locked: rules.locked,
        },
        Exported::Forgotten(post, reaction) => LineJson::Forgotten {
            post_id: post.to_string(),
            reaction: reaction.as_ref().map(|reaction| reaction.as_str()),
            forgotten: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_copy_writes_it() {
        for (micros, text) in [
            (0, "1970-01-01 00:00:00+00"),
            (1_709_294_400_000_000, "2024-03-01 12:00:00+00"),
            (1_709_294_400_500_000, "2024-03-01 12:00:00.5+00"),
            (1_709_294_400_000_001, "2024-03-01 12:00:00.000001+00"),
        ] {
            assert_eq!(copied(Micros(micros)), text);
            assert_eq!(super::super::meaning::time(text), Ok(Micros(micros)));
        }
    }

    #[test]
    fn a_name_with_a_comma_is_quoted() {
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("LIKE"), "LIKE");
    }
}
