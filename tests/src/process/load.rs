//! Writers that remember what was acknowledged.
//!
//! Each writer owns a counter and a series of keys. It sends pipelines of INCR and SET; what the server acknowledges must
//! be there ever after, and a counter can never be above the number of INCRs that were sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use resp::{Frame, encode_command};

use super::client::local;
use super::{Client, until};

/// Most commands in one pipeline.
const MAX_PIPELINE: u64 = 16;

/// Pause before a writer that was refused tries the next server.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// What one writer did.
#[derive(Default)]
struct Record {
    /// INCRs sent, and those acknowledged.
    attempted: u64,
    acknowledged: u64,
    /// Numbers of the keys whose SET was acknowledged.
    keys: Vec<u64>,
    /// The longest time from one acknowledgement to the next.
    longest_gap: Duration,
    /// Error replies.
    errors: Vec<String>,
    /// How often its connection broke.
    broken: u64,
}

/// A running load.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Record>>,
}

impl Load {
    /// Starts `writers` of them. Each uses one of `ports` until its connection breaks, then the next; they begin with different
    /// ones.
    pub fn start(writers: u64, ports: &[u16], seed: u64) -> Self {
        let addresses: Vec<SocketAddr> = ports.iter().map(|&port| local(port)).collect();
        Self::start_at(writers, &addresses, seed)
    }

    /// The same against servers anywhere.
    pub fn start_at(writers: u64, addresses: &[SocketAddr], seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let writers = (0..writers)
            .map(|writer| {
                let worker = Writer {
                    name: format!("{seed}:{writer}"),
                    addresses: addresses.to_vec(),
                    first: writer as usize % addresses.len(),
                    random: ChaCha8Rng::seed_from_u64(seed ^ (writer << 32)),
                    stop: Arc::clone(&stop),
                    acknowledged: Arc::clone(&acknowledged),
                    last: Instant::now(),
                    record: Record::default(),
                };
                std::thread::spawn(move || worker.run())
            })
            .collect();
        Self {
            stop,
            acknowledged,
            writers,
        }
    }

    /// Commands acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `more` commands are acknowledged.
    pub fn wait_for(&self, more: u64) {
        let goal = self.acknowledged() + more;
        until("writes are acknowledged", || {
            (self.acknowledged() >= goal).then_some(())
        });
    }

    /// Stops the writers; what must be there now.
    pub fn stop(self, seed: u64) -> Verdict {
        self.stop.store(true, Ordering::Relaxed);
        let records = self
            .writers
            .into_iter()
            .map(|writer| writer.join().expect("the writer lives"))
            .collect();
        Verdict { seed, records }
    }
}

struct Writer {
    name: String,
    addresses: Vec<SocketAddr>,
    /// With which of them it begins.
    first: usize,
    random: ChaCha8Rng,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    /// When something was acknowledged last.
    last: Instant,
    record: Record,
}

impl Writer {
    fn run(mut self) -> Record {
        for at in (0..self.addresses.len()).cycle().skip(self.first) {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            // The connection breaks when its server is killed; what was under way has an unknown outcome.
            if let Ok(mut client) = Client::connect_to(self.addresses[at]) {
                while !self.stop.load(Ordering::Relaxed) {
                    if self.pipeline(&mut client).is_err() {
                        self.record.broken += 1;
                        break;
                    }
                }
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
        self.record
    }

    /// One pipeline; an error when the connection breaks.
    fn pipeline(&mut self, client: &mut Client) -> io::Result<()> {
        let counter = format!("counter:{}", self.name);
        let mut out = BytesMut::new();
        let numbers: Vec<u64> = (0..self.random.random_range(1..=MAX_PIPELINE))
            .map(|at| self.record.attempted + at + 1)
            .collect();
        for number in &numbers {
            encode_command(&["INCR", &counter], &mut out);
            encode_command(
                &[
                    "SET",
                    &format!("key:{}:{number}", self.name),
                    &number.to_string(),
                ],
                &mut out,
            );
        }
        self.record.attempted += numbers.len() as u64;
        client.send(&out)?;
        for number in numbers {
            if self.is_acknowledged(&client.reply()?) {
                self.record.acknowledged += 1;
            }
            if self.is_acknowledged(&client.reply()?) {
                self.record.keys.push(number);
            }
        }
        Ok(())
    }

    /// Counts a reply to a write.
    fn is_acknowledged(&mut self, reply: &Frame) -> bool {
        if reply.is_error() {
            let text = reply.as_str().unwrap_or_default();
            self.record.errors.push(text.to_owned());
            return false;
        }
        let expected = reply.as_integer().is_some() || reply.as_str() == Some("OK");
        assert!(expected, "{reply:?} answers no write");
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.record.longest_gap = self.record.longest_gap.max(self.last.elapsed());
        self.last = Instant::now();
        true
    }
}

/// What a load did, to be compared with what a server has.
pub struct Verdict {
    seed: u64,
    records: Vec<Record>,
}

impl Verdict {
    /// The longest time that any writer went without an acknowledgement.
    pub fn longest_gap(&self) -> Duration {
        self.records
            .iter()
            .map(|record| record.longest_gap)
            .max()
            .unwrap_or_default()
    }

    /// Commands that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.records
            .iter()
            .map(|record| record.acknowledged + record.keys.len() as u64)
            .sum()
    }

    /// INCRs that were sent.
    pub fn attempted(&self) -> u64 {
        self.records.iter().map(|record| record.attempted).sum()
    }

    /// INCRs that were acknowledged.
    pub fn incremented(&self) -> u64 {
        self.records.iter().map(|record| record.acknowledged).sum()
    }

    /// Error replies, whatever they said.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        let errors = self.records.iter().flat_map(|record| &record.errors);
        errors.map(String::as_str)
    }

    /// How often connections broke, of all writers.
    pub fn broken(&self) -> u64 {
        self.records.iter().map(|record| record.broken).sum()
    }

    /// What happened was to go without error replies.
    ///
    /// # Panics
    /// When there was one.
    pub fn check_no_errors(&self) {
        let errors: Vec<&str> = self.errors().collect();
        assert!(
            errors.is_empty(),
            "seed {}: {} error replies, the first: {}",
            self.seed,
            errors.len(),
            errors[0]
        );
    }

    /// What happened was to break no connection, and to go without error replies.
    ///
    /// # Panics
    /// When it did.
    pub fn check_undisturbed(&self) {
        self.check_no_errors();
        assert_eq!(self.broken(), 0, "seed {}: broken connections", self.seed);
    }

    /// Asks the server for everything that was acknowledged.
    ///
    /// # Panics
    /// When something is missing, or a counter counted what nobody sent.
    pub fn check(&self, client: &mut Client) {
        for (writer, record) in self.records.iter().enumerate() {
            let name = format!("{}:{writer}", self.seed);
            let count: u64 = client
                .text(&["GET", &format!("counter:{name}")])
                .parse()
                .unwrap_or(0);
            assert!(
                (record.acknowledged..=record.attempted).contains(&count),
                "seed {}: counter:{name} is {count}, {} were acknowledged and {} sent",
                self.seed,
                record.acknowledged,
                record.attempted
            );
            for numbers in record.keys.chunks(500) {
                let mut out = BytesMut::new();
                for number in numbers {
                    encode_command(&["GET", &format!("key:{name}:{number}")], &mut out);
                }
                client.send(&out).expect("the server reads");
                for number in numbers {
                    let value = client.reply().expect("a reply");
                    assert_eq!(
                        value.as_str(),
                        Some(number.to_string().as_str()),
                        "seed {}: key:{name}:{number}",
                        self.seed
                    );
                }
            }
        }
    }
}
