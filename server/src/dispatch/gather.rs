//! Proposals of one I/O thread, gathered until it has nothing else to do.
//!
//! Whatever waits in the store thread's inbox shares one entry and one fsync. Handing proposals over one by one would let
//! the first start an fsync for itself while the others are still being parsed (4.5 writes per fsync with 50 clients at
//! -P 1). So a thread keeps them until it is about to wait for the network again, or has gathered enough.

use std::cell::RefCell;

use storage::proto::command::Request;

use crate::raftstore::{Callback, Proposal, RaftRouter};

/// Bytes of commands, about a hundred small ones, that are handed to the store thread without waiting for more: it pays then
/// that one thread persists while the other parses, unless no disk is waited for. What is less when there is nothing else to
/// do, this thread persists and executes itself.
const ENOUGH_BYTES: usize = 16 << 10;

/// So many are enough when there are [`MANY_PROPOSALS`]: with more, nearly all pipelines of small commands are in one group, and INCRs at
/// -P 16 were a tenth fewer. Of large ones, such as MSETs, one pipeline has as many.
const ENOUGH_BYTES_OF_MANY: usize = 8 << 10;

/// See [`ENOUGH_BYTES_OF_MANY`].
const MANY_PROPOSALS: usize = 8;

#[derive(Default)]
struct Gathered {
    router: Option<RaftRouter>,
    proposals: Vec<Proposal>,
    bytes: usize,
}

thread_local! {
    static GATHERED: RefCell<Gathered> = RefCell::default();
}

/// Keeps a proposal until [`hand_over`], or until there are enough.
pub fn propose(router: &RaftRouter, request: Request, callback: Callback) {
    let enough = GATHERED.with_borrow_mut(|gathered| {
        gathered.router.get_or_insert_with(|| router.clone());
        gathered.bytes += request.commands.len();
        gathered.proposals.push(Proposal {
            header: None,
            request,
            callback,
        });
        let enough_bytes = match gathered.proposals.len() < MANY_PROPOSALS {
            true => ENOUGH_BYTES,
            false => ENOUGH_BYTES_OF_MANY,
        };
        gathered.bytes >= enough_bytes
    });
    if enough && let Some((router, proposals)) = take() {
        router.propose_and_drive(proposals, false);
    }
}

/// Hands over what this thread has gathered; its runtime calls this before it parks. It is little, and is persisted and
/// executed before this returns, by this thread (see [`RaftRouter::propose_and_drive`]).
pub fn hand_over() {
    if let Some((router, proposals)) = take() {
        router.propose_and_drive(proposals, true);
    }
}

fn take() -> Option<(RaftRouter, Vec<Proposal>)> {
    GATHERED.with_borrow_mut(|gathered| {
        if gathered.proposals.is_empty() {
            return None;
        }
        gathered.bytes = 0;
        // Next time there will be about as many.
        let room = Vec::with_capacity(gathered.proposals.len());
        let proposals = std::mem::replace(&mut gathered.proposals, room);
        Some((gathered.router.clone()?, proposals))
    })
}
