//! LCS: the longest common subsequence of two strings.

use std::borrow::Cow;
use std::ops::Range;

use resp::Writer;
use storage::types::Kind;

use super::super::args::Args;
use super::super::context::ReadContext;
use super::super::error::{CommandError, CommandResult};

/// Bytes that the table of lengths may take: Redis's default for the longest string.
const MAX_TABLE_BYTES: usize = 512 << 20;

/// A common run: where it is in either string.
struct Run {
    left: Range<usize>,
    right: Range<usize>,
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]
pub(super) fn lcs(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (left, right) = (args.bytes()?, args.bytes()?);
    let objects = [ctx.view.lookup(left)?, ctx.view.lookup(right)?];
    if objects
        .iter()
        .flatten()
        .any(|object| object.kind() != Kind::String)
    {
        return Err(CommandError::reply(
            "ERR The specified keys must contain string values",
        ));
    }
    let (mut len_only, mut indexes, mut with_len, mut min_len) = (false, false, false, 0);
    while !args.is_empty() {
        if args.flag("IDX") {
            indexes = true;
        } else if args.flag("LEN") {
            len_only = true;
        } else if args.flag("WITHMATCHLEN") {
            with_len = true;
        } else if args.remaining() > 1 && args.flag("MINMATCHLEN") {
            min_len = args.int()?.max(0) as usize;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    if len_only && indexes {
        return Err(CommandError::reply(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    let texts = objects
        .each_ref()
        .map(|object| object.as_ref().and_then(|object| object.string()));
    let [left, right] = texts.map(|text| text.unwrap_or(Cow::Borrowed(b"")));
    let table = Table::fill(&left, &right)?;
    if len_only {
        out.integer(table.longest().into());
    } else if indexes {
        let runs = table.runs(&left, &right);
        write_runs(
            runs.iter().filter(|run| run.left.len() >= min_len),
            with_len,
            table.longest(),
            out,
        );
    } else {
        let common: Vec<u8> = table
            .runs(&left, &right)
            .iter()
            .rev()
            .flat_map(|run| left[run.left.clone()].to_vec())
            .collect();
        out.bulk(&common);
    }
    Ok(())
}

fn write_runs<'r>(
    runs: impl Iterator<Item = &'r Run>,
    with_len: bool,
    longest: u32,
    out: &mut Writer<'_>,
) {
    let runs: Vec<&Run> = runs.collect();
    out.map(2);
    out.bulk(b"matches");
    out.array(runs.len());
    for run in runs {
        out.array(2 + usize::from(with_len));
        for range in [&run.left, &run.right] {
            out.array(2);
            out.integer(range.start as i64);
            out.integer(range.end as i64 - 1);
        }
        if with_len {
            out.integer(run.left.len() as i64);
        }
    }
    out.bulk(b"len");
    out.integer(longest.into());
}

/// Lengths of the longest common subsequences of all pairs of prefixes.
struct Table {
    cells: Vec<u32>,
    width: usize,
    height: usize,
}

impl Table {
    fn fill(left: &[u8], right: &[u8]) -> CommandResult<Self> {
        let (height, width) = (left.len() + 1, right.len() + 1);
        let cells = height
            .checked_mul(width)
            .filter(|cells| *cells <= MAX_TABLE_BYTES / size_of::<u32>());
        let cells = cells.ok_or_else(|| {
            CommandError::reply(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            )
        })?;
        let mut table = Self {
            cells: vec![0; cells],
            width,
            height,
        };
        for (i, a) in left.iter().enumerate() {
            for (j, b) in right.iter().enumerate() {
                let length = if a == b {
                    table.at(i, j) + 1
                } else {
                    table.at(i + 1, j).max(table.at(i, j + 1))
                };
                table.cells[(i + 1) * width + j + 1] = length;
            }
        }
        Ok(table)
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }

    fn longest(&self) -> u32 {
        self.at(self.height - 1, self.width - 1)
    }

    /// The runs of one longest common subsequence, the last one first, as Redis walks.
    fn runs(&self, left: &[u8], right: &[u8]) -> Vec<Run> {
        let (mut i, mut j) = (left.len(), right.len());
        let mut runs: Vec<Run> = Vec::new();
        while i > 0 && j > 0 {
            if left[i - 1] == right[j - 1] {
                match runs.last_mut() {
                    Some(run) if run.left.start == i && run.right.start == j => {
                        (run.left.start, run.right.start) = (i - 1, j - 1);
                    }
                    _ => runs.push(Run {
                        left: i - 1..i,
                        right: j - 1..j,
                    }),
                }
                (i, j) = (i - 1, j - 1);
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        runs
    }
}
