//! TIME, SHUTDOWN, LOLWUT.

use std::time::{SystemTime, UNIX_EPOCH};

use super::answer::now;
use resp::Writer;

use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::spec::{Flags, Group};
use crate::dispatch::shared::Stop;
use crate::dispatch::{AdminCall, AdminCommand, AdminFuture};
use crate::version::{REDIS_VERSION, TINYKV_VERSION};

const ANY_TIME: Flags = Flags::LOADING.with(Flags::STALE);

/// The family.
pub static COMMANDS: &[AdminCommand] = &[
    AdminCommand::new("time", 1, Group::Server, |call| now(call, time))
        .flags(ANY_TIME)
        .fast(),
    AdminCommand::new("shutdown", -1, Group::Server, shutdown).flags(
        ANY_TIME
            .with(Flags::ADMIN)
            .with(Flags::NOSCRIPT)
            .with(Flags::NO_MULTI)
            .with(Flags::ALLOW_BUSY),
    ),
    AdminCommand::new("lolwut", -1, Group::Server, |call| now(call, lolwut))
        .flags(Flags::READONLY)
        .fast(),
];

/// TIME: Unix time as seconds and microseconds.
fn time(_: &AdminCall, _: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    out.array(2);
    out.bulk(now.as_secs().to_string().as_bytes());
    out.bulk(now.subsec_micros().to_string().as_bytes());
    Ok(())
}

/// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]
///
/// The log has every acknowledged write, so NOSAVE loses nothing: the next start replays a little more. NOW and FORCE have
/// nothing to skip, because nobody waits for replicas here.
fn shutdown(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let wanted = parse_shutdown(&call.slices())?;
        let Some(how) = wanted else {
            return Err(CommandError::reply(
                if *call.shared.stop.borrow() == Stop::No {
                    "ERR No shutdown in progress."
                } else {
                    "ERR The shutdown is under way and cannot be aborted any more."
                },
            ));
        };
        tracing::info!("SHUTDOWN by client {}", call.client_id);
        call.shared.stop.send_replace(how);
        // There is no reply: the connection closes with the server.
        let mut stop = call.shared.stop.subscribe();
        let stopping = stop.wait_for(|stop| *stop == Stop::Now).await.is_ok();
        if let Some(client) = call.shared.clients.get(call.client_id).filter(|_| stopping) {
            call.shared.clients.kill(&client);
        }
        std::future::pending().await
    })
}

/// How to stop; `None` for ABORT.
fn parse_shutdown(args: &[&[u8]]) -> CommandResult<Option<Stop>> {
    let mut args = Args::new(args);
    let (mut save, mut nosave, mut abort, mut others) = (false, false, false, false);
    while !args.is_empty() {
        if args.flag("NOSAVE") {
            nosave = true;
        } else if args.flag("SAVE") {
            save = true;
        } else if args.flag("NOW") || args.flag("FORCE") {
            others = true;
        } else if args.flag("ABORT") {
            abort = true;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    if (abort && (save || nosave || others)) || (save && nosave) {
        return Err(CommandError::SYNTAX);
    }
    Ok(match (abort, nosave) {
        (true, _) => None,
        (false, true) => Some(Stop::Now),
        (false, false) => Some(Stop::Checkpoint),
    })
}

/// LOLWUT [VERSION version]: a log, and who has it.
fn lolwut(_: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    if args.flag("VERSION") {
        args.int()?;
    }
    let picture = "\
        ┌──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┐\n\
        │OK│OK│OK│OK│OK│OK│OK│OK│OK│OK│OK│  │  leads\n\
        ├──┼──┼──┼──┼──┼──┼──┼──┼──┼──┼──┼──┤\n\
        │OK│OK│OK│OK│OK│OK│OK│OK│OK│OK│OK│  │  follows\n\
        ├──┼──┼──┼──┼──┼──┼──┼──┼──┼──┴──┴──┘\n\
        │OK│OK│OK│OK│OK│OK│OK│OK│  │           will catch up\n\
        └──┴──┴──┴──┴──┴──┴──┴──┴──┘\n";
    let text = format!("{picture}\nTinyKV ver. {TINYKV_VERSION}, Redis ver. {REDIS_VERSION}\n");
    out.verbatim("txt", text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> CommandResult<Option<Stop>> {
        let mut args: Vec<&[u8]> = vec![b"shutdown"];
        args.extend(words.iter().map(|word| word.as_bytes()));
        parse_shutdown(&args)
    }

    #[test]
    fn options_of_shutdown() {
        assert_eq!(parsed(&[]).expect("parsed"), Some(Stop::Checkpoint));
        assert_eq!(
            parsed(&["save", "now"]).expect("parsed"),
            Some(Stop::Checkpoint)
        );
        assert_eq!(
            parsed(&["NOSAVE", "FORCE"]).expect("parsed"),
            Some(Stop::Now)
        );
        assert_eq!(parsed(&["abort"]).expect("parsed"), None);
        for wrong in [&["save", "nosave"][..], &["abort", "now"], &["foo"]] {
            assert_eq!(
                parsed(wrong).expect_err("refused").to_string(),
                "ERR syntax error"
            );
        }
    }
}
