//! The leader's end of forwarding: runs what another Store's connection sent, or says who leads.

use std::sync::Arc;

use bytes::Bytes;
use storage::proto::command::{RaftCmdResponse, Request, RequestHeader};

use super::eviction::is_out_of_memory;
use super::preload;
use super::routing::read_here;
use super::segment::{counts_keys, needs_memory, reads_only, run_brief_reads};
use super::shared::Shared;
use crate::transport::{ForwardError, ForwardReply};

/// Runs a forwarded request. Does not block; `reply` is called when it is done, or at once with a refusal. A request is
/// never forwarded a second time.
pub fn run(shared: &Arc<Shared>, request: Request, reply: ForwardReply) {
    let reads_only = if request.membership.is_some() {
        Ok(false)
    } else {
        reads_only(&request)
    };
    match reads_only {
        Ok(_) if is_out_of_memory(shared) && needs_memory(&request) => {
            reply(Err(ForwardError::OutOfMemory));
        }
        Ok(_) if shared.router.is_low_on_disk() && needs_memory(&request) => {
            reply(Err(ForwardError::Full));
        }
        Err(reason) => reply(Err(ForwardError::Refused { reason })),
        Ok(false) if preload::may_need(shared) => {
            let own = Arc::clone(shared);
            shared.background.spawn(async move {
                preload::settle(&own, &request).await;
                propose(&own, request, reply);
            });
        }
        Ok(false) => propose(shared, request, reply),
        Ok(true) if shared.router.leader() != Some(shared.store) => {
            reply(Err(ForwardError::NotLeader {
                leader: shared.router.leader(),
            }));
        }
        Ok(true) => match read_at_once(shared, &request) {
            Some(replies) => reply(Ok(respond(replies, request.db))),
            None => {
                let own = Arc::clone(shared);
                shared.background.spawn(async move {
                    let replies = read_here(&own, &request).await;
                    reply(
                        replies
                            .map(|replies| respond(replies, request.db))
                            .map_err(ForwardError::from),
                    );
                });
            }
        },
    }
}

/// Reads under the lease on the links' thread, if that takes no longer than a moment: heartbeats wait for it.
fn read_at_once(shared: &Shared, request: &Request) -> Option<Bytes> {
    let counts = !shared.lazy_expiry.is_idle() && counts_keys(request);
    if counts || !shared.router.lease().is_valid() {
        return None;
    }
    match run_brief_reads(shared, request) {
        // This thread may have been stopped for any time since.
        Ok(replies) => replies.filter(|_| shared.router.lease().is_valid()),
        Err(storage::Error::Cold(_)) => None,
        Err(error) => shared.fatal(&error),
    }
}

fn propose(shared: &Shared, mut request: Request, reply: ForwardReply) {
    let header = header_of(&mut request);
    let answer = Box::new(move |result: Result<_, crate::raftstore::Error>| {
        reply(result.map_err(ForwardError::from));
    });
    shared.router.propose_with(header, request, answer);
}

/// What a forwarded request is bound to: it was made for a Region, epoch and term that this Store must still be in, otherwise it is
/// refused, and sent again. Its origin counts on it that it is appended in the term that it was sent in, or never.
pub fn header_of(request: &mut Request) -> Option<Box<RequestHeader>> {
    let mut header = request.made_for.take();
    if let Some(origin) = request.origin.as_mut() {
        header.get_or_insert_default().term = std::mem::take(&mut origin.term);
    }
    header
}

fn respond(replies: Bytes, db: u32) -> RaftCmdResponse {
    RaftCmdResponse {
        replies,
        db,
        ..RaftCmdResponse::default()
    }
}
