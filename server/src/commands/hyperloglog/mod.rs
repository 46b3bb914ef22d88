//! HyperLogLogs: strings that estimate how many different elements were added, to within 0.81 percent.
//!
//! The bytes are those of Redis, so that GET, DUMP and RESTORE agree with it: a header of 16 bytes (`HYLL`, the encoding,
//! three zeros, and the cached estimate, 8 bytes in little endian whose highest bit tells that it is out of date), then 16384
//! registers, sparse or dense. An element's hash chooses a register and, by its trailing zeros, a rank; a register
//! holds the greatest rank that it met. PFCOUNT of one key writes its estimate into the header when that is out of date, as
//! Redis does: then it is an entry of the log, and a read otherwise.

mod dense;
mod estimate;
mod hash;
mod sparse;

use resp::Writer;

use super::args::Args;
use super::context::{ReadContext, WriteContext};
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Group, Keys};
use super::string::text;
use super::unchanged::{Probe, Unchanged};

const HYPERLOGLOG: Group = Group::HyperLogLog;

const HEADER_BYTES: usize = 16;
const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Where the cached estimate lies.
const CARD_AT: usize = 8;
/// The highest bit of the estimate's last byte: out of date.
const STALE_AT: usize = 15;
const STALE: u8 = 0x80;

/// Registers, and the bits of a hash that choose one.
const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 14;
/// The greatest rank: the other bits of a hash, and one.
const MAX_RANK: usize = 64 - REGISTER_BITS as usize + 1;

/// A sparse one grows no further than this, as `hll-sparse-max-bytes` is by default: every replica must agree, so it is not
/// configurable here.
const MAX_SPARSE_BYTES: usize = 3000;

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::read("pfcount", -2, HYPERLOGLOG, Keys::ALL, pfcount_union)
        .or_write(|args| args.len() == 2, pfcount)
        .probe(Probe::new(2, cached_count)),
    DataCommand::write("pfadd", -2, HYPERLOGLOG, Keys::FIRST, pfadd)
        .deny_oom()
        .fast(),
    DataCommand::write("pfmerge", -2, HYPERLOGLOG, Keys::ALL, pfmerge).deny_oom(),
];

/// Ranks by register.
type Ranks = [u8; REGISTERS];

/// Checks that a string is a HyperLogLog; its registers may still be corrupt.
fn check(bytes: &[u8]) -> CommandResult {
    let valid = bytes.len() >= HEADER_BYTES
        && bytes.starts_with(MAGIC)
        && match bytes[ENCODING_AT] {
            DENSE => bytes.len() == HEADER_BYTES + dense::BYTES,
            SPARSE => true,
            _ => false,
        };
    if valid {
        Ok(())
    } else {
        Err(CommandError::NOT_HYPERLOGLOG)
    }
}

/// An empty one.
fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING_AT] = SPARSE;
    bytes.extend(sparse::zeros(REGISTERS));
    bytes
}

/// Raises `ranks` to those of a checked HyperLogLog.
fn merge_into(ranks: &mut Ranks, bytes: &[u8]) -> CommandResult {
    let registers = &bytes[HEADER_BYTES..];
    if bytes[ENCODING_AT] == DENSE {
        for (register, rank) in ranks.iter_mut().enumerate() {
            *rank = (*rank).max(dense::get(registers, register));
        }
        return Ok(());
    }
    sparse::each_run(registers, |from, to, value| {
        for rank in &mut ranks[from..to] {
            *rank = (*rank).max(value);
        }
    })
}

/// Rewrites a sparse one as a dense one; the header stays.
fn make_dense(bytes: &mut Vec<u8>) -> CommandResult {
    if bytes[ENCODING_AT] == DENSE {
        return Ok(());
    }
    let mut registers = vec![0; dense::BYTES];
    sparse::each_run(&bytes[HEADER_BYTES..], |from, to, value| {
        for register in from..to {
            dense::set(&mut registers, register, value);
        }
    })?;
    bytes.truncate(HEADER_BYTES);
    bytes[ENCODING_AT] = DENSE;
    bytes.append(&mut registers);
    Ok(())
}

