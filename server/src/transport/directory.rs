//! The other Stores: who they are, where they are, and the links to them. Changes when the members change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use storage::ids::StoreId;
use tracing::info;

use super::forward::ForwardLink;
use super::link::{self, Context, Remote};
use super::raft_link::RaftLink;

/// What connects this Store with another one.
#[derive(Clone)]
pub(super) struct PeerLinks {
    pub(super) remote: Arc<Remote>,
    pub(super) raft: Arc<RaftLink>,
    pub(super) forward: Arc<ForwardLink>,
}

/// The links, by Store.
#[derive(Default)]
pub(super) struct Directory {
    /// Ascending by store id, few: found by looking.
    links: ArcSwap<Vec<PeerLinks>>,
    /// Held while the links change.
    changing: Mutex<()>,
    /// Ids from here on were never given to a Store, as far as this one knows.
    next_store: AtomicU64,
    /// A member said that this Store is none, and none has accepted it since.
    expelled: AtomicBool,
    /// This Store was removed, and has taken leave.
    left: AtomicBool,
}

impl Directory {
    /// The links to a Store.
    pub(super) fn get(&self, store: StoreId) -> Option<PeerLinks> {
        let links = self.links.load();
        links
            .iter()
            .find(|links| links.remote.store == store)
            .cloned()
    }

    /// All links, ascending by store id.
    pub(super) fn all(&self) -> Arc<Vec<PeerLinks>> {
        self.links.load_full()
    }

    /// Whether a Store may connect: a member, or one whose id this Store has not heard of yet. An id that was given and is no
    /// member's any more was removed.
    pub(super) fn admits(&self, store: StoreId) -> bool {
        store.get() >= self.next_store.load(Ordering::Relaxed) || self.get(store).is_some()
    }

    pub(super) fn note_expulsion(&self, expelled: bool) {
        self.expelled.store(expelled, Ordering::Relaxed);
    }

    pub(super) fn is_expelled(&self) -> bool {
        self.expelled.load(Ordering::Relaxed)
    }

    /// From now on there are no other Stores for this one: it was removed.
    pub(super) fn leave(context: &Arc<Context>) {
        context.directory.left.store(true, Ordering::Relaxed);
        Self::set(context, &[], StoreId(0));
        context.directory.note_expulsion(true);
    }

    /// Whether this Store has taken leave. It turns away whoever connects, and must not say that they are no members: one that
    /// executes the removal later than this Store connects again meanwhile, and would take itself for removed.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// From now on these are the other Stores: links to new ones begin, those to Stores that are not among them end.
    pub(super) fn set(context: &Arc<Context>, peers: &[(StoreId, String)], next_store: StoreId) {
        let directory = &context.directory;
        let changing = directory.changing.lock();
        let known = directory.all();
        let mut links: Vec<PeerLinks> = Vec::with_capacity(peers.len());
        for (store, addresses) in addresses_by_store(peers) {
            if store == context.identity.store_id {
                continue;
            }
            match known.iter().find(|links| links.remote.store == store) {
                Some(there) => {
                    there.remote.set_addresses(&addresses);
                    links.push(there.clone());
                }
                None => links.push(PeerLinks::start(context, store, addresses)),
            }
        }
        links.sort_by_key(|links| links.remote.store);
        for gone in known.iter() {
            let store = gone.remote.store;
            if links.iter().all(|links| links.remote.store != store) {
                info!("node {store} is no member any more: its links end");
                gone.remote.remove();
            }
        }
        directory.links.store(Arc::new(links));
        // Last: until there is a link to a member, its id is new, and it may connect.
        let next = next_store.get();
        directory.next_store.fetch_max(next, Ordering::Relaxed);
        drop(changing);
    }

    /// A Store says where it is: one that this one has not heard of, or that has moved.
    pub(super) fn introduce(context: &Arc<Context>, store: StoreId, address: &str) {
        let directory = &context.directory;
        if store == context.identity.store_id || !directory.admits(store) {
            return;
        }
        if let Some(links) = directory.get(store) {
            links.remote.add_address(address);
            return;
        }
        let changing = directory.changing.lock();
        let mut links = directory.all().to_vec();
        if links.iter().all(|links| links.remote.store != store) {
            links.push(PeerLinks::start(context, store, vec![address.to_owned()]));
            links.sort_by_key(|links| links.remote.store);
            directory.links.store(Arc::new(links));
        }
        drop(changing);
    }
}

/// The addresses of each Store, in their order, without repetitions.
fn addresses_by_store(peers: &[(StoreId, String)]) -> BTreeMap<StoreId, Vec<String>> {
    let mut by_store: BTreeMap<StoreId, Vec<String>> = BTreeMap::new();
    for (store, address) in peers {
        let addresses = by_store.entry(*store).or_default();
        if !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }
    by_store
}

impl PeerLinks {
    fn start(context: &Arc<Context>, store: StoreId, addresses: Vec<String>) -> Self {
        let options = &context.options;
        let remote = Arc::new(Remote::new(store, addresses));
        let raft = Arc::new(RaftLink::new(
            store,
            options.raft_queue_messages,
            options.raft_queue_bytes,
        ));
        let forward = Arc::new(ForwardLink::new(store, options.forward_limits()));
        context.tasks.spawn(link::keep(
            Arc::clone(context),
            Arc::clone(&remote),
            Arc::clone(&raft),
        ));
        context.tasks.spawn(link::keep(
            Arc::clone(context),
            Arc::clone(&remote),
            Arc::clone(&forward),
        ));
        Self {
            remote,
            raft,
            forward,
        }
    }
}
