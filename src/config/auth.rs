//! `[auth]`: how the service knows its callers, and what they may do.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{ConfigError, Settings, Source};
use crate::auth::ClaimRules;
use crate::domain::UserIds;
use crate::http::{AccessRules, Reactors};
use crate::keys::{KeyFiles, KeySource};

/// How the service knows its callers, and what they may do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "auth")]
pub struct AuthConfig {
    /// A file with the secret for people's tokens: JWTs signed by HS256
    ///
    /// The secret is the bytes of the file without one newline at its end, at least 32 bytes.
    /// onetap reads the file again when it changes. Without this setting, `--jwks-file` and
    /// `--service-keys-file`, every caller may do everything.
    #[arg(long, value_name = "FILE")]
    pub jwt_hs256_secret_file: Option<PathBuf>,

    /// A JWKS file with the public keys for people's tokens: JWTs signed by EdDSA, RS256 or ES256
    ///
    /// onetap reads the file again when it changes.
    #[arg(long, value_name = "FILE")]
    pub jwks_file: Option<PathBuf>,

    /// What the claim `aud` of people's tokens has to be or to contain [default: such a token is
    /// refused]
    #[arg(long, value_name = "TEXT")]
    pub jwt_audience: Option<String>,

    /// What the claim `iss` of people's tokens has to be [default: anything]
    #[arg(long, value_name = "TEXT")]
    pub jwt_issuer: Option<String>,

    /// A file with the hashes of service keys, for the forum's back end and its moderators
    ///
    /// `onetap service-key` prints a new key and its line. onetap reads the file again when it
    /// changes.
    #[arg(long, value_name = "FILE")]
    pub service_keys_file: Option<PathBuf>,

    /// Let callers without a token read
    #[arg(long, action = ArgAction::Set, default_value = "false")]
    pub public_reads: bool,

    /// Who may see who reacted: `public` (all who may read), `members` (users with a token) or
    /// `service` (service keys alone)
    #[arg(long, default_value = "public", value_name = "WHO")]
    pub reactors: Reactors,

    /// Accept taps, reads and streams of people only for posts that their token names in its claim
    /// `posts`
    #[arg(long, action = ArgAction::Set, default_value = "false")]
    pub require_post_grant: bool,
}

/// How a service knows its callers.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// The files with the keys.
    pub files: KeyFiles,
    /// What callers may do.
    pub rules: AccessRules,
}

impl AuthOptions {
    /// Reads the files once, to say what is wrong with them.
    pub(super) fn read(&self) -> Result<(), ConfigError> {
        let read = KeySource::open(&self.files);
        read.map(drop).map_err(|error| ConfigError::told(error.key, &error.problem))
    }
}

impl AuthConfig {
    fn files(&self, user_ids: UserIds) -> KeyFiles {
        KeyFiles {
            secret: self.jwt_hs256_secret_file.clone(),
            jwks: self.jwks_file.clone(),
            services: self.service_keys_file.clone(),
            rules: ClaimRules {
                user_ids,
                audience: self.jwt_audience.clone(),
                issuer: self.jwt_issuer.clone(),
            },
        }
    }

    /// None if every caller may do everything.
    pub(super) fn options(&self, settings: &Settings) -> Result<Option<AuthOptions>, ConfigError> {
        let files = self.files(settings.sections.store.user_ids);
        let people = files.secret.is_some() || files.jwks.is_some();
        let anybody = people || files.services.is_some();
        let given = |key: &str| settings.given.source(key) != Source::Default;
        let useless = |key: &str, without: &str, hint: &str| {
            let problem = format!("it means nothing without {without}");
            Err(ConfigError::new(format!("--{key}"), problem, hint))
        };
        for key in ["jwt-audience", "jwt-issuer", "require-post-grant"] {
            if given(&key.replace('-', "_")) && !people {
                let tokens = "--jwt-hs256-secret-file or --jwks-file";
                return useless(key, tokens, "name the keys for people's tokens, or drop it");
            }
        }
        for key in ["public-reads", "reactors"] {
            if given(&key.replace('-', "_")) && !anybody {
                let keys = "--jwt-hs256-secret-file, --jwks-file or --service-keys-file";
                return useless(key, keys, "name a file with keys, or drop it");
            }
        }
        if !anybody {
            return Ok(None);
        }
        if self.public_reads && self.require_post_grant {
            return Err(ConfigError::new(
                "--public-reads",
                "it lets everyone read every post, and --require-post-grant only those who have a \
                 grant",
                "drop one of them",
            ));
        }
        let server = &settings.sections.server;
        for (key, set) in
            [("demo", server.demo && given("demo")), ("insecure-no-auth", server.insecure_no_auth)]
        {
            if set {
                return Err(ConfigError::new(
                    format!("--{key}"),
                    "it needs a service without authentication, and [auth] names keys",
                    "drop it, or the keys",
                ));
            }
        }
        let rules = AccessRules {
            public_reads: self.public_reads,
            reactors: self.reactors,
            require_post_grant: self.require_post_grant,
        };
        Ok(Some(AuthOptions { files, rules }))
    }
}