/// Raises one register to `rank`; true if it was lower.
fn raise(bytes: &mut Vec<u8>, register: usize, rank: u8) -> CommandResult<bool> {
    if bytes[ENCODING_AT] == SPARSE {
        match sparse::raise(bytes, register, rank)? {
            sparse::Raised::Not => return Ok(false),
            sparse::Raised::InPlace => return Ok(true),
            sparse::Raised::NeedsDense => make_dense(bytes)?,
        }
    }
    let registers = &mut bytes[HEADER_BYTES..];
    let raised = dense::get(registers, register) < rank;
    if raised {
        dense::set(registers, register, rank);
    }
    Ok(raised)
}

/// PFADD key [element ...]
fn pfadd(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, elements) = (args.bytes()?, args.rest());
    let (mut bytes, mut changed) = match ctx.txn.lookup(key)? {
        Some(object) => {
            let bytes = text(&object)?;
            check(&bytes)?;
            (bytes.into_owned(), false)
        }
        None => (empty(), true),
    };
    for element in elements {
        let (register, rank) = hash::place(element);
        changed |= raise(&mut bytes, register, rank)?;
    }
    if changed {
        bytes[STALE_AT] |= STALE;
        ctx.txn.edit_string(key, |string| *string = bytes)?;
        ctx.txn.notify("pfadd", key);
    }
    out.integer(changed.into());
    Ok(())
}

/// The estimate in the header of a checked one, unless it is out of date.
fn cached(bytes: &[u8]) -> Option<i64> {
    if bytes[STALE_AT] & STALE != 0 {
        return None;
    }
    let card: [u8; 8] = std::array::from_fn(|at| bytes[CARD_AT + at]);
    Some(u64::from_le_bytes(card) as i64)
}

/// What PFCOUNT key answers without a change: there is no such key, or its estimate is up to date.
fn cached_count(ctx: &ReadContext<'_>, args: &[&[u8]]) -> storage::Result<Option<Unchanged>> {
    let [_, key] = args else {
        return Ok(None);
    };
    let Some(object) = ctx.view.lookup(key)? else {
        return Ok(Some(Unchanged::Integer(0)));
    };
    let count = text(&object).ok().and_then(|bytes| {
        check(&bytes).ok()?;
        cached(&bytes)
    });
    Ok(count.map(Unchanged::Integer))
}

/// PFCOUNT key
fn pfcount(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let Some(object) = ctx.txn.lookup(key)? else {
        out.integer(0);
        return Ok(());
    };
    let bytes = text(&object)?;
    check(&bytes)?;
    if let Some(count) = cached(&bytes) {
        out.integer(count);
        return Ok(());
    }
    let mut ranks: Box<Ranks> = Box::new([0; REGISTERS]);
    merge_into(&mut ranks, &bytes)?;
    let count = estimate::cardinality(&ranks);
    let mut bytes = bytes.into_owned();
    bytes[CARD_AT..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
    ctx.txn.edit_string(key, |string| *string = bytes)?;
    out.integer(count as i64);
    Ok(())
}

/// PFCOUNT key key [key ...]: writes no estimate anywhere.
fn pfcount_union(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let mut ranks: Box<Ranks> = Box::new([0; REGISTERS]);
    for key in args.rest() {
        let Some(object) = ctx.view.lookup(key)? else {
            continue;
        };
        let bytes = text(&object)?;
        check(&bytes)?;
        merge_into(&mut ranks, &bytes)?;
    }
    out.integer(estimate::cardinality(&ranks) as i64);
    Ok(())
}

/// PFMERGE destination [source ...]
fn pfmerge(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let keys = args.rest();
    let mut ranks: Box<Ranks> = Box::new([0; REGISTERS]);
    let mut any_dense = false;
    let mut merged = None;
    for (nth, key) in keys.iter().enumerate() {
        let Some(object) = ctx.txn.lookup(key)? else {
            continue;
        };
        let bytes = text(&object)?;
        check(&bytes)?;
        any_dense |= bytes[ENCODING_AT] == DENSE;
        merge_into(&mut ranks, &bytes)?;
        if nth == 0 {
            merged = Some(bytes.into_owned());
        }
    }
    let mut merged = merged.unwrap_or_else(empty);
    if any_dense {
        make_dense(&mut merged)?;
    }
    for (register, &rank) in ranks.iter().enumerate().filter(|(_, rank)| **rank > 0) {
        raise(&mut merged, register, rank)?;
    }
    merged[STALE_AT] |= STALE;
    ctx.txn.edit_string(keys[0], |string| *string = merged)?;
    ctx.txn.notify("pfadd", keys[0]);
    out.ok();
    Ok(())
}
