//! The checkpoint thread: what takes long and need not be waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use storage::dataset::{Checkpoint, Cleanup, Garbage};
use storage::engine::Engines;

use super::apply::ApplyMessage;
use super::queue::Queue;
use super::store::fatal;
use crate::allocator;

/// A job of the checkpoint thread.
pub(super) enum CheckpointJob {
    /// A frozen write set to be made durable by one sorted ingestion into the kv engine.
    Checkpoint(Checkpoint),
    /// What a flush left behind, to be freed.
    Garbage(Vec<Garbage>),
    /// Records that nobody can see any more, to be deleted.
    Cleanup(Cleanup),
    /// Much of what is on the disk may be dead: its space is to be given back.
    Reclaim,
}

/// How often a job that the disk has no room for is tried again.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// Runs until the apply worker, which sends the jobs, is gone. `stopping` is closed before that, so that a job which waits for
/// room on the disk is given up.
pub(super) fn run(
    jobs: Receiver<CheckpointJob>,
    engines: Engines,
    apply: Arc<Queue<ApplyMessage>>,
    stopping: Receiver<()>,
) {
    for job in jobs {
        let checkpoint = match job {
            CheckpointJob::Checkpoint(checkpoint) => checkpoint,
            CheckpointJob::Garbage(garbage) => {
                drop(garbage);
                allocator::ask_all();
                continue;
            }
            CheckpointJob::Reclaim => {
                engines.kv.reclaim();
                continue;
            }
            CheckpointJob::Cleanup(cleanup) => {
                match with_room(&stopping, || cleanup.run(engines.kv.as_ref())) {
                    Ok(Some(done)) => apply.push(ApplyMessage::CleanupDone(done)),
                    Ok(None) => return,
                    Err(error) => fatal("deleting obsolete records failed", &error),
                }
                continue;
            }
        };
        let started = Instant::now();
        match with_room(&stopping, || checkpoint.run(engines.kv.as_ref())) {
            Ok(None) => return,
            Ok(Some(done)) => {
                tracing::debug!(index = %checkpoint.index(), elapsed = ?started.elapsed(), "checkpoint");
                metrics::histogram!("tinykv_checkpoint_seconds").record(started.elapsed());
                // The log gives up what is behind the checkpoint, and syncs itself before, on a thread that others wait for.
                if let Err(error) = engines.raft.sync_ahead() {
                    fatal("fsync of the Raft log failed", &error);
                }
                apply.push(ApplyMessage::CheckpointDone(done));
            }
            Err(error) => fatal("a checkpoint failed", &error),
        }
    }
}

/// Runs a job, again and again until the disk has room for it; `None` when the Store stops before. Meanwhile nothing is lost: the
/// log has everything, and is kept.
fn with_room<T>(
    stopping: &Receiver<()>,
    job: impl Fn() -> storage::Result<T>,
) -> storage::Result<Option<T>> {
    let mut waits = false;
    loop {
        match job() {
            Err(storage::Error::Full) => {}
            done => return done.map(Some),
        }
        if !waits {
            tracing::error!("the disk is full: a checkpoint waits for room. Free space on it");
            waits = true;
        }
        if stopping.recv_timeout(ROOM_INTERVAL) != Err(RecvTimeoutError::Timeout) {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crossbeam_channel::bounded;
    use storage::Error;

    use super::with_room;

    #[test]
    fn a_job_waits_for_room_or_for_the_end() {
        let (running, stopping) = bounded::<()>(0);
        let attempts = Cell::new(0);
        let job = |needed: u32| {
            attempts.set(attempts.get() + 1);
            match attempts.get() < needed {
                true => Err(Error::Full),
                false => Ok(attempts.get()),
            }
        };
        assert_eq!(with_room(&stopping, || job(2)).unwrap(), Some(2));
        drop(running);
        assert_eq!(with_room(&stopping, || job(u32::MAX)).unwrap(), None);
        let broken = || Err::<(), _>(Error::Engine("broken".to_owned()));
        assert!(matches!(
            with_room(&stopping, broken),
            Err(Error::Engine(_))
        ));
    }
}
