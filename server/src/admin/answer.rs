//! From a handler that does not wait to the encoded reply that the dispatch expects.

use bytes::BytesMut;
use resp::Writer;

use crate::commands::args::Args;
use crate::commands::error::CommandResult;
use crate::dispatch::{AdminCall, AdminFuture};

/// Answers a command at once.
pub fn now(
    call: AdminCall,
    write: impl FnOnce(&AdminCall, &mut Args<'_>, &mut Writer<'_>) -> CommandResult,
) -> AdminFuture {
    let slices = call.slices();
    let reply = encode(&call, |out| write(&call, &mut Args::new(&slices), out));
    Box::pin(std::future::ready(reply))
}

/// Answers a subcommand at once.
pub fn subcommand_now(
    call: AdminCall,
    write: impl FnOnce(&AdminCall, &mut Args<'_>, &mut Writer<'_>) -> CommandResult,
) -> AdminFuture {
    let slices = call.slices();
    let reply = encode(&call, |out| {
        write(&call, &mut Args::of_subcommand(&slices), out)
    });
    Box::pin(std::future::ready(reply))
}

/// Encodes one reply for the protocol of the call.
pub fn encode(
    call: &AdminCall,
    write: impl FnOnce(&mut Writer<'_>) -> CommandResult,
) -> CommandResult<BytesMut> {
    let mut reply = BytesMut::new();
    write(&mut Writer::new(&mut reply, call.protocol))?;
    Ok(reply)
}

/// The reply of HELP: the usage of `container`, then one line for each subcommand and one for what it does.
pub fn help(container: &str, lines: &[(&str, &str)], out: &mut Writer<'_>) {
    out.array(1 + 2 * lines.len() + 2);
    out.simple(&format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for (usage, text) in lines.iter().chain(&[("HELP", "Print this help.")]) {
        out.simple(usage);
        out.simple(&format!("    {text}"));
    }
}
