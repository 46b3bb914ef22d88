//! Elements of a list, a set or a sorted set in an order of their own: SORT SORT_RO. The table first; options, values that
//! other keys give, and the order itself in the files below.

mod options;
mod order;
mod source;

use resp::Writer;
use storage::dataset::Object;
use storage::types::{End, Kind};

use super::args::Args;
use super::context::{ReadContext, WriteContext};
use super::error::{CommandError, CommandResult};
use super::spec::{DataCommand, Flags, Group, Keys, Words};

use options::Options;
use order::Elements;
use source::Source;

const KEY: Group = Group::Generic;

/// Where the destination is.
static STORE: Words = Words {
    from: 2,
    before_key: &["STORE"],
    before_others: &[("LIMIT", 2), ("GET", 1), ("BY", 1)],
};

/// The family.
pub static COMMANDS: &[DataCommand] = &[
    DataCommand::write("sort", -2, KEY, Keys::FIRST.and_behind(&STORE), sort)
        .or_read(may_store, sort_without_store)
        .flags(Flags::MOVABLEKEYS)
        .deny_oom(),
    DataCommand::read("sort_ro", -2, KEY, Keys::FIRST, sort_ro).flags(Flags::MOVABLEKEYS),
];

/// Whether a request may ask for its result to be stored.
fn may_store(args: &[&[u8]]) -> bool {
    args.iter()
        .skip(2)
        .any(|arg| arg.eq_ignore_ascii_case(b"store"))
}

/// SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE destination]
fn sort(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    let mut options = Options::parse(args, true)?;
    let Some(destination) = options.store else {
        return answer(&ReadContext::new(ctx.txn.view(), 0), key, &options, out);
    };
    let object = ctx.txn.lookup(key)?;
    if object
        .as_ref()
        .is_some_and(|object| object.kind() == Kind::Set)
        && !options.sorts
    {
        options.sort_texts();
    }
    let mut elements = collect(object.as_ref(), &options)?;
    let mut source = Source::Txn(ctx.txn);
    if options.sorts {
        elements.order(&options, &mut source)?;
    }
    let results = results(elements, &options, &mut source)?;
    let existed = ctx.txn.remove(destination)?;
    if results.len() > 0 {
        ctx.txn.edit_list(destination, |list, edit| {
            for result in results.iter() {
                list.push(End::Tail, result, edit);
                // As Redis asks after the last one: does it have to be large?
                list.expect(0, 0, edit);
            }
        })?;
        ctx.txn.notify("sortstore", destination);
    } else if existed {
        ctx.txn.notify("del", destination);
    }
    out.integer(results.len() as i64);
    Ok(())
}

/// SORT without STORE, which is a read.
fn sort_without_store(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let key = args.bytes()?;
    answer(ctx, key, &Options::parse(args, true)?, out)
}

/// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA]
fn sort_ro(ctx: &ReadContext<'_>, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let key = args.bytes()?;
    answer(ctx, key, &Options::parse(args, false)?, out)
}

fn answer(
    ctx: &ReadContext<'_>,
    key: &[u8],
    options: &Options<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let mut elements = collect(ctx.view.lookup(key)?.as_ref(), options)?;
    let mut source = Source::View(&ctx.view);
    if options.sorts {
        elements.order(options, &mut source)?;
    }
    out.array(elements.len() * options.get.len().max(1));
    if options.get.is_empty() {
        for element in elements.iter() {
            out.bulk(element);
        }
        return Ok(());
    }
    let mut value = Vec::new();
    for element in elements.iter() {
        for pattern in &options.get {
            value.clear();
            if source.value(pattern, element, &mut value)? {
                out.bulk(&value);
            } else {
                out.null();
            }
        }
    }
    Ok(())
}

/// What STORE stores: what is not there is an empty element.
fn results(
    elements: Elements,
    options: &Options<'_>,
    source: &mut Source<'_, '_>,
) -> CommandResult<Elements> {
    if options.get.is_empty() {
        return Ok(elements);
    }
    let mut results = Elements::default();
    let mut value = Vec::new();
    for element in elements.iter() {
        for pattern in &options.get {
            value.clear();
            source.value(pattern, element, &mut value)?;
            results.push(&value);
        }
    }
    Ok(results)
}

/// The elements of what is to be sorted; if it is not to be sorted at all, only those that LIMIT asks for, in the order that the
/// type gives them, or in the opposite one.
fn collect(object: Option<&Object<'_>>, options: &Options<'_>) -> CommandResult<Elements> {
    let mut elements = Elements::default();
    let Some(object) = object else {
        return Ok(elements);
    };
    let backwards = options.descending && !options.sorts;
    let window = |len| {
        if options.sorts {
            0..len
        } else {
            options.window(len)
        }
    };
    if let Some(list) = object.list() {
        let window = window(list.len());
        match list.len().checked_sub(window.start + 1) {
            Some(first) if backwards => {
                elements.extend(list.iter_back_from(first).take(window.len()));
            }
            _ => elements.extend(list.iter_from(window.start).take(window.len())),
        }
    } else if let Some(set) = object.set() {
        let window = window(set.len());
        elements.extend(set.iter().skip(window.start).take(window.len()));
        if options.store.is_some() {
            // The order of a large set's members is each replica's own: it must not be what tells equal weights apart.
            elements.sort();
        }
    } else if let Some(zset) = object.zset() {
        let (len, window) = (zset.len(), window(zset.len()));
        if backwards {
            let ranks = len - window.end..len - window.start;
            elements.extend(zset.range(ranks).rev().map(|(member, _)| member));
        } else {
            elements.extend(zset.range(window).map(|(member, _)| member));
        }
    } else {
        return Err(CommandError::WRONG_TYPE);
    }
    Ok(elements)
}
