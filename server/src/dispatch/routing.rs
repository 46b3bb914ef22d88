//! Where a segment runs: here, through the log, or at the leader. During an election it is held for a bounded time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use resp::Writer;
use storage::ids::StoreId;
use storage::proto::command::{MembershipChange, RaftCmdResponse, Request};
use tokio::sync::oneshot;

use super::outcome::{Failure, Refusal};
use super::segment::{Colds, Segment, counts_keys, is_of_one_key, run_reads};
use super::shared::Shared;
use super::{freshness, gather, mailbox, outcome, preload, segment};
use crate::machine::{self, Verdict, batch};
use crate::raftstore;
use crate::session::Reads;
use crate::transport::ForwardError;

/// Between two tries when the leader is known and still refuses: it has not finished its election, or hands over.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// How often stale reads are tried whose memory has become too old while they ran.
const STALE_TRIES: usize = 3;

/// Runs a segment, wherever it can: the encoded replies, one for each command, in order.
pub async fn run(shared: &Shared, segment: &Segment, reads: Reads) -> Result<Bytes, Failure> {
    let reads = if segment.reads_only {
        reads
    } else {
        Reads::Leader
    };
    if let Reads::Stale(bound) = reads
        && !shared.router.lease().is_valid()
    {
        return read_stale(shared, &segment.request, bound).await;
    }
    match respond(shared, segment, reads).await {
        // The leader has executed nothing of it: whom it has memory or disk for is decided command by command.
        Err(Failure::Refused(Refusal::OutOfMemory | Refusal::DiskFull)) if segment.commands > 1 => {
            run_each(shared, segment).await
        }
        outcome => Ok(outcome?.replies),
    }
}

/// Runs the commands of a segment one after the other; each gets its own outcome.
async fn run_each(shared: &Shared, segment: &Segment) -> Result<Bytes, Failure> {
    let mut replies = BytesMut::new();
    for args in batch::iter(&segment.request.commands) {
        let args = args.unwrap_or_else(|error| shared.fatal(&error));
        let mut commands = BytesMut::new();
        batch::push(&mut commands, &args);
        let request = Request {
            commands: commands.freeze(),
            ..segment.request.clone()
        };
        let reads_only = segment::reads_only(&request) == Ok(true);
        let single = Segment {
            request,
            commands: 1,
            reads_only,
        };
        match respond(shared, &single, Reads::Leader).await {
            Ok(response) => replies.extend_from_slice(&response.replies),
            Err(failure) => {
                let protocol = machine::protocol(segment.request.protocol);
                outcome::write(&failure, 1, &mut Writer::new(&mut replies, protocol));
            }
        }
    }
    Ok(replies.freeze())
}

/// Reads on this Store's memory, which is `bound` old at most.
async fn read_stale(shared: &Shared, request: &Request, bound: Duration) -> Result<Bytes, Failure> {
    // Shown once more when the reads themselves have taken too long: this thread may have been stopped for any time.
    for _ in 0..STALE_TRIES {
        if !freshness::within(shared, bound).await {
            break;
        }
        // What is lent may be as old as its reading took.
        let replies = read_memory(shared, request, false, || true).await;
        if let Some(replies) = replies.filter(|_| shared.freshness.is_within(bound)) {
            return Ok(replies);
        }
    }
    Err(Failure::Refused(Refusal::TooStale(bound)))
}

/// Lets the leader propose a change of members; answers the Store of its first step when it is in force.
pub async fn change_members(shared: &Shared, change: MembershipChange) -> Result<StoreId, Failure> {
    let segment = Segment {
        request: Request {
            membership: Some(change),
            ..Request::default()
        },
        commands: 1,
        reads_only: false,
    };
    Ok(StoreId(
        respond(shared, &segment, Reads::Leader).await?.store_id,
    ))
}

async fn respond(
    shared: &Shared,
    segment: &Segment,
    reads: Reads,
) -> Result<RaftCmdResponse, Failure> {
    let started = Instant::now();
    loop {
        let leader = shared.router.leader();
        let failure = match run_at(shared, segment, reads, leader).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        if !failure.may_run_again(segment.reads_only) {
            return Err(failure);
        }
        if shared.was_removed() {
            return Err(Failure::Refused(Refusal::NoMember));
        }
        let hold = hold(shared);
        let left = hold.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Err(Failure::Refused(Refusal::NoLeader(hold)));
        }
        let wait = if leader.is_some() {
            left.min(RETRY_INTERVAL)
        } else {
            left
        };
        // Either another leader is announced, or it is time to try again.
        let mut leaders = shared.router.subscribe_leader();
        let _ = tokio::time::timeout(wait, leaders.wait_for(|now| *now != leader)).await;
    }
}

/// For how long a command is held during an election.
fn hold(shared: &Shared) -> Duration {
    Duration::from_millis(shared.config.load().election_hold_ms)
}

/// Tries once, while `leader` leads.
async fn run_at(
    shared: &Shared,
    segment: &Segment,
    reads: Reads,
    leader: Option<StoreId>,
) -> Result<RaftCmdResponse, Failure> {
    match leader {
        Some(store) if store == shared.store || reads.are_local() => {
            Ok(run_here(shared, segment).await?)
        }
        Some(store) => run_there(shared, store, segment, hold(shared)).await,
        None => Err(Failure::TryAgain { leader: None }),
    }
}

