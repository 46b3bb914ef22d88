//! ROLE, WAIT and WAITAOF.

use std::time::Duration;

use resp::Writer;
use storage::ids::LogIndex;
use tokio::time::{Instant, timeout_at};

use super::answer::{encode, now};
use super::replicas::Replicas;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::number::parse_i64;
use crate::commands::spec::{Flags, Group};
use crate::dispatch::members::Members;
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture, Shared, routing};
use crate::raftstore::Role;

/// How often WAIT looks at the voters' progress, which is published once a tick.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// The family.
pub static COMMANDS: &[AdminCommand] = &[
    AdminCommand::new("role", 1, Group::Server, |call| now(call, role))
        .flags(Flags::LOADING.with(Flags::STALE).with(Flags::NOSCRIPT))
        .fast(),
    AdminCommand::new("wait", 3, Group::Generic, wait).flags(Flags::BLOCKING),
    AdminCommand::new("waitaof", 4, Group::Generic, wait_aof).flags(Flags::NOSCRIPT),
];

/// ROLE: this Store serves every client as a master would, unless its clients look for the one master.
fn role(call: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let status = call.shared.router.status();
    if call.shared.says_replica() {
        replica_role(call, out);
        return Ok(());
    }
    let replicas = Replicas::of(&status);
    out.array(3);
    out.bulk(b"master");
    out.integer(status.commit_index.get() as i64);
    out.array(replicas.online.len());
    for replica in &replicas.online {
        out.array(3);
        out.bulk(replica.host.as_bytes());
        out.bulk(replica.port.to_string().as_bytes());
        out.bulk(replica.matched.to_string().as_bytes());
    }
    Ok(())
}

/// As a replica answers, for clients that look for the one master.
fn replica_role(call: &AdminCall, out: &mut Writer<'_>) {
    let members = Members::of(&call.shared).seen_by(call.is_tls);
    let (host, port) = members
        .leader()
        .map_or(("", 0), |leader| (leader.host.as_str(), leader.port));
    out.array(5);
    out.bulk(b"slave");
    out.bulk(host.as_bytes());
    out.integer(port.into());
    out.bulk(if members.leader.is_some() {
        b"connected"
    } else {
        b"connect"
    });
    out.integer(members.own().map_or(0, |own| own.offset as i64));
}

/// WAIT numreplicas timeout: how many voters besides the leader hold this connection's writes; durably, with `appendfsync always`.
///
/// What was acknowledged has been applied here or at the leader. On the leader, voters are counted that have the log up to
/// what is applied now, which includes it. On another Store the answer is what an acknowledgement itself proves: a majority.
fn wait(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let (wanted, timeout) = parse_wait(&call.slices())?;
        let written = applied(&call.shared);
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut held = holding(&call.shared, written);
        while (held as i64) < wanted && is_left(deadline) {
            tokio::time::sleep(LOOK_INTERVAL).await;
            held = holding(&call.shared, written);
        }
        encode(&call, |out| {
            out.integer(held as i64);
            Ok(())
        })
    })
}

/// WAITAOF numlocal numreplicas timeout: whether this connection's writes are on the leader's disk, and on how many other voters'.
///
/// Every Store answers for its leader, as it serves clients in its place: the leader from what the voters tell it, another Store
/// from what the leader tells of a majority. In the weaker modes all of them sync their logs when somebody waits here.
fn wait_aof(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let (local, wanted, timeout) = parse_wait_aof(&call.slices())?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let shared = &call.shared;
        let mut found = (0, 0);
        let written = match (local, wanted) {
            (0, 0) => Some(applied(shared)),
            _ => acknowledged(shared, deadline).await,
        };
        if let Some(written) = written {
            found = synced(shared, written);
            let is_enough = |found: (u64, u64)| found.0 >= local && found.1 as i64 >= wanted;
            while !is_enough(found) && is_left(deadline) {
                shared.router.want_synced(written);
                tokio::time::sleep(LOOK_INTERVAL).await;
                found = synced(shared, written);
            }
        }
        encode(&call, |out| {
            out.array(2);
            out.integer(found.0 as i64);
            out.integer(found.1 as i64);
            Ok(())
        })
    })
}

fn is_left(deadline: Option<Instant>) -> bool {
    deadline.is_none_or(|deadline| Instant::now() < deadline)
}

fn applied(shared: &Shared) -> LogIndex {
    let dataset = shared.machine.dataset().read();
    LogIndex(dataset.apply_state().applied_index)
}

