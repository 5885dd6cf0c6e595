//! Documents: what jobs keep besides the reactions.

use deadpool_redis::redis::Value;

use super::answer::{ItemResult, Unreadable, failed};
use super::tap::shared_args;
use super::{ArgWriter, Effect, KeyWriter, Operation, Retry, Script, Shape, lua};
use crate::domain::Partition;
use crate::store::redis::keys::document_partition;
use crate::store::{Document, DocumentWrite, StoreError};

const READ: Shape = Shape { keys: 1, shared_args: 1, args: 0, answers: 1 };
const WRITE: Shape = Shape { keys: 1, shared_args: 5, args: 5, answers: 1 };

static READ_DOCUMENT: Script = lua!("document", Effect::Reads, READ, super::script::read_work);
static WRITE_DOCUMENT: Script = lua!("write_document", Effect::Removes, WRITE, shared_args);

/// The status of a write that took place.
const CHANGED: i64 = 2;

/// Reads the document with this name.
#[derive(Debug)]
pub(crate) struct ReadDocument(pub(crate) Box<str>);

impl Operation for ReadDocument {
    type Answer = Option<Document>;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&READ_DOCUMENT];

    fn script(&self) -> &'static Script {
        &READ_DOCUMENT
    }

    fn retry(&self) -> Retry {
        Retry::Safe
    }

    fn partition(&self) -> Partition {
        document_partition(&self.0)
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_document(key, &self.0));
    }

    fn write_args(&self, _: &mut ArgWriter<'_>, _: i64) {}

    fn read(&self, elements: &[Value]) -> ItemResult<Option<Document>> {
        match elements {
            [Value::Nil] => Ok(Ok(None)),
            [Value::BulkString(bytes)] => Ok(match document(bytes) {
                Some(document) => Ok(Some(document)),
                None => Err(StoreError::Damaged(format!("the document {}", self.0))),
            }),
            [Value::Int(status)] => failed(*status, &format_args!("the document {}", self.0)),
            _ => Err(Unreadable),
        }
    }
}

fn document(bytes: &[u8]) -> Option<Document> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let version = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
    Some(Document { version, body: bytes[space + 1..].to_vec() })
}

/// Writes a document, if it has the expected version.
#[derive(Debug)]
pub(crate) struct WriteDocument(pub(crate) Box<DocumentWrite>);

impl Operation for WriteDocument {
    type Answer = bool;
    #[cfg(test)]
    const SCRIPTS: &'static [&'static Script] = &[&WRITE_DOCUMENT];

    fn script(&self) -> &'static Script {
        &WRITE_DOCUMENT
    }

    /// A second run would find the version of the first, and answer that it was not written.
    fn retry(&self) -> Retry {
        Retry::Never
    }

    fn partition(&self) -> Partition {
        document_partition(&self.0.name)
    }

    fn write_keys(&self, keys: &mut KeyWriter<'_>) {
        keys.key(|keys, key| keys.write_document(key, &self.0.name));
    }

    fn write_args(&self, args: &mut ArgWriter<'_>, not_after: i64) {
        let DocumentWrite { expected, body, keep, .. } = &*self.0;
        args.arg(not_after)
            .arg(*expected)
            .arg(if body.is_some() { "w" } else { "d" })
            .arg(body.as_deref().unwrap_or_default());
        match keep {
            Some(keep) => {
                args.arg(keep.as_millis().clamp(1, i64::MAX.unsigned_abs() as u128 / 2).to_string())
            }
            None => args.arg(""),
        };
    }

    fn read(&self, elements: &[Value]) -> ItemResult<bool> {
        match elements {
            [Value::Int(CHANGED)] => Ok(Ok(true)),
            [Value::Int(0)] => Ok(Ok(false)),
            [Value::Int(status)] if *status < 0 => {
                failed(*status, &format_args!("the document {}", self.0.name))
            }
            _ => Err(Unreadable),
        }
    }
}
