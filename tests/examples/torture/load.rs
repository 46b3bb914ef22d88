//! Clients, and what they saw: histories of registers, of a pair of keys that are written together, and of a list, with times.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tests::process::Client;
use tests::sim::linearizable::{Event, Op};

/// Registers of one cycle.
const REGISTERS: u64 = 5;

/// The register that is two keys, always written and read together.
const PAIR: u64 = REGISTERS;

/// Longest pause of a client between two operations: histories that are too dense take too long to check.
const MAX_PAUSE_MS: u64 = 12;

/// Pause before a client that was refused or cut off tries another node.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Errors after which nothing was done, by their first word.
const NOT_DONE: [&str; 6] = [
    "CLUSTERDOWN",
    "TRYAGAIN",
    "LOADING",
    "OOM",
    "MASTERDOWN",
    "NOREPLICAS",
];

/// A push to the list: its number, and when it was asked for and acknowledged, in nanoseconds.
pub(crate) struct Push {
    pub(crate) number: u64,
    pub(crate) invoked: u64,
    pub(crate) returned: Option<u64>,
}

/// What one client saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) registers: HashMap<u64, Vec<Event>>,
    pub(crate) pushes: Vec<Push>,
    /// A read of the pair whose keys differed.
    pub(crate) torn: Option<String>,
    /// Times of acknowledged operations, in microseconds.
    pub(crate) latencies_us: Vec<u32>,
    /// When the acknowledgements came, in nanoseconds.
    pub(crate) acknowledged_ns: Vec<u64>,
    pub(crate) errors: HashMap<String, u64>,
}

/// The clients of one cycle.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Clients {
    /// Starts so many, each at one of the addresses, which it changes when it is refused or cut off.
    pub(crate) fn start(
        count: u64,
        addresses: &[SocketAddr],
        cycle: u64,
        seed: u64,
        epoch: Instant,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let threads = (0..count)
            .map(|number| {
                let worker = Worker {
                    number,
                    cycle,
                    addresses: addresses.to_vec(),
                    random: ChaCha8Rng::seed_from_u64(seed ^ (number << 48)),
                    stop: Arc::clone(&stop),
                    acknowledged: Arc::clone(&acknowledged),
                    epoch,
                    next: 0,
                    seen: Seen::default(),
                };
                std::thread::spawn(move || worker.run())
            })
            .collect();
        Self {
            stop,
            acknowledged,
            threads,
        }
    }

    /// Acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Stops them.
    pub(crate) fn stop(self) -> Vec<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let join = |thread: JoinHandle<Seen>| thread.join().expect("the client lives");
        self.threads.into_iter().map(join).collect()
    }
}

/// How an operation ended.
enum End {
    Done(resp::Frame),
    NotDone,
    Unknown,
}

struct Worker {
    number: u64,
    cycle: u64,
    addresses: Vec<SocketAddr>,
    random: ChaCha8Rng,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    epoch: Instant,
    /// Numbers of values and elements, unique over all clients.
    next: u64,
    seen: Seen,
}

impl Worker {
    fn run(mut self) -> Seen {
        let mut at = self.number as usize;
        let mut client = None;
        while !self.stop.load(Ordering::Relaxed) {
            let address = self.addresses[at % self.addresses.len()];
            let Some(connection) = client.as_mut() else {
                client = Client::connect_to(address).ok();
                if client.is_none() {
                    at += 1;
                    std::thread::sleep(RETRY_INTERVAL);
                }
                continue;
            };
            if !self.operate(connection) {
                client = None;
                at += 1;
                std::thread::sleep(RETRY_INTERVAL);
            } else if self.random.random_bool(0.01) {
                // Every node is used by every client.
                client = None;
                at += 1;
            }
            let pause = self.random.random_range(0..=MAX_PAUSE_MS);
            std::thread::sleep(Duration::from_millis(pause));
        }
        self.seen
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    fn unique(&mut self) -> u64 {
        self.next += 1;
        (self.next << 8) | self.number
    }

    /// One operation; false if the connection is of no more use.
    fn operate(&mut self, client: &mut Client) -> bool {
        let kind = self.random.random_range(0..14);
        let register = match kind {
            10.. => PAIR,
            _ => self.random.random_range(0..REGISTERS),
        };
        let key = format!("register:{}:{register}", self.cycle);
        let other = format!("other:{}:{register}", self.cycle);
        let list = format!("list:{}", self.cycle);
        let value = self.unique();
        let text = value.to_string();
        let args: Vec<&str> = match kind {
            0..4 => vec!["GET", &key],
            4..6 => vec!["SET", &key, &text],
            6..8 => vec!["INCR", &key],
            8..10 => vec!["RPUSH", &list, &text],
            10..12 => vec!["MSET", &key, &text, &other, &text],
            _ => vec!["MGET", &key, &other],
        };
        let invoked = self.now();
        let end = self.ask(client, &args);
        let returned = self.now();
        let frame = match &end {
            End::Done(frame) => Some(frame),
            End::NotDone => return true,
            End::Unknown => None,
        };
        if frame.is_some() {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
            self.seen.acknowledged_ns.push(returned);
            let us = (returned - invoked) / 1_000;
            self.seen
                .latencies_us
                .push(us.try_into().unwrap_or(u32::MAX));
        }
        let number = |frame: &resp::Frame| frame.as_integer().and_then(|n| u64::try_from(n).ok());
        let op = match kind {
            0..4 | 12.. => {
                let Some(frame) = frame else { return false };
                let read = self.one_value(frame);
                Some(Op::Read(read.map(|text| text.parse().expect("a number"))))
            }
            4..6 | 10..12 => Some(Op::Write(value)),
            6..8 => Some(Op::Increment(frame.and_then(number))),
            _ => None,
        };
        let returned = frame.is_some().then_some(returned);
        match op {
            Some(op) => self
                .seen
                .registers
                .entry(register)
                .or_default()
                .push(Event {
                    op,
                    invoked,
                    returned,
                }),
            None => self.seen.pushes.push(Push {
                number: value,
                invoked,
                returned,
            }),
        }
        frame.is_some()
    }

    /// The value that was read; of a pair the one that both keys must have.
    fn one_value<'a>(&mut self, frame: &'a resp::Frame) -> Option<&'a str> {
        let Some([one, other]) = frame.as_slice() else {
            return frame.as_str();
        };
        if one.as_str() != other.as_str() {
            self.seen.torn = Some(format!("{frame:?}"));
        }
        one.as_str()
    }

    fn ask(&mut self, client: &mut Client, args: &[&str]) -> End {
        let Ok(frame) = client.call(args) else {
            return End::Unknown;
        };
        if !frame.is_error() {
            return End::Done(frame);
        }
        let text = frame.as_str().unwrap_or_default().to_owned();
        let word = text.split(' ').next().unwrap_or_default().to_owned();
        let not_done = NOT_DONE.contains(&word.as_str());
        *self.seen.errors.entry(word).or_default() += 1;
        if not_done { End::NotDone } else { End::Unknown }
    }
}
