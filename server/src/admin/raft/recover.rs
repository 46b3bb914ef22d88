//! RAFT.RECOVER: a majority is lost for good, and this node goes on alone.

use storage::ids::StoreId;

use super::super::answer::encode;
use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::dispatch::shared::Stop;
use crate::dispatch::{AdminCall, AdminFuture, Shared};
use crate::next_start::{self, NextStart};
use crate::raftstore::Status;

/// What must be written to go on.
const WORD: &[u8] = b"LOSE-WRITES";

/// RAFT.RECOVER [LOSE-WRITES]: without the word, what would be lost; with it, this node starts again as a cluster of its own.
pub(super) fn recover(call: AdminCall) -> AdminFuture {
    Box::pin(async move {
        let slices = call.slices();
        let mut args = Args::new(&slices);
        let word = (!args.is_empty()).then(|| args.bytes()).transpose()?;
        args.finish()?;
        let status = call.shared.router.status();
        let outlook = Outlook::of(&call.shared, &status)?;
        match word {
            None => {
                let text = outlook.text(&status);
                encode(&call, |out| {
                    out.verbatim("txt", text.as_bytes());
                    Ok(())
                })
            }
            Some(word) if word.eq_ignore_ascii_case(WORD) => {
                tracing::warn!(
                    "RAFT.RECOVER by client {}: this node becomes a cluster of its own",
                    call.client_id
                );
                restart(&call, &NextStart::Recover)
            }
            Some(_) => Err(CommandError::reply(format!(
                "ERR to go on write RAFT.RECOVER {}; RAFT.RECOVER alone tells what may be lost",
                String::from_utf8_lossy(WORD)
            ))),
        }
    })
}

/// Answers OK, and lets the process start again with something to do first.
pub(super) fn restart(call: &AdminCall, next: &NextStart) -> CommandResult<bytes::BytesMut> {
    let settings = call.shared.config.load();
    next_start::note(&settings.dir, next).map_err(|error| {
        CommandError::reply(format!(
            "ERR cannot write to {}: {error}",
            settings.dir.display()
        ))
    })?;
    call.shared.stop.send_replace(Stop::Restart);
    encode(call, |out| {
        out.ok();
        Ok(())
    })
}

/// What a recovery would come to.
struct Outlook {
    own: StoreId,
    others: Vec<StoreId>,
    voters: usize,
    /// Of the voters, this one included if it is one.
    answering: usize,
}

impl Outlook {
    /// An error where there is nothing to recover.
    fn of(shared: &Shared, status: &Status) -> CommandResult<Self> {
        let own = shared.store;
        if let Some(leader) = status.leader {
            return Err(CommandError::reply(format!(
                "ERR node {leader} leads, so no majority is lost: remove nodes that are lost with RAFT.NODE REMOVE"
            )));
        }
        if status.members.list.is_empty() {
            return Err(CommandError::reply(
                "ERR this node has joined and has no data yet: there is nothing to go on with",
            ));
        }
        let links = shared
            .transport()
            .map_or_else(Vec::new, |transport| transport.links());
        let answers = |store: StoreId| {
            store == own
                || links
                    .iter()
                    .any(|link| link.store == store && link.connected)
        };
        let members = &status.members.list;
        let voters: Vec<StoreId> = members
            .iter()
            .filter(|member| member.voter)
            .map(|member| member.store)
            .collect();
        let answering = voters.iter().filter(|store| answers(**store)).count();
        if answering > voters.len() / 2 {
            return Err(CommandError::reply(format!(
                "ERR {answering} of {} voters answer, which is a majority: it elects a leader by itself, see RAFT.INFO",
                voters.len()
            )));
        }
        let others = members.iter().map(|member| member.store);
        Ok(Self {
            own,
            others: others.filter(|store| *store != own).collect(),
            voters: voters.len(),
            answering,
        })
    }

    fn text(&self, status: &Status) -> String {
        let others: Vec<String> = self.others.iter().map(ToString::to_string).collect();
        let others = others.join(", ");
        format!(
            "{} of {} voters answer: without a majority nothing can be written, and nothing is lost yet.\n\
             Node {} has the log up to index {} (term {}); up to {} it is known to be committed.\n\
             To go on with it alone gives up what the others have and it does not: acknowledged writes behind index {}, \
             if there are any, are lost for good.\n\
             Before that:\n\
             - If any of the nodes {others} can be started again with its data, start it instead.\n\
             - Ask every node that still runs: the one with the greatest term, then the greatest index, loses least.\n\
             - Make sure that none of the nodes {others} ever starts again with its present data: it would not know of this.\n\
             Then: RAFT.RECOVER {}. This node starts again as a cluster with a new id; let others join it with empty \
             directories (--join).\n",
            self.answering,
            self.voters,
            self.own,
            status.last_index,
            status.term,
            status.commit_index,
            status.last_index,
            String::from_utf8_lossy(WORD)
        )
    }
}
