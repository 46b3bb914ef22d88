//! The checkpoint thread: what takes long and need not be waited for.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use storage::dataset::{Checkpoint, Cleanup, Garbage};
use storage::engine::Engine;

use super::apply::ApplyMessage;
use super::queue::Queue;
use super::store::fatal;

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

/// Runs until the apply worker, which sends the jobs, is gone.
pub(super) fn run(
    jobs: Receiver<CheckpointJob>,
    kv: Arc<dyn Engine>,
    apply: Arc<Queue<ApplyMessage>>,
) {
    for job in jobs {
        let checkpoint = match job {
            CheckpointJob::Checkpoint(checkpoint) => checkpoint,
            CheckpointJob::Garbage(garbage) => {
                drop(garbage);
                continue;
            }
            CheckpointJob::Reclaim => {
                kv.reclaim();
                continue;
            }
            CheckpointJob::Cleanup(cleanup) => {
                match cleanup.run(kv.as_ref()) {
                    Ok(done) => apply.push(ApplyMessage::CleanupDone(done)),
                    Err(error) => fatal("deleting obsolete records failed", &error),
                }
                continue;
            }
        };
        let started = Instant::now();
        match checkpoint.run(kv.as_ref()) {
            Ok(done) => {
                tracing::debug!(index = %checkpoint.index(), elapsed = ?started.elapsed(), "checkpoint");
                metrics::histogram!("tinykv_checkpoint_seconds").record(started.elapsed());
                apply.push(ApplyMessage::CheckpointDone(done));
            }
            Err(error) => fatal("a checkpoint failed", &error),
        }
    }
}
