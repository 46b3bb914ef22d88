//! How much of `maxmemory` the data may take, so that the process as a whole stays within its bound.
//!
//! What the data set counts is not all that is resident: there are the log's tail in memory, blocks and filters of the engines'
//! tables, buffers of connections, and pages that the allocator cannot give back because something in them lives. None of it
//! can be counted well, but the system says what is resident. So the data's room shrinks while the process is above its
//! target, and grows slowly while it is below.

use std::time::{Duration, Instant};

use crate::allocator::{self, resident};

/// How often resident memory is looked at. Longer than the allocator keeps free pages, or the room would shrink for what is free.
const INTERVAL: Duration = Duration::from_millis(40);
/// The room is never less than one part in so many of `maxmemory`.
const LEAST_PARTS: u64 = 4;
/// It grows by one part in so many at a time.
const GROWTH_PARTS: u64 = 256;

/// Follows what is resident.
pub(super) struct Room {
    looked: Instant,
    maxmemory_bytes: u64,
    bytes: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            looked: Instant::now(),
            maxmemory_bytes: 0,
            bytes: u64::MAX,
        }
    }
}

impl Room {
    /// The room for data, if it is time to look again. `counted_bytes` is what the data takes by its own count.
    pub(super) fn look(&mut self, maxmemory_bytes: u64, counted_bytes: u64) -> Option<u64> {
        if self.looked.elapsed() < INTERVAL && maxmemory_bytes == self.maxmemory_bytes {
            return None;
        }
        self.looked = Instant::now();
        self.maxmemory_bytes = maxmemory_bytes;
        let Some(target) = resident::target_bytes(maxmemory_bytes) else {
            self.bytes = u64::MAX;
            return Some(self.bytes);
        };
        let resident = resident::bytes()?;
        if resident > target {
            allocator::ask_all();
        }
        self.bytes = next(self.bytes, maxmemory_bytes, counted_bytes, resident, target);
        Some(self.bytes)
    }
}

fn next(room: u64, maxmemory: u64, counted: u64, resident: u64, target: u64) -> u64 {
    let room = room.min(maxmemory);
    let moved = if resident > target {
        // What is dropped leaves holes, so that less comes back than is counted; but the next look sees what came back.
        room.min(counted).saturating_sub((resident - target) / 2)
    } else {
        room + (maxmemory / GROWTH_PARTS).min((target - resident) / 4)
    };
    moved.clamp(maxmemory / LEAST_PARTS, maxmemory)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn the_room_shrinks_above_the_target_and_comes_back() {
        let maxmemory = 64 * MB;
        let target = resident::target_bytes(maxmemory).expect("it is enough");
        let next =
            |room, maxmemory, counted, resident| next(room, maxmemory, counted, resident, target);
        let mut room = u64::MAX;
        // A process that needs 30 MB besides its data.
        for _ in 0..200 {
            let counted = room.min(60 * MB);
            room = next(room, maxmemory, counted, counted + 30 * MB);
        }
        assert!((37 * MB..=39 * MB).contains(&room), "{room}");
        for _ in 0..200 {
            room = next(room, maxmemory, room, room + 2 * MB);
        }
        assert_eq!(room, maxmemory);
        assert_eq!(next(room, maxmemory, 0, 500 * MB), maxmemory / LEAST_PARTS);
    }
}
