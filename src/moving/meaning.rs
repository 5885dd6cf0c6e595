//! What the fields of an input mean: names of columns, names of reactions, ids, times.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

use super::row::{Names, Row};
use crate::domain::{Micros, PostId, Reaction, UserIds};

/// How posts are named in an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PostIds {
    /// By UUIDs.
    #[default]
    Uuid,
    /// By integers of this kind (docs/ids.md).
    Integer(u16),
}

/// The options that change what the rows of an input mean. All of them are part of its id.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    /// Our names of columns, and those that the input uses instead.
    pub columns: Vec<(String, String)>,
    /// Names of reactions in the input, and the reactions that they stand for.
    pub map: Vec<(String, Reaction)>,
    /// How posts are named.
    pub post_ids: PostIds,
    /// Which ids users have.
    pub user_ids: UserIds,
    /// Whether the input is the receipt of a job, of which only removed reactions are rows.
    pub receipt: bool,
}

/// The fields of a row, as they stand in an input.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) post: Cow<'a, str>,
    pub(crate) user: Cow<'a, str>,
    pub(crate) reaction: Cow<'a, str>,
    /// True if the input does not say it.
    pub(crate) active: Option<Cow<'a, str>>,
    pub(crate) at: Cow<'a, str>,
}

/// The columns that an input may have. `created_at` is known and not used.
pub(crate) const COLUMNS: [&str; 6] =
    ["post_id", "user_id", "reaction_type", "is_active", "created_at", "updated_at"];

impl Meaning {
    /// The name that the input has for one of our columns.
    pub(crate) fn column<'a>(&'a self, ours: &'a str) -> &'a str {
        let renamed = self.columns.iter().find(|(name, _)| name == ours);
        renamed.map_or(ours, |(_, theirs)| theirs)
    }

    /// Whether the caller has named one of our columns.
    pub(crate) fn renames(&self, ours: &str) -> bool {
        self.columns.iter().any(|(name, _)| name == ours)
    }

    /// Whether a table with this meaning differs from ours.
    pub fn changes_tables(&self) -> bool {
        !self.columns.is_empty() || !self.map.is_empty() || self.post_ids != PostIds::Uuid
    }

    /// All of it as text, for the id of the input.
    pub(crate) fn describe(&self) -> String {
        let map: Vec<_> = self.map.iter().map(|(name, to)| (name, to.as_str())).collect();
        let receipt = if self.receipt { " receipt" } else { "" };
        let Self { columns, post_ids, user_ids, .. } = self;
        format!("onetap import 1 {columns:?} {map:?} {post_ids:?} {user_ids}{receipt}")
    }

    /// The post with this id.
    pub(crate) fn post(&self, text: &str) -> Result<PostId, String> {
        match self.post_ids {
            PostIds::Uuid => text.parse().map_err(|_| {
                "post_id is not a UUID with hyphens; for integers give --post-ids integer".into()
            }),
            PostIds::Integer(kind) => {
                let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                let integer = text.parse().ok().filter(|_| digits);
                let integer = integer.ok_or("post_id is not an integer of plain digits")?;
                PostId::from_integer(integer, kind).map_err(|error| format!("post_id: {error}"))
            }
        }
    }
}

/// Reads fields. Keeps what most rows share.
#[derive(Debug)]
pub(crate) struct Parsing<'a> {
    meaning: &'a Meaning,
    map: HashMap<&'a str, &'a Reaction>,
    names: Names,
    /// A row that is newer than this is in the future.
    now: Micros,
}

impl<'a> Parsing<'a> {
    pub(crate) fn new(meaning: &'a Meaning, now: Micros) -> Self {
        let map = meaning.map.iter().map(|(name, reaction)| (name.as_str(), reaction)).collect();
        Self { meaning, map, names: Names::default(), now }
    }

    /// The row with these fields, or why there is none.
    pub(crate) fn row(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        let user = self.meaning.user_ids.parse(&fields.user);
        Ok(Row {
            post: self.meaning.post(&fields.post)?,
            user: user.map_err(|error| format!("user_id: {error}"))?,
            reaction: self.reaction(&fields.reaction)?,
            active: fields.active.as_deref().map_or(Ok(true), flag)?,
            at: self.past(&fields.at)?,
        })
    }

