//! `onetap serve`: binds the socket, handles signals, runs the service.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::{self, AskReload, Failure, Fresh, Listeners, Reload};
use crate::config::{Config, ConfigError, Flags, Listen, Settings};
use crate::http::Listener;
use crate::telemetry::{self, LogFilter};

const KEY_FILES: [&str; 3] = ["--jwt-hs256-secret-file", "--jwks-file", "--service-keys-file"];

/// Serves until a signal stops it.
pub(super) fn run(flags: &Flags, settings: &Settings) -> Result<(), Failure> {
    let config = Config::new(settings)?;
    let log = telemetry::log_to_stderr(&config.log, config.log_format)
        .map_err(|problem| ConfigError::told("--log", &problem))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let stop = CancellationToken::new();
        let reload = Reload::new(settings.has_file().then(|| read_again(flags, settings, log)));
        let reloads = settings.has_file() || config.auth.is_some();
        take_signals(stop.clone(), reloads.then(|| reload.asker()))?;
        let (callers, _socket) = bind("--listen", &config.listen)?;
        let admin = config.admin_listen.as_ref().map(|listen| bind("--admin-listen", listen));
        let (admin, _admin_socket) = admin.transpose()?.unzip();
        app::run(config, Listeners { callers, admin }, reload, stop).await
    });
    // A reload may still be reading a file, and a network file system may never answer. The process
    // ends without waiting for it.
    runtime.shutdown_background();
    served
}

/// Reads flags, variables and the configuration file again. A configuration that a start would
/// refuse changes nothing.
fn read_again(
    flags: &Flags,
    running: &Settings,
    log: LogFilter,
) -> Box<dyn FnMut() -> Result<Fresh, ConfigError> + Send> {
    let (flags, running) = (flags.clone(), running.clone());
    Box::new(move || {
        let settings = Settings::merge(&flags)?;
        let later = settings.need_restart(&running);
        // If the configuration names other key files, onetap checks now that a start could read
        // them.
        let other_keys = later.iter().any(|flag| KEY_FILES.contains(&flag.as_str()));
        let config =
            if other_keys { Config::new(&settings) } else { Config::without_keys(&settings) }?;
        log.replace(&config.log).map_err(|problem| ConfigError::told("--log", &problem))?;
        Ok(Fresh { palettes: config.palettes, later })
    })
}

/// The file of a Unix socket. It is removed when the service ends.
struct SocketFile {
    path: PathBuf,
    /// Device and inode of our socket. Another service may have put its own in its place.
    own: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), own: identity(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.own.is_some() && identity(&self.path) == self.own {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

fn bind(flag: &str, listen: &Listen) -> Result<(Listener, Option<SocketFile>), Failure> {
    let bound = match listen {
        Listen::Tcp(address) => TcpListener::bind(address).map(|bound| (bound.into(), None)),
        Listen::Unix(path) => {
            clear_away(flag, listen, path)?;
            UnixListener::bind(path)
                .map(|bound| (Listener::Unix(bound), Some(SocketFile::at(path))))
        }
    };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Failure::Taken(format!(
            "{flag} {listen}: another program has taken it; stop that program, or choose another \
             address"
        )),
        _ => {
            let hint = match listen {
                Listen::Tcp(_) => "choose an address of this machine and a port that you may use",
                Listen::Unix(_) => "choose a path in a directory that you may write to",
            };
            ConfigError::new(format!("{flag} {listen}"), error.to_string(), hint).into()
        }
    })
}

/// Removes the socket file of a service that was killed. Leaves all other files alone.
fn clear_away(flag: &str, listen: &Listen, path: &Path) -> Result<(), Failure> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        let problem = "a file that is not a socket is there";
        let key = format!("{flag} {listen}");
        return Err(ConfigError::new(key, problem, "choose another path").into());
    }
    if UnixStream::connect(path)
        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// SIGTERM and SIGINT stop the service. SIGHUP reloads its files, or stops it if there are none.
fn take_signals(stop: CancellationToken, reload: Option<AskReload>) -> io::Result<()> {
    let mut hangup = super::hangup()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    super::take_no_harm()?;
    tokio::spawn(async move {
        let mut asked = 0;
        while asked < 2 {
            asked += tokio::select! {
                _ = terminate.recv() => 1,
                _ = interrupt.recv() => 1,
                () = super::heard(&mut hangup) => match &reload {
                    Some(reload) => {
                        reload.now();
                        continue;
                    }
                    // It does not count: a closing terminal may send it beside another signal.
                    None => 0,
                },
            };
            if !stop.is_cancelled() {
                tracing::info!(
                    "stopping after the requests in flight; send the signal again to stop at once"
                );
                stop.cancel();
            }
        }
        std::process::exit(0);
    });
    Ok(())
}
