//! User, password and certificate authority for Redis. Their files are read again whenever a
//! connection is opened, since people change them while services run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadpool_redis::redis::{ProtocolVersion, RedisConnectionInfo, TlsCertificates};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::address::{Address, Secret};
use crate::store::ThrottledWarnings;

/// The files that flags name.
#[derive(Clone, Debug, Default)]
pub struct CredentialFiles {
    /// Holds the password.
    pub password: Option<PathBuf>,
    /// Holds certificate authorities in PEM; one of them has signed the server's certificate.
    pub ca: Option<PathBuf>,
}

/// What a connection is opened with.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) settings: RedisConnectionInfo,
    pub(crate) tls: Option<TlsCertificates>,
}

/// The credentials as they were read last.
pub(crate) struct CredentialSource {
    address: Address,
    files: CredentialFiles,
    last: Mutex<Arc<Credentials>>,
    warnings: ThrottledWarnings,
}

impl CredentialSource {
    /// `ca` is in PEM.
    pub(crate) fn new(
        address: &Address,
        ca: Option<Vec<u8>>,
        files: CredentialFiles,
    ) -> Result<Self, String> {
        let first = credentials(address, address.password.clone(), ca)?;
        Ok(Self {
            address: address.clone(),
            files,
            last: Mutex::new(Arc::new(first)),
            warnings: ThrottledWarnings::default(),
        })
    }

    /// What to open a connection with now. If a file cannot be read, what it held last.
    pub(crate) fn now(&self) -> Arc<Credentials> {
        let mut last = self.last.lock();
        if self.files.password.is_some() || self.files.ca.is_some() {
            match self.read() {
                Ok(read) => {
                    self.warnings.settled("the files with credentials for Redis can be read again");
                    *last = Arc::new(read);
                }
                Err(problem) => {
                    self.warnings.about(&format!("{problem}; going on with what it held last"));
                }
            }
        }
        Arc::clone(&last)
    }

    fn read(&self) -> Result<Credentials, String> {
        let password = match &self.files.password {
            Some(path) => Some(password_in(path)?),
            None => self.address.password.clone(),
        };
        let ca = match &self.files.ca {
            Some(path) => {
                Some(std::fs::read(path).map_err(|error| of("--redis-ca-file", path, &error))?)
            }
            None => None,
        };
        credentials(&self.address, password, ca).map_err(|why| format!("--redis-ca-file: {why}"))
    }
}

/// The password in a file.
///
/// # Errors
///
/// If the file cannot be read, or holds none; the line names the flag.
pub fn password_in(path: &Path) -> Result<Secret, String> {
    const FLAG: &str = "--redis-password-file";
    let text = std::fs::read_to_string(path).map_err(|error| of(FLAG, path, &error))?;
    // Editors end a file with a line break; no password does.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{FLAG} {}: it is empty; put the password into it", path.display())),
        password => Ok(Secret::new(password.to_owned())),
    }
}

fn of(flag: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{flag} {}: {error}; name a text file that can be read", path.display())
}

fn credentials(
    address: &Address,
    password: Option<Secret>,
    ca: Option<Vec<u8>>,
) -> Result<Credentials, String> {
    // RESP3, because only then redis-rs tells of a connection that the server has closed.
    let mut settings = RedisConnectionInfo::default()
        .set_db(address.database.into())
        .set_protocol(ProtocolVersion::RESP3);
    if let Some(username) = &address.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &password {
        settings = settings.set_password(Secret::expose(password));
    }
    let tls = address.tls.then(|| certificates(ca)).transpose()?;
    Ok(Credentials { settings, tls })
}

/// The certificate authorities in `ca`, or else those of the system.
fn certificates(ca: Option<Vec<u8>>) -> Result<TlsCertificates, String> {
    // redis-rs leaves the cryptography to the program. That another part of it has chosen already
    // is all right.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(pem) = &ca {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            certificate.map_err(|error| format!("a certificate in it cannot be read: {error}"))?;
            found += 1;
        }
        if found == 0 {
            return Err("there is no certificate in it (it has to be PEM)".into());
        }
    }
    Ok(TlsCertificates { client_tls: None, root_cert: ca })
}
