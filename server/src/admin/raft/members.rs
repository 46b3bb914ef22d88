//! RAFT.NODE and RAFT.CLUSTER.

use std::sync::Arc;

use storage::ids::StoreId;
use storage::proto::command::{MemberAction, MemberStep, MembershipChange};
use storage::proto::store::StoreAddress;

use super::super::answer::encode;
use super::{node_id, recover};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::config::Settings;
use crate::config::peers::{self, BUS_PORT_OFFSET, PeerAddress};
use crate::dispatch::outcome::{Failure, Refusal, text};
use crate::dispatch::{AdminCall, AdminFuture, routing};
use crate::join;
use crate::next_start::NextStart;
use crate::raftstore::Members;

/// RAFT.NODE ADD id host:port[@bus-port] | REMOVE id
///
/// ADD answers the node's id (0 lets the cluster choose one), the cluster's id, and the members: what a joining node needs.
pub(super) fn node(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        if args.flag("ADD") {
            let (id, address) = (args.int()?, args.bytes()?);
            args.finish()?;
            let address = new_member(id, address)?;
            add(&call, address).await
        } else if args.flag("REMOVE") {
            let store = node_id(args.int()?)?;
            args.finish()?;
            remove(&call, store).await
        } else {
            Err(CommandError::reply(
                "ERR RAFT.NODE supports ADD / REMOVE only",
            ))
        }
    })
}

fn new_member(id: i64, address: &[u8]) -> CommandResult<StoreAddress> {
    let wrong = || CommandError::reply("ERR the address must be host:port or host:port@bus-port");
    let id = u64::try_from(id).map_err(|_| CommandError::reply("ERR a node id is a number"))?;
    let text = std::str::from_utf8(address).map_err(|_| wrong())?;
    let (client, bus) = text.rsplit_once('@').unwrap_or((text, ""));
    let (host, port) = peers::split_host_port(client).ok_or_else(wrong)?;
    let bus_port = if bus.is_empty() {
        port.checked_add(BUS_PORT_OFFSET).ok_or_else(wrong)?
    } else {
        bus.parse().ok().filter(|bus| *bus != 0).ok_or_else(wrong)?
    };
    Ok(StoreAddress {
        store_id: id,
        host: host.to_owned(),
        port: port.into(),
        bus_port: bus_port.into(),
        // It tells that itself, when it is there.
        tls_port: 0,
    })
}

async fn add(call: &AdminCall, address: StoreAddress) -> CommandResult<bytes::BytesMut> {
    if call.shared.transport().is_none() {
        return Err(CommandError::reply(
            "ERR this node has no cluster-secret, without which no other node can join: set one, and restart",
        ));
    }
    introduce_this_node(call).await?;
    let store = change(call, MemberAction::AddLearner, address).await?;
    let members = call.shared.router.status().members;
    let cluster_id = call
        .shared
        .cluster_id
        .iter()
        .map(|byte| format!("{byte:02x}"));
    let cluster_id = cluster_id.collect::<String>();
    let members = listed(&members);
    encode(call, |out| {
        out.array(3);
        out.integer(store.get() as i64);
        out.bulk(cluster_id.as_bytes());
        out.array(members.len());
        for member in &members {
            out.bulk(member.to_string().as_bytes());
        }
        Ok(())
    })
}

/// The first node that is joined may listen everywhere and not know where it is. Whoever asks knows: the address that this
/// connection was made to.
async fn introduce_this_node(call: &AdminCall) -> CommandResult {
    let own = call.shared.store;
    let members = call.shared.router.status().members;
    if members
        .get(own)
        .is_none_or(|member| !member.host.is_empty())
    {
        return Ok(());
    }
    let settings = call.shared.config.load();
    let told = settings.advertised(own).or_else(|| {
        let client = call.shared.clients.get(call.client_id)?;
        let (host, _) = peers::split_host_port(&client.address.local)?;
        Some(StoreAddress {
            store_id: own.get(),
            host: host.to_owned(),
            port: settings.announced_port().into(),
            bus_port: settings.announced_bus_port()?.into(),
            tls_port: settings.announced_tls_port().into(),
        })
    });
    drop(settings);
    let address = told.ok_or_else(|| {
        CommandError::reply("ERR this node does not know its own address: set cluster-announce-ip")
    })?;
    change(call, MemberAction::SetAddress, address).await?;
    Ok(())
}

