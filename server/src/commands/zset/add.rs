//! Setting scores: ZADD ZINCRBY.

use resp::Writer;
use storage::types::Change;

use super::super::args::Args;
use super::super::context::WriteContext;
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_f64;
use super::zset;

/// Which scores are set, and what is answered.
#[derive(Clone, Copy, Default)]
pub(in crate::commands) struct Rules {
    /// Only of new members.
    nx: bool,
    /// Only of members that are there.
    xx: bool,
    /// Of members that are there, only to greater ones.
    gt: bool,
    /// Of members that are there, only to lesser ones.
    lt: bool,
    /// Changed scores count, too.
    ch: bool,
    /// The score is added to what is there, and the sum answered.
    incr: bool,
}

/// What becomes of one member.
enum Decision {
    Leave,
    Set(f64),
    NotANumber,
}

impl Rules {
    /// Takes NX, XX and CH: what GEOADD has.
    pub(in crate::commands) fn take_basic(&mut self, args: &mut Args<'_>) -> bool {
        let flags = [
            ("NX", &mut self.nx),
            ("XX", &mut self.xx),
            ("CH", &mut self.ch),
        ];
        for (word, flag) in flags {
            if args.flag(word) {
                *flag = true;
                return true;
            }
        }
        false
    }

    fn take(&mut self, args: &mut Args<'_>) -> bool {
        let flags = [
            ("GT", &mut self.gt),
            ("LT", &mut self.lt),
            ("INCR", &mut self.incr),
        ];
        for (word, flag) in flags {
            if args.flag(word) {
                *flag = true;
                return true;
            }
        }
        self.take_basic(args)
    }

    /// Refuses what excludes each other, with so many members to come.
    pub(in crate::commands) fn check(&self, members: usize) -> CommandResult {
        let text = if self.nx && self.xx {
            "ERR XX and NX options at the same time are not compatible"
        } else if (self.nx && (self.gt || self.lt)) || (self.gt && self.lt) {
            "ERR GT, LT, and/or NX options at the same time are not compatible"
        } else if self.incr && members > 1 {
            "ERR INCR option supports a single increment-element pair"
        } else {
            return Ok(());
        };
        Err(CommandError::reply(text))
    }

    fn decide(&self, old: Option<f64>, given: f64) -> Decision {
        let Some(old) = old else {
            return if self.xx {
                Decision::Leave
            } else {
                Decision::Set(given)
            };
        };
        if self.nx {
            return Decision::Leave;
        }
        let new = if self.incr { old + given } else { given };
        if new.is_nan() {
            Decision::NotANumber
        } else if (self.gt && new <= old) || (self.lt && new >= old) {
            Decision::Leave
        } else {
            Decision::Set(new)
        }
    }
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]
pub(super) fn zadd(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    parse(ctx, args, Rules::default(), out)
}

/// ZINCRBY key increment member
pub(super) fn zincrby(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let rules = Rules {
        incr: true,
        ..Rules::default()
    };
    // As in Redis, an option where the increment should be is taken for an option.
    parse(ctx, args, rules, out)
}

fn parse(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    mut rules: Rules,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    while rules.take(args) {}
    let (pairs, rest) = args.rest().as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(CommandError::SYNTAX);
    }
    rules.check(pairs.len())?;
    let members: Option<Vec<(f64, &[u8])>> = pairs
        .iter()
        .map(|&[score, member]| Some((parse_f64(score)?, member)))
        .collect();
    add(
        ctx,
        key,
        rules,
        &members.ok_or(CommandError::NOT_FLOAT)?,
        out,
    )
}

/// Adds members to the sorted set at `key`, and answers what [`Rules`] ask for.
pub(in crate::commands) fn add(
    ctx: &mut WriteContext<'_, '_>,
    key: &[u8],
    rules: Rules,
    members: &[(f64, &[u8])],
    out: &mut Writer<'_>,
) -> CommandResult {
    if let Some(object) = ctx.txn.lookup(key)? {
        zset(&object)?;
    }
    let (mut added, mut moved, mut last, mut not_a_number) = (0, 0, None, false);
    ctx.txn.edit_zset(key, |set, edit| {
        set.expect(members.len(), edit);
        for (given, member) in members {
            let change = set.update(member, edit, |old| {
                last = match rules.decide(old, *given) {
                    Decision::Set(score) => Some(score),
                    Decision::Leave => None,
                    Decision::NotANumber => {
                        not_a_number = true;
                        None
                    }
                };
                last
            });
            match change {
                Change::None => {}
                Change::Added => added += 1,
                Change::Moved => moved += 1,
            }
        }
    })?;
    if not_a_number {
        return Err(CommandError::reply(
            "ERR resulting score is not a number (NaN)",
        ));
    }
    if added + moved > 0 {
        let event = if rules.incr { "zincr" } else { "zadd" };
        ctx.txn.notify(event, key);
    }
    match (rules.incr, last) {
        (true, Some(score)) => out.double(score),
        (true, None) => out.null(),
        (false, _) => out.integer(if rules.ch { added + moved } else { added }),
    }
    Ok(())
}
