//! Certificates made for one test, as files for a server and for the service.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// A folder with a certificate authority and a certificate that it signed. Removed on drop.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    /// A certificate that is valid for these names and addresses.
    pub(crate) fn valid_for(names: &[&str]) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        // Servers of a cluster check each other; a name of its own tells it from what it signs.
        authority.distinguished_name.push(DnType::CommonName, "authority of the tests");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let ca = authority.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let signed = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();

        let certificates = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        std::fs::write(certificates.ca(), ca.pem()).unwrap();
        std::fs::write(certificates.file("server.pem"), signed.pem()).unwrap();
        std::fs::write(certificates.file("server.key"), key.serialize_pem()).unwrap();
        certificates
    }

    fn file(&self, name: &str) -> String {
        self.folder().join(name).to_string_lossy().into_owned()
    }

    /// The certificate authority, for `--redis-ca-file`.
    pub(crate) fn ca(&self) -> String {
        self.file("ca.pem")
    }

    /// The arguments with which a Redis speaks TLS at this port.
    pub(crate) fn server_args(&self, port: u16) -> Vec<String> {
        let args: [(&str, &str); 5] = [
            ("--tls-port", &port.to_string()),
            ("--tls-cert-file", &self.file("server.pem")),
            ("--tls-key-file", &self.file("server.key")),
            ("--tls-ca-cert-file", &self.ca()),
            ("--tls-auth-clients", "no"),
        ];
        args.iter().flat_map(|(flag, value)| [flag.to_string(), value.to_string()]).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }
}
