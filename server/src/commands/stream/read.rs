//! What is new: XREAD XREADGROUP.

use resp::Writer;
use storage::types::Edit;
use storage::types::stream::{Stream, StreamId};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::{look, parse, stream, write_entries, write_entry, write_id};

/// The arguments of XREAD and XREADGROUP.
pub(super) struct Request<'a> {
    /// Group and consumer, of XREADGROUP.
    group: Option<(&'a [u8], &'a [u8])>,
    noack: bool,
    /// Of each stream.
    pub(super) count: usize,
    keys: &'a [&'a [u8]],
    pub(super) ids: &'a [&'a [u8]],
}

impl<'a> Request<'a> {
    pub(super) fn parse(args: &mut Args<'a>, in_group: bool) -> CommandResult<Self> {
        let mut request = Self {
            group: None,
            noack: false,
            count: usize::MAX,
            keys: &[],
            ids: &[],
        };
        loop {
            if args.is_empty() {
                // STREAMS is missing.
                return Err(CommandError::SYNTAX);
            }
            let left = args.remaining();
            if left > 1 && args.flag("BLOCK") {
                return Err(CommandError::reply(
                    "ERR BLOCK does not exist in this version; ask again after a while instead",
                ));
            } else if left > 1 && args.flag("COUNT") {
                let count = usize::try_from(args.int()?).unwrap_or(0);
                request.count = if count == 0 { usize::MAX } else { count };
            } else if left > 1 && args.flag("STREAMS") {
                request.split(args.rest(), in_group)?;
                break;
            } else if left > 2 && args.flag("GROUP") {
                only_of_group("GROUP", in_group)?;
                request.group = Some((args.bytes()?, args.bytes()?));
            } else if args.flag("NOACK") {
                only_of_group("NOACK", in_group)?;
                request.noack = true;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        if in_group && request.group.is_none() {
            return Err(CommandError::reply(
                "ERR Missing GROUP option for XREADGROUP",
            ));
        }
        Ok(request)
    }

    fn split(&mut self, rest: &'a [&'a [u8]], in_group: bool) -> CommandResult {
        if !rest.len().is_multiple_of(2) {
            let (name, symbol) = if in_group {
                ("xreadgroup", '>')
            } else {
                ("xread", '$')
            };
            return Err(CommandError::reply(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{symbol}' must be specified."
            )));
        }
        (self.keys, self.ids) = rest.split_at(rest.len() / 2);
        Ok(())
    }
}

fn only_of_group(option: &str, in_group: bool) -> CommandResult {
    if in_group {
        return Ok(());
    }
    Err(CommandError::reply(format!(
        "ERR The {option} option is only supported by XREADGROUP. You called XREAD instead."
    )))
}

/// Begins the answer of one stream.
fn write_key(key: &[u8], out: &mut Writer<'_>) {
    if out.protocol() == resp::Protocol::Resp2 {
        out.array(2);
    }
    out.bulk(key);
}

/// Ends the answer of all streams.
fn finish(start: resp::Mark, streams: usize, out: &mut Writer<'_>) {
    if streams == 0 {
        out.null_array();
    } else if out.protocol() == resp::Protocol::Resp2 {
        out.array_since(start, streams);
    } else {
        out.map_since(start, streams);
    }
}