/// The members whose address is known, as `cluster-peers` writes them.
fn listed(members: &Members) -> Vec<PeerAddress> {
    let known = members.list.iter().filter(|member| !member.host.is_empty());
    known
        .map(|member| PeerAddress {
            store_id: member.store,
            host: member.host.clone(),
            port: member.port,
            given_bus_port: Some(member.bus_port),
        })
        .collect()
}

async fn remove(call: &AdminCall, store: StoreId) -> CommandResult<bytes::BytesMut> {
    let address = StoreAddress {
        store_id: store.get(),
        ..StoreAddress::default()
    };
    change(call, MemberAction::Remove, address).await?;
    encode(call, |out| {
        out.ok();
        Ok(())
    })
}

async fn change(
    call: &AdminCall,
    action: MemberAction,
    address: StoreAddress,
) -> CommandResult<StoreId> {
    let step = MemberStep {
        action: action.into(),
        store: Some(address),
    };
    let change = MembershipChange { steps: vec![step] };
    let changed = routing::change_members(&call.shared, change).await;
    changed.map_err(|failure| {
        CommandError::reply(match &failure {
            Failure::Refused(Refusal::Remote(reason)) => format!("ERR {reason}"),
            failure => text(failure),
        })
    })
}

fn address(text: &[u8]) -> CommandResult<String> {
    let text = std::str::from_utf8(text).ok();
    let known = text.filter(|text| peers::split_host_port(text).is_some());
    known
        .map(str::to_owned)
        .ok_or_else(|| CommandError::reply("ERR the address must be host:port"))
}

/// Asks first, so that a refusal is the answer and nothing has changed.
async fn join_another(call: &AdminCall, addresses: Vec<String>) -> CommandResult<bytes::BytesMut> {
    if addresses.is_empty() {
        return Err(CommandError::reply("ERR write RAFT.CLUSTER JOIN host:port"));
    }
    if call.shared.router.status().members.list.len() > 1 {
        return Err(CommandError::reply("ERR Already cluster member"));
    }
    let keys: u64 = call
        .shared
        .machine
        .dataset()
        .read()
        .stats()
        .keys
        .iter()
        .sum();
    if keys > 0 {
        return Err(CommandError::reply(format!(
            "ERR this node has {keys} keys, which the cluster's data would replace: FLUSHALL first if they may go"
        )));
    }
    let settings = Settings {
        join: addresses,
        // The id is the cluster's to give: this node has one as a cluster of its own.
        node_id: 0,
        ..call.shared.config.snapshot().as_ref().clone()
    };
    let tls = Arc::clone(&call.shared.tls);
    let asked = tokio::task::spawn_blocking(move || join::ask(&settings, &tls)).await;
    let joined = asked.unwrap_or_else(|error| Err(error.into()));
    let joined = joined.map_err(|error| CommandError::reply(format!("ERR {error:#}")))?;
    recover::restart(call, &NextStart::Join(joined))
}

/// RAFT.CLUSTER INIT [id] | JOIN host:port [host:port ...]
///
/// A node that is alone is a cluster from its first start, so INIT has nothing to do there. One that is alone and empty may
/// join another: the cluster gives it an id, and it starts again with an empty directory.
pub(super) fn cluster(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        if args.flag("INIT") {
            if call.shared.router.status().members.list.len() > 1 {
                return Err(CommandError::reply("ERR Already cluster member"));
            }
            let id = call
                .shared
                .cluster_id
                .iter()
                .map(|byte| format!("{byte:02x}"));
            let id = id.collect::<String>();
            encode(&call, |out| {
                out.simple(&format!("OK {id}"));
                Ok(())
            })
        } else if args.flag("JOIN") {
            let mut addresses = Vec::new();
            while !args.is_empty() {
                addresses.push(address(args.bytes()?)?);
            }
            join_another(&call, addresses).await
        } else {
            Err(CommandError::reply(
                "ERR RAFT.CLUSTER supports INIT / JOIN only",
            ))
        }
    })
}
