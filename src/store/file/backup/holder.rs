//! The socket at which the process that has the store file open gives copies of it.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::file_core::FileCore;
use super::super::open;
use super::{PATIENCE, entries};
use redb::ReadableDatabase as _;

/// The longest path that fits into a socket address.
const MOST_PATH_BYTES: usize = 100;

/// The path of the socket for a store file.
pub(super) fn socket_of(file: &Path) -> PathBuf {
    let mut socket = file.as_os_str().to_owned();
    socket.push(".sock");
    socket.into()
}

/// Connects to the process that holds the store file.
pub(super) fn connect(file: &Path) -> io::Result<UnixStream> {
    let socket = Short::of(&socket_of(file))?;
    UnixStream::connect(&socket.path)
}

/// Gives copies until it is dropped.
#[derive(Debug)]
pub(in super::super) struct Holder {
    socket: PathBuf,
    /// The device and inode of the socket: another process may have replaced it.
    own: (u64, u64),
    listener: UnixListener,
    state: Arc<Mutex<State>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    over: bool,
    /// The client of the copy in progress.
    client: Option<UnixStream>,
}

impl Holder {
    /// Listens beside the file. The caller has the file open, so a socket found there is a
    /// leftover.
    pub(in super::super) fn begin(file: &Path, shared: Arc<FileCore>) -> io::Result<Self> {
        let socket = socket_of(file);
        let mut new = socket.clone().into_os_string();
        new.push(format!(".{}", std::process::id()));
        let new = PathBuf::from(new);
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&Short::of(&new)?.path)?;
        // The socket gets its own name only after its permissions are set.
        fs::set_permissions(&new, Permissions::from_mode(open::OWNER_ONLY))
            .and_then(|()| fs::rename(&new, &socket))
            .inspect_err(|_| drop(fs::remove_file(&new)))?;
        let own = identity(&socket)?;
        let theirs_to_accept = listener.try_clone()?;
        let state = Arc::new(Mutex::new(State::default()));
        let theirs = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("store-backup".into())
            .spawn(move || give_copies(&theirs_to_accept, &theirs, &shared))?;
        Ok(Self { socket, own, listener, state, thread: Some(thread) })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.over = true;
        if let Some(client) = state.client.take() {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
        drop(state);
        if identity(&self.socket).is_ok_and(|found| found == self.own) {
            let _ = fs::remove_file(&self.socket);
        }
        // Wakes the thread, which waits for a connection. If that fails, the thread ends with the
        // process.
        let woken = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn identity(socket: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(socket).map(|about| (about.dev(), about.ino()))
}

fn lock(state: &Mutex<State>) -> parking_lot::MutexGuard<'_, State> {
    state.lock()
}

/// One copy at a time: two would read twice as much while taps wait for the disk.
fn give_copies(listener: &UnixListener, state: &Mutex<State>, shared: &FileCore) {
    loop {
        let client = listener.accept().map(|(client, _)| client);
        {
            let mut state = lock(state);
            if state.over {
                return;
            }
            state.client = client.as_ref().ok().and_then(|client| client.try_clone().ok());
        }
        match client {
            Ok(client) => give_copy(client, shared),
            Err(error) => {
                tracing::warn!("cannot give copies of the store file: {error}");
                std::thread::sleep(PATIENCE);
            }
        }
        lock(state).client = None;
    }
}

fn give_copy(client: UnixStream, shared: &FileCore) {
    let began = std::time::Instant::now();
    let _ = client.set_write_timeout(Some(PATIENCE));
    let mut out = io::BufWriter::with_capacity(1 << 18, client);
    let closed = "the store file is closed";
    let gone = || shared.place.as_ref().and_then(|place| place.refusal());
    let begun = shared.database().as_ref().map(redb::Database::begin_read);
    let txn = match begun {
        Some(Ok(txn)) if gone().is_none() => txn,
        Some(Err(error)) => return drop(entries::fail(&mut out, &error.to_string())),
        _ => return drop(entries::fail(&mut out, closed)),
    };
    // After a failed commit the writer closes the file, and cannot reopen it while this reads.
    let go_on = || shared.database().is_some().then_some(()).ok_or_else(|| closed.to_owned());
    match entries::send(&txn, &mut out, go_on) {
        Ok(()) => tracing::info!("gave a copy of the store file in {:.1?}", began.elapsed()),
        Err(error) => tracing::warn!("a copy of the store file was broken off: {error}"),
    }
}

/// A path that fits into a socket address, valid while this lives.
struct Short {
    path: PathBuf,
    _folder: Option<File>,
}

impl Short {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= MOST_PATH_BYTES {
            return Ok(Self { path: path.to_owned(), _folder: None });
        }
        let folder = File::open(open::folder_of(path))?;
        let name = path.file_name().unwrap_or_default();
        let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}