/// XREAD [COUNT count] STREAMS key [key ...] id [id ...]
pub(super) fn xread(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let request = Request::parse(args, false)?;
    let mut after = Vec::with_capacity(request.ids.len());
    for (key, &id) in request.keys.iter().zip(request.ids) {
        let object = ctx.view.lookup(key)?;
        let stream = object.as_ref().map(stream).transpose()?;
        after.push(match id {
            b"$" => stream.map_or(StreamId::MIN, |stream| stream.last_id()),
            b">" => {
                return Err(CommandError::reply(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            id => parse::id(id, 0)?,
        });
    }
    let (start, mut streams) = (out.mark(), 0);
    for (key, after) in request.keys.iter().zip(after) {
        let object = ctx.view.peek(key)?;
        let Some(object) = &object else {
            continue;
        };
        let stream = stream(object)?;
        let Some(first) = after.next() else {
            continue;
        };
        if stream.last_entry_id().is_some_and(|last| last > after) {
            write_key(key, out);
            let entries = stream.entries(first..=StreamId::MAX);
            write_entries(entries.take(request.count), out);
            streams += 1;
        }
    }
    finish(start, streams, out);
    Ok(())
}

/// What XREADGROUP wants of a stream.
#[derive(Clone, Copy)]
enum Wanted {
    /// What no consumer of the group has got.
    New,
    /// What this consumer has got after an id, and not acknowledged.
    Pending(StreamId),
}

/// XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS key [key ...] id [id ...]
pub(super) fn xreadgroup(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let request = Request::parse(args, true)?;
    let Some((group, consumer)) = request.group else {
        return Err(CommandError::SYNTAX);
    };
    let mut wanted = Vec::with_capacity(request.ids.len());
    for (key, &id) in request.keys.iter().zip(request.ids) {
        let there = look(ctx, key, |stream| stream.group(group).is_some())?;
        if there != Some(true) {
            return Err(CommandError::quoting([
                b"NOGROUP No such key '",
                key,
                b"' or consumer group '",
                group,
                b"' in XREADGROUP with GROUP option",
            ]));
        }
        wanted.push(match id {
            b"$" => {
                return Err(CommandError::reply(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
                     consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
                     an empty result set.",
                ));
            }
            b">" => Wanted::New,
            id => match parse::id(id, 0)? {
                // Nothing can be pending behind it: to Redis it is the same as `>`.
                StreamId::MAX => Wanted::New,
                after => Wanted::Pending(after),
            },
        });
    }
    let (start, mut streams) = (out.mark(), 0);
    for (key, wanted) in request.keys.iter().zip(wanted) {
        let delivery = Delivery {
            key,
            group,
            consumer,
            noack: request.noack,
            count: request.count,
        };
        let (answered, is_new) = ctx
            .txn
            .edit_stream(key, |stream, edit| delivery.run(wanted, stream, edit, out))?;
        if is_new {
            ctx.txn.notify("xgroup-createconsumer", key);
        }
        streams += usize::from(answered);
    }
    finish(start, streams, out);
    Ok(())
}

/// Entries on their way to a consumer.
struct Delivery<'a> {
    key: &'a [u8],
    group: &'a [u8],
    consumer: &'a [u8],
    noack: bool,
    count: usize,
}

impl Delivery<'_> {
    /// Answers whether there was anything to answer, and whether the consumer is new.
    fn run(
        &self,
        wanted: Wanted,
        stream: &mut Stream,
        edit: &mut Edit<'_>,
        out: &mut Writer<'_>,
    ) -> (bool, bool) {
        let now_ms = edit.now_ms();
        let is_new = stream.see_consumer(self.group, self.consumer, now_ms, false, edit);
        let answered = match wanted {
            Wanted::New => self.new_entries(stream, edit, out),
            Wanted::Pending(after) => {
                write_key(self.key, out);
                self.pending_entries(after, stream, edit, out);
                true
            }
        };
        (answered, is_new)
    }

    /// Delivers what follows the last entry that was delivered to the group.
    fn new_entries(&self, stream: &mut Stream, edit: &mut Edit<'_>, out: &mut Writer<'_>) -> bool {
        let view = stream.as_ref();
        let Some(group) = view.group(self.group) else {
            return false;
        };
        let (last, mut read) = (group.last_id, group.entries_read);
        let (Some(first), true) = (last.next(), view.last_entry_id() > Some(last)) else {
            return false;
        };
        write_key(self.key, out);
        let mut delivered = Vec::new();
        let (start, mut count) = (out.mark(), 0);
        for entry in view.entries(first..=StreamId::MAX).take(self.count) {
            let id = entry.id;
            read = match read {
                Some(read) if !view.has_gaps_after(id) => Some(read.wrapping_add(1)),
                _ => view.entries_up_to(id),
            };
            write_entry(entry, out);
            delivered.push(id);
            count += 1;
        }
        out.array_since(start, count);
        let now_ms = edit.now_ms();
        if let Some(&last) = delivered.last() {
            stream.set_group(self.group, last, read, edit);
        }
        if !self.noack {
            for id in delivered {
                stream.set_pending(self.group, id, self.consumer, now_ms, 1, edit);
            }
            stream.see_consumer(self.group, self.consumer, now_ms, true, edit);
        }
        true
    }

    /// Delivers again what is pending of the consumer.
    fn pending_entries(
        &self,
        after: StreamId,
        stream: &mut Stream,
        edit: &mut Edit<'_>,
        out: &mut Writer<'_>,
    ) {
        let view = stream.as_ref();
        let group = view.group(self.group);
        let consumer = group.and_then(|group| group.consumers.get(self.consumer));
        let pending = consumer.into_iter().flat_map(|consumer| {
            use std::ops::Bound::{Excluded, Unbounded};
            consumer.pending.range((Excluded(after), Unbounded))
        });
        let mut again = Vec::new();
        let (start, mut count) = (out.mark(), 0);
        for &id in pending.take(self.count) {
            count += 1;
            match view.entry(id) {
                Some(entry) => {
                    write_entry(entry, out);
                    let before = group.and_then(|group| group.pending.get(&id));
                    again.push((id, before.map_or(0, |pending| pending.count) + 1));
                }
                None => {
                    out.array(2);
                    write_id(id, out);
                    out.null_array();
                }
            }
        }
        out.array_since(start, count);
        let now_ms = edit.now_ms();
        for (id, count) in again {
            stream.set_pending(self.group, id, self.consumer, now_ms, count, edit);
        }
    }
}
