//! The keys of callers, and the task that reads them again when their files change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::metrics::Reloads;
use crate::auth::KeyRing;
use crate::config::{AuthOptions, ConfigError};
use crate::http::AccessRules;
use crate::keys::{KeySource, Reloaded};

/// How often onetap looks whether a file with keys has changed.
const KEY_FILES_EVERY: Duration = Duration::from_secs(1);

/// Reads the keys, and reads them again when their files change, or when the operator has `asked`.
pub(super) fn watch(
    auth: &AuthOptions,
    asked: Arc<Notify>,
    reloads: Arc<Reloads>,
    stop: &CancellationToken,
) -> Result<(Arc<KeyRing>, AccessRules), ConfigError> {
    let mut source = KeySource::open(&auth.files)
        .map_err(|error| ConfigError::told(error.key, &error.problem))?;
    let ring = KeyRing::new(source.keys());
    let (watched, stop) = (Arc::clone(&ring), stop.clone());
    tokio::spawn(async move {
        let pause = || tokio::time::timeout(KEY_FILES_EVERY, asked.notified());
        while let Some(asked) = stop.run_until_cancelled(pause()).await {
            let refresh = move || {
                let told = source.refresh(asked.is_ok());
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
                        reloads.good.add(1);
                        tracing::info!("{file}: onetap has read it again, and uses it");
                    }
                    Reloaded::Bad(error) => {
                        reloads.bad.add(1);
                        tracing::warn!("{error}; until then onetap uses what it held last");
                    }
                }
            }
        }
    });
    Ok((ring, auth.rules))
}
