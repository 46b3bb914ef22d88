//! What a client may ask on the Sentinel port.

use std::net::SocketAddr;

use resp::{Protocol, Writer};

use super::connection::Connection;
use super::instances::{self, Fields};
use super::subscriptions::{By, Subscriptions};
use crate::admin::answer;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::dispatch::gates;
use crate::dispatch::members::{self, Members};
use crate::dispatch::registry::Runs;
use crate::version::{REDIS_VERSION, TINYKV_VERSION};

/// Commands of the connection itself: the same as on the port of data.
const OF_THE_CONNECTION: [&str; 6] = ["auth", "client", "hello", "ping", "quit", "reset"];

/// Those that a subscriber may say in RESP2.
const OF_SUBSCRIBERS: [&str; 7] = [
    "ping",
    "psubscribe",
    "punsubscribe",
    "quit",
    "reset",
    "subscribe",
    "unsubscribe",
];

/// Runs one command; its reply is in `connection.out`.
pub(super) async fn run(connection: &mut Connection, args: &[Vec<u8>]) -> CommandResult {
    let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
    let name = String::from_utf8_lossy(&args[0]).to_ascii_lowercase();
    let (name, rest) = (name.as_str(), &args[1..]);
    let is_known = OF_THE_CONNECTION.contains(&name)
        || OF_SUBSCRIBERS.contains(&name)
        || ["info", "role", "sentinel"].contains(&name);
    if !is_known {
        return Err(gates::unknown_command(&slices));
    }
    if connection.only_subscribes() && !OF_SUBSCRIBERS.contains(&name) {
        return Err(CommandError::reply(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )));
    }
    if name == "ping" && connection.only_subscribes() && rest.len() < 2 {
        let message = rest.first().cloned().unwrap_or_default();
        let mut out = connection.writer();
        out.array(2);
        out.bulk(b"pong");
        out.bulk(&message);
        return Ok(());
    }
    if OF_THE_CONNECTION.contains(&name) {
        return of_the_connection(connection, name, &slices);
    }
    if !connection.session.authenticated {
        return Err(CommandError::reply("NOAUTH Authentication required."));
    }
    match name {
        "subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe" => {
            subscribe(connection, name, rest)
        }
        "info" => info(connection).await,
        "role" => {
            let name = connection.sentinel.name.clone();
            let mut out = connection.writer();
            out.array(2);
            out.bulk(b"sentinel");
            out.array(1);
            out.bulk(name.as_bytes());
            Ok(())
        }
        _ => sentinel(connection, rest).await,
    }
}

fn of_the_connection(connection: &mut Connection, name: &str, args: &[&[u8]]) -> CommandResult {
    let shared = &connection.sentinel.shared;
    let (entry, first) = gates::pass(shared, &connection.session, args)?;
    let Runs::Session(command) = entry.runs else {
        return Err(gates::unknown_command(args));
    };
    connection.session.client.note_command(entry.id);
    let mut cursor = if first == 2 {
        Args::of_subcommand(args)
    } else {
        Args::new(args)
    };
    let mut out = Writer::new(&mut connection.out, connection.session.protocol);
    (command.handler)(&mut connection.session, shared, &mut cursor, &mut out)?;
    if name == "reset" {
        connection.session.is_sentinel = true;
        connection.subscriptions = Subscriptions::default();
    }
    Ok(())
}

fn subscribe(connection: &mut Connection, name: &str, rest: &[Vec<u8>]) -> CommandResult {
    let by = if name.starts_with('p') {
        By::Pattern
    } else {
        By::Channel
    };
    let mut out = Writer::new(&mut connection.out, connection.session.protocol);
    if name.contains("un") {
        connection.subscriptions.remove(by, rest, &mut out);
    } else if rest.is_empty() {
        return Err(CommandError::arity(name));
    } else {
        connection.subscriptions.add(by, rest, &mut out);
    }
    Ok(())
}

/// The members with a leader, if there is one in time, and the address of the master: the leader's, or the last one's.
async fn master(connection: &Connection) -> (Members, Option<(String, u16)>) {
    let is_tls = connection.session.client.address.is_tls;
    let members = Members::with_leader(&connection.sentinel.shared)
        .await
        .seen_by(is_tls);
    let last = || {
        let last = connection.sentinel.last.read();
        last.as_ref()
            .map(|place| (place.host.clone(), place.port(is_tls)))
    };
    let known = members
        .leader()
        .map(|leader| (leader.host.clone(), leader.port))
        .or_else(last);
    let address = known.map(|(host, port)| {
        if host.is_empty() {
            // A single Store that was not told where it is: the client has found it, so that address will do.
            (own_ip(connection), port)
        } else {
            (host, port)
        }
    });
    (members, address)
}

/// The address that the client has connected to.
fn own_ip(connection: &Connection) -> String {
    let local = &connection.session.client.address.local;
    local
        .parse::<SocketAddr>()
        .map_or_else(|_| String::new(), |address| address.ip().to_string())
}

