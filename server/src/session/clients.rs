//! Every connection, as CLIENT LIST shows them and CLIENT KILL finds them.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use resp::Protocol;
use storage::ids::DbIndex;

/// Where a connection comes from.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// Address of the client.
    pub remote: String,
    /// Address that it connected to.
    pub local: String,
    /// Loopback or Unix socket.
    pub is_local: bool,
    /// Over the Unix socket.
    pub is_unix: bool,
    /// With TLS.
    pub is_tls: bool,
    /// The number of the open file.
    pub file_descriptor: i32,
}

impl Address {
    /// Of a TCP connection from `remote`.
    pub fn of_tcp(stream: &tokio::net::TcpStream, remote: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            remote: remote.to_string(),
            local: stream.local_addr()?.to_string(),
            is_local: is_loopback(remote.ip()),
            is_unix: false,
            is_tls: false,
            file_descriptor: stream.as_raw_fd(),
        })
    }
}

/// Whether an address is of this machine.
pub fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

/// What others see of a connection. Written by its own thread.
#[derive(Debug)]
pub struct Client {
    /// Unique since the start, ascending.
    pub id: u64,
    /// Where it comes from.
    pub address: Address,
    /// When it connected.
    pub connected: Instant,
    /// Names given by CLIENT SETNAME and CLIENT SETINFO.
    pub names: RwLock<Names>,
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    /// What SYNC needs to know and answers with.
    pub rdb: Mutex<RdbLink>,
    db: AtomicU8,
    protocol: AtomicU8,
    last_command: AtomicUsize,
    /// Milliseconds after `connected`.
    last_active_ms: AtomicU64,
    query_bytes: AtomicUsize,
    query_capacity: AtomicUsize,
    arguments_bytes: AtomicUsize,
    output_bytes: AtomicUsize,
    output_peak_bytes: AtomicUsize,
    killed: AtomicBool,
    finishing: AtomicBool,
    /// The connection's task, which looks at these two whenever it waits.
    task: Mutex<Option<Waker>>,
}

/// Memory of a connection, in bytes, as of its last round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffers {
    /// Received and not dropped yet.
    pub query: usize,
    /// Room for more of it.
    pub query_free: usize,
    /// Where the arguments of the present requests are; the arguments themselves are in the query buffer.
    pub arguments: usize,
    /// Replies that wait to be sent.
    pub output: usize,
    /// The most that ever waited.
    pub output_peak: usize,
}

/// A connection that asks for an RDB file.
#[derive(Debug, Default)]
pub struct RdbLink {
    /// It said that it is a replica of Redis.
    pub is_replica: bool,
    /// The file to be sent behind the reply that announces its length.
    pub file: Option<File>,
}

/// Names that a client gave itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// CLIENT SETNAME.
    pub name: String,
    /// CLIENT SETINFO LIB-NAME.
    pub library: String,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: String,
}

impl Client {
    fn new(id: u64, address: Address) -> Self {
        Self {
            id,
            address,
            connected: Instant::now(),
            names: RwLock::default(),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            rdb: Mutex::default(),
            db: AtomicU8::new(0),
            protocol: AtomicU8::new(2),
            last_command: AtomicUsize::new(usize::MAX),
            last_active_ms: AtomicU64::new(0),
            query_bytes: AtomicUsize::new(0),
            query_capacity: AtomicUsize::new(0),
            arguments_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            output_peak_bytes: AtomicUsize::new(0),
            killed: AtomicBool::new(false),
            finishing: AtomicBool::new(false),
            task: Mutex::default(),
        }
    }

    /// Back to a fresh connection (RESET).
    pub(super) fn reset(&self) {
        self.names.write().name.clear();
        self.no_evict.store(false, Ordering::Relaxed);
        self.no_touch.store(false, Ordering::Relaxed);
        self.set_db(DbIndex(0));
        self.set_protocol(Protocol::Resp2);
    }

    pub(super) fn set_db(&self, db: DbIndex) {
        self.db.store(db.get(), Ordering::Relaxed);
    }

    pub(super) fn set_protocol(&self, protocol: Protocol) {
        self.protocol.store(
            if protocol == Protocol::Resp3 { 3 } else { 2 },
            Ordering::Relaxed,
        );
    }

    /// Notes the registry's id of the command that runs, or that ran last.
    pub fn note_command(&self, command: usize) {
        self.last_command.store(command, Ordering::Relaxed);
    }

    /// Notes that something was received.
    pub fn note_activity(&self) {
        self.last_active_ms.store(
            self.connected.elapsed().as_millis() as u64,
            Ordering::Relaxed,
        );
    }

