//! The stream of entries from the process that has the store file open to the one that makes the
//! copy.
//!
//! The stream is a greeting, the number of entries, the entries, and an end mark. Without the end
//! mark the copy is not whole. An entry is: table, length of the key, length of the value, key,
//! value. Numbers are big-endian, as in the file.

use std::io::{self, Read, Write};

use redb::{ReadTransaction, ReadableTable as _, ReadableTableMetadata as _};

use super::super::file_error::{FileError, FileResult};
use super::super::{keys, listings};

const GREETING: &[u8] = b"onetap backup 1\n";
const END: u8 = 0xff;
const FAILED: u8 = 0xfe;

/// No key and no value of onetap's is longer.
const MOST_BYTES: usize = 1 << 24;

/// After this many bytes the sender pauses for as long as they took, so that taps get their turn.
const STRETCH: usize = 256 << 10;

/// A table of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Meta,
    Posts,
    Log,
    Expiry,
    Given,
    Documents,
    Until,
}

/// A key and its value in a table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) table: Table,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Sends all entries of one commit. Calls `go_on` now and then; an error of it ends the copy.
pub(super) fn send(
    txn: &ReadTransaction,
    out: &mut impl Write,
    go_on: impl Fn() -> Result<(), String>,
) -> io::Result<()> {
    let mut sender = Sender { out, stretch: 0, began: std::time::Instant::now(), sent: 0, go_on };
    match sender.all(txn) {
        Ok(()) => sender.out.flush(),
        Err(Failed::Out(error)) => Err(error),
        Err(Failed::Source(why)) => fail(sender.out, &why),
    }
}

/// Sends the reason why no more entries follow.
pub(super) fn fail(out: &mut impl Write, why: &str) -> io::Result<()> {
    out.write_all(&[FAILED])?;
    out.write_all(&(why.len() as u32).to_be_bytes())?;
    out.write_all(&0_u32.to_be_bytes())?;
    out.write_all(why.as_bytes())?;
    out.flush()
}

enum Failed {
    /// The other side is gone.
    Out(io::Error),
    /// The file cannot be read any more.
    Source(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Out(error)
    }
}

impl From<FileError> for Failed {
    fn from(trouble: FileError) -> Self {
        Self::Source(trouble.to_string())
    }
}

struct Sender<'a, W, F> {
    out: &'a mut W,
    /// Bytes since the last pause, and when that was.
    stretch: usize,
    began: std::time::Instant,
    sent: u64,
    go_on: F,
}

impl<W: Write, F: Fn() -> Result<(), String>> Sender<'_, W, F> {
    fn all(&mut self, txn: &ReadTransaction) -> Result<(), Failed> {
        let read = |error: redb::Error| Failed::from(FileError::from(error));
        let meta = txn.open_table(keys::META).map_err(|error| read(error.into()))?;
        let posts = txn.open_table(keys::POSTS).map_err(|error| read(error.into()))?;
        let log = txn.open_table(keys::LOG).map_err(|error| read(error.into()))?;
        let expiry = txn.open_table(keys::EXPIRY).map_err(|error| read(error.into()))?;
        let given = listings::open(txn, keys::GIVEN)?;
        let documents = listings::open(txn, keys::DOCUMENTS)?;
        let until = listings::open(txn, keys::UNTIL)?;
        let lengths = || -> FileResult<u64> {
            let mut later = 0;
            for table in [&given, &until].into_iter().flatten() {
                later += table.len()?;
            }
            if let Some(documents) = &documents {
                later += documents.len()?;
            }
            Ok(meta.len()? + posts.len()? + log.len()? + expiry.len()? + later)
        };
        self.out.write_all(GREETING)?;
        self.out.write_all(&lengths()?.to_be_bytes())?;
        for entry in meta.iter().map_err(FileError::from)? {
            let (key, value) = entry.map_err(FileError::from)?;
            self.entry(Table::Meta, key.value().as_bytes(), &value.value().to_be_bytes())?;
        }
        for entry in posts.iter().map_err(FileError::from)? {
            let (key, value) = entry.map_err(FileError::from)?;
            self.entry(Table::Posts, key.value(), value.value())?;
        }
        for entry in log.iter().map_err(FileError::from)? {
            let (key, value) = entry.map_err(FileError::from)?;
            let (partition, millis, number) = key.value();
            let key = [&[partition][..], &millis.to_be_bytes(), &number.to_be_bytes()].concat();
            self.entry(Table::Log, &key, value.value())?;
        }
        for entry in expiry.iter().map_err(FileError::from)? {
            let (key, _) = entry.map_err(FileError::from)?;
            let (at, post, record) = key.value();
            let key = [&at.to_be_bytes()[..], post, record].concat();
            self.entry(Table::Expiry, &key, &[])?;
        }
        for (table, keys) in [(Table::Given, &given), (Table::Until, &until)] {
            let Some(keys) = keys else { continue };
            for entry in keys.iter().map_err(FileError::from)? {
                self.entry(table, entry.map_err(FileError::from)?.0.value(), &[])?;
            }
        }
        if let Some(documents) = &documents {
            for entry in documents.iter().map_err(FileError::from)? {
                let (name, value) = entry.map_err(FileError::from)?;
                self.entry(Table::Documents, name.value().as_bytes(), value.value())?;
            }
        }
        self.out.write_all(&[END])?;
        self.out.write_all(&0_u64.to_be_bytes())?;
        Ok(self.out.write_all(&self.sent.to_be_bytes())?)
    }

    fn entry(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Failed> {
        self.out.write_all(&[table as u8])?;
        self.out.write_all(&(key.len() as u32).to_be_bytes())?;
        self.out.write_all(&(value.len() as u32).to_be_bytes())?;
        self.out.write_all(key)?;
        self.out.write_all(value)?;
        self.sent += 1;
        self.stretch += key.len() + value.len();
        if self.stretch >= STRETCH {
            (self.go_on)().map_err(Failed::Source)?;
            std::thread::sleep(self.began.elapsed());
            (self.stretch, self.began) = (0, std::time::Instant::now());
        }
        Ok(())
    }
}

