//! The elements' records of large collections that are gone. Deleting or overwriting such a collection only notes its
//! incarnation; once that note is durable, its elements are deleted in the background, a bounded number at a time.
//!
//! The note is a system record, so a restart, or a snapshot's receiver, goes on where this Store stopped. Nothing reads the
//! records meanwhile: what reads asks for the incarnation that the key's own record names.

use bytes::Bytes;

use super::Dataset;
use super::record::{ElementPlace, Incarnation, PhysicalDb};
use crate::engine::Engine;
use crate::ids::RegionId;
use crate::{Result, keys};

/// Records deleted by one run of a [`Cleanup`].
const RECORDS_PER_RUN: usize = 50_000;
/// Collections that one run looks at.
const PLACES_PER_RUN: usize = 1000;

/// The name of a note among the system records: before slot, database, incarnation.
pub(super) const NOTE: u8 = b'g';

/// Which collections are gone and not cleaned up.
#[derive(Default)]
pub(super) struct Cleaning {
    /// Noted in the checkpoint under way.
    noted: Vec<ElementPlace>,
    /// Noted on disk.
    durable: Vec<ElementPlace>,
    running: bool,
}

impl Cleaning {
    /// Collections that are gone since the last freeze, whose notes travel with the next checkpoint.
    pub(super) fn note(&mut self, places: Vec<ElementPlace>) {
        self.noted.extend(places);
    }

    /// The checkpoint is durable.
    pub(super) fn burials_are_durable(&mut self) {
        self.durable.append(&mut self.noted);
    }

    /// A note read from the disk.
    pub(super) fn load(&mut self, name: &[u8]) -> Option<()> {
        self.durable.push(parse_name(name)?);
        Some(())
    }
}

/// The name of a place's note.
pub(super) fn name(place: ElementPlace) -> [u8; 12] {
    let [s0, s1] = place.slot.to_be_bytes();
    let [a, b, c, d, e, f, g, h] = place.incarnation.0.to_be_bytes();
    [NOTE, s0, s1, place.db.0, a, b, c, d, e, f, g, h]
}

fn parse_name(name: &[u8]) -> Option<ElementPlace> {
    let &[NOTE, s0, s1, db, a, b, c, d, e, f, g, h] = name else {
        return None;
    };
    Some(ElementPlace {
        slot: u16::from_be_bytes([s0, s1]),
        db: PhysicalDb(db),
        incarnation: Incarnation(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
    })
}

/// Deletes some of the records that nobody can see any more. Runs on any thread, while the data set goes on.
pub struct Cleanup {
    region: RegionId,
    places: Vec<ElementPlace>,
}

/// What a [`Cleanup`] did, for [`Dataset::cleanup_done`].
pub struct CleanupDone {
    finished: Vec<ElementPlace>,
}

impl Cleanup {
    /// Deletes a bounded number of records by one ingestion into the kv engine.
    pub fn run(&self, engine: &dyn Engine) -> Result<CleanupDone> {
        let (mut deleted, mut finished) = (Vec::new(), Vec::new());
        for &place in &self.places {
            let room = RECORDS_PER_RUN - deleted.len();
            let before = deleted.len();
            for pair in engine.scan(&place.prefix(), &place.end_of_all()).take(room) {
                deleted.push((pair?.0, None));
            }
            if deleted.len() - before == room {
                break;
            }
            finished.push(place);
        }
        let notes = finished
            .iter()
            .map(|&place| (keys::system_record(self.region, &name(place)), None));
        // The system's keys come before all data.
        let mut records: Vec<(Bytes, Option<Bytes>)> = notes.chain(deleted).collect();
        records.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        engine.ingest(&mut records.into_iter())?;
        Ok(CleanupDone { finished })
    }
}

impl Dataset {
    /// The next records to be deleted; none when there are none, or while a cleanup is under way.
    pub fn next_cleanup(&mut self) -> Option<Cleanup> {
        if self.cleaning.running || self.cleaning.durable.is_empty() {
            return None;
        }
        self.cleaning.running = true;
        let places = self.cleaning.durable.iter().take(PLACES_PER_RUN);
        let mut places: Vec<ElementPlace> = places.copied().collect();
        places.sort_unstable();
        Some(Cleanup {
            region: self.region,
            places,
        })
    }

    /// Takes note of what a cleanup did. Answers whether nothing is left to be deleted.
    pub fn cleanup_done(&mut self, done: CleanupDone) -> bool {
        self.cleaning.running = false;
        let finished = done.finished;
        self.cleaning
            .durable
            .retain(|place| finished.binary_search(place).is_err());
        self.cleaning.durable.is_empty()
    }

    /// Large collections that are gone, but not all of their records.
    pub fn cleanups_pending(&self) -> usize {
        let buried = self.databases.iter().map(|database| database.dead.len());
        buried.sum::<usize>() + self.cleaning.noted.len() + self.cleaning.durable.len()
    }
}
