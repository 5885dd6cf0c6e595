//! The values of documents: version, expiry time or 0, body.

use super::file_error::FileResult;
use super::keys;
use crate::domain::Micros;
use crate::store::Document;

/// A document as the file keeps it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) version: u64,
    pub(super) expires_at: Option<Micros>,
    pub(super) body: Vec<u8>,
}

impl Kept {
    /// Whether it has not expired.
    pub(super) fn is_valid(&self, now: Micros) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }

    /// The document, unless it has expired.
    pub(super) fn document(self, now: Micros) -> Option<Document> {
        self.is_valid(now).then_some(Document { version: self.version, body: self.body })
    }
}

pub(super) fn encode(version: u64, expires_at: Option<Micros>, body: &[u8]) -> Vec<u8> {
    let at = expires_at.map_or(0, |at| at.0);
    [&version.to_be_bytes()[..], &at.to_be_bytes(), body].concat()
}

pub(super) fn decode(value: &[u8]) -> FileResult<Kept> {
    let odd = || keys::odd("document");
    let (version, rest) = value.split_first_chunk().ok_or_else(odd)?;
    let (at, body) = rest.split_first_chunk().ok_or_else(odd)?;
    let expires_at = match u64::from_be_bytes(*at) {
        0 => None,
        at => Some(Micros(at)),
    };
    Ok(Kept { version: u64::from_be_bytes(*version), expires_at, body: body.to_vec() })
}
