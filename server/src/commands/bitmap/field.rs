//! Integers inside a string: BITFIELD BITFIELD_RO.

use resp::Writer;

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::overflow::{Overflow, Width};
use super::{bit_at, bytes, offset, put_bit};

/// One subcommand.
struct Step {
    width: Width,
    /// Position of its first bit.
    at: usize,
    action: Action,
}

enum Action {
    Get,
    Set(i64, Overflow),
    Increment(i64, Overflow),
}

impl Step {
    /// Bytes that the string must have for this to be written.
    fn needed(&self) -> usize {
        match self.action {
            Action::Get => 0,
            Action::Set(..) | Action::Increment(..) => {
                (self.at + self.width.bits as usize).div_ceil(8)
            }
        }
    }

    fn read(&self, bytes: &[u8]) -> i64 {
        let bits = self.at..self.at + self.width.bits as usize;
        let raw = bits.fold(0, |raw, bit| raw << 1 | u64::from(bit_at(bytes, bit)));
        self.width.value(raw)
    }

    fn write(&self, bytes: &mut [u8], value: i64) {
        for nth in 0..self.width.bits {
            let on = value as u64 >> (self.width.bits - 1 - nth) & 1 == 1;
            put_bit(bytes, self.at + nth as usize, on);
        }
    }

    /// Does it; the reply, nothing where an overflow made it fail.
    fn run(&self, bytes: &mut [u8]) -> Option<i64> {
        let old = self.read(bytes);
        match self.action {
            Action::Get => Some(old),
            Action::Set(value, overflow) => {
                let value = self.width.fit(self.width.argument(value), overflow)?;
                self.write(bytes, value);
                Some(old)
            }
            Action::Increment(by, overflow) => {
                let value = self.width.fit(i128::from(old) + i128::from(by), overflow)?;
                self.write(bytes, value);
                Some(value)
            }
        }
    }
}

fn parse(args: &mut Args<'_>, read_only: bool) -> CommandResult<Vec<Step>> {
    let mut steps = Vec::new();
    let mut overflow = Overflow::Wrap;
    while !args.is_empty() {
        // A subcommand without enough behind it is a syntax error, whatever it is.
        if args.flag("GET") && args.remaining() >= 2 {
            let (width, at) = place(args)?;
            steps.push(Step {
                width,
                at,
                action: Action::Get,
            });
        } else if args.flag("SET") && args.remaining() >= 3 {
            let (width, at) = place(args)?;
            let action = Action::Set(args.int()?, overflow);
            steps.push(Step { width, at, action });
        } else if args.flag("INCRBY") && args.remaining() >= 3 {
            let (width, at) = place(args)?;
            let action = Action::Increment(args.int()?, overflow);
            steps.push(Step { width, at, action });
        } else if args.flag("OVERFLOW") && !args.is_empty() {
            overflow = parse_overflow(args)?;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    let writes = steps.iter().any(|step| !matches!(step.action, Action::Get));
    if read_only && writes {
        return Err(CommandError::reply(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    Ok(steps)
}

fn parse_overflow(args: &mut Args<'_>) -> CommandResult<Overflow> {
    if args.flag("WRAP") {
        Ok(Overflow::Wrap)
    } else if args.flag("SAT") {
        Ok(Overflow::Saturate)
    } else if args.flag("FAIL") {
        Ok(Overflow::Fail)
    } else {
        Err(CommandError::reply("ERR Invalid OVERFLOW type specified"))
    }
}

/// Takes a type and an offset.
fn place(args: &mut Args<'_>) -> CommandResult<(Width, usize)> {
    let width = Width::parse(args.bytes()?).ok_or(CommandError::reply(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    ))?;
    Ok((width, offset(args.bytes()?, Some(width.bits))?))
}

fn reply(replies: &[Option<i64>], out: &mut Writer<'_>) {
    out.array(replies.len());
    for reply in replies {
        match reply {
            Some(value) => out.integer(*value),
            None => out.null(),
        }
    }
}

/// BITFIELD_RO key [GET type offset ...]
pub(super) fn bitfield_ro(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let steps = parse(args, true)?;
    let object = ctx.view.lookup(key)?;
    let bytes = bytes(object.as_ref())?;
    let replies: Vec<_> = steps.iter().map(|step| Some(step.read(&bytes))).collect();
    reply(&replies, out);
    Ok(())
}

/// BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset increment ...]
pub(super) fn bitfield(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let steps = parse(args, false)?;
    let needed = steps.iter().map(Step::needed).max().unwrap_or(0);
    let replies: Vec<_> = {
        let object = ctx.txn.lookup(key)?;
        let bytes = bytes(object.as_ref())?;
        if needed > 0 {
            Vec::new()
        } else {
            steps.iter().map(|step| Some(step.read(&bytes))).collect()
        }
    };
    if needed == 0 {
        reply(&replies, out);
        return Ok(());
    }
    // As in Redis the string grows to where it would be written even if an overflow keeps that from happening.
    let (replies, changed) = ctx.txn.edit_string(key, |bytes| {
        let mut changed = bytes.len() < needed;
        bytes.resize(needed.max(bytes.len()), 0);
        let replies: Vec<_> = steps
            .iter()
            .map(|step| {
                let old = step.read(bytes);
                let reply = step.run(bytes);
                changed |= step.read(bytes) != old;
                reply
            })
            .collect();
        let written = steps
            .iter()
            .zip(&replies)
            .any(|(step, reply)| step.needed() > 0 && reply.is_some());
        (replies, changed && written)
    })?;
    if changed {
        ctx.txn.notify("setbit", key);
    }
    reply(&replies, out);
    Ok(())
}
