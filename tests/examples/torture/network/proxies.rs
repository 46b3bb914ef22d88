//! A proxy before each node's port for other nodes: it knows who dials, and holds back, delays or loses what goes from one node to
//! another. No privileges are needed, and it is the same everywhere.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::Rng as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::Rule;

/// Where the first frame of a connection says who dials: behind the frame's header, the magic, version, purpose and cluster id.
const FROM_AT: usize = 9 + 6 + 2 + 1 + 16;
/// Enough of the first frame to know it.
const HEAD_BYTES: usize = FROM_AT + 8;

/// Chunks under way in one direction of a connection; beyond it, the sender feels it.
const CHUNKS: usize = 256;

/// Places of nodes (from, to) and their rules; no rule: nothing happens.
type Rules = HashMap<(usize, usize), Rule>;

/// One proxy's port, and the node's behind it.
struct Door {
    port: u16,
    target: u16,
    /// Accepts while the node's process lives.
    task: Option<JoinHandle<()>>,
}

/// All proxies.
pub(crate) struct Proxies {
    rules: Arc<watch::Sender<Rules>>,
    /// Which node has which place, by node id.
    places: Arc<watch::Sender<HashMap<u64, usize>>>,
    /// Before each place.
    doors: Mutex<HashMap<usize, Door>>,
    runtime: tokio::runtime::Runtime,
}

impl Proxies {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        Self {
            rules: Arc::new(watch::Sender::default()),
            places: Arc::new(watch::Sender::default()),
            doors: Mutex::default(),
            runtime: runtime.expect("a runtime"),
        }
    }

    /// Stands at `port` before the node at `place`, which listens at `target`.
    pub(super) fn stand_before(&self, place: usize, port: u16, target: u16) {
        let door = Door {
            port,
            target,
            task: None,
        };
        self.doors.lock().insert(place, door);
        self.open(place);
    }

    /// The process at `place` is gone: its host refuses connections.
    pub(super) fn close(&self, place: usize) {
        let mut doors = self.doors.lock();
        if let Some(task) = doors.get_mut(&place).and_then(|door| door.task.take()) {
            task.abort();
            // Until then it accepts.
            let _ = self.runtime.block_on(task);
        }
    }

    /// A process is there again.
    pub(super) fn open(&self, place: usize) {
        let mut doors = self.doors.lock();
        let door = doors.get_mut(&place).expect("it stands there");
        if door.task.is_none() {
            door.task = Some(self.accept(place, door.port, door.target));
        }
    }

    /// Nobody is at this place any more.
    pub(super) fn forget(&self, place: usize) {
        self.close(place);
        self.doors.lock().remove(&place);
    }

    fn accept(&self, place: usize, port: u16, target: u16) -> JoinHandle<()> {
        let (rules, places) = (Arc::clone(&self.rules), Arc::clone(&self.places));
        let listener = self
            .runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)))
            .expect("a free port");
        self.runtime.spawn(async move {
            while let Ok((dialer, _)) = listener.accept().await {
                let connection = Connection {
                    to: place,
                    target,
                    rules: Arc::clone(&rules),
                    places: Arc::clone(&places),
                };
                // However it ends, both sides see it.
                tokio::spawn(async move { drop(connection.serve(dialer).await) });
            }
        })
    }

    /// The node with this id is at this place.
    pub(super) fn note_place(&self, id: u64, place: usize) {
        self.places.send_modify(|places| {
            places.insert(id, place);
        });
    }

    /// From now on this holds from one node to another.
    pub(super) fn set(&self, from: usize, to: usize, rule: Rule) {
        self.rules.send_modify(|rules| {
            rules.insert((from, to), rule);
        });
    }

    /// No rule holds any more.
    pub(super) fn heal(&self) {
        self.rules.send_replace(Rules::new());
    }
}

struct Connection {
    /// Place of the acceptor.
    to: usize,
    target: u16,
    rules: Arc<watch::Sender<Rules>>,
    places: Arc<watch::Sender<HashMap<u64, usize>>>,
}

impl Connection {
    async fn serve(self, mut dialer: TcpStream) -> io::Result<()> {
        let mut head = [0; HEAD_BYTES];
        dialer.read_exact(&mut head).await?;
        let id = head[FROM_AT..].try_into().map(u64::from_le_bytes);
        let from = self.places.borrow().get(&id.expect("eight bytes")).copied();
        // A node that joins is not known yet; nothing is done to it.
        let from = from.unwrap_or(usize::MAX);
        self.passes(from, self.to).await;
        // While the acceptor's process is gone, nobody listens, and the connection is closed.
        let mut acceptor = TcpStream::connect(("127.0.0.1", self.target)).await?;
        acceptor.set_nodelay(true)?;
        dialer.set_nodelay(true)?;
        acceptor.write_all(&head).await?;
        let (dialer_reads, dialer_writes) = dialer.into_split();
        let (acceptor_reads, acceptor_writes) = acceptor.into_split();
        tokio::select! {
            ended = self.pump(from, self.to, dialer_reads, acceptor_writes) => ended,
            ended = self.pump(self.to, from, acceptor_reads, dialer_writes) => ended,
        }
    }

    fn rule(&self, from: usize, to: usize) -> Rule {
        let rules = self.rules.borrow();
        rules.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Waits until the direction is not cut.
    async fn passes(&self, from: usize, to: usize) {
        let is_open = |rules: &Rules| rules.get(&(from, to)).is_none_or(|rule| !rule.cut);
        // An error would mean that the network is gone, with everything else.
        let _ = self.rules.subscribe().wait_for(is_open).await;
    }

    /// Carries one direction, in order, each chunk when it is due.
    async fn pump(
        &self,
        from: usize,
        to: usize,
        mut source: impl AsyncReadExt + Unpin,
        mut sink: impl AsyncWriteExt + Unpin,
    ) -> io::Result<()> {
        let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
        let read = async {
            loop {
                let mut chunk = Vec::with_capacity(64 << 10);
                if source.read_buf(&mut chunk).await? == 0 {
                    return Ok(());
                }
                let rule = self.rule(from, to);
                if rand::rng().random_ratio(rule.lost_permille.min(1000), 1000) {
                    return Ok(());
                }
                let due = Instant::now() + rule.delay;
                if sender.send((due, chunk)).await.is_err() {
                    return Ok(());
                }
            }
        };
        let write = async {
            while let Some((due, chunk)) = receiver.recv().await {
                sleep_until(due).await;
                self.passes(from, to).await;
                sink.write_all(&chunk).await?;
            }
            io::Result::Ok(())
        };
        tokio::select! {
            ended = read => ended,
            ended = write => ended,
        }
    }
}
