//! RAFT.NODE and RAFT.CLUSTER.

use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::ids::StoreId;
use storage::proto::command::{MemberAction, MemberStep, MembershipChange};
use storage::proto::store::StoreAddress;

use super::super::answer::encode;
use super::{hand_over, node_id, outlook, recover, successor, tell};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::config::Settings;
use crate::config::peers::{self, BUS_PORT_OFFSET, PeerAddress};
use crate::dispatch::outcome::{Failure, Refusal, text};
use crate::dispatch::{AdminCall, AdminFuture, Shared, routing};
use crate::join;
use crate::next_start::NextStart;
use crate::raftstore::Members;

/// How often is looked whether a change of members has come through.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// RAFT.NODE ADD id host:port[@bus-port] | REMOVE id [DRYRUN]
///
/// ADD answers the node's id (0 lets the cluster choose one), the cluster's id, and the members: what a joining node needs. With
/// DRYRUN, REMOVE tells what that comes to.
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
            let dry = outlook::is_asked(&mut args);
            args.finish()?;
            if dry {
                tell(&call, &outlook::of_removal(&call.shared, store)?)
            } else {
                remove(&call, store).await
            }
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
    let cluster_id = cluster_id(call);
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

/// A leader hands over before it is removed.
async fn remove(call: &AdminCall, store: StoreId) -> CommandResult<bytes::BytesMut> {
    let status = call.shared.router.status();
    if status.leader == Some(store) {
        outlook::check_removal(&call.shared, store)?;
        let to = successor(&status, call.shared.store, None)?;
        hand_over(&call.shared, to).await?;
    }
    let address = StoreAddress {
        store_id: store.get(),
        ..StoreAddress::default()
    };
    let change = change_of(MemberAction::Remove, address);
    let changed = routing::change_members(&call.shared, change).await;
    // The answer may be lost with the links of the node that is removed, if that is this one.
    if changed != Err(Failure::Unknown) || !is_removed(&call.shared, store).await {
        changed.map_err(|failure| refusal(&failure))?;
    }
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
    let changed = routing::change_members(&call.shared, change_of(action, address)).await;
    changed.map_err(|failure| refusal(&failure))
}

fn change_of(action: MemberAction, address: StoreAddress) -> MembershipChange {
    let step = MemberStep {
        action: action.into(),
        store: Some(address),
    };
    MembershipChange { steps: vec![step] }
}

fn refusal(failure: &Failure) -> CommandError {
    CommandError::reply(match failure {
        Failure::Refused(Refusal::Remote(reason)) => format!("ERR {reason}"),
        failure => text(failure),
    })
}

/// Whether a removal has taken place after all, as far as this node learns of it in time.
async fn is_removed(shared: &Shared, store: StoreId) -> bool {
    let hold = Duration::from_millis(shared.config.load().election_hold_ms);
    let deadline = Instant::now() + hold;
    loop {
        let is_gone = match store == shared.store {
            true => shared.was_removed(),
            false => shared.router.status().members.get(store).is_none(),
        };
        if is_gone || Instant::now() >= deadline {
            return is_gone;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
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

/// 32 hexadecimal digits.
fn cluster_id(call: &AdminCall) -> String {
    let bytes = call.shared.cluster_id.iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn init(call: &AdminCall, wanted: Option<&[u8]>) -> CommandResult<bytes::BytesMut> {
    if call.shared.router.status().members.list.len() > 1 {
        return Err(CommandError::reply("ERR Already cluster member"));
    }
    let id = cluster_id(call);
    match wanted {
        Some(wanted) if wanted.len() != id.len() => Err(CommandError::reply(format!(
            "ERR cluster id must be {} characters",
            id.len()
        ))),
        Some(wanted) if !wanted.eq_ignore_ascii_case(id.as_bytes()) => Err(CommandError::reply(
            format!("ERR this node is a cluster since its first start, whose id is {id}"),
        )),
        _ => encode(call, |out| {
            out.simple(&format!("OK {id}"));
            Ok(())
        }),
    }
}

/// RAFT.CLUSTER INIT [cluster-id] | JOIN host:port [host:port ...]
///
/// A node that is alone is a cluster from its first start, so INIT has nothing to do there but to tell the cluster's id; another one
/// cannot be given it. One that is alone and empty may join another: the cluster gives it an id, and it starts again with an
/// empty directory.
pub(super) fn cluster(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        if args.flag("INIT") {
            let wanted = (!args.is_empty()).then(|| args.bytes()).transpose()?;
            args.finish()?;
            init(&call, wanted)
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