    /// Notes the bytes of the query buffer, its capacity, and the memory of parsed arguments.
    pub fn note_input(&self, bytes: usize, capacity: usize, arguments_bytes: usize) {
        self.query_bytes.store(bytes, Ordering::Relaxed);
        self.query_capacity.store(capacity, Ordering::Relaxed);
        self.arguments_bytes
            .store(arguments_bytes, Ordering::Relaxed);
    }

    /// Notes the bytes of replies that wait to be sent.
    pub fn note_output(&self, bytes: usize) {
        self.output_bytes.store(bytes, Ordering::Relaxed);
        if bytes > self.output_peak_bytes.load(Ordering::Relaxed) {
            self.output_peak_bytes.store(bytes, Ordering::Relaxed);
        }
    }

    /// Memory of its buffers.
    pub fn buffers(&self) -> Buffers {
        let load = |bytes: &AtomicUsize| bytes.load(Ordering::Relaxed);
        let query = load(&self.query_bytes);
        Buffers {
            query,
            query_free: load(&self.query_capacity).saturating_sub(query),
            arguments: load(&self.arguments_bytes),
            output: load(&self.output_bytes),
            output_peak: load(&self.output_peak_bytes),
        }
    }

    /// Memory of the connection in all, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let names = self.names.read();
        let texts = [&names.name, &names.library, &names.library_version];
        let address = self.address.remote.capacity() + self.address.local.capacity();
        let buffers = self.buffers();
        size_of::<Self>()
            + address
            + texts.iter().map(|text| text.capacity()).sum::<usize>()
            + buffers.query
            + buffers.query_free
            + buffers.arguments
            + buffers.output
    }

    /// The selected database.
    pub fn db(&self) -> u8 {
        self.db.load(Ordering::Relaxed)
    }

    /// 2 or 3.
    pub fn protocol(&self) -> u8 {
        self.protocol.load(Ordering::Relaxed)
    }

    /// The registry's id of its last command; `None` before the first.
    pub fn last_command(&self) -> Option<usize> {
        Some(self.last_command.load(Ordering::Relaxed)).filter(|id| *id != usize::MAX)
    }

    /// Seconds since it connected.
    pub fn age_seconds(&self) -> u64 {
        self.connected.elapsed().as_secs()
    }

    /// Seconds since its last command.
    pub fn idle_seconds(&self) -> u64 {
        let now_ms = self.connected.elapsed().as_millis() as u64;
        now_ms.saturating_sub(self.last_active_ms.load(Ordering::Relaxed)) / 1_000
    }

    /// Closes the connection at its next chance.
    fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.wake();
    }

    /// Closes the connection when it has answered what it was sent.
    pub fn finish(&self) {
        self.finishing.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }

    /// Has `task` woken when the connection is to end. What it looks at afterwards is not missed.
    fn wakes(&self, task: &Waker) {
        let mut known = self.task.lock();
        match &mut *known {
            Some(known) => known.clone_from(task),
            None => *known = Some(task.clone()),
        }
    }

    /// Ready when the connection was killed, or is to end while it waits for a request. True in the second case.
    pub async fn until_done(&self) -> bool {
        poll_fn(|context| {
            self.wakes(context.waker());
            match (self.is_killed(), self.finishing.load(Ordering::Acquire)) {
                (true, _) => Poll::Ready(false),
                (false, true) => Poll::Ready(true),
                (false, false) => Poll::Pending,
            }
        })
        .await
    }

    /// True after `kill`.
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Ready when the connection was killed.
    pub async fn until_killed(&self) {
        poll_fn(|context| {
            self.wakes(context.waker());
            if self.is_killed() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await
    }
}

/// All connections by id.
#[derive(Debug, Default)]
pub struct ClientRegistry {
    clients: Mutex<BTreeMap<u64, Arc<Client>>>,
    last_id: AtomicU64,
}

impl ClientRegistry {
    /// Adds a connection.
    pub fn add(&self, address: Address) -> Arc<Client> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client::new(id, address));
        self.clients.lock().insert(id, Arc::clone(&client));
        client
    }

    /// Closes a connection, which is not shown any more.
    pub fn kill(&self, client: &Client) {
        self.remove(client.id);
        client.kill();
    }

    /// Forgets a connection that was closed.
    pub fn remove(&self, id: u64) {
        self.clients.lock().remove(&id);
    }

    /// The connection of this id.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.clients.lock().get(&id).cloned()
    }

    /// All connections, the oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.clients.lock().values().cloned().collect()
    }

    /// Memory of all connections, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let clients = self.clients.lock();
        clients
            .values()
            .map(|client| client.memory_bytes() as u64)
            .sum()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clients.lock().len()
    }

    /// True without connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
