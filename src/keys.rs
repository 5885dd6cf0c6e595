//! The files with the keys by which the service knows its callers. Operators change them while the
//! service runs; a bad file keeps what it held last.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::auth::{ClaimRules, Jwks, Keys, Secret, ServiceKeys};

/// A longer file is a mistake, and reading a device might never end.
const MOST_BYTES: u64 = 1 << 20;

/// Which files, and what people's claims have to say.
#[derive(Clone, Debug, Default)]
pub struct KeyFiles {
    /// The secret for HS256.
    pub secret: Option<PathBuf>,
    /// The public keys for EdDSA, RS256 and ES256.
    pub jwks: Option<PathBuf>,
    /// The hashes of service keys.
    pub services: Option<PathBuf>,
    /// What people's claims have to say.
    pub rules: ClaimRules,
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct KeyFileError {
    /// The flag that names the file, and its path.
    pub key: String,
    /// `PROBLEM; HINT`.
    pub problem: String,
}

/// The version of a file on the disk: device, inode, size, and the time of its last change.
type Version = (u64, u64, u64, i64, i64);

/// A file, what it held last, and whether that is what it holds now.
#[derive(Debug)]
struct Watched<T> {
    flag: &'static str,
    path: PathBuf,
    read: fn(&[u8]) -> Result<T, String>,
    last: T,
    version: Option<Version>,
    /// The problem that the log has told.
    told: Option<KeyFileError>,
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The file can be used.
    Good(String),
    /// It cannot be used, so what it held last stays.
    Bad(KeyFileError),
}

impl<T> Watched<T> {
    fn open(
        flag: &'static str,
        path: &Path,
        read: fn(&[u8]) -> Result<T, String>,
    ) -> Result<Self, KeyFileError> {
        let version = version(path);
        let last = read_file(flag, path, read)?;
        Ok(Self { flag, path: path.to_owned(), read, last, version, told: None })
    }

    /// Reads the file again if it has changed, or if the operator has `asked`. None if there is
    /// nothing new to say.
    fn refresh(&mut self, asked: bool) -> Option<Reloaded> {
        // Before reading: a file that changes while we read it has another version next time.
        let version = version(&self.path);
        if version == self.version && !asked {
            return None;
        }
        self.version = version;
        if asked {
            self.told = None;
        }
        match read_file(self.flag, &self.path, self.read) {
            Ok(read) => {
                self.last = read;
                self.told = None;
                Some(Reloaded::Good(format!("{} {}", self.flag, self.path.display())))
            }
            Err(problem) if self.told.as_ref() == Some(&problem) => None,
            Err(problem) => {
                self.told = Some(problem.clone());
                Some(Reloaded::Bad(problem))
            }
        }
    }
}

fn version(path: &Path) -> Option<Version> {
    let about = fs::metadata(path).ok()?;
    Some((about.dev(), about.ino(), about.size(), about.ctime(), about.ctime_nsec()))
}

fn read_file<T>(
    flag: &str,
    path: &Path,
    read: fn(&[u8]) -> Result<T, String>,
) -> Result<T, KeyFileError> {
    let failed = |problem| KeyFileError { key: format!("{flag} {}", path.display()), problem };
    let bytes = bytes_of(path)
        .map_err(|error| failed(format!("{error}; name a file that this user can read")))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(failed("it is larger than 1 MiB; name a file with keys".into()));
    }
    if bytes.is_empty() {
        return Err(failed("it is empty; put the keys into it".into()));
    }
    read(&bytes).map_err(failed)
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe would wait for somebody who writes into it.
    if fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::other("it is a pipe, which can be read only once"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn secret(bytes: &[u8]) -> Result<Secret, String> {
    Secret::of_file(bytes).map_err(|error| error.to_string())
}

fn jwks(bytes: &[u8]) -> Result<Jwks, String> {
    Jwks::read(bytes).map_err(|error| error.to_string())
}

fn services(bytes: &[u8]) -> Result<ServiceKeys, String> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|_| "it is not UTF-8; save the file as UTF-8".to_owned())?;
    ServiceKeys::read(text).map_err(|error| error.to_string())
}