async fn run_here(shared: &Shared, segment: &Segment) -> Result<RaftCmdResponse, raftstore::Error> {
    if segment.reads_only {
        Ok(RaftCmdResponse {
            replies: read_here(shared, &segment.request).await?,
            ..RaftCmdResponse::default()
        })
    } else {
        propose(shared, &segment.request).await
    }
}

/// Reads on this Store's memory, linearizably: under the lease, or behind a ReadIndex barrier.
pub async fn read_here(shared: &Shared, request: &Request) -> Result<Bytes, raftstore::Error> {
    if !shared.lazy_expiry.is_idle() && counts_keys(request) {
        shared.lazy_expiry.settled().await;
    }
    let lease = || shared.router.lease().is_valid();
    // The lease is looked at again: this thread may have been stopped for any time since.
    let may_lend = is_of_one_key(request);
    if let Some(replies) = read_memory(shared, request, may_lend, lease).await
        && lease()
    {
        return Ok(replies);
    }
    barrier(shared).await?;
    let replies = read_memory(shared, request, may_lend, || true).await;
    Ok(replies.unwrap_or_default())
}

/// Reads on this Store's memory as it stands, while `may_read`; large collections that are only on disk are loaded first, or lent as they
/// were at some time since this was called, if `may_lend`. None if it may not.
async fn read_memory(
    shared: &Shared,
    request: &Request,
    may_lend: bool,
    may_read: impl Fn() -> bool,
) -> Option<Bytes> {
    let (mut loads, mut gave_up) = (0, false);
    let mut loans = Vec::new();
    // Kept for the replies.
    let mut _headroom = None;
    while may_read() {
        let colds = Colds {
            refuse: !gave_up && loads < preload::MAX_PER_READ,
            loans: &loans,
            as_of_loans: may_lend,
        };
        match run_reads(shared, request, colds) {
            Ok(replies) => return Some(replies),
            Err(storage::Error::Cold(key)) => {
                let loaded = preload::load(shared, &key, may_lend).await;
                loans.extend(loaded.loan);
                _headroom = loaded.headroom;
                gave_up = loaded.gave_up;
            }
            Err(error) => shared.fatal(&error),
        }
        loads += 1;
    }
    None
}

/// Ready when this Store's memory reflects everything that was acknowledged anywhere before this call.
pub async fn barrier(shared: &Shared) -> Result<(), raftstore::Error> {
    let (done, wait) = oneshot::channel();
    shared.router.read_index(Box::new(move |result| {
        // The connection may be gone by now.
        let _ = done.send(result);
    }));
    wait.await.unwrap_or(Err(raftstore::Error::Stopped))
}

/// Sends a request through the log of the Region that this Store leads.
pub async fn propose(
    shared: &Shared,
    request: &Request,
) -> Result<RaftCmdResponse, raftstore::Error> {
    preload::settle(shared, request).await;
    let (callback, answer) = mailbox::expect();
    gather::propose(&shared.router, request.clone(), callback);
    hand_over_after_this_lap();
    answer.await
}

thread_local! {
    /// The task that hands over at the end of the lap is under way.
    static LAP: Cell<bool> = const { Cell::new(false) };
}

/// Hands over what this thread has gathered when every task that is ready now has run, and those that one more look at the
/// network makes ready: what has arrived meanwhile shares the fsync. A thread that is never idle would otherwise keep a write for as long as
/// others read: 795 ms at worst with 400 readers at -P 16.
fn hand_over_after_this_lap() {
    if !LAP.replace(true) {
        tokio::task::spawn_local(async {
            tokio::task::yield_now().await;
            LAP.set(false);
            gather::hand_over();
        });
    }
}

/// Forwards a segment to the leader. When that does not say what became of a write, the log does, within `hold`.
async fn run_there(
    shared: &Shared,
    leader: StoreId,
    segment: &Segment,
    hold: Duration,
) -> Result<RaftCmdResponse, Failure> {
    const AGAIN: Failure = Failure::TryAgain { leader: None };
    let transport = shared.transport().ok_or(AGAIN)?;
    if segment.reads_only {
        return Ok(transport.forward(leader, segment.request.clone()).await?);
    }
    let changes_members = segment.request.membership.is_some();
    let made_for = Some(Box::new(shared.router.made_for(changes_members)));
    if changes_members {
        let request = Request {
            made_for,
            ..segment.request.clone()
        };
        return Ok(transport.forward(leader, request).await?);
    }
    let term = shared.router.term_of(leader).ok_or(AGAIN)?;
    let claim = shared.machine.outstanding().claim(term).ok_or(AGAIN)?;
    let request = Request {
        origin: Some(Box::new(claim.origin())),
        made_for,
        ..segment.request.clone()
    };
    match transport.forward(leader, request).await {
        Err(ForwardError::Unknown) => {}
        outcome => return Ok(outcome?),
    }
    let verdict = tokio::time::timeout(hold, claim.verdict()).await;
    outcome::of_verdict(verdict.unwrap_or(Verdict::Unknown))
}
