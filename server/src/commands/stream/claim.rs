//! What was delivered and not acknowledged: XACK XPENDING XCLAIM XAUTOCLAIM.

use std::ops::Bound::{Included, Unbounded};

use resp::Writer;
use storage::types::Edit;
use storage::types::stream::{Group, Pending, Stream, StreamId};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{busy_consumers, elapsed_ms, look, no_group, parse, stream, write_entry, write_id};

/// Entries that XAUTOCLAIM looks at for each that it may claim.
const LOOKS_PER_CLAIM: usize = 10;

/// XACK key group id [id ...]
pub(super) fn xack(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group) = (args.bytes()?, args.bytes()?);
    let mut acknowledged = 0;
    if look(ctx, key, |stream| stream.group(group).is_some())? == Some(true) {
        let ids = parse::ids(args)?;
        acknowledged = ctx.txn.edit_stream(key, |stream, edit| {
            let ids = ids.iter();
            ids.filter(|&&id| stream.remove_pending(group, id, edit))
                .count()
        })?;
    }
    out.integer(acknowledged as i64);
    Ok(())
}

/// XPENDING key group [[IDLE min-idle-time] start end count [consumer]]
pub(super) fn xpending(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, name) = (args.bytes()?, args.bytes()?);
    let filter = match args.remaining() {
        0 => None,
        3..=6 => Some(Filter::parse(args)?),
        _ => return Err(CommandError::SYNTAX),
    };
    let object = ctx.view.lookup(key)?;
    let stream = object.as_ref().map(stream).transpose()?;
    let group = stream.and_then(|stream| stream.group(name));
    let group = group.ok_or_else(|| no_group(key, name))?;
    match filter {
        Some(filter) => filter.write(group, ctx.view.now_ms(), out),
        None => write_summary(group, out),
    }
    Ok(())
}

fn write_summary(group: &Group, out: &mut Writer<'_>) {
    out.array(4);
    out.integer(group.pending.len() as i64);
    let ends = group.pending.keys().next().zip(group.pending.keys().last());
    let Some((&first, &last)) = ends else {
        out.null();
        out.null();
        out.null_array();
        return;
    };
    write_id(first, out);
    write_id(last, out);
    let (start, mut count) = (out.mark(), 0);
    for (name, pending) in busy_consumers(group) {
        out.array(2);
        out.bulk(name);
        out.bulk_integer(pending as i64);
        count += 1;
    }
    out.array_since(start, count);
}

/// Which pending entries XPENDING lists.
struct Filter<'a> {
    min_idle_ms: u64,
    start: StreamId,
    end: StreamId,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    fn parse(args: &mut Args<'a>) -> CommandResult<Self> {
        let mut min_idle_ms = 0;
        if args.flag("IDLE") {
            min_idle_ms = u64::try_from(args.int()?).unwrap_or(0);
            if args.remaining() < 3 {
                return Err(CommandError::SYNTAX);
            }
        }
        let (start, end) = (args.bytes()?, args.bytes()?);
        let count = usize::try_from(args.int()?).unwrap_or(0);
        let (start, end) = (parse::start(start)?, parse::end(end)?);
        Ok(Self {
            min_idle_ms,
            start,
            end,
            count,
            consumer: args.rest().first().copied(),
        })
    }

    /// The entries between start and end, of the consumer if there is one.
    fn of_consumer<'g>(
        &self,
        group: &'g Group,
    ) -> Box<dyn Iterator<Item = (StreamId, &'g Pending)> + 'g> {
        let ids = self.start..=self.end;
        let Some(name) = self.consumer else {
            let all = group.pending.range(ids);
            return Box::new(all.map(|(&id, pending)| (id, pending)));
        };
        let own = group.consumers.get(name);
        let own = own
            .into_iter()
            .flat_map(move |consumer| consumer.pending.range(ids.clone()));
        Box::new(own.filter_map(|&id| Some((id, group.pending.get(&id)?))))
    }

    fn write(&self, group: &Group, now_ms: u64, out: &mut Writer<'_>) {
        let (mark, mut count) = (out.mark(), 0);
        if self.start <= self.end {
            let entries = self.of_consumer(group).filter(|(_, pending)| {
                elapsed_ms(now_ms, pending.delivered_ms) >= self.min_idle_ms
            });
            for (id, pending) in entries.take(self.count) {
                out.array(4);
                write_id(id, out);
                out.bulk(&pending.consumer);
                out.integer(elapsed_ms(now_ms, pending.delivered_ms) as i64);
                out.integer(pending.count as i64);
                count += 1;
            }
        }
        out.array_since(mark, count);
    }
}

