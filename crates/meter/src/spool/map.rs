//! The spool's file in memory: fixed slots that outlive the process, handed out as tokens.
//!
//! The only `unsafe` of the project is here. It is sound because every slot is reachable through
//! one `Slot` token alone, which cannot be copied: whoever has it may write, nobody else can read.
#![allow(unsafe_code, reason = "what survives kill -9 must be written straight into the mapped file")]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::FallocateFlags;
use rustix::mm::{MapFlags, ProtFlags};

/// The file grows by this much at a time.
pub(crate) const CHUNK: usize = 16 << 20;
/// A slot is one page.
const SLOT: usize = 4096;
/// What the record as it was closed may take.
pub(crate) const CLOSED: usize = SLOT / 2;
/// What the record as it was opened may take, and what was set aside for it.
pub(crate) const OPENED: usize = SLOT / 4;
/// Four words name the format; the others are the states of the chunk's slots. They stand
/// together, so that starting on a large spool reads few pages.
const TABLE: usize = 4 * SLOT;
const HEADER_WORDS: usize = 4;
/// Slots in one chunk.
pub(crate) const SLOTS: usize = (CHUNK - TABLE) / SLOT;
const _: () = assert!(SLOTS + HEADER_WORDS == TABLE / size_of::<u32>());

/// The first sixteen bytes of every chunk: a name, and the version of this layout.
const MAGIC: [u8; 16] = *b"tollgate spool 1";

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    /// Written down; no provider was called.
    Open,
    Closed,
    /// A provider was called.
    Dispatched,
    /// A provider was called, and something was set aside for it.
    Held,
}

/// Which part of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    Opened,
    Hold,
    Closed,
    /// Where releases that knew no holds wrote the record as it was opened. Only for reading.
    OpenedBefore,
}

impl Area {
    fn place(self) -> (usize, usize) {
        match self {
            Self::Opened => (0, OPENED),
            Self::OpenedBefore => (0, 2 * OPENED),
            Self::Hold => (OPENED, OPENED),
            Self::Closed => (SLOT - CLOSED, CLOSED),
        }
    }
}

/// The right to one slot. Dropping it leaves the slot as it is until the next start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// The mapped file. The whole bound is mapped at once, and only what has been reserved on disk is
/// ever touched, so a full disk is an error from `grow` and never SIGBUS.
#[derive(Debug)]
pub(crate) struct Map {
    file: File,
    base: NonNull<u8>,
    length: usize,
    /// Chunks whose slots have been handed out.
    chunks: Mutex<usize>,
}

// SAFETY: the mapping stays where it is until it is dropped; its bytes are reached through `Slot`
// tokens, whose borrows say who may read and who may write, and through atomic words.
unsafe impl Send for Map {}
// SAFETY: as above.
unsafe impl Sync for Map {}

