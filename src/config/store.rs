//! `[store]`: where the reactions are kept.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgAction, Args};

use super::InvalidSetting;
use crate::store::UserIds;
use crate::store::redis::{Address, InvalidAddress};

/// Where the reactions are kept.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "store")]
pub struct StoreSection {
    /// Where to keep reactions: `file:PATH`, `memory:` or the address of a Redis
    ///
    /// `redis://host[:port][/database]`, `redis+sentinel://host[:port],…/name[/database]` or
    /// `redis+cluster://host[:port],…`; `rediss` instead of `redis` for TLS.
    #[arg(long, default_value = "file:./onetap.redb")]
    pub store: StoreUrl,

    /// Refuse to run where onetap would warn: a store that may lose or evict reactions
    #[arg(long, action = ArgAction::Set, default_value = "false")]
    pub strict: bool,

    /// Which ids users have: `integer`, from 1 to 2^63 − 1, or `text`, 1 to 64 of
    /// `A-Z a-z 0-9 . _ @ | : ~ = + -`
    ///
    /// A store holds ids of one kind. Its first start decides which.
    #[arg(long, default_value = "integer", value_name = "KIND", value_parser = user_ids)]
    pub user_ids: UserIds,
}

fn user_ids(text: &str) -> Result<UserIds, InvalidSetting> {
    let known = [UserIds::Integer, UserIds::Text].into_iter().find(|ids| ids.word() == text);
    known.ok_or_else(|| {
        let problem = format!("users cannot have `{text}` ids");
        InvalidSetting::new(problem, "write `integer` or `text`")
    })
}

/// A parsed `--store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// This process's memory.
    Memory,
    /// A file.
    File(PathBuf),
    /// A Redis.
    Redis(Box<Address>),
}

impl StoreUrl {
    /// The kind of store. The settings that only this kind has stand in a section of that name.
    pub(super) fn section(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File(_) => "file",
            Self::Redis(_) => "redis",
        }
    }
}

/// Leaves out user and password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return file(path).map(|path| Self::File(path.into()));
        }
        let address = text.parse().map_err(|why: InvalidAddress| {
            if let Some(meant) = meant(text) {
                let problem = format!("`{text}` names no kind of store");
                return InvalidSetting::new(problem, format!("did you mean `{meant}`?"));
            }
            // The value may contain a password, so the error does not repeat it.
            let problem = foreign_kind(text).unwrap_or_else(|| why.to_string());
            if let Some((problem, hint)) = problem.split_once("; ") {
                return InvalidSetting::new(problem, hint);
            }
            InvalidSetting::new(
                problem,
                "give `file:PATH`, `memory:`, `redis[s]://host[:port][/database]`, \
                 `redis[s]+sentinel://host[:port],…/name[/database]` or \
                 `redis[s]+cluster://host[:port],…`",
            )
        })?;
        Ok(Self::Redis(Box::new(address)))
    }
}

fn file(path: &str) -> Result<&str, InvalidSetting> {
    if path.is_empty() {
        return Err(InvalidSetting::new("`file:` names no file", "write file:PATH"));
    }
    // We refuse a `file://` URL: as a path, its slashes would mean the root of the file system.
    let Some(rest) = path.strip_prefix("//") else { return Ok(path) };
    let meant = match rest.trim_start_matches('/') {
        "" => "PATH".to_owned(),
        name if rest.len() == name.len() => name.to_owned(),
        name => format!("/{name}"),
    };
    let problem = format!("`file:{path}` is a URL, not a path");
    Err(InvalidSetting::new(problem, format!("did you mean `file:{meant}`?")))
}

/// The kind of a store that onetap does not have. Only a plain word, never more of the value.
fn foreign_kind(store: &str) -> Option<String> {
    let (kind, _) = store.split_once(':')?;
    let plain = (1..=16).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric());
    let ours = kind.starts_with("redis") || matches!(kind, "file" | "memory");
    (plain && !ours).then(|| format!("onetap cannot keep reactions in `{kind}:`"))
}

/// A guess at what was meant by a bare name, path or host. None if it may contain a password.
fn meant(store: &str) -> Option<String> {
    if store.trim_end_matches(['/', ':']).eq_ignore_ascii_case("memory") {
        return Some("memory:".into());
    }
    if store.contains("://") || store.contains('@') {
        return None;
    }
    if store.contains(':') || store == "localhost" {
        let redis = format!("redis://{store}");
        return redis.parse::<Address>().is_ok().then_some(redis);
    }
    let is_path = store.contains('/') || store.ends_with(".redb");
    is_path.then(|| format!("file:{store}"))
}
