//! The forms in which Redis Cluster describes nodes and slots.

use std::net::IpAddr;

use resp::Writer;
use storage::ids::SLOT_COUNT;

use crate::dispatch::members::{Member, Members};

const LAST_SLOT: u16 = SLOT_COUNT - 1;

/// The text of CLUSTER INFO. Epochs are terms.
pub(super) fn info(members: &Members) -> String {
    let (state, slots_ok) = match members.leader {
        Some(_) => ("ok", SLOT_COUNT),
        None => ("fail", 0),
    };
    let fields: [(&str, String); 10] = [
        ("cluster_state", state.to_owned()),
        ("cluster_slots_assigned", SLOT_COUNT.to_string()),
        ("cluster_slots_ok", slots_ok.to_string()),
        ("cluster_slots_pfail", "0".to_owned()),
        ("cluster_slots_fail", (SLOT_COUNT - slots_ok).to_string()),
        ("cluster_known_nodes", members.all.len().to_string()),
        ("cluster_size", "1".to_owned()),
        ("cluster_current_epoch", members.term.to_string()),
        ("cluster_my_epoch", members.term.to_string()),
        ("total_cluster_links_buffer_limit_exceeded", "0".to_owned()),
    ];
    fields
        .iter()
        .map(|(name, value)| format!("{name}:{value}\r\n"))
        .collect()
}

/// A node's line in CLUSTER NODES, without its end.
pub(super) fn line(member: &Member, members: &Members) -> String {
    let leads = Some(member.store) == members.leader;
    let mut flags = Vec::new();
    if member.is_own {
        flags.push("myself");
    }
    flags.push(if leads { "master" } else { "slave" });
    if member.is_lost {
        flags.push("fail");
    }
    let master = match members.leader() {
        Some(leader) if !leads => leader.name.as_str(),
        _ => "-",
    };
    let host = hostname(member).map_or(String::new(), |name| format!(",{name}"));
    let mut line = format!(
        "{} {}:{}@{}{host} {} {master} 0 0 {} {}",
        member.name,
        member.host,
        member.port,
        member.bus_port,
        flags.join(","),
        members.term,
        if member.is_lost {
            "disconnected"
        } else {
            "connected"
        },
    );
    if leads {
        line.push_str(&format!(" 0-{LAST_SLOT}"));
    }
    line
}

/// What `cluster-peers` gives in place of an address.
fn hostname(member: &Member) -> Option<&str> {
    let is_address = member.host.is_empty() || member.host.parse::<IpAddr>().is_ok();
    (!is_address).then_some(member.host.as_str())
}

/// CLUSTER SLOTS: nothing without a leader.
pub(super) fn slots(members: &Members, out: &mut Writer<'_>) {
    let Some(leader) = members.leader() else {
        out.array(0);
        return;
    };
    let replicas: Vec<&Member> = members
        .replicas()
        .filter(|replica| !replica.is_lost)
        .collect();
    out.array(1);
    out.array(3 + replicas.len());
    out.integer(0);
    out.integer(LAST_SLOT.into());
    for member in std::iter::once(leader).chain(replicas) {
        out.array(4);
        out.bulk(member.host.as_bytes());
        out.integer(member.port.into());
        out.bulk(member.name.as_bytes());
        out.map(0);
    }
}

/// CLUSTER SHARDS
pub(super) fn shards(members: &Members, out: &mut Writer<'_>) {
    out.array(1);
    out.map(2);
    out.bulk(b"slots");
    match members.leader {
        Some(_) => {
            out.array(2);
            out.integer(0);
            out.integer(LAST_SLOT.into());
        }
        None => out.array(0),
    }
    out.bulk(b"nodes");
    out.array(members.all.len());
    for member in &members.all {
        shard_node(member, members, out);
    }
}

fn shard_node(member: &Member, members: &Members, out: &mut Writer<'_>) {
    let hostname = hostname(member);
    let ports = [
        (&b"port"[..], member.plain_port()),
        (b"tls-port", member.tls_port),
    ];
    let ports: Vec<_> = ports.iter().filter(|(_, port)| *port != 0).collect();
    out.map(5 + ports.len() + usize::from(hostname.is_some()));
    out.bulk(b"id");
    out.bulk(member.name.as_bytes());
    for (name, port) in ports {
        out.bulk(name);
        out.integer((*port).into());
    }
    out.bulk(b"ip");
    out.bulk(member.host.as_bytes());
    out.bulk(b"endpoint");
    out.bulk(member.host.as_bytes());
    if let Some(name) = hostname {
        out.bulk(b"hostname");
        out.bulk(name.as_bytes());
    }
    out.bulk(b"role");
    out.bulk(if Some(member.store) == members.leader {
        b"master"
    } else {
        b"replica"
    });
    out.bulk(b"replication-offset");
    out.integer(member.offset as i64);
    out.bulk(b"health");
    out.bulk(if member.is_lost { b"fail" } else { b"online" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use resp::Protocol;
    use storage::ids::StoreId;

    fn members() -> Members {
        let member = |id: u64, host: &str| Member {
            store: StoreId(id),
            name: format!("{id:040x}"),
            host: host.to_owned(),
            port: 7000,
            tls_port: 0,
            bus_port: 17000,
            is_own: id == 2,
            is_lost: id == 3,
            offset: id,
        };
        Members {
            all: vec![member(1, "10.0.0.1"), member(2, "node-b"), member(3, "::3")],
            leader: Some(StoreId(1)),
            term: 5,
        }
    }

    #[test]
    fn lines_of_nodes() {
        let members = members();
        let lines: Vec<String> = members
            .all
            .iter()
            .map(|member| line(member, &members))
            .collect();
        let name = |id: u64| format!("{id:040x}");
        assert_eq!(
            lines,
            [
                format!(
                    "{} 10.0.0.1:7000@17000 master - 0 0 5 connected 0-16383",
                    name(1)
                ),
                format!(
                    "{} node-b:7000@17000,node-b myself,slave {} 0 0 5 connected",
                    name(2),
                    name(1)
                ),
                format!(
                    "{} ::3:7000@17000 slave,fail {} 0 0 5 disconnected",
                    name(3),
                    name(1)
                ),
            ]
        );
    }

    #[test]
    fn who_is_lost_serves_no_slot() {
        let mut reply = BytesMut::new();
        slots(&members(), &mut Writer::new(&mut reply, Protocol::Resp2));
        let text = String::from_utf8(reply.to_vec()).expect("text");
        assert!(text.starts_with("*1\r\n*4\r\n:0\r\n:16383\r\n*4\r\n$8\r\n10.0.0.1\r\n:7000\r\n"));
        assert!(text.contains("node-b") && !text.contains("::3"), "{text}");
    }

    #[test]
    fn without_a_leader_nothing_is_served() {
        let members = Members {
            leader: None,
            ..members()
        };
        let mut reply = BytesMut::new();
        slots(&members, &mut Writer::new(&mut reply, Protocol::Resp2));
        assert_eq!(&reply[..], b"*0\r\n");
        assert!(
            info(&members).starts_with("cluster_state:fail\r\ncluster_slots_assigned:16384\r\n")
        );
    }
}
