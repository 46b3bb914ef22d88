//! The list of `cluster-peers`: `1@10.0.0.1:6379,2@10.0.0.2:6379,3@[fe80::3]:6379@17000`.
//!
//! The addresses are those of clients; other Stores connect to the port 10000 higher, or to the one after a second `@`.

use std::fmt;

use storage::ids::StoreId;
use storage::proto::store::StoreAddress;

use super::settings::Settings;

/// From a client port to the peer link's, as Redis Cluster has it.
pub const BUS_PORT_OFFSET: u16 = 10_000;

/// One Store of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// Its `node-id`.
    pub store_id: StoreId,
    /// Name or address, without brackets.
    pub host: String,
    /// For clients.
    pub port: u16,
    /// For Stores, if it was given.
    pub given_bus_port: Option<u16>,
}

impl PeerAddress {
    /// For Stores; `None` when the client port is too high to add 10000, which `check` refuses.
    pub fn bus_port(&self) -> Option<u16> {
        self.given_bus_port
            .or_else(|| self.port.checked_add(BUS_PORT_OFFSET))
    }

    /// `host:port` for clients, an IPv6 address in brackets.
    pub fn client_address(&self) -> String {
        host_port(&self.host, self.port)
    }

    /// `host:port` of the peer link, an IPv6 address in brackets.
    pub fn bus_address(&self) -> String {
        host_port(&self.host, self.bus_port().unwrap_or_default())
    }
}

/// `host:port`, an IPv6 address in brackets.
pub fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

impl From<&PeerAddress> for StoreAddress {
    fn from(peer: &PeerAddress) -> Self {
        Self {
            store_id: peer.store_id.get(),
            host: peer.host.clone(),
            port: peer.port.into(),
            bus_port: peer.bus_port().unwrap_or_default().into(),
            tls_port: 0,
        }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.store_id, self.client_address())?;
        self.given_bus_port
            .map_or(Ok(()), |port| write!(f, "@{port}"))
    }
}

/// Splits `host:port`, an IPv6 address in brackets or not.
pub fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, number) = text.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    (!host.is_empty()).then_some((host, port(number)?))
}

/// Reads the words of `cluster-peers`; commas and spaces separate.
pub fn parse(words: &[String]) -> Result<Vec<PeerAddress>, String> {
    let items = words
        .iter()
        .flat_map(|word| word.split([',', ' ']))
        .map(str::trim)
        .filter(|item| !item.is_empty());
    items.map(parse_one).collect()
}

fn parse_one(item: &str) -> Result<PeerAddress, String> {
    let wrong = |what: &str| {
        format!("'{item}': {what}; write node-id@host:port, for instance 1@10.0.0.1:6379")
    };
    let (id, address) = item
        .split_once('@')
        .ok_or_else(|| wrong("the node-id is missing"))?;
    let id: u64 = id
        .parse()
        .ok()
        .filter(|id| *id > 0)
        .ok_or_else(|| wrong("the node-id must be a number from 1"))?;
    let (address, bus) = match address.rsplit_once('@') {
        Some((address, bus)) => (
            address,
            Some(port(bus).ok_or_else(|| wrong("the port after the last @ is none"))?),
        ),
        None => (address, None),
    };
    if !address.contains(':') {
        return Err(wrong("the port is missing"));
    }
    if address.starts_with(':') {
        return Err(wrong("the host is missing"));
    }
    let (host, client) = split_host_port(address)
        .ok_or_else(|| wrong("the port must be a number from 1 to 65535"))?;
    Ok(PeerAddress {
        store_id: StoreId(id),
        host: host.to_owned(),
        port: client,
        given_bus_port: bus,
    })
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port != 0)
}

