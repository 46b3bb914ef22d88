//! RAFT.*: the members of the cluster and its leadership. Names and forms are RedisRaft's where it has them.
//!
//! Any node takes them. A change of members travels to the leader as a write does, and is answered when it is in force.

mod import;
mod members;
mod outlook;
mod recover;

use std::time::Duration;

use resp::Writer;
use storage::ids::StoreId;
use tokio::time::timeout;

use super::answer::{encode, now};
use super::{info, settle};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture, Shared};
use crate::raftstore::Status;

/// How long RAFT.TRANSFER_LEADER waits for the new leader: longer than Raft itself goes on trying.
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);

/// How long until the node that is to lead is asked again: longer than Raft tries by itself.
const TRANSFER_INTERVAL: Duration = Duration::from_millis(500);

const OPERATOR: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_MULTI);

/// The family.
pub static COMMANDS: &[AdminCommand] = &[
    AdminCommand::new("raft.cluster", -2, Group::Cluster, members::cluster).flags(OPERATOR),
    AdminCommand::new("raft.node", -3, Group::Cluster, members::node).flags(OPERATOR),
    AdminCommand::new("raft.info", 1, Group::Cluster, |call| now(call, raft_info))
        .flags(Flags::LOADING.with(Flags::STALE)),
    AdminCommand::new("raft.transfer_leader", -1, Group::Cluster, transfer_leader).flags(OPERATOR),
    AdminCommand::new("raft.recover", -1, Group::Cluster, recover::recover)
        .flags(OPERATOR.with(Flags::LOADING).with(Flags::STALE)),
    AdminCommand::new("raft.import", -2, Group::Cluster, import::import).flags(OPERATOR),
    AdminCommand::new("raft.snapshot", 1, Group::Cluster, snapshot).flags(OPERATOR),
    AdminCommand::new("raft.digest", 1, Group::Cluster, digest).flags(OPERATOR),
];

/// RAFT.INFO: INFO's section of this name, without what all its fields begin with, as RedisRaft names them here.
fn raft_info(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let section = info::of(&call.shared, &["raft"]);
    let lines = section.split_inclusive("\r\n");
    let named: String = lines
        .map(|line| line.strip_prefix("raft_").unwrap_or(line))
        .collect();
    out.verbatim("txt", named.as_bytes());
    Ok(())
}

/// RAFT.TRANSFER_LEADER [node-id] [DRYRUN]: answers when that node leads; without an id any voter that is not behind. With DRYRUN it
/// tells what that comes to.
fn transfer_leader(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        let mut dry = outlook::is_asked(&mut args);
        let wanted = if args.is_empty() || dry {
            None
        } else {
            Some(node_id(args.int()?)?)
        };
        dry = dry || outlook::is_asked(&mut args);
        args.finish()?;
        let status = call.shared.router.status();
        let to = successor(&status, call.shared.store, wanted)?;
        if dry {
            let text = outlook::of_transfer(&call.shared, &status, to);
            return tell(&call, &text);
        }
        hand_over(&call.shared, to).await?;
        encode(&call, |out| {
            out.ok();
            Ok(())
        })
    })
}

/// Lets a node lead; returns when it does. It is asked again meanwhile: one that has yet to execute a change of members refuses.
async fn hand_over(shared: &Shared, to: StoreId) -> CommandResult {
    let mut leaders = shared.router.subscribe_leader();
    let arrived = async {
        loop {
            shared.router.transfer_leader(to);
            let leads = leaders.wait_for(|leader| *leader == Some(to));
            if let Ok(leads) = timeout(TRANSFER_INTERVAL, leads).await {
                return leads.is_ok();
            }
        }
    };
    match timeout(TRANSFER_LIMIT, arrived).await {
        Ok(true) => Ok(()),
        _ => Err(CommandError::reply(format!(
            "ERR node {to} has not become the leader in {} s: is it reachable, and its log whole? See RAFT.INFO",
            TRANSFER_LIMIT.as_secs()
        ))),
    }
}

/// A reply for people.
fn tell(call: &AdminCall, text: &str) -> CommandResult<bytes::BytesMut> {
    encode(call, |out| {
        out.verbatim("txt", text.as_bytes());
        Ok(())
    })
}

/// The node that takes over.
fn successor(status: &Status, own: StoreId, wanted: Option<StoreId>) -> CommandResult<StoreId> {
    let is_voter = |store: StoreId| status.members.get(store).is_some_and(|member| member.voter);
    match wanted {
        Some(store) if !is_voter(store) => Err(CommandError::reply(format!(
            "ERR node {store} is no voter of this cluster"
        ))),
        Some(store) => Ok(store),
        // Another node knows only itself to be near.
        None if status.leader != Some(own) && is_voter(own) => Ok(own),
        None => status.successor().ok_or_else(|| {
            CommandError::reply("ERR no other voter answers: nobody could take over")
        }),
    }
}

fn node_id(number: i64) -> CommandResult<StoreId> {
    match u64::try_from(number) {
        Ok(id) if id > 0 => Ok(StoreId(id)),
        _ => Err(CommandError::reply("ERR a node id is a number from 1")),
    }
}

/// RAFT.SNAPSHOT: a checkpoint on this node, behind which its log is compacted.
fn snapshot(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        settle::checkpoint(&call.shared).await?;
        encode(&call, |out| {
            out.ok();
            Ok(())
        })
    })
}

/// RAFT.DIGEST: a log index, and the digest of this node's data there; nodes agree at equal indexes.
fn digest(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        settle::barrier(&call.shared).await?;
        let (index, digest) = {
            let dataset = call.shared.machine.dataset().read();
            (dataset.apply_state().applied_index, dataset.digest()?)
        };
        encode(&call, |out| {
            out.array(2);
            out.integer(index as i64);
            out.bulk(format!("{digest:040x}").as_bytes());
            Ok(())
        })
    })
}