/// SENTINEL subcommand [argument ...]
async fn sentinel(connection: &mut Connection, rest: &[Vec<u8>]) -> CommandResult {
    let Some((sub, rest)) = rest.split_first() else {
        return Err(CommandError::arity("sentinel"));
    };
    let name = String::from_utf8_lossy(sub).to_ascii_lowercase();
    let argc = match name.as_str() {
        "help" | "masters" | "myid" => 0,
        "is-master-down-by-addr" => 4,
        "ckquorum" | "get-master-addr-by-name" | "master" | "replicas" | "sentinels" | "slaves" => {
            1
        }
        _ => return Err(gates::unknown_subcommand("sentinel", sub)),
    };
    if rest.len() != argc {
        return Err(CommandError::arity(&format!("sentinel|{name}")));
    }
    match name.as_str() {
        "help" => {
            help(&mut connection.writer());
            return Ok(());
        }
        "myid" => {
            let shared = &connection.sentinel.shared;
            let id = members::name(shared, "node", shared.store.get());
            connection.writer().bulk(id.as_bytes());
            return Ok(());
        }
        _ => {}
    }
    let (members, address) = master(connection).await;
    match name.as_str() {
        "is-master-down-by-addr" => is_down(connection, &members, address.as_ref(), rest),
        "masters" => {
            let all: Vec<Fields> = master_fields(connection, &members, address.as_ref())
                .into_iter()
                .collect();
            list(&all, &mut connection.writer());
            Ok(())
        }
        "get-master-addr-by-name" => {
            let known = (rest[0] == connection.sentinel.name.as_bytes())
                .then_some(address)
                .flatten();
            let mut out = connection.writer();
            match known {
                None => out.null_array(),
                Some((host, port)) => {
                    out.array(2);
                    out.bulk(host.as_bytes());
                    out.bulk(port.to_string().as_bytes());
                }
            }
            Ok(())
        }
        _ if rest[0] != connection.sentinel.name.as_bytes() => {
            Err(CommandError::reply("ERR No such master with that name"))
        }
        "ckquorum" => quorum(connection, &members),
        "master" => {
            let fields = master_fields(connection, &members, address.as_ref());
            let fields = fields.ok_or(CommandError::reply("ERR No such master with that name"))?;
            instances::write(&fields, &mut connection.writer());
            Ok(())
        }
        kind => {
            let settings = connection.sentinel.shared.config.load();
            let (host, port) = address.unwrap_or_default();
            let all: Vec<Fields> = match kind {
                "sentinels" => {
                    let others = members.all.iter().filter(|member| !member.is_own);
                    others
                        .map(|member| instances::sentinel(member, &members, &settings))
                        .collect()
                }
                _ => members
                    .replicas()
                    .map(|member| instances::replica(member, (&host, port), &settings))
                    .collect(),
            };
            drop(settings);
            list(&all, &mut connection.writer());
            Ok(())
        }
    }
}

/// The one master; none before the first leader is known.
fn master_fields(
    connection: &Connection,
    members: &Members,
    address: Option<&(String, u16)>,
) -> Option<Fields> {
    let settings = connection.sentinel.shared.config.load();
    let name = &connection.sentinel.name;
    address.map(|(host, port)| instances::master(name, members, (host, *port), &settings))
}

fn list(all: &[Fields], out: &mut Writer<'_>) {
    out.array(all.len());
    for fields in all {
        instances::write(fields, out);
    }
}

/// SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid: nobody is voted for, Raft votes.
fn is_down(
    connection: &mut Connection,
    members: &Members,
    address: Option<&(String, u16)>,
    rest: &[Vec<u8>],
) -> CommandResult {
    let asked = (&rest[0], &rest[1]);
    let is_master = address.is_some_and(|(host, port)| {
        (host.as_bytes(), port.to_string().as_bytes()) == (asked.0.as_slice(), asked.1.as_slice())
    });
    let mut out = connection.writer();
    out.array(3);
    out.integer((is_master && members.leader.is_none()).into());
    out.bulk(b"*");
    out.integer(0);
    Ok(())
}

/// SENTINEL CKQUORUM name: with a leader there is a majority; only the leader can say more.
fn quorum(connection: &mut Connection, members: &Members) -> CommandResult {
    if members.leader.is_none() {
        return Err(CommandError::reply(
            "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the majority and authorize a failover",
        ));
    }
    let usable = members.all.iter().filter(|member| !member.is_lost).count();
    connection.writer().simple(&format!(
        "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
    ));
    Ok(())
}

/// INFO: the sections that clients of a Sentinel read, whatever was asked for.
async fn info(connection: &mut Connection) -> CommandResult {
    let (members, address) = master(connection).await;
    let name = connection.sentinel.name.clone();
    let mut text = format!(
        "# Server\r\nredis_version:{REDIS_VERSION}\r\ntinykv_version:{TINYKV_VERSION}\r\nredis_mode:sentinel\r\n\r\n\
         # Sentinel\r\nsentinel_masters:{}\r\nsentinel_tilt:0\r\nsentinel_running_scripts:0\r\n\
         sentinel_scripts_queue_length:0\r\n",
        u8::from(address.is_some())
    );
    if let Some((host, port)) = address {
        let status = if members.leader.is_some() {
            "ok"
        } else {
            "odown"
        };
        let all = members.all.len();
        text.push_str(&format!(
            "master0:name={name},status={status},address={host}:{port},slaves={},sentinels={all}\r\n",
            all.saturating_sub(1)
        ));
    }
    let protocol = connection.session.protocol;
    let mut out = connection.writer();
    match protocol {
        Protocol::Resp2 => out.bulk(text.as_bytes()),
        Protocol::Resp3 => out.verbatim("txt", text.as_bytes()),
    }
    Ok(())
}

fn help(out: &mut Writer<'_>) {
    const LINES: &[(&str, &str)] = &[
        (
            "CKQUORUM <master-name>",
            "Tell whether a majority of the nodes is there.",
        ),
        (
            "GET-MASTER-ADDR-BY-NAME <master-name>",
            "Tell the address of the master.",
        ),
        (
            "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
            "Tell whether the master is lost.",
        ),
        ("MASTER <master-name>", "Describe the master."),
        ("MASTERS", "Describe the masters, of which there is one."),
        ("MYID", "Tell the id of this node."),
        ("REPLICAS <master-name>", "Describe the replicas."),
        ("SENTINELS <master-name>", "Describe the other Sentinels."),
    ];
    answer::help("SENTINEL", LINES, out);
}
