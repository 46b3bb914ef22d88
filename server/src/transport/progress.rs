//! How far a snapshot is on its way, for operators.

use parking_lot::Mutex;

/// Percents between two lines in the receiver's log.
const TENTH: u8 = 10;

/// A snapshot on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// 0 to 100.
    pub percent: u8,
    /// What has gone, or come.
    pub bytes: u64,
}

/// The snapshot that is under way now, if there is one.
#[derive(Debug, Default)]
pub(super) struct Underway(Mutex<Option<SnapshotProgress>>);

impl Underway {
    /// False, and nothing begins, while another one is under way.
    pub(super) fn begin(&self) -> bool {
        let mut progress = self.0.lock();
        let free = progress.is_none();
        progress.get_or_insert_default();
        free
    }

    /// Another piece. True when it completes another tenth.
    pub(super) fn note(&self, percent: u8, bytes: usize) -> bool {
        let mut progress = self.0.lock();
        let Some(progress) = progress.as_mut() else {
            return false;
        };
        let before = std::mem::replace(&mut progress.percent, percent);
        progress.bytes += bytes as u64;
        before / TENTH < percent / TENTH
    }

    pub(super) fn end(&self) -> SnapshotProgress {
        self.0.lock().take().unwrap_or_default()
    }

    pub(super) fn now(&self) -> Option<SnapshotProgress> {
        *self.0.lock()
    }
}