/// The files that hold keys, and what onetap last read in each. A bad file does not affect the
/// others: an operator can take a service key away while the JWKS file is bad.
#[derive(Debug)]
pub struct KeySource {
    rules: ClaimRules,
    secret: Option<Watched<Secret>>,
    jwks: Option<Watched<Jwks>>,
    services: Option<Watched<ServiceKeys>>,
}

impl KeySource {
    /// Reads all files for the first time.
    ///
    /// # Errors
    ///
    /// If one of them cannot be used.
    pub fn open(files: &KeyFiles) -> Result<Self, KeyFileError> {
        fn open<T>(
            flag: &'static str,
            path: Option<&PathBuf>,
            read: fn(&[u8]) -> Result<T, String>,
        ) -> Result<Option<Watched<T>>, KeyFileError> {
            path.map(|path| Watched::open(flag, path, read)).transpose()
        }
        Ok(Self {
            rules: files.rules.clone(),
            secret: open("--jwt-hs256-secret-file", files.secret.as_ref(), secret)?,
            jwks: open("--jwks-file", files.jwks.as_ref(), jwks)?,
            services: open("--service-keys-file", files.services.as_ref(), services)?,
        })
    }

    /// Reads again what has changed, or all if the operator has `asked`, and says what became of
    /// it.
    pub fn refresh(&mut self, asked: bool) -> Vec<Reloaded> {
        let all = [
            self.secret.as_mut().and_then(|file| file.refresh(asked)),
            self.jwks.as_mut().and_then(|file| file.refresh(asked)),
            self.services.as_mut().and_then(|file| file.refresh(asked)),
        ];
        all.into_iter().flatten().collect()
    }

    /// The keys, as last read.
    pub fn keys(&self) -> Keys {
        let mut keys = Keys::new(self.rules.clone());
        if let Some(secret) = &self.secret {
            keys = keys.with_secret(&secret.last);
        }
        if let Some(jwks) = &self.jwks {
            keys = keys.with_jwks(jwks.last.clone());
        }
        if let Some(services) = &self.services {
            keys = keys.with_services(services.last.clone());
        }
        keys
    }

    /// What people's claims have to say.
    pub fn rules(&self) -> &ClaimRules {
        &self.rules
    }

    /// The secret for HS256, for minting.
    pub fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref().map(|secret| &secret.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: char) -> String {
        format!("{byte} read never {}\n", "ab".repeat(31) + &format!("0{byte}"))
    }

    #[test]
    fn a_bad_file_keeps_what_it_held_and_says_so_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let [secret, services] = ["secret", "services"].map(|name| folder.path().join(name));
        fs::write(&secret, "x".repeat(40)).expect("written");
        fs::write(&services, key('1')).expect("written");
        let files = KeyFiles {
            secret: Some(secret.clone()),
            services: Some(services.clone()),
            ..KeyFiles::default()
        };
        let mut source = KeySource::open(&files).expect("good files");
        assert_eq!(source.refresh(false), []);
        let shown = |source: &KeySource| format!("{:?}", source.keys());
        let before = shown(&source);
        for bad in ["", "broken", "forum read never zz"] {
            fs::write(&services, bad).expect("written");
            let told = source.refresh(false);
            assert!(matches!(&told[..], [Reloaded::Bad(_)]), "{bad}: {told:?}");
            assert_eq!(source.refresh(false), [], "only once");
            fs::write(&services, bad).expect("written");
            assert_eq!(source.refresh(false), [], "the same problem again");
            assert_eq!(shown(&source), before);
            assert!(matches!(&source.refresh(true)[..], [Reloaded::Good(_), Reloaded::Bad(_)]));
            assert_eq!(shown(&source), before);
        }
        fs::remove_file(&services).expect("removed");
        assert!(matches!(&source.refresh(false)[..], [Reloaded::Bad(_)]));
        // The other file is read nevertheless.
        fs::write(&secret, "y".repeat(50)).expect("written");
        assert!(matches!(&source.refresh(false)[..], [Reloaded::Good(_)]));
        fs::write(&services, key('2')).expect("written");
        assert!(matches!(&source.refresh(false)[..], [Reloaded::Good(_)]));
        assert_ne!(shown(&source), before);
    }
}
