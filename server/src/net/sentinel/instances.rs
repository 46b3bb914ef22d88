//! Masters, replicas and Sentinels as Redis Sentinel lists them: names of fields and values, all of them text.

use resp::Writer;

use crate::config::Settings;
use crate::dispatch::members::{Member, Members};

/// Fields of one instance.
pub(super) type Fields = Vec<(&'static str, String)>;

/// The port at which another member's Sentinel is: as far from its client port as ours is from ours.
fn sentinel_port(member: &Member, members: &Members, settings: &Settings) -> u16 {
    let own = members.own().map_or(settings.port, |own| own.port);
    let distance = i32::from(settings.sentinel_port) - i32::from(own);
    u16::try_from(i32::from(member.port) + distance).unwrap_or_default()
}

fn instance(name: String, host: &str, port: u16, run_id: &str, flags: &str) -> Fields {
    let text = |text: &str| text.to_owned();
    vec![
        ("name", name),
        ("ip", text(host)),
        ("port", port.to_string()),
        ("runid", text(run_id)),
        ("flags", text(flags)),
        ("link-pending-commands", text("0")),
        ("link-refcount", text("1")),
        ("last-ping-sent", text("0")),
        ("last-ok-ping-reply", text("0")),
        ("last-ping-reply", text("0")),
    ]
}

/// The master: the leader, or where the last one was.
pub(super) fn master(
    name: &str,
    members: &Members,
    address: (&str, u16),
    settings: &Settings,
) -> Fields {
    let (run_id, flags) = match members.leader() {
        Some(leader) => (leader.name.as_str(), "master"),
        None => ("", "master,s_down,o_down"),
    };
    let mut fields = instance(name.to_owned(), address.0, address.1, run_id, flags);
    let others = members.all.len().saturating_sub(1).to_string();
    fields.extend([
        (
            "down-after-milliseconds",
            settings.election_timeout_ms.to_string(),
        ),
        ("info-refresh", "0".to_owned()),
        ("role-reported", "master".to_owned()),
        ("role-reported-time", "0".to_owned()),
        ("config-epoch", members.term.to_string()),
        ("num-slaves", others.clone()),
        ("num-other-sentinels", others),
        ("quorum", quorum(members).to_string()),
        (
            "failover-timeout",
            (2 * settings.election_timeout_ms).to_string(),
        ),
        ("parallel-syncs", "1".to_owned()),
    ]);
    fields
}

/// A majority of the members.
pub(super) fn quorum(members: &Members) -> usize {
    members.all.len() / 2 + 1
}

/// A member that does not lead.
pub(super) fn replica(member: &Member, address: (&str, u16), settings: &Settings) -> Fields {
    let flags = if member.is_lost {
        "s_down,slave,disconnected"
    } else {
        "slave"
    };
    let name = format!("{}:{}", member.host, member.port);
    let mut fields = instance(name, &member.host, member.port, &member.name, flags);
    let link = if member.is_lost { "err" } else { "ok" };
    fields.extend([
        (
            "down-after-milliseconds",
            settings.election_timeout_ms.to_string(),
        ),
        ("info-refresh", "0".to_owned()),
        ("role-reported", "slave".to_owned()),
        ("role-reported-time", "0".to_owned()),
        ("master-link-down-time", "0".to_owned()),
        ("master-link-status", link.to_owned()),
        ("master-host", address.0.to_owned()),
        ("master-port", address.1.to_string()),
        ("slave-priority", "100".to_owned()),
        ("slave-repl-offset", member.offset.to_string()),
        ("replica-announced", "1".to_owned()),
    ]);
    fields
}

/// Another member's Sentinel.
pub(super) fn sentinel(member: &Member, members: &Members, settings: &Settings) -> Fields {
    let flags = if member.is_lost {
        "s_down,sentinel"
    } else {
        "sentinel"
    };
    let port = sentinel_port(member, members, settings);
    let mut fields = instance(member.name.clone(), &member.host, port, &member.name, flags);
    fields.extend([
        (
            "down-after-milliseconds",
            settings.election_timeout_ms.to_string(),
        ),
        ("last-hello-message", "0".to_owned()),
        ("voted-leader", "?".to_owned()),
        ("voted-leader-epoch", "0".to_owned()),
    ]);
    fields
}

/// Writes an instance.
pub(super) fn write(fields: &Fields, out: &mut Writer<'_>) {
    out.map(fields.len());
    for (name, value) in fields {
        out.bulk(name.as_bytes());
        out.bulk(value.as_bytes());
    }
}
