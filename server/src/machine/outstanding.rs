//! Requests that this Store has forwarded, recognised in the log: what became of them is known although the leader that they
//! were sent to answers no more.
//!
//! A forwarded request names its origin: the Store, a number, and the term in which alone it may be appended. Every replica
//! executes every entry, so the origin meets its own request there, and makes the replies that the leader would have sent. When
//! an entry of a later term is executed first, the request is not in the log and never will be: terms only grow along
//! the log, and whoever leads in a later term refuses it. Then it may be sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;
use storage::ids::{StoreId, Term};
use storage::proto::command::{Origin, RaftCmdResponse, Request};
use tokio::sync::oneshot;

/// What became of a request.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// It is in the log, and was executed here.
    Executed(RaftCmdResponse),
    /// It is not in the log, and never will be.
    Lost,
    /// A snapshot has taken the place of the entries that it may have been in.
    Unknown,
}

/// Positions in an entry of requests that somebody waits for here, with their numbers.
pub(super) type Recognised = SmallVec<[(usize, u64); 4]>;

/// Requests of one Store that are under way to a leader.
#[derive(Default)]
pub struct Outstanding {
    /// 0: nothing is recognised.
    store: u64,
    next: AtomicU64,
    /// Of the last entry executed.
    term: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
}

struct Waiting {
    term: u64,
    verdict: oneshot::Sender<Verdict>,
}

impl Outstanding {
    /// Of this Store. `first` is drawn anew by every process: requests of a former one may still come by.
    pub fn of(store: StoreId, first: u64) -> Self {
        Self {
            store: store.get(),
            next: AtomicU64::new(first),
            ..Self::default()
        }
    }

    /// Begins to look out for a request that may be appended in `term` only. None if that term is over.
    pub fn claim(self: &Arc<Self>, term: Term) -> Option<Claim> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (verdict, told) = oneshot::channel();
        let term = term.get();
        let mut waiting = self.waiting.lock();
        if self.term.load(Ordering::Relaxed) > term {
            return None;
        }
        waiting.insert(number, Waiting { term, verdict });
        drop(waiting);
        Some(Claim {
            outstanding: Arc::clone(self),
            origin: Origin {
                store_id: self.store,
                number,
                term,
            },
            told,
        })
    }

    /// An entry of `term` is about to be executed: requests of earlier terms that have not come by are lost.
    pub(super) fn enter(&self, term: Term) {
        let term = term.get();
        if self.term.load(Ordering::Relaxed) == term {
            return;
        }
        let mut waiting = self.waiting.lock();
        self.term.store(term, Ordering::Relaxed);
        for (_, lost) in waiting.extract_if(|_, waiting| waiting.term < term) {
            tell(lost, Verdict::Lost);
        }
    }

    /// Which requests of an entry somebody waits for here.
    pub(super) fn recognise(&self, requests: &[Request]) -> Recognised {
        let own = requests.iter().enumerate().filter_map(|(at, request)| {
            let origin = request.origin.as_ref()?;
            (self.store != 0 && origin.store_id == self.store).then_some((at, origin.number))
        });
        let mut own: Recognised = own.collect();
        if !own.is_empty() {
            let waiting = self.waiting.lock();
            own.retain(|(_, number)| waiting.contains_key(number));
        }
        own
    }

    /// The request at this position of the entry has been executed.
    pub(super) fn deliver(&self, recognised: &Recognised, at: usize, response: &RaftCmdResponse) {
        let own = recognised.iter().find(|(position, _)| *position == at);
        if let Some((_, number)) = own
            && let Some(executed) = self.waiting.lock().remove(number)
        {
            tell(executed, Verdict::Executed(response.clone()));
        }
    }

    /// A snapshot was installed: what was in the entries that it stands for was not seen here.
    pub fn forget(&self) {
        for (_, skipped) in self.waiting.lock().drain() {
            tell(skipped, Verdict::Unknown);
        }
    }
}

/// Whoever waits may have got an answer in another way, and be gone.
fn tell(waiting: Waiting, verdict: Verdict) {
    let _ = waiting.verdict.send(verdict);
}

/// A request that is looked out for until this is dropped.
pub struct Claim {
    outstanding: Arc<Outstanding>,
    origin: Origin,
    told: oneshot::Receiver<Verdict>,
}

impl Claim {
    /// What the request must carry.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What became of the request, if that is certain by now. Told once.
    pub fn try_verdict(&mut self) -> Option<Verdict> {
        self.told.try_recv().ok()
    }

    /// What became of the request, when that is certain.
    pub async fn verdict(mut self) -> Verdict {
        // The sender is in the table until it tells something.
        (&mut self.told).await.unwrap_or(Verdict::Unknown)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.outstanding.waiting.lock().remove(&self.origin.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outstanding() -> Arc<Outstanding> {
        Arc::new(Outstanding::of(StoreId(2), u64::MAX))
    }

    fn request(origin: Option<Origin>) -> Request {
        Request {
            origin: origin.map(Box::new),
            ..Request::default()
        }
    }

    fn response(db: u32) -> RaftCmdResponse {
        RaftCmdResponse {
            db,
            ..RaftCmdResponse::default()
        }
    }

    fn execute(store: &Outstanding, term: u64, origins: &[Origin]) {
        store.enter(Term(term));
        let requests: Vec<_> = origins
            .iter()
            .map(|origin| request(Some(*origin)))
            .collect();
        let recognised = store.recognise(&requests);
        for (at, _) in requests.iter().enumerate() {
            store.deliver(&recognised, at, &response(at as u32));
        }
    }

    #[test]
    fn who_comes_by_gets_its_own_response() {
        let store = outstanding();
        let [mut one, mut two] = [1, 1].map(|term| store.claim(Term(term)).expect("not over"));
        let stranger = Origin {
            store_id: 3,
            ..one.origin()
        };
        execute(&store, 1, &[stranger, two.origin(), one.origin()]);
        assert_eq!(one.try_verdict(), Some(Verdict::Executed(response(2))));
        assert_eq!(two.try_verdict(), Some(Verdict::Executed(response(1))));
    }

    #[test]
    fn who_has_not_come_by_when_its_term_ends_is_lost() {
        let store = outstanding();
        let mut early = store.claim(Term(4)).expect("not over");
        let mut late = store.claim(Term(6)).expect("not over");
        execute(&store, 4, &[]);
        assert_eq!(early.try_verdict(), None);
        execute(&store, 5, &[]);
        assert_eq!(early.try_verdict(), Some(Verdict::Lost));
        assert_eq!(late.try_verdict(), None);
        assert!(store.claim(Term(4)).is_none(), "nobody appends it any more");
    }

    #[test]
    fn behind_a_snapshot_nothing_is_certain() {
        let store = outstanding();
        let mut claim = store.claim(Term(1)).expect("not over");
        store.forget();
        execute(&store, 2, &[]);
        assert_eq!(claim.try_verdict(), Some(Verdict::Unknown));
    }

    #[test]
    fn nobody_waits_for_what_was_answered() {
        let store = outstanding();
        let claim = store.claim(Term(1)).expect("not over");
        let requests = [request(Some(claim.origin())), request(None)];
        assert_eq!(store.recognise(&requests).len(), 1);
        drop(claim);
        assert!(store.recognise(&requests).is_empty());
        let silent = Outstanding::default();
        assert!(
            silent
                .recognise(&[request(Some(Origin::default()))])
                .is_empty()
        );
    }
}