/// The entries as they arrive.
pub(super) struct Entries<R> {
    input: R,
    /// The announced number of entries.
    pub(super) of: u64,
    received: u64,
}

impl<R: Read> Entries<R> {
    pub(super) fn begin(mut input: R) -> io::Result<Self> {
        let mut greeting = [0; GREETING.len()];
        input.read_exact(&mut greeting[..1])?;
        if greeting[0] == FAILED {
            return Err(io::Error::other(failure(&mut input)?));
        }
        input.read_exact(&mut greeting[1..])?;
        if greeting != GREETING {
            return Err(io::Error::other("what answers there is not this release of onetap"));
        }
        let of = number(&mut input)?;
        Ok(Self { input, of, received: 0 })
    }

    /// The next entry; None after the last.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let mut table = [0];
        self.input.read_exact(&mut table)?;
        let table = match table[0] {
            0 => Table::Meta,
            1 => Table::Posts,
            2 => Table::Log,
            3 => Table::Expiry,
            4 => Table::Given,
            5 => Table::Documents,
            6 => Table::Until,
            FAILED => return Err(io::Error::other(failure(&mut self.input)?)),
            END => {
                number(&mut self.input)?;
                let sent = number(&mut self.input)?;
                return match sent == self.received && sent == self.of {
                    true => Ok(None),
                    false => Err(io::Error::other("some entries are missing")),
                };
            }
            _ => return Err(io::Error::other("an entry of no known table")),
        };
        let (key, value) = (length(&mut self.input)?, length(&mut self.input)?);
        let (key, value) = (bytes(&mut self.input, key)?, bytes(&mut self.input, value)?);
        self.received += 1;
        Ok(Some(Entry { table, key, value }))
    }
}

fn failure(input: &mut impl Read) -> io::Result<String> {
    let (why, _) = (length(input)?, length(input)?);
    Ok(String::from_utf8_lossy(&bytes(input, why)?).into_owned())
}

fn number(input: &mut impl Read) -> io::Result<u64> {
    let mut number = [0; 8];
    input.read_exact(&mut number)?;
    Ok(u64::from_be_bytes(number))
}

fn length(input: &mut impl Read) -> io::Result<usize> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    match u32::from_be_bytes(length) as usize {
        length if length <= MOST_BYTES => Ok(length),
        _ => Err(io::Error::other("an entry that is longer than any of onetap's")),
    }
}

fn bytes(input: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase as _, backends::InMemoryBackend};

    use super::*;

    fn sent() -> Vec<u8> {
        let made = Database::builder().create_with_backend(InMemoryBackend::new());
        let database = made.expect("a database");
        let txn = database.begin_write().expect("a transaction");
        {
            let mut meta = txn.open_table(keys::META).expect("a table");
            meta.insert("layout", 1).expect("room");
            let mut posts = txn.open_table(keys::POSTS).expect("a table");
            posts.insert(&b"key"[..], &b"value"[..]).expect("room");
            let mut log = txn.open_table(keys::LOG).expect("a table");
            log.insert((1, 2, 3), &b"entry"[..]).expect("room");
            let mut expiry = txn.open_table(keys::EXPIRY).expect("a table");
            expiry.insert((4, &[5; 16], &[6; 16]), ()).expect("room");
            let mut given = txn.open_table(keys::GIVEN).expect("a table");
            given.insert(&b"user"[..], ()).expect("room");
            let mut documents = txn.open_table(keys::DOCUMENTS).expect("a table");
            documents.insert("name", &b"body"[..]).expect("room");
        }
        txn.commit().expect("a commit");
        let mut out = Vec::new();
        send(&database.begin_read().expect("a look"), &mut out, || Ok(())).expect("memory");
        out
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<Table>> {
        let mut entries = Entries::begin(bytes)?;
        let mut tables = Vec::new();
        while let Some(entry) = entries.next()? {
            tables.push(entry.table);
        }
        Ok(tables)
    }

    #[test]
    fn every_table_is_sent_and_nothing_less_than_all_is_taken() {
        let all = sent();
        // One table is missing, as in a file of an earlier release.
        let old = [Table::Meta, Table::Posts, Table::Log, Table::Expiry];
        let tables = [&old[..], &[Table::Given, Table::Documents]].concat();
        assert_eq!(read(&all).expect("whole"), tables);
        for length in 0..all.len() {
            assert!(read(&all[..length]).is_err(), "{length} of {} bytes", all.len());
        }
        // An entry is missing, but the end mark is there.
        let (head, end) = (GREETING.len() + 8, all.len() - 17);
        let short = [&all[..head], &all[end..]].concat();
        assert!(read(&short).expect_err("not whole").to_string().contains("missing"));
    }

    #[test]
    fn what_went_wrong_at_the_other_end_is_said_here() {
        let mut out = Vec::new();
        fail(&mut out, "the store file is closed").expect("memory");
        assert_eq!(read(&out).expect_err("no entries").to_string(), "the store file is closed");
        let all = sent();
        let broken = [&all[..GREETING.len() + 8], &out].concat();
        assert_eq!(read(&broken).expect_err("no end").to_string(), "the store file is closed");
        assert!(read(b"HTTP/1.1 400 Bad Request\r\n\r\n").is_err());
    }
}