/// The minimum idle time of XCLAIM and XAUTOCLAIM.
fn min_idle_ms(arg: &[u8], command: &str) -> CommandResult<u64> {
    let number = parse_i64(arg).ok_or_else(|| {
        CommandError::reply(format!("ERR Invalid min-idle-time argument for {command}"))
    })?;
    Ok(u64::try_from(number).unwrap_or(0))
}

/// What XCLAIM and XAUTOCLAIM do with entries.
struct Claim<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    min_idle_ms: u64,
    /// When the entries count as delivered.
    delivered_ms: u64,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
}

impl Claim<'_> {
    /// Gives an entry to the consumer, and writes it. True if it was written.
    fn take(
        &self,
        id: StreamId,
        stream: &mut Stream,
        edit: &mut Edit<'_>,
        out: &mut Writer<'_>,
    ) -> bool {
        let now_ms = edit.now_ms();
        let group = stream.as_ref().group(self.group);
        let pending = group.and_then(|group| group.pending.get(&id)).cloned();
        let count = match &pending {
            Some(pending) if elapsed_ms(now_ms, pending.delivered_ms) < self.min_idle_ms => {
                return false;
            }
            Some(pending) => pending.count,
            // As Redis makes an entry that nobody had.
            None if self.force => 1,
            None => return false,
        };
        let count = self.retry_count.unwrap_or(count + u64::from(!self.just_id));
        stream.set_pending(
            self.group,
            id,
            self.consumer,
            self.delivered_ms,
            count,
            edit,
        );
        stream.see_consumer(self.group, self.consumer, now_ms, true, edit);
        if self.just_id {
            write_id(id, out);
        } else if let Some(entry) = stream.as_ref().entry(id) {
            write_entry(entry, out);
        }
        true
    }
}

/// XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE]
/// [JUSTID] [LASTID lastid]
pub(super) fn xclaim(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let known = look(ctx, key, |stream| {
        stream
            .group(group)
            .map(|group| (group.last_id, group.entries_read))
    })?;
    let (last, read) = known.flatten().ok_or_else(|| no_group(key, group))?;
    let min_idle_ms = min_idle_ms(args.bytes()?, "XCLAIM")?;
    let mut ids = Vec::new();
    while let Some(id) = args.peek().and_then(|arg| parse::id(arg, 0).ok()) {
        ids.push(id);
        args.bytes()?;
    }
    let now_ms = ctx.txn.now_ms();
    let (claim, last_id) = claim_options(
        args,
        now_ms,
        Claim {
            group,
            consumer,
            min_idle_ms,
            delivered_ms: now_ms,
            retry_count: None,
            force: false,
            just_id: false,
        },
    )?;
    let is_new = ctx.txn.edit_stream(key, |stream, edit| {
        if last_id > last {
            stream.set_group(group, last_id, read, edit);
        }
        let is_new = stream.see_consumer(group, consumer, now_ms, false, edit);
        let (start, mut count) = (out.mark(), 0);
        for id in ids {
            if stream.as_ref().entry(id).is_none() {
                stream.remove_pending(group, id, edit);
            } else {
                count += usize::from(claim.take(id, stream, edit, out));
            }
        }
        out.array_since(start, count);
        is_new
    })?;
    if is_new {
        ctx.txn.notify("xgroup-createconsumer", key);
    }
    Ok(())
}

