//! `onetap token` mints a token, `onetap check-token` explains one, and `onetap service-key` makes
//! a service key.

use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom as _, SystemRandom};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::app::{Failure, say};
use crate::auth::{
    self, Caller, MAX_TOKEN_BYTES, Minted, RANDOM_BYTES, Scope, Scopes, ServiceKeys, mint,
    new_service_key,
};
use crate::config::{Config, ConfigError, ServiceKeyArgs, Settings, TokenArgs};
use crate::domain::PostId;
use crate::keys::KeySource;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn source(config: &Config) -> Result<KeySource, ConfigError> {
    let Some(options) = &config.auth else {
        return Err(ConfigError::new(
            "--jwt-hs256-secret-file",
            "without keys there are no tokens",
            "name a file with keys: this one, --jwks-file or --service-keys-file",
        ));
    };
    KeySource::open(&options.files).map_err(|error| ConfigError::told(error.key, &error.problem))
}

/// Mints a token by the secret for HS256.
pub(super) fn mint_one(args: &TokenArgs, settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    let source = source(&config)?;
    let Some(secret) = source.secret() else {
        return Err(ConfigError::new(
            "--jwt-hs256-secret-file",
            "onetap mints tokens by this secret alone, and it is not given",
            "name the file with the secret",
        )
        .into());
    };
    let told = |flag: &str, why: String| ConfigError::new(flag, why, "correct it");
    let user = config.user_ids.parse(&args.user);
    let user = user.map_err(|error| told("--user", error.to_string()))?;
    let posts = args.post.iter().map(|post| post.parse::<PostId>()).collect::<Result<Vec<_>, _>>();
    let posts = posts.map_err(|error| told("--post", error.to_string()))?;
    if posts.len() > auth::MAX_GRANTS {
        return Err(told("--post", "a token names at most 100 posts".into()).into());
    }
    let rules = source.rules();
    let exp = now() + args.expires_in.as_secs();
    let minted = Minted { user, exp, posts: (!posts.is_empty()).then_some(posts) };
    say(&format!("{}\n", mint(&minted, rules, secret)))
}

/// Reads a token or a service key from stdin, and says who it is.
pub(super) fn check(settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    let source = source(&config)?;
    let mut text = String::new();
    std::io::stdin().take(2 * MAX_TOKEN_BYTES as u64).read_to_string(&mut text)?;
    let keys = source.keys();
    match keys.judge(text.trim(), now()) {
        Ok(caller) => say(&format!("accepted: {}\n", described(&caller))),
        Err(why) => Err(Failure::Partly(format!("not accepted: {why}"))),
    }
}

fn described(caller: &Caller) -> String {
    let until = match caller.expires() {
        None => "without end".to_owned(),
        Some(second) => {
            let time = i64::try_from(second).ok();
            let time = time.and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
            let text = time.and_then(|time| time.format(&Rfc3339).ok());
            format!("until {}", text.unwrap_or_else(|| format!("second {second} since 1970")))
        }
    };
    match caller {
        Caller::Anonymous => "nobody".to_owned(),
        Caller::Service(service) => {
            format!("service key `{}`, scopes {}, {until}", service.name, service.scopes)
        }
        Caller::Person(person) => {
            let posts = person.posts.as_ref().map(|posts| {
                let each = posts.iter().map(|(post, add)| format!("\n  {post} {}", add.word()));
                format!("; only for the posts{}", each.collect::<String>())
            });
            format!("user {}, {until}{}", person.user, posts.unwrap_or_default())
        }
    }
}

/// Makes a service key. The first line is the key, the second one stands in the file.
pub(super) fn new_key(args: &ServiceKeyArgs) -> Result<(), Failure> {
    let scopes = Scopes::from_words(&args.scopes).map_err(|word| {
        let words: Vec<_> = Scope::EACH.iter().map(|scope| scope.word()).collect();
        let hint = format!("give some of {}, separated by commas", words.join(", "));
        ConfigError::new("--scopes", format!("`{word}` is no scope"), hint)
    })?;
    let mut random = [0; RANDOM_BYTES];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    let key = new_service_key(random);
    let line = auth::key_line(&args.name, scopes, &args.expires, &key);
    // What we print has to be what the service reads.
    ServiceKeys::read(&line).map_err(|why| {
        let hint =
            "give --name one word, and --expires `never` or a time like 2027-01-31T00:00:00Z";
        ConfigError::new("service-key", why.to_string(), hint)
    })?;
    say(&format!("{key}\n{line}\n"))
}
