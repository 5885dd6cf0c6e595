//! The export of a running service, as lines.

use std::io::{BufRead as _, BufReader, Read as _};

use serde::Deserialize;

use super::export::{Exported, Moved, Parts, TOGETHER};
use super::target::Service;
use crate::domain::{Add, DEFAULT_PALETTE, Reactor, Rules};

/// The longest line of an export.
const MOST_BYTES: u64 = 64 * 1024;

/// The header with the cursor to go on from.
pub const CURSOR_HEADER: &str = "onetap-changes-cursor";

#[derive(Deserialize)]
struct LineJson {
    post_id: String,
    user_id: Option<String>,
    reaction: Option<String>,
    reacted_at: Option<String>,
    active: Option<bool>,
    palette: Option<String>,
    add: Option<String>,
    locked: Option<bool>,
    forgotten: Option<bool>,
}

/// Sends what a service has, or what changed since a cursor. Returns the cursor to go on from.
/// Blocks; ends early when the receiver is dropped.
///
/// # Errors
///
/// If the service does not answer, or not as onetap does.
pub(crate) fn lines(
    service: &Service,
    since: Option<&str>,
    parts: &Parts,
) -> Result<String, String> {
    let query = since.map_or(String::new(), |cursor| format!("?since={cursor}"));
    let answer = service.get(&format!("/v1/export{query}"))?;
    let odd = || format!("{}: it is no export of onetap", service.url());
    let cursor = answer.headers().get(CURSOR_HEADER).and_then(|value| value.to_str().ok());
    let cursor = cursor.ok_or_else(odd)?.to_owned();
    let mut lines = BufReader::new(answer.into_body().into_reader());
    let (mut line, mut part) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let read = lines.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line);
        let read = read.map_err(|error| format!("{}: {error}", service.url()))?;
        if read == 0 {
            break;
        }
        part.push(parse(&line).ok_or_else(odd)?);
        if part.len() >= TOGETHER && parts.blocking_send(std::mem::take(&mut part)).is_err() {
            return Ok(cursor);
        }
    }
    let _ = parts.blocking_send(part);
    Ok(cursor)
}

fn parse(line: &[u8]) -> Option<Exported> {
    let line: LineJson = serde_json::from_slice(line).ok()?;
    let post = line.post_id.parse().ok()?;
    if line.forgotten == Some(true) {
        let reaction = line.reaction.map(|text| text.parse()).transpose().ok()?;
        return Some(Exported::Forgotten(post, reaction));
    }
    if let Some(palette) = line.palette {
        let named = (palette != DEFAULT_PALETTE).then(|| palette.parse());
        let palette = named.transpose().ok()?;
        let (add, locked) = (Add::from_word(&line.add?)?, line.locked?);
        return Some(Exported::Rules(post, Rules { palette, add, locked }));
    }
    let reactor = Reactor {
        reacted_at: super::meaning::time(&line.reacted_at?).ok()?,
        user: line.user_id?.parse().ok()?,
        reaction: line.reaction?.parse().ok()?,
    };
    Some(Exported::Member(Moved { post, reactor, active: line.active.unwrap_or(true) }))
}
