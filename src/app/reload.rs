//! What SIGHUP changes while the service runs. A file that cannot be used changes nothing.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::metrics::Reloads;
use crate::config::ConfigError;
use crate::domain::Palettes;

/// What a configuration changes without a restart.
#[derive(Debug)]
pub struct Fresh {
    /// What may be tapped.
    pub palettes: Arc<Palettes>,
    /// Settings that have changed, and need a restart.
    pub later: Vec<String>,
}

/// Reads the configuration again.
type ReadAgain = Box<dyn FnMut() -> Result<Fresh, ConfigError> + Send>;

/// How the operator asks for a reload, and what it reads.
pub struct Reload {
    /// Keys: asked of the task that watches their files.
    pub(super) keys: Arc<Notify>,
    configuration: Arc<Notify>,
    read: Option<ReadAgain>,
}

/// Asks for a reload.
#[derive(Clone, Debug)]
pub struct AskReload([Arc<Notify>; 2]);

impl AskReload {
    /// Asks.
    pub fn now(&self) {
        self.0.iter().for_each(|asked| asked.notify_one());
    }
}

impl Default for Reload {
    /// Nobody asks.
    fn default() -> Self {
        Self { keys: Arc::default(), configuration: Arc::default(), read: None }
    }
}

impl Reload {
    /// `read` reads the configuration file, if there is one.
    pub fn new(read: Option<ReadAgain>) -> Self {
        Self { read, ..Self::default() }
    }

    /// Asks for a reload.
    pub fn asker(&self) -> AskReload {
        AskReload([Arc::clone(&self.keys), Arc::clone(&self.configuration)])
    }

    /// Reads the configuration again whenever the operator asks.
    pub(super) fn watch_configuration(
        self,
        palettes: Arc<ArcSwap<Palettes>>,
        reloads: Arc<Reloads>,
        stop: CancellationToken,
    ) {
        let Some(mut read) = self.read else { return };
        let asked = self.configuration;
        tokio::spawn(async move {
            while stop.run_until_cancelled(asked.notified()).await.is_some() {
                let again = move || {
                    let fresh = read();
                    (read, fresh)
                };
                // It panics only with a bug of ours; then everything stays as it is.
                let Ok((unread, fresh)) = tokio::task::spawn_blocking(again).await else { return };
                read = unread;
                match fresh {
                    Ok(Fresh { palettes: fresh, later }) => {
                        palettes.store(fresh);
                        reloads.good.add(1);
                        tracing::info!("onetap has read its configuration again");
                        if !later.is_empty() {
                            let later = later.join(", ");
                            tracing::warn!(
                                "{later}: changed; restart onetap to use the new values"
                            );
                        }
                    }
                    Err(error) => {
                        reloads.bad.add(1);
                        tracing::warn!(
                            "{error}; until then onetap goes on with what it read before"
                        );
                    }
                }
            }
        });
    }
}
