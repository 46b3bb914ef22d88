//! Counters for INFO. Connections count locally and add once per round.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Counters of one command.
#[derive(Debug, Default)]
pub struct CommandStats {
    calls: AtomicU64,
    usec: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
}

/// [`CommandStats`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandFigures {
    /// Executed.
    pub calls: u64,
    /// Microseconds that they took; for writes with their replication.
    pub usec: u64,
    /// Refused before execution.
    pub rejected: u64,
    /// Answered with an error.
    pub failed: u64,
}

/// Shortest time over which [`Rates`] are taken.
const MIN_RATE_TIME: Duration = Duration::from_millis(100);

/// Figures per second, since they were asked for last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Commands executed.
    pub commands: u64,
    /// Bytes read from clients.
    pub input_bytes: u64,
    /// Bytes written to clients.
    pub output_bytes: u64,
}

/// The last time that [`Rates`] were taken.
#[derive(Debug)]
struct Sample {
    at: Instant,
    totals: Rates,
    rates: Rates,
}

/// Codes of errors that are counted one by one; further ones are counted as `OTHER`, so that nobody can fill the memory.
const MAX_ERROR_CODES: usize = 128;

/// Counters of this process since its start, or since CONFIG RESETSTAT.
#[derive(Debug, Default)]
pub struct Stats {
    commands: Vec<CommandStats>,
    errors: Mutex<BTreeMap<String, u64>>,
    sample: Mutex<Option<Sample>>,
    /// Commands executed.
    pub commands_processed: AtomicU64,
    /// Connections accepted.
    pub connections_received: AtomicU64,
    /// Connections refused because of maxclients.
    pub rejected_connections: AtomicU64,
    /// Bytes read from clients.
    pub net_input_bytes: AtomicU64,
    /// Bytes written to clients.
    pub net_output_bytes: AtomicU64,
    /// Error replies.
    pub error_replies: AtomicU64,
    /// Microseconds for which memory was seen to exceed its limit while keys were to make room.
    pub eviction_exceeded_us: AtomicU64,
    /// The most memory that the data set and clients were seen to take together; CONFIG RESETSTAT leaves it.
    pub memory_peak_bytes: AtomicU64,
    /// Segments forwarded to the leader.
    pub forwarded_segments: AtomicU64,
}

impl Stats {
    /// Counters for so many commands.
    pub fn new(commands: usize) -> Self {
        Self {
            commands: (0..commands).map(|_| CommandStats::default()).collect(),
            ..Self::default()
        }
    }

    /// Adds executions of the command with this id.
    pub fn add_calls(&self, id: usize, calls: u64, usec: u64) {
        if let Some(command) = self.commands.get(id) {
            command.calls.fetch_add(calls, Ordering::Relaxed);
            command.usec.fetch_add(usec, Ordering::Relaxed);
            self.commands_processed.fetch_add(calls, Ordering::Relaxed);
        }
    }

    /// Counts an error reply: of an execution, or (`rejected`) instead of one. `reply` is the encoded error.
    pub fn add_error(&self, id: Option<usize>, rejected: bool, reply: &[u8]) {
        self.error_replies.fetch_add(1, Ordering::Relaxed);
        if let Some(command) = id.and_then(|id| self.commands.get(id)) {
            let counter = if rejected {
                &command.rejected
            } else {
                &command.failed
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let code = reply.strip_prefix(b"-").unwrap_or(reply);
        let code = code
            .split(|byte| byte.is_ascii_whitespace())
            .next()
            .unwrap_or_default();
        let code = String::from_utf8_lossy(code).into_owned();
        let mut errors = self.errors.lock();
        let known = errors.contains_key(&code) || errors.len() < MAX_ERROR_CODES;
        *errors
            .entry(if known { code } else { "OTHER".to_owned() })
            .or_default() += 1;
    }

    /// The figures of the command with this id.
    pub fn command(&self, id: usize) -> CommandFigures {
        self.commands
            .get(id)
            .map_or_else(CommandFigures::default, |command| CommandFigures {
                calls: command.calls.load(Ordering::Relaxed),
                usec: command.usec.load(Ordering::Relaxed),
                rejected: command.rejected.load(Ordering::Relaxed),
                failed: command.failed.load(Ordering::Relaxed),
            })
    }

    /// Error replies by their code.
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.lock().clone()
    }

    /// Figures per second since the last call that was long enough ago; zero at the first.
    pub fn rates(&self, now: Instant) -> Rates {
        let totals = Rates {
            commands: self.commands_processed.load(Ordering::Relaxed),
            input_bytes: self.net_input_bytes.load(Ordering::Relaxed),
            output_bytes: self.net_output_bytes.load(Ordering::Relaxed),
        };
        let mut sample = self.sample.lock();
        let rates = match &*sample {
            Some(last) => {
                let elapsed = now.saturating_duration_since(last.at);
                if elapsed < MIN_RATE_TIME {
                    return last.rates;
                }
                // CONFIG RESETSTAT may have set a total back.
                let rate = |total: u64, before: u64| {
                    (total.saturating_sub(before) as f64 / elapsed.as_secs_f64()) as u64
                };
                Rates {
                    commands: rate(totals.commands, last.totals.commands),
                    input_bytes: rate(totals.input_bytes, last.totals.input_bytes),
                    output_bytes: rate(totals.output_bytes, last.totals.output_bytes),
                }
            }
            None => Rates::default(),
        };
        *sample = Some(Sample {
            at: now,
            totals,
            rates,
        });
        rates
    }

    /// CONFIG RESETSTAT.
    pub fn reset(&self) {
        for command in &self.commands {
            for counter in [
                &command.calls,
                &command.usec,
                &command.rejected,
                &command.failed,
            ] {
                counter.store(0, Ordering::Relaxed);
            }
        }
        self.errors.lock().clear();
        for counter in [
            &self.commands_processed,
            &self.connections_received,
            &self.rejected_connections,
            &self.net_input_bytes,
            &self.net_output_bytes,
            &self.error_replies,
            &self.forwarded_segments,
            &self.eviction_exceeded_us,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Executions of one command that a connection has not added yet.
#[derive(Debug, Default)]
pub struct Tally {
    id: Option<usize>,
    calls: u64,
    usec: u64,
}

impl Tally {
    /// Counts executions; adds the earlier ones when the command changes.
    pub fn count(&mut self, stats: &Stats, id: usize, calls: u64, usec: u64) {
        if self.id != Some(id) {
            self.flush(stats);
            self.id = Some(id);
        }
        self.calls += calls;
        self.usec += usec;
    }

    /// The id of the command that was counted last, if any was.
    pub fn last_command(&self) -> Option<usize> {
        self.id
    }

    /// Adds what was counted.
    pub fn flush(&mut self, stats: &Stats) {
        if let Some(id) = self.id.filter(|_| self.calls > 0) {
            stats.add_calls(id, self.calls, self.usec);
            (self.calls, self.usec) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_taken_between_two_calls() {
        let stats = Stats::new(1);
        let start = Instant::now();
        assert_eq!(stats.rates(start), Rates::default());
        stats.add_calls(0, 50, 1);
        stats.net_input_bytes.fetch_add(1000, Ordering::Relaxed);
        assert_eq!(stats.rates(start + MIN_RATE_TIME / 2), Rates::default());
        let rates = stats.rates(start + Duration::from_millis(500));
        assert_eq!((rates.commands, rates.input_bytes), (100, 2000));
        stats.reset();
        assert_eq!(
            stats.rates(start + Duration::from_secs(1)),
            Rates::default()
        );
    }
}
