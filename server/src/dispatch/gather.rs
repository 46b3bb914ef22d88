//! Proposals of one I/O thread, gathered until it has nothing else to do.
//!
//! Whatever waits in the store thread's inbox shares one entry and one fsync. Handing proposals over one by one would let
//! the first start an fsync for itself while the others are still being parsed (4.5 writes per fsync with 50 clients at
//! -P 1). So a thread keeps them until it is about to wait for the network again, or has gathered enough.

use std::cell::RefCell;

use storage::proto::command::{Request, RequestHeader};

use crate::raftstore::{Callback, Proposal, RaftRouter};

/// Bytes of commands that are handed over without waiting for more: about one entry.
const ENOUGH_BYTES: usize = 64 << 10;

/// Bytes of commands up to which this thread does the store thread's work itself, about a hundred small ones. With more it
/// pays that one thread parses while the other persists.
const FEW_BYTES: usize = 16 << 10;

#[derive(Default)]
struct Gathered {
    router: Option<RaftRouter>,
    proposals: Vec<Proposal>,
    bytes: usize,
}

thread_local! {
    static GATHERED: RefCell<Gathered> = RefCell::default();
}

/// Keeps a proposal until [`hand_over`], which the runtime of an I/O thread calls before it parks.
pub fn propose(router: &RaftRouter, request: Request, callback: Callback) {
    let enough = GATHERED.with_borrow_mut(|gathered| {
        gathered.router.get_or_insert_with(|| router.clone());
        gathered.bytes += request.commands.len();
        gathered.proposals.push(Proposal {
            header: RequestHeader::default(),
            request,
            callback,
        });
        gathered.bytes >= ENOUGH_BYTES
    });
    if enough {
        hand_over();
    }
}

/// Hands over what this thread has gathered. If it is little, it is persisted and executed before this returns, by this
/// thread (see [`RaftRouter::propose_and_drive`]).
pub fn hand_over() {
    let (router, proposals, bytes) = GATHERED.with_borrow_mut(|gathered| {
        // Next time there will be about as many.
        let room = Vec::with_capacity(gathered.proposals.len());
        (
            gathered.router.clone(),
            std::mem::replace(&mut gathered.proposals, room),
            std::mem::take(&mut gathered.bytes),
        )
    });
    let Some(router) = router.filter(|_| !proposals.is_empty()) else {
        return;
    };
    if bytes <= FEW_BYTES {
        router.propose_and_drive(proposals);
    } else {
        router.propose_all(proposals);
    }
}
