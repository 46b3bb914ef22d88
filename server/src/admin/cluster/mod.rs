//! CLUSTER: the one Region as Redis Cluster would describe it.
//!
//! The leader is a master that serves all slots, every other Store a replica of it. What describes the cluster waits for a
//! leader as long as a request would (`election-hold-ms`): a client that asks in the middle of an election gets the new
//! leader instead of a cluster that serves nothing. Commands that change a Redis Cluster do not exist: members are not
//! changed by Redis Cluster's commands, and slots do not move.

mod describe;

use resp::Writer;
use storage::dataset::slot_of;
use storage::ids::{DbIndex, FIRST_REGION, SLOT_COUNT, Slot};

use super::answer::{self, encode, subcommand_now};
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{Flags, Group};
use crate::dispatch::members::{self, Members};
use crate::dispatch::outcome::{self, Failure};
use crate::dispatch::routing::barrier;
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture, AdminHandler};
use crate::session::dialect::CLUSTER_DISABLED;

/// Most keys that one GETKEYSINSLOT names.
const MAX_KEYS: i64 = 1 << 20;

const AT_LOADING: Flags = Flags::LOADING.with(Flags::STALE);
const OPERATORS: Flags = Flags::ADMIN.with(Flags::STALE);

/// The family.
pub static COMMANDS: &[AdminCommand] =
    &[
        AdminCommand::new("cluster", -2, Group::Cluster, |call| at_once(call, help)).subcommands(
            &[
                row("cluster|count-failure-reports", 3, |call| {
                    described(call, failure_reports)
                })
                .flags(OPERATORS),
                row("cluster|countkeysinslot", 3, |call| {
                    in_slot(call, count_keys)
                })
                .flags(Flags::STALE),
                row("cluster|getkeysinslot", 4, |call| in_slot(call, get_keys)).flags(Flags::STALE),
                row("cluster|help", 2, |call| at_once(call, help)).flags(AT_LOADING),
                row("cluster|info", 2, |call| described(call, info)).flags(Flags::STALE),
                row("cluster|keyslot", 3, |call| at_once(call, keyslot)).flags(Flags::STALE),
                row("cluster|myid", 2, |call| at_once(call, myid)).flags(Flags::STALE),
                row("cluster|myshardid", 2, |call| at_once(call, myshardid)).flags(Flags::STALE),
                row("cluster|nodes", 2, |call| described(call, nodes)).flags(Flags::STALE),
                row("cluster|replicas", 3, |call| described(call, replicas)).flags(OPERATORS),
                row("cluster|shards", 2, |call| described(call, shards)).flags(AT_LOADING),
                row("cluster|slaves", 3, |call| described(call, replicas)).flags(OPERATORS),
                row("cluster|slots", 2, |call| described(call, slots)).flags(AT_LOADING),
            ],
        ),
    ];

const fn row(name: &'static str, arity: i32, handler: AdminHandler) -> AdminCommand {
    AdminCommand::new(name, arity, Group::Cluster, handler)
}

fn enabled(call: &AdminCall) -> CommandResult {
    if call.shared.cluster_enabled {
        Ok(())
    } else {
        Err(CommandError::reply(CLUSTER_DISABLED))
    }
}

type Write = fn(&AdminCall, &mut Args<'_>, &mut Writer<'_>) -> CommandResult;

/// What needs no look at the cluster.
fn at_once(call: AdminCall, write: Write) -> AdminFuture {
    subcommand_now(call, move |call, args, out| {
        enabled(call)?;
        write(call, args, out)
    })
}

type Describe = fn(&AdminCall, &Members, &mut Args<'_>, &mut Writer<'_>) -> CommandResult;

/// What describes the cluster.
fn described(call: AdminCall, write: Describe) -> AdminFuture {
    Box::pin(async move {
        enabled(&call)?;
        let members = Members::with_leader(&call.shared)
            .await
            .seen_by(call.is_tls);
        let slices = call.slices();
        encode(&call, |out| {
            write(&call, &members, &mut Args::of_subcommand(&slices), out)
        })
    })
}

/// What looks at the keys of a slot, as they are now on every Store.
fn in_slot(call: AdminCall, write: Write) -> AdminFuture {
    Box::pin(async move {
        enabled(&call)?;
        let failure = match call.shared.router.lease().is_valid() {
            true => None,
            false => barrier(&call.shared).await.err().map(Failure::from),
        };
        let slices = call.slices();
        encode(&call, |out| match failure {
            None => write(&call, &mut Args::of_subcommand(&slices), out),
            Some(failure) => {
                outcome::write(&failure, 1, out);
                Ok(())
            }
        })
    })
}