impl Map {
    /// Maps `file`, which the caller has locked, up to `bound` bytes or what it already has.
    /// Returns the slots of the chunks that it already had.
    pub(crate) fn of(file: File, bound: usize) -> io::Result<(Self, Vec<Slot>)> {
        let present = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)? / CHUNK;
        let length = present.max(bound / CHUNK).max(1) * CHUNK;
        // SAFETY: a new mapping of a file that no other process maps, because it is locked.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                &file,
                0,
            )?
        };
        let base = NonNull::new(base.cast::<u8>()).ok_or_else(|| io::Error::other("mapped at null"))?;
        let map = Self { file, base, length, chunks: Mutex::new(0) };
        let mut slots = Vec::new();
        for chunk in 0..present {
            slots.append(&mut map.adopt(chunk)?);
        }
        *map.chunks.lock().unwrap_or_else(PoisonError::into_inner) = present;
        Ok((map, slots))
    }

    /// Reserves another chunk on disk, or says why not: `StorageFull` at the bound.
    pub(crate) fn grow(&self) -> io::Result<Vec<Slot>> {
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = *chunks * CHUNK;
        if offset + CHUNK > self.length {
            return Err(io::ErrorKind::StorageFull.into());
        }
        reserve(&self.file, offset as u64)?;
        let slots = self.adopt(*chunks)?;
        *chunks += 1;
        Ok(slots)
    }

    /// How many slots there can be.
    pub(crate) fn capacity(&self) -> usize {
        self.length / CHUNK * SLOTS
    }

    /// Makes the tokens of a reserved chunk, once. The lowest slots come last, so that who takes from
    /// the end of the list touches the fewest pages.
    fn adopt(&self, chunk: usize) -> io::Result<Vec<Slot>> {
        let start = chunk * CHUNK;
        let mut magic = [0; MAGIC.len()];
        self.file.read_exact_at(&mut magic, start as u64)?;
        match magic {
            MAGIC => (),
            // The process died between reserving the chunk and naming it.
            [0, ..] if magic == [0; MAGIC.len()] => self.file.write_all_at(&MAGIC, start as u64)?,
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the file is not a spool of this version",
                ));
            }
        }
        let first = u32::try_from(chunk * SLOTS).map_err(io::Error::other)?;
        Ok((first..first + SLOTS as u32).rev().map(Slot).collect())
    }

    /// What the slot holds.
    pub(crate) fn state(&self, slot: &Slot) -> State {
        match self.word(slot).load(Ordering::Acquire) {
            1 => State::Open,
            2 => State::Closed,
            3 => State::Dispatched,
            4 => State::Held,
            _ => State::Free,
        }
    }

    /// Publishes what was written: a process killed before this instruction leaves the old state,
    /// after it the new one.
    pub(crate) fn publish(&self, slot: &mut Slot, state: State) {
        let word = match state {
            State::Free => 0,
            State::Open => 1,
            State::Closed => 2,
            State::Dispatched => 3,
            State::Held => 4,
        };
        self.word(slot).store(word, Ordering::Release);
    }

    /// The bytes of one part of the slot.
    pub(crate) fn area<'a>(&'a self, slot: &'a Slot, area: Area) -> &'a [u8] {
        let (pointer, length) = self.place(slot, area);
        // SAFETY: inside the mapping and the reserved file; the slot's only token is borrowed, so
        // nobody writes meanwhile.
        unsafe { std::slice::from_raw_parts(pointer, length) }
    }

    /// The same, to write.
    pub(crate) fn area_mut<'a>(&'a self, slot: &'a mut Slot, area: Area) -> &'a mut [u8] {
        let (pointer, length) = self.place(slot, area);
        // SAFETY: as above; the slot's only token is borrowed mutably, so nobody else reads.
        unsafe { std::slice::from_raw_parts_mut(pointer, length) }
    }

    fn place(&self, slot: &Slot, area: Area) -> (*mut u8, usize) {
        let (chunk, index) = (slot.0 as usize / SLOTS, slot.0 as usize % SLOTS);
        let (begin, length) = area.place();
        let offset = chunk * CHUNK + TABLE + index * SLOT + begin;
        debug_assert!(offset + length <= self.length);
        // SAFETY: slots are made by `adopt` alone, for chunks inside the mapping.
        (unsafe { self.base.as_ptr().add(offset) }, length)
    }

    fn word(&self, slot: &Slot) -> &AtomicU32 {
        let (chunk, index) = (slot.0 as usize / SLOTS, slot.0 as usize % SLOTS);
        let offset = chunk * CHUNK + (HEADER_WORDS + index) * size_of::<u32>();
        // SAFETY: inside the mapping, aligned because chunks are, and only ever accessed as atomics.
        unsafe { AtomicU32::from_ptr(self.base.as_ptr().add(offset).cast()) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: what `of` mapped; no borrow of it can outlive `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Reserves the blocks of one chunk. Where the file system cannot, zeros are written instead.
fn reserve(file: &File, offset: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), offset, CHUNK as u64) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let zeros = vec![0; 1 << 20];
            (0..CHUNK / zeros.len())
                .try_for_each(|i| file.write_all_at(&zeros, offset + (i * zeros.len()) as u64))
        }
        other => Ok(other?),
    }
}