/// A log index behind everything that was acknowledged. On the leader that has been applied; another Store asks it. None when
/// nobody leads in time.
async fn acknowledged(shared: &Shared, deadline: Option<Instant>) -> Option<LogIndex> {
    while shared.router.leader() != Some(shared.store) {
        let barrier = routing::barrier(shared);
        let reached = match deadline {
            Some(deadline) => timeout_at(deadline, barrier).await.ok()?,
            None => barrier.await,
        };
        if reached.is_ok() {
            break;
        }
        if !is_left(deadline) {
            return None;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Some(applied(shared))
}

/// Whether the log up to `index` is on the leader's disk, 1 or 0, and on how many other voters'.
fn synced(shared: &Shared, index: LogIndex) -> (u64, u64) {
    let status = shared.router.status();
    let local = match status.role {
        Role::Leader => status.synced_index,
        _ => status.majority_synced_index,
    };
    let others = Replicas::of(&status).synced(index, &status);
    (u64::from(local >= index), others)
}

fn holding(shared: &Shared, written: LogIndex) -> u64 {
    let status = shared.router.status();
    Replicas::of(&status).holding(written, &status)
}

/// The number of replicas and how long to wait for them; no time means for ever.
fn parse_wait(args: &[&[u8]]) -> CommandResult<(i64, Option<Duration>)> {
    let mut args = Args::new(args);
    let wanted = args.int()?;
    Ok((wanted, parse_timeout(&mut args)?))
}

/// Whether the leader's disk is asked for, 1 or 0, the number of replicas, and how long to wait.
fn parse_wait_aof(args: &[&[u8]]) -> CommandResult<(u64, i64, Option<Duration>)> {
    let mut args = Args::new(args);
    let local = match args.int()? {
        0 => 0,
        1 => 1,
        _ => {
            return Err(CommandError::reply(
                "ERR value is out of range, value must between 0 and 1",
            ));
        }
    };
    let wanted = args.int()?;
    if wanted < 0 {
        return Err(CommandError::reply(
            "ERR value is out of range, must be positive",
        ));
    }
    Ok((local, wanted, parse_timeout(&mut args)?))
}

fn parse_timeout(args: &mut Args<'_>) -> CommandResult<Option<Duration>> {
    let timeout = parse_i64(args.bytes()?).ok_or(CommandError::reply(
        "ERR timeout is not an integer or out of range",
    ))?;
    let timeout_ms =
        u64::try_from(timeout).map_err(|_| CommandError::reply("ERR timeout is negative"))?;
    Ok((timeout_ms > 0).then(|| Duration::from_millis(timeout_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_wait() {
        let parsed = |replicas: &str, timeout: &str| {
            parse_wait(&[b"wait", replicas.as_bytes(), timeout.as_bytes()])
                .map_err(|error| error.to_string())
        };
        assert_eq!(parsed("1", "0"), Ok((1, None)));
        assert_eq!(
            parsed("-1", "10"),
            Ok((-1, Some(Duration::from_millis(10))))
        );
        assert_eq!(
            parsed("a", "0"),
            Err("ERR value is not an integer or out of range".into())
        );
        assert_eq!(
            parsed("0", "1.5"),
            Err("ERR timeout is not an integer or out of range".into())
        );
        assert_eq!(parsed("0", "-1"), Err("ERR timeout is negative".into()));
    }

    #[test]
    fn arguments_of_waitaof() {
        let parsed = |words: [&str; 3]| {
            let words = words.map(str::as_bytes);
            let args = [&b"waitaof"[..], words[0], words[1], words[2]];
            parse_wait_aof(&args).map_err(|error| error.to_string())
        };
        assert_eq!(parsed(["1", "2", "0"]), Ok((1, 2, None)));
        let millisecond = Duration::from_millis(1);
        assert_eq!(parsed(["0", "0", "1"]), Ok((0, 0, Some(millisecond))));
        for (words, text) in [
            (
                ["2", "0", "0"],
                "ERR value is out of range, value must between 0 and 1",
            ),
            (
                ["x", "0", "0"],
                "ERR value is not an integer or out of range",
            ),
            (
                ["1", "-1", "0"],
                "ERR value is out of range, must be positive",
            ),
            (["1", "0", "-1"], "ERR timeout is negative"),
        ] {
            assert_eq!(parsed(words), Err(text.into()));
        }
    }
}
