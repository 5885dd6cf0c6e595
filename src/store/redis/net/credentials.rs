//! User, password and certificate authority for Redis. onetap reads their files again for each new
//! connection, since operators change them while services run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use deadpool_redis::redis::{ProtocolVersion, RedisConnectionInfo, TlsCertificates};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::address::{Address, Secret};
use crate::telemetry::ThrottledWarnings;

/// The files that flags name.
#[derive(Clone, Debug, Default)]
pub struct CredentialFiles {
    /// The file with the password.
    pub password: Option<PathBuf>,
    /// The file with certificate authorities, in PEM; one of them has signed the server's
    /// certificate.
    pub ca: Option<PathBuf>,
}

/// The credentials of a new connection.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) settings: RedisConnectionInfo,
    pub(crate) tls: Option<TlsCertificates>,
}

/// The credentials, as last read.
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

    /// The credentials for a new connection. If a file is unreadable, they are those last read from
    /// it.
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

/// Reads the password from a file.
///
/// # Errors
///
/// If the file is unreadable or empty; the message names the flag.
pub fn password_in(path: &Path) -> Result<Secret, String> {
    const FLAG: &str = "--redis-password-file";
    let text = std::fs::read_to_string(path).map_err(|error| of(FLAG, path, &error))?;
    // Editors end a file with a line break; no password ends with one.
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
    // RESP3, because only then redis-rs reports that the server closed the connection.
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
    // redis-rs leaves the choice of cryptography to the program. An error means that another part
    // of it has chosen already, which is fine.
    drop(rustls::crypto::ring::default_provider().install_default());
    if let Some(pem) = &ca {
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            certificate.map_err(|error| format!("a certificate in it cannot be read: {error}"))?;
            found += 1;
        }
        if found == 0 {
            return Err("it has no certificate; give a PEM file with at least one".into());
        }
    }
    Ok(TlsCertificates { client_tls: None, root_cert: ca })
}
