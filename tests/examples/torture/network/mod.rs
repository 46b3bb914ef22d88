//! The network between the nodes, which cuts, delays and loses what they send one another.
//!
//! | file | how |
//! |---|---|
//! | [`proxies`] | a proxy before each node: everything runs on one host, without privileges |
//! | [`namespaces`] | a network namespace for each node: the kernel drops packets, and TCP has to cope |

mod namespaces;
mod proxies;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use namespaces::Namespaces;
use proxies::Proxies;

/// What happens to everything that goes from one node to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Nothing arrives until the rule is lifted; then what waited does, as after a repaired cable.
    pub(crate) cut: bool,
    /// Everything arrives so much later.
    pub(crate) delay: Duration,
    /// Of a thousand pieces so many are lost: chunks of a stream, which breaks, or packets, which are sent again.
    pub(crate) lost_permille: u32,
}

/// How the nodes of a run are connected.
pub(crate) enum Network {
    Proxies(Proxies),
    Namespaces(Namespaces),
}

/// The ports of a node: for clients, of the node itself for other nodes, and where these find it.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) client: u16,
    pub(crate) bus: u16,
    pub(crate) announced_bus: u16,
}

impl Network {
    pub(crate) fn new(in_namespaces: bool) -> Self {
        if in_namespaces {
            Self::Namespaces(Namespaces::new())
        } else {
            Self::Proxies(Proxies::new())
        }
    }

    /// Whether something can be delayed.
    pub(crate) fn delays(&self) -> bool {
        match self {
            Self::Proxies(_) => true,
            Self::Namespaces(namespaces) => namespaces.delays,
        }
    }

    /// Where the node at `place` listens, and other nodes find it.
    pub(crate) fn host(&self, place: usize) -> IpAddr {
        match self {
            Self::Proxies(_) => Ipv4Addr::LOCALHOST.into(),
            Self::Namespaces(namespaces) => namespaces.host(place).into(),
        }
    }

    /// Prepares for a node at `place`.
    pub(crate) fn add(&self, place: usize, ports: Ports) {
        match self {
            Self::Proxies(proxies) => proxies.stand_before(place, ports.announced_bus, ports.bus),
            Self::Namespaces(namespaces) => namespaces.add(place),
        }
    }

    /// The port at which the node at a new place announces itself to the others.
    pub(crate) fn announced(&self, bus: u16, free: impl FnOnce() -> u16) -> u16 {
        match self {
            Self::Proxies(_) => free(),
            Self::Namespaces(_) => bus,
        }
    }

    /// Does what starts a process, so that it belongs to `place`.
    pub(crate) fn inside<R: Send>(&self, place: usize, start: impl FnOnce() -> R + Send) -> R {
        match self {
            Self::Proxies(_) => start(),
            Self::Namespaces(namespaces) => namespaces.inside(place, start),
        }
    }

    /// The process at `place` is gone: its host refuses connections.
    pub(crate) fn close(&self, place: usize) {
        if let Self::Proxies(proxies) = self {
            proxies.close(place);
        }
    }

    /// A process is there again.
    pub(crate) fn open(&self, place: usize) {
        if let Self::Proxies(proxies) = self {
            proxies.open(place);
        }
    }

    /// Nobody is at this place any more.
    pub(crate) fn forget(&self, place: usize) {
        match self {
            Self::Proxies(proxies) => proxies.forget(place),
            Self::Namespaces(namespaces) => namespaces.forget(place),
        }
    }

    /// The node with this id is at this place.
    pub(crate) fn note_place(&self, id: u64, place: usize) {
        if let Self::Proxies(proxies) = self {
            proxies.note_place(id, place);
        }
    }

    /// From now on this holds from one node to another.
    pub(crate) fn set(&self, from: usize, to: usize, rule: Rule) {
        match self {
            Self::Proxies(proxies) => proxies.set(from, to, rule),
            Self::Namespaces(namespaces) => namespaces.set(from, to, rule),
        }
    }

    /// No rule holds any more.
    pub(crate) fn heal(&self) {
        match self {
            Self::Proxies(proxies) => proxies.heal(),
            Self::Namespaces(namespaces) => namespaces.heal(),
        }
    }
}
