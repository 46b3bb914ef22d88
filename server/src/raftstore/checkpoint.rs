//! The checkpoint thread: one sorted ingestion into the kv engine at a time, in the background.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};
use storage::dataset::Checkpoint;
use storage::engine::Engine;

use super::apply::ApplyMessage;
use super::store::fatal;

/// A frozen write set to be made durable.
pub(super) struct CheckpointJob(pub(super) Checkpoint);

/// Runs until the apply worker, which sends the jobs, is gone.
pub(super) fn run(jobs: Receiver<CheckpointJob>, kv: Arc<dyn Engine>, apply: Sender<ApplyMessage>) {
    for CheckpointJob(checkpoint) in jobs {
        let started = Instant::now();
        match checkpoint.run(kv.as_ref()) {
            Ok(done) => {
                tracing::debug!(index = %checkpoint.index(), elapsed = ?started.elapsed(), "checkpoint");
                metrics::histogram!("tinykv_checkpoint_seconds").record(started.elapsed());
                if apply.send(ApplyMessage::CheckpointDone(done)).is_err() {
                    return;
                }
            }
            Err(error) => fatal("a checkpoint failed", &error),
        }
    }
}
