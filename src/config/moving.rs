//! The arguments of `import`, `export` and `diff`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{InvalidSetting, units};
use crate::domain::{MAX_POST_KIND, Reaction};

/// What the fields of a file mean.
#[derive(Clone, Debug, Args)]
pub struct MeaningArgs {
    /// Other names of columns: `post_id=thread_id,updated_at=changed`
    #[arg(long, value_delimiter = ',', value_name = "OURS=THEIRS", value_parser = pair)]
    pub columns: Vec<(String, String)>,

    /// Names of reactions in the file, and what they become: `LIKE=like,HEART=❤️`
    #[arg(long, value_delimiter = ',', value_name = "THEIRS=OURS", value_parser = named)]
    pub map: Vec<(String, Reaction)>,

    /// How the file names posts: `uuid`, `integer`, or `integer:KIND` (docs/ids.md)
    #[arg(long, default_value = "uuid", value_name = "FORM", value_parser = post_ids)]
    pub post_ids: PostIdsArg,
}

/// How a file names posts: by UUIDs, or by integers of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PostIdsArg(pub Option<u16>);

/// The service instead of the store.
#[derive(Clone, Debug, Args)]
pub struct UrlArg {
    /// The address of a running onetap that holds the store: http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// A file whose first line is a service key of that service, with the scope `admin`
    #[arg(long, value_name = "FILE", requires = "url")]
    pub service_key: Option<PathBuf>,
}

/// What `import` reads, and how.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// A file of CSV or NDJSON, perhaps with .gz or .zst; - for standard input
    pub file: PathBuf,

    /// What the fields mean.
    #[command(flatten)]
    pub meaning: MeaningArgs,

    /// The service, instead of a store.
    #[command(flatten)]
    pub service: UrlArg,

    /// Where to write rows that cannot be imported [default: FILE.rejects.ndjson]
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,

    /// On posts with live taps, apply the rows that are newer than the last tap, instead of none
    #[arg(long)]
    pub merge: bool,

    /// Put back what a job has removed: FILE is its receipt. Reactions given since keep their time
    #[arg(long, conflicts_with = "merge")]
    pub restore: bool,

    /// Say what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How long to repeat steps that the store does not answer
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = units::timeout)]
    pub retry_for: Duration,
}

/// What `diff` compares.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// A file of CSV or NDJSON, perhaps with .gz or .zst; - for standard input
    pub file: PathBuf,

    /// What the fields mean.
    #[command(flatten)]
    pub meaning: MeaningArgs,

    /// The service, instead of a store.
    #[command(flatten)]
    pub service: UrlArg,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// A table that PostgreSQL's COPY reads.
    Csv,
}

/// What `export` writes.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// NDJSON, or CSV as PostgreSQL's COPY reads it
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: ExportFormat,

    /// Only what changed since the export that gave this cursor
    #[arg(long, value_name = "CURSOR")]
    pub since: Option<String>,

    /// What the fields mean.
    #[command(flatten)]
    pub meaning: MeaningArgs,

    /// The service, instead of a store.
    #[command(flatten)]
    pub service: UrlArg,
}

fn pair(text: &str) -> Result<(String, String), InvalidSetting> {
    let known = ["post_id", "user_id", "reaction_type", "is_active", "created_at", "updated_at"];
    match text.split_once('=') {
        Some((ours, theirs)) if known.contains(&ours) && !theirs.is_empty() => {
            Ok((ours.to_owned(), theirs.to_owned()))
        }
        _ => Err(InvalidSetting::new(
            format!("`{text}` is not one of our columns, a = and the name in the file"),
            format!("our columns are {}", known.join(", ")),
        )),
    }
}

fn named(text: &str) -> Result<(String, Reaction), InvalidSetting> {
    let pair = text.rsplit_once('=').filter(|(theirs, _)| !theirs.is_empty());
    let read = pair.and_then(|(theirs, ours)| Some((theirs.to_owned(), ours.parse().ok()?)));
    read.ok_or_else(|| {
        InvalidSetting::new(
            format!("`{text}` is not a name in the file, a = and a reaction"),
            "write LIKE=like; a reaction is a name a-z 0-9 + - _ or one emoji",
        )
    })
}

fn post_ids(text: &str) -> Result<PostIdsArg, InvalidSetting> {
    let kind = match text.split_once(':') {
        None if text == "uuid" => return Ok(PostIdsArg(None)),
        None if text == "integer" => Some(0),
        Some(("integer", kind)) => kind.parse().ok().filter(|kind| *kind <= MAX_POST_KIND),
        _ => None,
    };
    kind.map(|kind| PostIdsArg(Some(kind))).ok_or_else(|| {
        InvalidSetting::new(
            format!("`{text}` is no form of post ids"),
            format!("write uuid, integer or integer:KIND, with a kind from 0 to {MAX_POST_KIND}"),
        )
    })
}
