//! A simulated disk. A power cut loses all unsynced writes, or any part of them.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use redb::StorageBackend;

/// A power cut may tear a write between sectors, but not within one.
const SECTOR: usize = 512;

/// The disk. It outlives the stores that are opened on it.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug)]
struct State {
    /// The bytes that survive a power cut.
    synced: Vec<u8>,
    /// The bytes that reads return.
    current: Vec<u8>,
    /// The writes since the last sync.
    unsynced: Vec<Step>,
    /// After how many writes and syncs the power is cut.
    cut_after: Option<u32>,
    /// A power cut increments it. Handles of older generations fail.
    generation: u32,
    /// The greatest length of the storage.
    room: usize,
    fault: Option<Fault>,
    held: bool,
    /// Whether a sync is waiting for that.
    waits: bool,
    pub(crate) syncs: u64,
}

#[derive(Debug)]
enum Step {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// The fault of the next operation of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Write,
    Sync,
}

/// Which unsynced writes survive a power cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Left {
    Nothing,
    /// The sectors of the first half of the writes.
    Beginning,
    /// Random sectors, by a seed.
    Some(u64),
    /// All writes; only the confirmation of the sync got lost.
    All,
}

/// Syncs wait while this lives.
pub(crate) struct HeldSyncs(Disk);

impl Drop for HeldSyncs {
    fn drop(&mut self) {
        self.0.state().held = false;
        self.0.0.1.notify_all();
    }
}

/// One open handle of the disk.
#[derive(Debug)]
struct Handle {
    disk: Disk,
    generation: u32,
}

/// A small generator, so that a seed gives the same numbers on every machine.
pub(crate) fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Disk {
    pub(crate) fn new() -> Self {
        let state = State {
            synced: Vec::new(),
            current: Vec::new(),
            unsynced: Vec::new(),
            cut_after: None,
            held: false,
            waits: false,
            generation: 0,
            room: usize::MAX,
            fault: None,
            syncs: 0,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    /// Makes every sync wait until the guard is dropped.
    pub(crate) fn hold_syncs(&self) -> HeldSyncs {
        self.state().held = true;
        HeldSyncs(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Opens the disk, for `FileStore::with_backend`.
    pub(crate) fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        let generation = self.state().generation;
        Ok(Box::new(Handle { disk: self.clone(), generation }))
    }

    /// Cuts the power in the middle of a write or sync, after this many.
    pub(crate) fn cut_after(&self, operations: u32) {
        self.state().cut_after = Some(operations);
    }

    /// Cuts the power in the middle of the next sync; everything is written before it.
    pub(crate) async fn cut_in_a_sync(&self) {
        let held = self.hold_syncs();
        let begun = Instant::now();
        while !self.state().waits {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing is to be synced");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.cut_after(1);
        drop(held);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.state().cut_after == Some(0)
    }

    /// Turns the power on again, with what survived.
    pub(crate) fn restore(&self, left: Left) {
        let mut state = self.state();
        let (mut seed, half) =
            (if let Left::Some(seed) = left { seed } else { 0 }, state.unsynced.len() / 2);
        let steps = std::mem::take(&mut state.unsynced);
        for (i, step) in steps.into_iter().enumerate() {
            let mut lucky = || match left {
                Left::Nothing => false,
                Left::All => true,
                Left::Beginning => i < half,
                Left::Some(_) => random(&mut seed).is_multiple_of(2),
            };
            match step {
                Step::Length(length) if lucky() => state.synced.resize(length, 0),
                Step::Length(_) => {}
                Step::Write(offset, bytes) => {
                    for (j, sector) in bytes.chunks(SECTOR).enumerate() {
                        let (from, to) = (offset + j * SECTOR, offset + j * SECTOR + sector.len());
                        if lucky() && to <= state.synced.len() {
                            state.synced[from..to].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        state.current = state.synced.clone();
        state.cut_after = None;
        state.generation += 1;
    }

    /// Limits the length of the storage. None limits it to its current length.
    pub(crate) fn set_room(&self, room: Option<usize>) {
        let mut state = self.state();
        state.room = room.unwrap_or(state.current.len());
    }

    pub(crate) fn fail_next(&self, fault: Fault) {
        self.state().fault = Some(fault);
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }
}

impl Handle {
    /// The disk, if it has power. Counts down to the cut if `counts` is set.
    fn powered(&self, counts: bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.state();
        let dead = || Err(io::Error::other("the power is cut"));
        if state.generation != self.generation || state.cut_after == Some(0) {
            return dead();
        }
        if counts && let Some(left) = &mut state.cut_after {
            *left -= 1;
        }
        Ok(state)
    }

    /// Fails if the cut comes in the middle of this operation, whose writes may survive.
    fn survives(state: &State) -> io::Result<()> {
        if state.cut_after == Some(0) {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(())
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.powered(false)?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.powered(false)?;
        let from = usize::try_from(offset).unwrap();
        let found = state.current.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.powered(true)?;
        let len = usize::try_from(len).unwrap();
        if len > state.room && len > state.current.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        state.current.resize(len, 0);
        state.unsynced.push(Step::Length(len));
        Self::survives(&state)
    }

    fn sync_data(&self) -> io::Result<()> {
        let waits = |state: &mut State| {
            state.waits = state.held;
            state.held
        };
        drop(self.disk.0.1.wait_while(self.disk.state(), waits).unwrap());
        let mut state = self.powered(true)?;
        Self::survives(&state)?;
        if state.fault == Some(Fault::Sync) {
            state.fault = None;
            return Err(io::Error::other("the disk did not sync"));
        }
        state.syncs += 1;
        let State { synced, unsynced, .. } = &mut *state;
        for step in unsynced.drain(..) {
            match step {
                Step::Length(length) => synced.resize(length, 0),
                Step::Write(from, bytes) => {
                    synced[from..from + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.powered(true)?;
        if state.fault == Some(Fault::Write) {
            state.fault = None;
            return Err(io::Error::other("the disk did not write"));
        }
        let from = usize::try_from(offset).unwrap();
        state.current[from..from + data.len()].copy_from_slice(data);
        state.unsynced.push(Step::Write(from, data.to_vec()));
        Self::survives(&state)
    }
}