/// Takes the options of XCLAIM; answers LASTID, too.
fn claim_options<'a>(
    args: &mut Args<'_>,
    now_ms: u64,
    mut claim: Claim<'a>,
) -> CommandResult<(Claim<'a>, StreamId)> {
    let mut last_id = StreamId::MIN;
    let mut delivered_ms = None;
    let number = |args: &mut Args<'_>, option: &str| {
        parse_i64(args.bytes()?).ok_or_else(|| {
            CommandError::reply(format!("ERR Invalid {option} option argument for XCLAIM"))
        })
    };
    while !args.is_empty() {
        let more = args.remaining() > 1;
        if args.flag("FORCE") {
            claim.force = true;
        } else if args.flag("JUSTID") {
            claim.just_id = true;
        } else if more && args.flag("IDLE") {
            delivered_ms = Some((now_ms as i64).wrapping_sub(number(args, "IDLE")?));
        } else if more && args.flag("TIME") {
            delivered_ms = Some(number(args, "TIME")?);
        } else if more && args.flag("RETRYCOUNT") {
            claim.retry_count = u64::try_from(number(args, "RETRYCOUNT")?).ok();
        } else if more && args.flag("LASTID") {
            last_id = parse::id(args.bytes()?, 0)?;
        } else {
            return Err(CommandError::quoting([
                b"ERR Unrecognized XCLAIM option '",
                args.bytes()?,
                b"'",
            ]));
        }
    }
    // A time that makes no sense is now, as in Redis.
    let told = delivered_ms.and_then(|at_ms| u64::try_from(at_ms).ok());
    claim.delivered_ms = told.filter(|&at_ms| at_ms <= now_ms).unwrap_or(now_ms);
    Ok((claim, last_id))
}

/// XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]
pub(super) fn xautoclaim(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (key, group, consumer) = (args.bytes()?, args.bytes()?, args.bytes()?);
    let min_idle_ms = min_idle_ms(args.bytes()?, "XAUTOCLAIM")?;
    let start = parse::start(args.bytes()?)?;
    let (mut count, mut just_id) = (100, false);
    while !args.is_empty() {
        if args.remaining() > 1 && args.flag("COUNT") {
            let number = parse_i64(args.bytes()?).and_then(|number| usize::try_from(number).ok());
            count = number
                .filter(|number| (1..=isize::MAX as usize / 16).contains(number))
                .ok_or(CommandError::reply("ERR COUNT must be > 0"))?;
        } else if args.flag("JUSTID") {
            just_id = true;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    if look(ctx, key, |stream| stream.group(group).is_some())? != Some(true) {
        return Err(no_group(key, group));
    }
    let now_ms = ctx.txn.now_ms();
    let claim = Claim {
        group,
        consumer,
        min_idle_ms,
        delivered_ms: now_ms,
        retry_count: None,
        force: false,
        just_id,
    };
    let is_new = ctx.txn.edit_stream(key, |stream, edit| {
        let is_new = stream.see_consumer(group, consumer, now_ms, false, edit);
        claim_idle(&claim, start, count, stream, edit, out);
        is_new
    })?;
    if is_new {
        ctx.txn.notify("xgroup-createconsumer", key);
    }
    Ok(())
}

/// Claims up to `count` entries from `start` on. Answers where to go on, the entries, and those that are no longer there.
fn claim_idle(
    claim: &Claim<'_>,
    start: StreamId,
    mut count: usize,
    stream: &mut Stream,
    edit: &mut Edit<'_>,
    out: &mut Writer<'_>,
) {
    let looks = count.saturating_mul(LOOKS_PER_CLAIM);
    let (mut next, mut gone, mut claimed) = (Some(start), Vec::new(), bytes::BytesMut::new());
    let mut entries = Writer::new(&mut claimed, out.protocol());
    let mut taken = 0;
    let find = |stream: &Stream, from: StreamId| {
        let group = stream.as_ref().group(claim.group)?;
        let mut pending = group.pending.range((Included(from), Unbounded));
        pending.next().map(|(&id, _)| id)
    };
    for _ in 0..looks {
        let Some(id) = next
            .and_then(|from| find(stream, from))
            .filter(|_| count > 0)
        else {
            break;
        };
        next = id.next();
        if stream.as_ref().entry(id).is_none() {
            stream.remove_pending(claim.group, id, edit);
            gone.push(id);
            count -= 1;
        } else if claim.take(id, stream, edit, &mut entries) {
            taken += 1;
            count -= 1;
        }
    }
    let next = next.and_then(|from| find(stream, from));
    out.array(3);
    write_id(next.unwrap_or(StreamId::MIN), out);
    out.array(taken);
    out.raw(&claimed);
    out.array(gone.len());
    for id in gone {
        write_id(id, out);
    }
}
