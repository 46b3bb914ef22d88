//! Conversion between our messages ([`crate::proto::raft`]) and the `raft` crate's (`raft::eraftpb`), field by field.
//!
//! Payloads are `Bytes` on both sides and are shared, not copied. From ours to theirs can fail: an enum value that this
//! version does not know is an error, never a default. Fields of eraftpb that have no meaning here (`sync_log`,
//! `unknown_fields`) are dropped.

use raft::eraftpb;

use crate::proto::raft as proto;
use crate::{Error, Result};

macro_rules! mirror_enum {
    ($theirs:ty, $ours:ty, [$($name:ident),* $(,)?]) => {
        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                match value {
                    $(<$theirs>::$name => Self::$name,)*
                }
            }
        }

        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                match value {
                    $(<$ours>::$name => Self::$name,)*
                }
            }
        }
    };
}

mirror_enum!(
    eraftpb::EntryType,
    EntryType,
    [EntryNormal, EntryConfChange, EntryConfChangeV2]
);
mirror_enum!(
    eraftpb::MessageType,
    MessageType,
    [
        MsgHup,
        MsgBeat,
        MsgPropose,
        MsgAppend,
        MsgAppendResponse,
        MsgRequestVote,
        MsgRequestVoteResponse,
        MsgSnapshot,
        MsgHeartbeat,
        MsgHeartbeatResponse,
        MsgUnreachable,
        MsgSnapStatus,
        MsgCheckQuorum,
        MsgTransferLeader,
        MsgTimeoutNow,
        MsgReadIndex,
        MsgReadIndexResp,
        MsgRequestPreVote,
        MsgRequestPreVoteResponse,
    ]
);

mirror_enum!(
    eraftpb::ConfChangeType,
    ConfChangeType,
    [AddNode, RemoveNode, AddLearnerNode]
);
mirror_enum!(
    eraftpb::ConfChangeTransition,
    ConfChangeTransition,
    [Auto, Implicit, Explicit]
);

use proto::{ConfChangeTransition, ConfChangeType, EntryType, MessageType};

/// The `raft` crate's entry type for the number on the wire or on disk.
pub fn entry_type(value: i32) -> Result<eraftpb::EntryType> {
    EntryType::try_from(value)
        .map(Into::into)
        .map_err(|_| Error::corrupt("entry", format!("type {value}")))
}

impl From<eraftpb::Entry> for proto::Entry {
    fn from(entry: eraftpb::Entry) -> Self {
        Self {
            entry_type: EntryType::from(entry.entry_type).into(),
            term: entry.term,
            index: entry.index,
            data: entry.data,
            context: entry.context,
        }
    }
}

impl TryFrom<proto::Entry> for eraftpb::Entry {
    type Error = Error;

    fn try_from(entry: proto::Entry) -> Result<Self> {
        Ok(Self {
            entry_type: entry_type(entry.entry_type)?,
            term: entry.term,
            index: entry.index,
            data: entry.data,
            context: entry.context,
            ..Default::default()
        })
    }
}

impl From<eraftpb::HardState> for proto::HardState {
    fn from(state: eraftpb::HardState) -> Self {
        Self {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
        }
    }
}

impl From<proto::HardState> for eraftpb::HardState {
    fn from(state: proto::HardState) -> Self {
        Self {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
            ..Default::default()
        }
    }
}

impl From<eraftpb::ConfState> for proto::ConfState {
    fn from(state: eraftpb::ConfState) -> Self {
        Self {
            voters: state.voters,
            learners: state.learners,
            voters_outgoing: state.voters_outgoing,
            learners_next: state.learners_next,
            auto_leave: state.auto_leave,
        }
    }
}

impl From<proto::ConfState> for eraftpb::ConfState {
    fn from(state: proto::ConfState) -> Self {
        Self {
            voters: state.voters,
            learners: state.learners,
            voters_outgoing: state.voters_outgoing,
            learners_next: state.learners_next,
            auto_leave: state.auto_leave,
            ..Default::default()
        }
    }
}

impl TryFrom<proto::ConfChangeSingle> for eraftpb::ConfChangeSingle {
    type Error = Error;

    fn try_from(change: proto::ConfChangeSingle) -> Result<Self> {
        let kind = ConfChangeType::try_from(change.change_type)
            .map_err(|_| Error::corrupt("ConfChange", format!("type {}", change.change_type)))?;
        Ok(Self {
            change_type: kind.into(),
            node_id: change.node_id,
            ..Default::default()
        })
    }
}

impl TryFrom<proto::ConfChangeV2> for eraftpb::ConfChangeV2 {
    type Error = Error;

    fn try_from(change: proto::ConfChangeV2) -> Result<Self> {
        let transition = ConfChangeTransition::try_from(change.transition).map_err(|_| {
            Error::corrupt("ConfChange", format!("transition {}", change.transition))
        })?;
        let changes: Result<Vec<_>> = change.changes.into_iter().map(TryInto::try_into).collect();
        Ok(Self {
            transition: transition.into(),
            changes: changes?.into(),
            context: change.context,
            ..Default::default()
        })
    }
}

