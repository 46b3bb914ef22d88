//! PeerStorage under a real `RawNode`, on engines that lose power, fill up and fail.

mod cluster;
mod compaction;
mod conflict;
mod founding;
mod identity;
mod lsm;
mod node;
mod recover;
mod restart;
mod snapshots;
mod stream;
