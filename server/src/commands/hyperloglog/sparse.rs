//! The sparse encoding: runs of registers with the same rank.
//!
//! | bytes | run |
//! |---|---|
//! | `00xxxxxx` | x + 1 registers at 0 |
//! | `01xxxxxx yyyyyyyy` | xy + 1 registers at 0 |
//! | `1vvvvvxx` | x + 1 registers at v + 1 |

use super::super::error::{CommandError, CommandResult};
use super::{HEADER_BYTES, MAX_SPARSE_BYTES, REGISTERS};

/// Longest run of zeros in one byte.
const MAX_SHORT_ZEROS: usize = 64;
/// Longest run of a rank.
const MAX_RUN: usize = 4;
/// Greatest rank that a run can have.
const MAX_RANK: u8 = 32;
/// Runs looked at for merging around one that has changed: more can't be affected.
const MERGE_WITHIN: usize = 5;

/// A run as it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Run {
    rank: u8,
    registers: usize,
    /// Bytes of its encoding.
    bytes: usize,
}

fn run_at(runs: &[u8], at: usize) -> Option<Run> {
    let first = *runs.get(at)?;
    let low = usize::from(first & 0x3f);
    let (rank, registers, bytes) = match first >> 6 {
        0b00 => (0, low + 1, 1),
        0b01 => (0, (low << 8 | usize::from(*runs.get(at + 1)?)) + 1, 2),
        _ => ((first >> 2 & 0x1f) + 1, usize::from(first & 0x03) + 1, 1),
    };
    Some(Run {
        rank,
        registers,
        bytes,
    })
}

/// The encoding of registers at 0; none of none.
pub(super) fn zeros(registers: usize) -> Vec<u8> {
    match registers {
        0 => Vec::new(),
        1..=MAX_SHORT_ZEROS => vec![registers as u8 - 1],
        _ => {
            let [high, low] = (registers as u16 - 1).to_be_bytes();
            vec![0x40 | high, low]
        }
    }
}

/// The encoding of up to four registers at a rank.
fn value(rank: u8, registers: usize) -> u8 {
    0x80 | (rank - 1) << 2 | (registers as u8 - 1)
}

/// The encoding of any run; none of none.
fn run(rank: u8, registers: usize) -> Vec<u8> {
    match (rank, registers) {
        (0, _) => zeros(registers),
        (_, 0) => Vec::new(),
        _ => vec![value(rank, registers)],
    }
}

/// Calls with the first register, the one behind the last, and the rank, of every run that is not of zeros.
pub(super) fn each_run(runs: &[u8], mut visit: impl FnMut(usize, usize, u8)) -> CommandResult {
    let (mut at, mut register) = (0, 0);
    while at < runs.len() {
        let run = run_at(runs, at).ok_or(CommandError::CORRUPT_HYPERLOGLOG)?;
        let next = register + run.registers;
        if next > REGISTERS {
            return Err(CommandError::CORRUPT_HYPERLOGLOG);
        }
        if run.rank > 0 {
            visit(register, next, run.rank);
        }
        (at, register) = (at + run.bytes, next);
    }
    if register == REGISTERS {
        Ok(())
    } else {
        Err(CommandError::CORRUPT_HYPERLOGLOG)
    }
}

/// What became of a wish to raise a register.
pub(super) enum Raised {
    /// It was as high already.
    Not,
    InPlace,
    /// The encoding cannot hold it.
    NeedsDense,
}

/// Raises a register of a sparse HyperLogLog, header included.
pub(super) fn raise(bytes: &mut Vec<u8>, register: usize, rank: u8) -> CommandResult<Raised> {
    if rank > MAX_RANK {
        return Ok(Raised::NeedsDense);
    }
    let (mut at, mut first, mut previous) = (HEADER_BYTES, 0, None);
    let old = loop {
        let run = run_at(bytes, at).ok_or(CommandError::CORRUPT_HYPERLOGLOG)?;
        if register < first + run.registers {
            break run;
        }
        previous = Some(at);
        (at, first) = (at + run.bytes, first + run.registers);
    };
    if old.rank >= rank {
        return Ok(Raised::Not);
    }
    let mut new = run(old.rank, register - first);
    new.push(value(rank, 1));
    new.extend(run(old.rank, first + old.registers - 1 - register));
    if new.len() > old.bytes && bytes.len() + new.len() - old.bytes > MAX_SPARSE_BYTES {
        return Ok(Raised::NeedsDense);
    }
    bytes.splice(at..at + old.bytes, new);
    merge(bytes, previous.unwrap_or(HEADER_BYTES));
    Ok(Raised::InPlace)
}

/// Joins neighbours of the same rank, from `at` on.
fn merge(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..MERGE_WITHIN {
        let Some(here) = run_at(bytes, at) else {
            return;
        };
        match run_at(bytes, at + here.bytes) {
            Some(next)
                if here.rank > 0
                    && next.rank == here.rank
                    && here.registers + next.registers <= MAX_RUN =>
            {
                bytes[at + 1] = value(here.rank, here.registers + next.registers);
                bytes.remove(at);
            }
            _ => at += here.bytes,
        }
    }
}
