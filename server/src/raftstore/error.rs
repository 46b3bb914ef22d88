//! Why a request was not executed. Turned into a reply in exactly one place, `dispatch::outcome`.

use storage::ids::StoreId;

/// Refusals of the Raft core. All but [`Error::StaleCommand`] promise that the request is in no log, or in one whose tail has
/// lost its place to committed entries: it never will be executed, and may be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// This Peer does not lead; `leader` does, if known.
    #[error("not the leader (leader: {leader:?})")]
    NotLeader {
        /// The Store of the leader that this Peer knows.
        leader: Option<StoreId>,
    },
    /// The request was made for another membership or another range of the Region.
    #[error("the Region's epoch has changed")]
    EpochNotMatch,
    /// The request names a Region that has no Peer here.
    #[error("no such Region on this Store")]
    RegionNotFound,
    /// The entry was appended, and then this Peer stopped leading and has not seen since what is committed in its place.
    #[error("the outcome is unknown: leadership was lost after the entry was appended")]
    StaleCommand,
    /// Raft dropped the proposal before appending it.
    #[error("the proposal was dropped before it was appended")]
    ProposalDropped,
    /// A named limit of waiting work is reached.
    #[error("too much work is waiting")]
    Busy,
    /// The disk is nearly full: writes are refused until there is room.
    #[error("no space left on the disk")]
    Full,
    /// The change of members must not be made.
    #[error("{reason}")]
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// The Peer is stopped, or being destroyed.
    #[error("the Store is stopping")]
    Stopped,
}

/// The result of a proposal or a read.
pub type Result<T> = std::result::Result<T, Error>;
