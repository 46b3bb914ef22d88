//! Data commands: one file or folder a family, each with its table first. What a handler may touch is in [`context`], what
//! it may answer in [`error`], what is known of it in [`spec`].
//!
//! A handler parses all its arguments, makes one call into the types, and writes the reply, in this order: an error must
//! not leave a change behind.

pub mod args;
pub mod brief;
pub mod context;
pub mod docs;
pub mod error;
pub mod glob;
pub mod long_double;
pub mod number;
pub mod points;
pub mod sample;
pub mod scan;
pub mod spec;
pub mod unchanged;

pub mod bitmap;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod key;
pub mod list;
pub mod set;
pub mod sort;
pub mod stream;
pub mod string;
pub mod zset;

use spec::DataCommand;

/// The tables of all families.
pub static FAMILIES: &[&[DataCommand]] = &[
    string::COMMANDS,
    bitmap::COMMANDS,
    hyperloglog::COMMANDS,
    hash::COMMANDS,
    list::COMMANDS,
    set::COMMANDS,
    zset::COMMANDS,
    stream::COMMANDS,
    geo::COMMANDS,
    key::COMMANDS,
    sort::COMMANDS,
];
