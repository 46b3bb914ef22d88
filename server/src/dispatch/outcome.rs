//! The only place where an error of the Raft core or of forwarding becomes a reply.
//!
//! Client libraries resend a command on TRYAGAIN, LOADING, CLUSTERDOWN, READONLY, MASTERDOWN and NOREPLICAS. None of them
//! may therefore be said of a command that may have been appended: it could run twice.

use std::time::Duration;

use resp::Writer;
use storage::ids::StoreId;
use storage::proto::command::RaftCmdResponse;

use crate::commands::error::CommandError;
use crate::machine::Verdict;
use crate::raftstore;
use crate::transport::ForwardError;

/// Why a segment was not answered by the place that it was sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was appended: it may be sent again, to `leader` if one is named.
    TryAgain {
        /// Who leads, as the refusing Store knows.
        leader: Option<StoreId>,
    },
    /// Nothing was appended, and sending it again at once will not help.
    Refused(Refusal),
    /// It may have been executed, or may yet be.
    Unknown,
}

impl Failure {
    /// Whether a segment that ended so may be run again: nothing of it was done, or it changes nothing.
    pub fn may_run_again(&self, reads_only: bool) -> bool {
        match self {
            Self::TryAgain { .. } => true,
            Self::Unknown => reads_only,
            Self::Refused(_) => false,
        }
    }
}

/// What the log says of a write that was sent to a leader which does not answer.
pub fn of_verdict(verdict: Verdict) -> Result<RaftCmdResponse, Failure> {
    match verdict {
        Verdict::Executed(response) => Ok(response),
        Verdict::Lost => Err(Failure::TryAgain { leader: None }),
        Verdict::Unknown => Err(Failure::Unknown),
    }
}

/// Refusals that are final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No leader was found in time.
    NoLeader(Duration),
    /// This Store was removed from the cluster.
    NoMember,
    /// The disk is nearly full.
    DiskFull,
    /// Memory is full at the leader, and nothing may be deleted.
    OutOfMemory,
    /// This Store's memory is older than the reads accept.
    TooStale(Duration),
    /// This Store is stopping.
    Stopping,
    /// Too much waits.
    Busy,
    /// The other Store gave this reason.
    Remote(String),
}

impl From<raftstore::Error> for Failure {
    fn from(error: raftstore::Error) -> Self {
        use raftstore::Error;
        match error {
            Error::NotLeader { leader } => Self::TryAgain { leader },
            Error::EpochNotMatch | Error::RegionNotFound | Error::ProposalDropped | Error::Busy => {
                Self::TryAgain { leader: None }
            }
            Error::StaleCommand => Self::Unknown,
            Error::Full => Self::Refused(Refusal::DiskFull),
            Error::Stopped => Self::Refused(Refusal::Stopping),
            Error::Refused { reason } => Self::Refused(Refusal::Remote(reason)),
        }
    }
}

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        match error {
            ForwardError::NotLeader { leader } => Self::TryAgain { leader },
            ForwardError::NotSent | ForwardError::Busy => Self::TryAgain { leader: None },
            ForwardError::Unknown => Self::Unknown,
            ForwardError::Full => Self::Refused(Refusal::DiskFull),
            ForwardError::OutOfMemory => Self::Refused(Refusal::OutOfMemory),
            ForwardError::Refused { reason } => Self::Refused(Refusal::Remote(reason)),
        }
    }
}

/// What the Store that forwarded is told.
impl From<raftstore::Error> for ForwardError {
    fn from(error: raftstore::Error) -> Self {
        use raftstore::Error;
        match error {
            Error::NotLeader { leader } => Self::NotLeader { leader },
            Error::EpochNotMatch | Error::RegionNotFound | Error::ProposalDropped => {
                Self::NotLeader { leader: None }
            }
            Error::Busy => Self::Busy,
            Error::StaleCommand => Self::Unknown,
            Error::Full => Self::Full,
            Error::Stopped => Self::NotLeader { leader: None },
            Error::Refused { reason } => Self::Refused { reason },
        }
    }
}

/// Answers every command of a segment that got no other answer.
pub fn write(failure: &Failure, commands: usize, out: &mut Writer<'_>) {
    let text = text(failure);
    for _ in 0..commands {
        out.error(&text);
    }
}

/// The error that a command is answered with.
pub fn text(failure: &Failure) -> String {
    match failure {
        Failure::TryAgain { .. } => "TRYAGAIN The leader changed while the command waited; it was not executed".to_owned(),
        Failure::Refused(Refusal::NoLeader(held)) => format!(
            "CLUSTERDOWN The cluster has had no leader for {} ms; the command was not executed",
            held.as_millis()
        ),
        Failure::Refused(Refusal::NoMember) => {
            "CLUSTERDOWN This node is no member of the cluster any more: it was removed. Connect to another one".to_owned()
        }
        Failure::Refused(Refusal::DiskFull) => CommandError::DISK_FULL.to_string(),
        Failure::Refused(Refusal::OutOfMemory) => CommandError::OUT_OF_MEMORY.to_string(),
        Failure::Refused(Refusal::TooStale(bound)) => format!(
            "MASTERDOWN This node could not show within {} ms that its memory is not older than that",
            bound.as_millis()
        ),
        Failure::Refused(Refusal::Stopping) => "CLUSTERDOWN This node is shutting down; the command was not executed".to_owned(),
        Failure::Refused(Refusal::Busy) => "TRYAGAIN Too many commands are waiting; this one was not executed".to_owned(),
        Failure::Refused(Refusal::Remote(reason)) => format!("ERR the leader refused: {reason}"),
        Failure::Unknown => "UNCERTAIN the command may or may not have been executed: the leader was lost before it \
                             answered. Read before you send it again"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Refusal, write};
    use crate::raftstore::Error;
    use crate::transport::ForwardError;
    use bytes::BytesMut;
    use resp::{Protocol, Writer};
    use std::time::Duration;

    /// Client libraries send a command again when an error begins with one of these.
    const RESENT: [&str; 6] = [
        "TRYAGAIN",
        "LOADING",
        "CLUSTERDOWN",
        "READONLY",
        "MASTERDOWN",
        "NOREPLICAS",
    ];

    fn text(failure: &Failure) -> String {
        let mut bytes = BytesMut::new();
        write(failure, 1, &mut Writer::new(&mut bytes, Protocol::Resp2));
        String::from_utf8(bytes.to_vec()).expect("ASCII")
    }

    #[test]
    fn an_unknown_outcome_is_never_resent() {
        for failure in [
            Failure::from(Error::StaleCommand),
            Failure::from(ForwardError::Unknown),
        ] {
            assert_eq!(failure, Failure::Unknown);
            let text = text(&failure);
            assert!(RESENT.iter().all(|code| !text.contains(code)), "{text}");
        }
    }

    #[test]
    fn every_command_of_a_segment_is_answered() {
        let mut bytes = BytesMut::new();
        let failure = Failure::Refused(Refusal::NoLeader(Duration::from_secs(2)));
        write(&failure, 3, &mut Writer::new(&mut bytes, Protocol::Resp3));
        assert_eq!(bytes.iter().filter(|byte| **byte == b'-').count(), 3);
    }
}
