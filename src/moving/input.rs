//! The bytes of an input: a file or standard input, decompressed, counted and hashed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use twox_hash::XxHash3_128;

use crate::domain::SourceId;

/// How many bytes are read at a time.
const BUFFER: usize = 256 * 1024;

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// It cannot be opened, or is no file; what to do.
    #[error("{0}")]
    Unusable(String),
    /// It is damaged, or is no table at all.
    #[error("{0}")]
    Damaged(String),
    /// Temporary files cannot be written.
    #[error("temporary files: {0}; free some space, or set TMPDIR to a folder with more")]
    Sorting(io::Error),
}

impl From {
    /// Reads `-` as standard input.
    #[must_use]
    pub fn named(text: &Path) -> Self {
        if text.as_os_str() == "-" { Self::Stdin } else { Self::File(text.to_owned()) }
    }

    /// The name in messages.
    pub fn name(&self) -> String {
        match self {
            Self::Stdin => "standard input".into(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Whether it is standard input or a named pipe.
    pub(crate) fn is_pipe(&self) -> bool {
        match self {
            Self::Stdin => true,
            Self::File(path) => {
                std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo())
            }
        }
    }

    /// How many bytes there are, before decompression, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Stdin => None,
            Self::File(path) => {
                let about = std::fs::metadata(path).ok()?;
                about.is_file().then_some(about.len())
            }
        }
    }

    /// Opens it. `taken` counts the bytes before decompression.
    pub(crate) fn open(&self, taken: Arc<AtomicU64>) -> Result<Input, InputError> {
        let raw: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(io::stdin()),
            Self::File(path) => {
                let unusable =
                    |why: &str| InputError::Unusable(format!("{}: {why}", path.display()));
                let file = File::open(path).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => unusable("there is no such file"),
                    _ => unusable(&error.to_string()),
                })?;
                let about = file.metadata().map_err(|error| unusable(&error.to_string()))?;
                if about.is_dir() {
                    return Err(unusable("it is a directory; name a file, or - for stdin"));
                }
                Box::new(file)
            }
        };
        let raw = BufReader::with_capacity(BUFFER, Counted { raw, taken });
        let extension = match self {
            Self::File(path) => path.extension().and_then(|extension| extension.to_str()),
            Self::Stdin => None,
        };
        let plain: Box<dyn Read + Send> = match extension {
            Some("gz") => Box::new(MultiGzDecoder::new(raw)),
            Some("zst" | "zstd") => Box::new(Zstd::new(raw)),
            _ => Box::new(raw),
        };
        let hashed = Hashed { plain, hash: XxHash3_128::new() };
        Ok(Input { bytes: BufReader::with_capacity(BUFFER, hashed), name: self.name() })
    }
}

/// An open input.
pub(crate) struct Input {
    bytes: BufReader<Hashed>,
    name: String,
}

impl Input {
    /// What is there next; empty at the end.
    pub(crate) fn next(&mut self) -> Result<&[u8], InputError> {
        let name = &self.name;
        self.bytes.fill_buf().map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::UnexpectedEof => "it ends too early; get a whole copy".to_owned(),
                _ => format!("{error}; get a whole copy"),
            };
            InputError::Damaged(format!("{name}: {why}"))
        })
    }

    /// Goes on behind this many bytes.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.bytes.consume(bytes);
    }

    /// Whether its name says that it is NDJSON.
    pub(crate) fn is_named_ndjson(&self) -> bool {
        let name = self.name.strip_suffix(".gz").or_else(|| self.name.strip_suffix(".zst"));
        name.unwrap_or(&self.name).ends_with(".ndjson")
    }

    /// An error that names the input.
    pub(crate) fn damaged(&self, why: &str) -> InputError {
        InputError::Damaged(format!("{}: {why}", self.name))
    }

    /// The id of what has been read, and of what it means.
    pub(crate) fn id(&self, meaning: &str) -> SourceId {
        let mut hash = self.bytes.get_ref().hash.clone();
        hash.write(meaning.as_bytes());
        SourceId(hash.finish_128().to_be_bytes())
    }
}

struct Counted {
    raw: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.raw.read(into)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

struct Hashed {
    plain: Box<dyn Read + Send>,
    hash: XxHash3_128,
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.plain.read(into)?;
        self.hash.write(&into[..read]);
        Ok(read)
    }
}

/// Decompresses all frames of a file: `pzstd` writes many.
struct Zstd {
    raw: BufReader<Counted>,
    decoder: FrameDecoder,
    within_a_frame: bool,
}

impl Zstd {
    fn new(raw: BufReader<Counted>) -> Self {
        Self { raw, decoder: FrameDecoder::new(), within_a_frame: false }
    }

    /// Begins the next frame. False at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        if self.raw.fill_buf()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.init(&mut self.raw) {
            Ok(()) => self.within_a_frame = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = u64::from(length);
                let skipped = io::copy(&mut self.raw.by_ref().take(length), &mut io::sink())?;
                if skipped < length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::other(format!("it is no zstd file ({error})"))),
        }
        Ok(true)
    }

    fn end(&mut self) -> io::Result<()> {
        self.within_a_frame = false;
        let kept = self.decoder.get_checksum_from_data();
        if kept.is_some() && kept != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("its checksum is wrong"));
        }
        Ok(())
    }
}

impl Read for Zstd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within_a_frame && !self.begin()? {
                return Ok(0);
            }
            while self.within_a_frame
                && self.decoder.can_collect() == 0
                && !self.decoder.is_finished()
            {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.raw, one);
                decoded.map_err(|error| io::Error::other(format!("zstd: {error}")))?;
            }
            let read = self.decoder.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if self.within_a_frame {
                self.end()?;
            }
        }
    }
}