    fn reaction(&mut self, text: &str) -> Result<Reaction, String> {
        if let Some(mapped) = self.map.get(text) {
            return Ok((*mapped).clone());
        }
        self.names.of(text).ok_or_else(|| {
            "reaction_type is neither a name a-z 0-9 + - _ of at most 32 characters nor one emoji; \
             give --map OLD=NEW for names of another form"
                .into()
        })
    }

    fn past(&self, text: &str) -> Result<Micros, String> {
        let at = time(text)?;
        if at > self.now {
            return Err(format!("the time {at} lies in the future"));
        }
        Ok(at)
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "t" | "true" | "1" | "y" | "yes" | "on" => Ok(true),
        "f" | "false" | "0" | "n" | "no" | "off" => Ok(false),
        _ => Err("is_active is not t, f, true, false, 1 or 0".into()),
    }
}

/// Reads `2024-03-01T12:00:00.123456Z` and what databases write: a space for the T, an offset of
/// any length, no zone (UTC), no time (midnight).
pub(crate) fn time(text: &str) -> Result<Micros, String> {
    const FORM: &str = "the time is not of the form 2024-03-01 12:00:00+00; no zone means UTC";
    let text = text.trim();
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let pieces = Pieces::parse(text).map_err(|_| FORM)?;
    if pieces.time_zone_annotation().is_some() {
        return Err(FORM.into());
    }
    let date = pieces.date().to_datetime(pieces.time().unwrap_or_default());
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    let at = offset.to_timestamp(date).map_err(|_| FORM)?;
    let micros = u64::try_from(at.as_microsecond()).ok().map(Micros);
    micros.ok_or_else(|| "the time lies before 1970".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_that_databases_write() {
        let noon = Micros(1_709_294_400_000_000);
        for text in [
            "2024-03-01T12:00:00Z",
            "2024-03-01 12:00:00+00",
            "2024-03-01 12:00:00",
            "2024-03-01T12:00:00.000000Z",
            "2024-03-01 14:00:00+02:00",
            "2024-03-01 14:00:00+0200",
            "2024-03-01 06:30:00-05:30",
            "2024-03-01 12:00:00 UTC",
            " 2024-03-01 12:00 ",
            "2024-03-01t12:00:00z",
        ] {
            assert_eq!(time(text), Ok(noon), "{text}");
        }
        assert_eq!(time("2024-03-01 12:00:00.123456789"), Ok(Micros(noon.0 + 123_456)));
        assert_eq!(time("2024-03-01"), Ok(Micros(noon.0 - 43_200_000_000)));
        assert_eq!(time("1970-01-01"), Ok(Micros(0)));
    }

    #[test]
    fn times_of_other_forms_are_not_guessed() {
        for text in [
            "",
            "1709294400",
            "03/01/2024",
            "01.03.2024 12:00",
            "2024-02-30",
            "2024-03-01 25:00:00",
            "2024-03-01 12:00:00 Europe/Berlin",
            "2024-03-01T12:00:00[Europe/Berlin]",
            "2024-03-01 12:00:00\0",
            "1969-12-31 23:59:59",
            "yesterday",
        ] {
            assert!(time(text).is_err(), "{text} was read");
        }
    }

    #[test]
    fn a_row_is_read_by_its_meaning() {
        let meaning = Meaning {
            map: vec![("LIKE".into(), "like".parse().expect("a reaction"))],
            post_ids: PostIds::Integer(1),
            ..Meaning::default()
        };
        let mut parsing = Parsing::new(&meaning, Micros(2_000_000_000_000_000));
        let fields = Fields {
            post: "7".into(),
            user: "42".into(),
            reaction: "LIKE".into(),
            active: Some("F".into()),
            at: "2024-03-01".into(),
        };
        let row = parsing.row(&fields).expect("a row");
        assert_eq!(row.post.to_string(), "6f6e6574-6170-8000-8001-000000000007");
        assert_eq!((row.reaction.as_str(), row.active), ("like", false));
        for (change, word) in [
            (Fields { post: "-7".into(), ..fields.clone() }, "post_id"),
            (Fields { user: "0".into(), ..fields.clone() }, "user_id"),
            (Fields { reaction: "Like".into(), ..fields.clone() }, "--map"),
            (Fields { active: Some("maybe".into()), ..fields.clone() }, "is_active"),
            (Fields { at: "2124-01-01".into(), ..fields.clone() }, "future"),
        ] {
            let why = parsing.row(&change).expect_err("refused");
            assert!(why.contains(word), "{why}");
        }
    }
}