/// `cluster-peers` together with `node-id`, `port`, `cluster-port` and `cluster-secret`.
pub(super) fn check(settings: &Settings) -> Result<(), String> {
    let list = &settings.cluster_peers;
    if list.is_empty() {
        return Ok(());
    }
    for (position, peer) in list.iter().enumerate() {
        let before = &list[..position];
        if before.iter().any(|other| other.store_id == peer.store_id) {
            return Err(format!(
                "cluster-peers names node {} twice: every node needs an id of its own",
                peer.store_id
            ));
        }
        if let Some(other) = before
            .iter()
            .find(|other| other.host == peer.host && other.port == peer.port)
        {
            let (first, second, address) = (other.store_id, peer.store_id, peer.client_address());
            return Err(format!(
                "cluster-peers gives nodes {first} and {second} the same address {address}"
            ));
        }
        if peer.bus_port().is_none() {
            return Err(format!(
                "port {} of node {} leaves no room for the peer link at port + 10000: write \
                 {}@{}@PORT in cluster-peers",
                peer.port,
                peer.store_id,
                peer.store_id,
                peer.client_address()
            ));
        }
    }
    let ids = list
        .iter()
        .map(|peer| peer.store_id.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    if settings.node_id == 0 {
        return Err(format!(
            "cluster-peers is given but node-id is not: say which of {ids} this node is"
        ));
    }
    let Some(own) = settings.own_address() else {
        return Err(format!(
            "node-id {} is not in cluster-peers, which has {ids}",
            settings.node_id
        ));
    };
    if own.port != settings.announced_port() {
        return Err(format!(
            "cluster-peers says that node {} listens at port {}, but port is {}: set port {} (or with port 0, tls-port)",
            own.store_id,
            own.port,
            settings.announced_port(),
            own.port
        ));
    }
    let announced = settings.announced_bus_port().unwrap_or_default();
    let is_given = settings.cluster_port != 0 || settings.cluster_announce_bus_port != 0;
    if is_given && own.bus_port() != Some(announced) {
        return Err(format!(
            "cluster-port is {}, but the other nodes will look for node {} at {}: write {}@{}@{} in cluster-peers on \
             every node",
            announced,
            own.store_id,
            own.bus_address(),
            own.store_id,
            own.client_address(),
            announced
        ));
    }
    if list.len() > 1 && settings.cluster_secret.is_empty() {
        return Err("cluster-peers has more than one node, so cluster-secret is needed: set the same long random text \
                    on every node, for instance from: openssl rand -hex 32"
            .to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(peers: &str, node_id: u64) -> Settings {
        let cluster_peers = parse(&[peers.to_owned()]).expect("a list");
        Settings {
            cluster_peers,
            node_id,
            cluster_secret: super::super::Secret::new("s"),
            ..Settings::default()
        }
    }

    #[test]
    fn a_list_reads_and_prints_the_same() {
        let text = "1@10.0.0.1:6379,2@node-b:6380@7000,3@[fe80::3]:6379";
        let list = parse(&[text.to_owned()]).expect("a list");
        assert_eq!(
            list.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(","),
            text
        );
        assert_eq!(list[0].bus_address(), "10.0.0.1:16379");
        assert_eq!(list[1].bus_address(), "node-b:7000");
        assert_eq!(list[2].bus_address(), "[fe80::3]:16379");
        assert_eq!(list[2].host, "fe80::3");
    }

    #[test]
    fn each_mistake_in_an_item_is_named() {
        for (item, part) in [
            ("10.0.0.1:6379", "node-id is missing"),
            ("0@a:1", "number from 1"),
            ("x@a:1", "number from 1"),
            ("1@a", "port is missing"),
            ("1@a:0", "from 1 to 65535"),
            ("1@a:1@x", "last @"),
            ("1@:1", "host is missing"),
        ] {
            let error = parse(&[item.to_owned()]).expect_err(item);
            assert!(error.contains(part), "{item}: {error}");
        }
    }

    #[test]
    fn contradictions_say_what_to_do() {
        let good = "1@a:6379,2@b:6379";
        assert_eq!(check(&settings(good, 1)), Ok(()));
        let no_secret = Settings {
            cluster_secret: super::super::Secret::default(),
            ..settings(good, 1)
        };
        let cases = [
            (settings(good, 0), "say which of 1, 2"),
            (settings(good, 3), "node-id 3 is not in cluster-peers"),
            (settings("1@a:6379,1@b:6379", 1), "names node 1 twice"),
            (settings("1@a:6379,2@a:6379", 1), "same address a:6379"),
            (settings("1@a:7001,2@b:7002", 1), "set port 7001"),
            (settings("1@a:6379,2@b:60000", 1), "2@b:60000@PORT"),
            (
                Settings {
                    cluster_port: 7000,
                    ..settings(good, 1)
                },
                "1@a:6379@7000",
            ),
            (no_secret, "cluster-secret is needed"),
        ];
        for (settings, part) in cases {
            let error = check(&settings).expect_err(part);
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn the_own_peer_link_port() {
        assert_eq!(settings("1@a:6379@7000,2@b:6379", 1).bus_port(), Some(7000));
        assert_eq!(settings("1@a:6379,2@b:6379", 1).bus_port(), Some(16379));
        assert_eq!(Settings::default().bus_port(), Some(16379));
    }
}
