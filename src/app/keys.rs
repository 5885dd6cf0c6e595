//! The keys of callers, and the task that reads them again when their files change.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::auth::KeyRing;
use crate::config::{AuthOptions, ConfigError};
use crate::http::AccessRules;
use crate::keys::{KeySource, Reloaded};

/// How often onetap looks whether a file with keys has changed.
const KEY_FILES_EVERY: Duration = Duration::from_secs(1);

/// Reads the keys, and reads them again when their files change.
pub(super) fn watch(
    auth: &AuthOptions,
    stop: &CancellationToken,
) -> Result<(Arc<KeyRing>, AccessRules), ConfigError> {
    let mut source = KeySource::open(&auth.files)
        .map_err(|error| ConfigError::told(error.key, &error.problem))?;
    let ring = KeyRing::new(source.keys());
    let (watched, stop) = (Arc::clone(&ring), stop.clone());
    tokio::spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(KEY_FILES_EVERY)).await.is_some() {
            let refresh = move || {
                let told = source.refresh();
                (source, told)
            };
            // It panics only with a bug of ours; then the keys stay as they are.
            let Ok((refreshed, told)) = tokio::task::spawn_blocking(refresh).await else { return };
            source = refreshed;
            if told.iter().any(|told| matches!(told, Reloaded::Good(_))) {
                watched.replace(source.keys());
            }
            for told in told {
                match told {
                    Reloaded::Good(file) => {
                        tracing::info!("{file}: it has changed; onetap uses it")
                    }
                    Reloaded::Bad(error) => {
                        tracing::warn!("{error}; until then onetap uses what it held last");
                    }
                }
            }
        }
    });
    Ok((ring, auth.rules))
}
