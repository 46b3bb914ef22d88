//! redis-rs, as it comes, through everything that happens to a cluster: `redis_rs PORT NAME DIRECTORY`, for the suite `acceptance`.
//! See `tests/suites/clients/acceptance.py`.
//!
//! Its connection manager connects again by itself, but sends nothing again: the command that was under way ends with an error of
//! the connection, and its outcome is unknown. So it is when the answer takes longer than half a second, which the library does not
//! wait by itself: on a busy machine that happens.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use redis::aio::ConnectionManager;
use redis::{Client, Cmd, FromRedisValue, RedisError};

/// How long the node may be away.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two tries while the node is away.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

struct Program {
    client: ConnectionManager,
    name: String,
    directory: PathBuf,
    rounds: u64,
    /// INCRs that were acknowledged.
    incremented: u64,
    /// Elements whose RPUSH was acknowledged.
    pushed: Vec<u64>,
    /// Of INCR and RPUSH, commands that got no answer.
    unknown: u64,
    /// The last command got no answer.
    is_down: bool,
    /// How often the connection broke.
    broken: u64,
    /// How often the library did not wait for the answer.
    late: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().expect("redis_rs PORT NAME DIRECTORY");
    let (port, name, directory) = (next(), next(), PathBuf::from(next()));
    let client = Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    let mut program = Program {
        client: client.get_connection_manager().await.expect("a connection"),
        name,
        directory,
        rounds: 0,
        incremented: 0,
        pushed: Vec::new(),
        unknown: 0,
        is_down: false,
        broken: 0,
        late: 0,
    };
    while !program.directory.join("stop").exists() {
        program.round().await;
    }
    program.check().await;
    println!(
        "redis-rs, {}: {} rounds, {} broken connections, {} late replies, no error reply, nothing lost",
        program.name, program.rounds, program.broken, program.late
    );
}

impl Program {
    async fn round(&mut self) {
        let number = self.rounds + 1;
        let key = format!("{}:{number}", self.name);
        self.again::<()>(&Cmd::set(&key, number)).await;
        let read: u64 = self.again(&Cmd::get(&key)).await;
        assert_eq!(read, number, "its own write");
        let count = Cmd::incr(format!("{}:count", self.name), 1);
        match self.once::<u64>(&count).await {
            Some(_) => self.incremented += 1,
            None => self.unknown += 1,
        }
        let push = Cmd::rpush(format!("{}:list", self.name), number);
        match self.once::<u64>(&push).await {
            Some(_) => self.pushed.push(number),
            None => self.unknown += 1,
        }
        self.rounds = number;
        if number.is_multiple_of(20) {
            let shown = self.directory.join(format!(".{}", self.name));
            std::fs::write(&shown, format!("{number} {0} {0}\n", self.broken)).expect("written");
            std::fs::rename(shown, self.directory.join(&self.name)).expect("renamed");
        }
    }

    /// Runs a command; none when the connection broke.
    ///
    /// # Panics
    /// At an error reply.
    async fn once<T: FromRedisValue>(&mut self, command: &Cmd) -> Option<T> {
        match command.query_async(&mut self.client).await {
            Ok(value) => {
                self.is_down = false;
                Some(value)
            }
            Err(error) if error.is_timeout() => {
                self.late += 1;
                None
            }
            Err(error) => {
                assert!(is_broken(&error), "an error reply: {error}");
                self.broken += u64::from(!self.is_down);
                self.is_down = true;
                None
            }
        }
    }

    /// Runs a command that may run twice, until it is answered.
    async fn again<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(value) = self.once(command).await {
                return value;
            }
            assert!(Instant::now() < deadline, "it does not go on");
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    async fn check(&mut self) {
        let count: u64 = self.again(&Cmd::get(format!("{}:count", self.name))).await;
        let (least, most) = (self.incremented, self.incremented + self.unknown);
        assert!(
            (least..=most).contains(&count),
            "{count}, not {least} to {most}"
        );
        let list = Cmd::lrange(format!("{}:list", self.name), 0, -1);
        let list: Vec<u64> = self.again(&list).await;
        assert!(
            list.is_sorted_by(|one, two| one < two),
            "in order, and none twice"
        );
        for number in &self.pushed {
            assert!(list.binary_search(number).is_ok(), "{number} is missing");
        }
        for number in 1..=self.rounds {
            let read: Option<u64> = self
                .again(&Cmd::get(format!("{}:{number}", self.name)))
                .await;
            assert_eq!(read, Some(number));
        }
    }
}

/// Whether there was no reply at all.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal()
}
