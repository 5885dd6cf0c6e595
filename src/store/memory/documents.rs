//! Documents in memory.

use std::collections::BTreeMap;

use super::StoreError;
use crate::domain::Micros;
use crate::store::{Document, DocumentWrite, USER_INDEX};

/// What a document takes besides its name and body.
const DOCUMENT_BYTES: u64 = 160;

/// The documents of a store.
#[derive(Debug)]
pub(super) struct Documents {
    kept: BTreeMap<String, KeptDocument>,
    bytes: u64,
}

#[derive(Debug)]
struct KeptDocument {
    document: Document,
    expires_at: Option<Micros>,
}

impl Documents {
    /// Those of a new store.
    pub(super) fn new() -> Self {
        let document = Document { version: 1, body: Vec::new() };
        let complete = KeptDocument { document, expires_at: None };
        let mut documents = Self { kept: BTreeMap::new(), bytes: 0 };
        documents.put(USER_INDEX.to_owned(), complete);
        documents
    }

    pub(super) fn read(&self, name: &str, now: Micros) -> Option<Document> {
        self.current(name, now).map(|kept| kept.document.clone())
    }

    /// Writes a document, if it has the expected version. Without `room`, only a write that does
    /// not need more of it.
    pub(super) fn write(
        &mut self,
        write: DocumentWrite,
        now: Micros,
        room: bool,
    ) -> Result<bool, StoreError> {
        let DocumentWrite { name, expected, body, keep } = write;
        self.sweep(now);
        let before = self.current(&name, now).map(|kept| &kept.document);
        if before.map_or(0, |document| document.version) != expected {
            return Ok(false);
        }
        let length = |body: Option<&Vec<u8>>| body.map(Vec::len);
        if !room && length(body.as_ref()) > length(before.map(|document| &document.body)) {
            return Err(StoreError::Overloaded);
        }
        match body {
            None => self.drop(&name),
            Some(body) => {
                let document = Document { version: expected + 1, body };
                let expires_at = keep.map(|keep| now.later(keep));
                self.put(name, KeptDocument { document, expires_at });
            }
        }
        Ok(true)
    }

    /// About how many bytes they take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn current(&self, name: &str, now: Micros) -> Option<&KeptDocument> {
        let kept = self.kept.get(name)?;
        kept.expires_at.is_none_or(|at| at > now).then_some(kept)
    }

    fn put(&mut self, name: String, kept: KeptDocument) {
        self.drop(&name);
        self.bytes += size(&name, &kept);
        self.kept.insert(name, kept);
    }

    fn drop(&mut self, name: &str) {
        if let Some(gone) = self.kept.remove(name) {
            self.bytes -= size(name, &gone);
        }
    }

    /// Drops what has expired.
    fn sweep(&mut self, now: Micros) {
        let is_old = |kept: &KeptDocument| kept.expires_at.is_some_and(|at| at <= now);
        let old: Vec<_> = self.kept.iter().filter(|(_, kept)| is_old(kept)).collect();
        let old: Vec<_> = old.into_iter().map(|(name, _)| name.clone()).collect();
        old.iter().for_each(|name| self.drop(name));
    }
}

fn size(name: &str, kept: &KeptDocument) -> u64 {
    DOCUMENT_BYTES + (name.len() + kept.document.body.len()) as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn write(name: &str, expected: u64, body: Option<&[u8]>, keep: Option<u64>) -> DocumentWrite {
        let (body, keep) = (body.map(<[u8]>::to_vec), keep.map(Duration::from_micros));
        DocumentWrite { name: name.to_owned(), expected, body, keep }
    }

    #[test]
    fn documents_count_as_long_as_they_are_kept_and_a_full_memory_takes_no_larger_ones() {
        let mut documents = Documents::new();
        let empty = documents.bytes();
        let large = write("a", 0, Some(&[0; 1000]), Some(10));
        assert_eq!(documents.write(large.clone(), Micros(1), false), Err(StoreError::Overloaded));
        assert_eq!(documents.write(large, Micros(1), true), Ok(true));
        assert!(documents.bytes() > empty + 1000);
        // Jobs must go on, and end.
        let same = write("a", 1, Some(&[1; 1000]), Some(10));
        assert_eq!(documents.write(same, Micros(5), false), Ok(true));
        let larger = write("a", 2, Some(&[1; 1001]), Some(10));
        assert_eq!(documents.write(larger, Micros(5), false), Err(StoreError::Overloaded));
        assert!(documents.read("a", Micros(14)).is_some_and(|it| it.version == 2));
        assert_eq!(documents.read("a", Micros(15)), None);
        // Any write drops what has expired.
        assert_eq!(documents.write(write("b", 0, None, None), Micros(15), false), Ok(true));
        assert_eq!(documents.bytes(), empty);
    }
}