/// CLUSTER KEYSLOT key
fn keyslot(_: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    out.integer(slot_of(args.bytes()?).get().into());
    Ok(())
}

fn slot(number: i64) -> Option<Slot> {
    u16::try_from(number)
        .ok()
        .filter(|slot| *slot < SLOT_COUNT)
        .map(Slot)
}

/// CLUSTER COUNTKEYSINSLOT slot
fn count_keys(call: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let slot = slot(args.int()?).ok_or(CommandError::reply("ERR Invalid slot"))?;
    let dataset = call.shared.machine.dataset().read();
    let view = dataset.view(DbIndex(0), call.shared.router.now_ms());
    out.integer(view.count_keys_in_slot(slot) as i64);
    Ok(())
}

/// CLUSTER GETKEYSINSLOT slot count
fn get_keys(call: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let (number, most) = (args.int()?, args.int()?);
    let Some(slot) = slot(number).filter(|_| most >= 0) else {
        return Err(CommandError::reply("ERR Invalid slot or number of keys"));
    };
    let dataset = call.shared.machine.dataset().read();
    let view = dataset.view(DbIndex(0), call.shared.router.now_ms());
    let keys = view.keys_in_slot(slot, most.min(MAX_KEYS) as usize)?;
    out.array(keys.len());
    keys.iter().for_each(|key| out.bulk(key));
    Ok(())
}

/// CLUSTER MYID
fn myid(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let name = members::name(&call.shared, "node", call.shared.store.get());
    out.bulk(name.as_bytes());
    Ok(())
}

/// CLUSTER MYSHARDID: a Region is a shard.
fn myshardid(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let name = members::name(&call.shared, "shard", FIRST_REGION.get());
    out.bulk(name.as_bytes());
    Ok(())
}

/// CLUSTER INFO
fn info(_: &AdminCall, members: &Members, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    out.verbatim("txt", describe::info(members).as_bytes());
    Ok(())
}

/// CLUSTER NODES
fn nodes(
    _: &AdminCall,
    members: &Members,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let lines: Vec<String> = members
        .all
        .iter()
        .map(|member| describe::line(member, members) + "\n")
        .collect();
    out.verbatim("txt", lines.concat().as_bytes());
    Ok(())
}

/// CLUSTER SLOTS
fn slots(
    _: &AdminCall,
    members: &Members,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    describe::slots(members, out);
    Ok(())
}

/// CLUSTER SHARDS
fn shards(
    _: &AdminCall,
    members: &Members,
    _: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    describe::shards(members, out);
    Ok(())
}

fn named<'m>(members: &'m Members, name: &[u8]) -> CommandResult<&'m members::Member> {
    let mut all = members.all.iter();
    all.find(|member| member.name.as_bytes() == name)
        .ok_or_else(|| {
            let name = String::from_utf8_lossy(name);
            CommandError::reply(format!("ERR Unknown node {name}"))
        })
}

/// CLUSTER REPLICAS node-id, CLUSTER SLAVES node-id
fn replicas(
    _: &AdminCall,
    members: &Members,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let master = named(members, args.bytes()?)?;
    if Some(master.store) != members.leader {
        return Err(CommandError::reply(
            "ERR The specified node is not a master",
        ));
    }
    out.array(members.replicas().count());
    for replica in members.replicas() {
        out.bulk(describe::line(replica, members).as_bytes());
    }
    Ok(())
}

/// CLUSTER COUNT-FAILURE-REPORTS node-id: no node reports on another one; the leader alone says who answers.
fn failure_reports(
    _: &AdminCall,
    members: &Members,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let member = named(members, args.bytes()?)?;
    out.integer(member.is_lost.into());
    Ok(())
}

/// CLUSTER HELP
fn help(_: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    const LINES: &[(&str, &str)] = &[
        (
            "COUNT-FAILURE-REPORTS <node-id>",
            "Count who reports that this node fails.",
        ),
        ("COUNTKEYSINSLOT <slot>", "Count the keys of a slot."),
        (
            "GETKEYSINSLOT <slot> <count>",
            "Name so many keys of a slot at most.",
        ),
        ("INFO", "Tell the state of the cluster."),
        ("KEYSLOT <key>", "Tell the slot of a key."),
        ("MYID", "Tell the id of this node."),
        ("MYSHARDID", "Tell the id of this node's shard."),
        ("NODES", "Describe every node in a line."),
        ("REPLICAS <node-id>", "Describe the replicas of a node."),
        ("SHARDS", "Tell which nodes serve which slots, by shard."),
        ("SLOTS", "Tell which nodes serve which slots."),
    ];
    answer::help("CLUSTER", LINES, out);
    Ok(())
}
