//! Every connection, as CLIENT LIST shows them and CLIENT KILL finds them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use resp::Protocol;
use storage::ids::DbIndex;
use tokio::sync::Notify;

/// What others see of a connection. Written by its own thread once per round.
#[derive(Debug)]
pub struct Client {
    /// Unique since the start, ascending.
    pub id: u64,
    /// Address of the client.
    pub address: String,
    /// Address that it connected to.
    pub local_address: String,
    /// Loopback or Unix socket.
    pub is_local: bool,
    /// Over the Unix socket.
    pub is_unix: bool,
    /// When it connected.
    pub connected: Instant,
    /// Names given by CLIENT SETNAME and CLIENT SETINFO.
    pub names: RwLock<Names>,
    /// CLIENT NO-EVICT.
    pub no_evict: AtomicBool,
    /// CLIENT NO-TOUCH.
    pub no_touch: AtomicBool,
    db: AtomicU8,
    protocol: AtomicU8,
    last_command: AtomicUsize,
    /// Milliseconds after `connected`.
    last_active_ms: AtomicU64,
    query_buffer: AtomicU32,
    killed: AtomicBool,
    kill: Notify,
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
    fn new(id: u64, address: String, local_address: String, is_local: bool, is_unix: bool) -> Self {
        Self {
            id,
            address,
            local_address,
            is_local,
            is_unix,
            connected: Instant::now(),
            names: RwLock::default(),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            db: AtomicU8::new(0),
            protocol: AtomicU8::new(2),
            last_command: AtomicUsize::new(usize::MAX),
            last_active_ms: AtomicU64::new(0),
            query_buffer: AtomicU32::new(0),
            killed: AtomicBool::new(false),
            kill: Notify::new(),
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

    /// Notes a round: the id of its last command and the bytes that wait to be parsed.
    pub fn note_round(&self, command: usize, query_buffer: usize) {
        self.last_command.store(command, Ordering::Relaxed);
        self.query_buffer.store(
            u32::try_from(query_buffer).unwrap_or(u32::MAX),
            Ordering::Relaxed,
        );
        self.last_active_ms.store(
            self.connected.elapsed().as_millis() as u64,
            Ordering::Relaxed,
        );
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

    /// Bytes received and not yet parsed.
    pub fn query_buffer(&self) -> u32 {
        self.query_buffer.load(Ordering::Relaxed)
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
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Release);
        self.kill.notify_one();
    }

    /// True after [`Client::kill`].
    pub fn is_killed(&self) -> bool {
        self.killed.load(Ordering::Acquire)
    }

    /// Ready when the connection was killed.
    pub async fn until_killed(&self) {
        while !self.is_killed() {
            self.kill.notified().await;
        }
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
    pub fn add(
        &self,
        address: String,
        local_address: String,
        is_local: bool,
        is_unix: bool,
    ) -> Arc<Client> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client::new(id, address, local_address, is_local, is_unix));
        self.clients.lock().insert(id, Arc::clone(&client));
        client
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.clients.lock().len()
    }

    /// True without connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