impl From<eraftpb::SnapshotMetadata> for proto::SnapshotMetadata {
    fn from(metadata: eraftpb::SnapshotMetadata) -> Self {
        Self {
            conf_state: metadata.conf_state.into_option().map(Into::into),
            index: metadata.index,
            term: metadata.term,
        }
    }
}

impl From<proto::SnapshotMetadata> for eraftpb::SnapshotMetadata {
    fn from(metadata: proto::SnapshotMetadata) -> Self {
        Self {
            conf_state: metadata.conf_state.map(eraftpb::ConfState::from).into(),
            index: metadata.index,
            term: metadata.term,
            ..Default::default()
        }
    }
}

impl From<eraftpb::Snapshot> for proto::Snapshot {
    fn from(snapshot: eraftpb::Snapshot) -> Self {
        Self {
            data: snapshot.data,
            metadata: snapshot.metadata.into_option().map(Into::into),
        }
    }
}

impl From<proto::Snapshot> for eraftpb::Snapshot {
    fn from(snapshot: proto::Snapshot) -> Self {
        Self {
            data: snapshot.data,
            metadata: snapshot
                .metadata
                .map(eraftpb::SnapshotMetadata::from)
                .into(),
            ..Default::default()
        }
    }
}

impl From<eraftpb::Message> for proto::Message {
    fn from(message: eraftpb::Message) -> Self {
        Self {
            msg_type: MessageType::from(message.msg_type).into(),
            to: message.to,
            from: message.from,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            entries: message
                .entries
                .into_vec()
                .into_iter()
                .map(Into::into)
                .collect(),
            commit: message.commit,
            commit_term: message.commit_term,
            snapshot: message.snapshot.into_option().map(Into::into),
            request_snapshot: message.request_snapshot,
            reject: message.reject,
            reject_hint: message.reject_hint,
            context: message.context,
            deprecated_priority: message.deprecated_priority,
            priority: message.priority,
        }
    }
}

impl TryFrom<proto::Message> for eraftpb::Message {
    type Error = Error;

    fn try_from(message: proto::Message) -> Result<Self> {
        let msg_type = MessageType::try_from(message.msg_type)
            .map_err(|_| Error::corrupt("message", format!("type {}", message.msg_type)))?;
        let entries: Vec<eraftpb::Entry> = message
            .entries
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_>>()?;
        Ok(Self {
            msg_type: msg_type.into(),
            to: message.to,
            from: message.from,
            term: message.term,
            log_term: message.log_term,
            index: message.index,
            entries: entries.into(),
            commit: message.commit,
            commit_term: message.commit_term,
            snapshot: message.snapshot.map(eraftpb::Snapshot::from).into(),
            request_snapshot: message.request_snapshot,
            reject: message.reject,
            reject_hint: message.reject_hint,
            context: message.context,
            deprecated_priority: message.deprecated_priority,
            priority: message.priority,
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn message() -> proto::Message {
        proto::Message {
            msg_type: MessageType::MsgAppend.into(),
            to: 1,
            from: 2,
            term: 3,
            log_term: 4,
            index: 5,
            entries: vec![proto::Entry {
                entry_type: EntryType::EntryConfChangeV2.into(),
                term: 6,
                index: 7,
                data: Bytes::from_static(b"data"),
                context: Bytes::from_static(b"context"),
            }],
            commit: 8,
            commit_term: 9,
            snapshot: Some(proto::Snapshot {
                data: Bytes::from_static(b"snapshot"),
                metadata: Some(proto::SnapshotMetadata {
                    conf_state: Some(proto::ConfState {
                        voters: vec![1, 2],
                        learners: vec![3],
                        voters_outgoing: vec![4],
                        learners_next: vec![5],
                        auto_leave: true,
                    }),
                    index: 10,
                    term: 11,
                }),
            }),
            request_snapshot: 12,
            reject: true,
            reject_hint: 13,
            context: Bytes::from_static(b"read"),
            deprecated_priority: 14,
            priority: -15,
        }
    }

    #[test]
    fn a_message_survives_the_round_trip() {
        let theirs = eraftpb::Message::try_from(message()).unwrap();
        assert_eq!(proto::Message::from(theirs), message());
    }

    #[test]
    fn every_message_type_is_mirrored() {
        for value in 0..=18 {
            let ours = MessageType::try_from(value).unwrap();
            let theirs = eraftpb::MessageType::from(ours);
            assert_eq!(theirs as i32, value);
            assert_eq!(MessageType::from(theirs), ours);
        }
        assert!(MessageType::try_from(19).is_err());
    }

    #[test]
    fn unknown_types_are_errors() {
        let mut unknown = message();
        unknown.msg_type = 99;
        assert!(eraftpb::Message::try_from(unknown).is_err());
        let mut unknown = message();
        unknown.entries[0].entry_type = -1;
        assert!(eraftpb::Message::try_from(unknown).is_err());
    }

    #[test]
    fn payloads_are_shared() {
        let entry = eraftpb::Entry {
            data: Bytes::from(vec![7; 100]),
            ..Default::default()
        };
        let before = entry.data.as_ptr();
        assert_eq!(proto::Entry::from(entry).data.as_ptr(), before);
    }
}
