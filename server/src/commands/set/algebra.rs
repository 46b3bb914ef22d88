//! Sets of several sets: SINTER SINTERCARD SINTERSTORE SUNION SUNIONSTORE SDIFF SDIFFSTORE.
//!
//! The sets are read where they are; only a result that is stored is copied, because its destination may be one of them.

use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

use resp::Writer;
use storage::dataset::{Object, View};
use storage::types::{Item, SetRef};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::parse_i64;
use super::{set, write_item};

/// With more sets than this, what was found or is to be left out is remembered, instead of asking each set for it.
const ASKED_SETS: usize = 3;

/// What is done with several sets.
#[derive(Clone, Copy)]
enum Operation {
    Intersect,
    Unite,
    Subtract,
}

/// SINTER key [key ...]
pub(super) fn sinter(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(Operation::Intersect, ctx, args, out)
}

/// SUNION key [key ...]
pub(super) fn sunion(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(Operation::Unite, ctx, args, out)
}

/// SDIFF key [key ...]
pub(super) fn sdiff(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(Operation::Subtract, ctx, args, out)
}

fn answer(
    operation: Operation,
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let objects = look_up(args.rest(), |key| Ok(ctx.view.lookup(key)?))?;
    let start = out.mark();
    let mut count = 0;
    operation.run(&ctx.view, &objects, &mut |member| {
        write_item(member, out);
        count += 1;
        ControlFlow::Continue(())
    })?;
    out.set_since(start, count);
    Ok(())
}

/// SINTERCARD numkeys key [key ...] [LIMIT limit]
pub(super) fn sintercard(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let count = parse_i64(args.bytes()?).filter(|count| *count > 0);
    let count = count.ok_or(CommandError::NUMKEYS)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > args.remaining() {
        return Err(CommandError::TOO_FEW_KEYS);
    }
    let keys = (0..count)
        .map(|_| args.bytes())
        .collect::<CommandResult<Vec<_>>>()?;
    let mut limit = 0;
    while !args.is_empty() {
        if args.remaining() < 2 || !args.flag("LIMIT") {
            return Err(CommandError::SYNTAX);
        }
        let number = parse_i64(args.bytes()?).and_then(|limit| usize::try_from(limit).ok());
        limit = number.ok_or(CommandError::NEGATIVE_LIMIT)?;
    }
    let objects = look_up(&keys, |key| Ok(ctx.view.lookup(key)?))?;
    let mut found = 0;
    Operation::Intersect.run(&ctx.view, &objects, &mut |_| {
        found += 1;
        if found == limit {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    out.integer(found as i64);
    Ok(())
}

/// SINTERSTORE destination key [key ...]
pub(super) fn sinterstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    store(Operation::Intersect, "sinterstore", ctx, args, out)
}

/// SUNIONSTORE destination key [key ...]
pub(super) fn sunionstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    store(Operation::Unite, "sunionstore", ctx, args, out)
}

/// SDIFFSTORE destination key [key ...]
pub(super) fn sdiffstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    store(Operation::Subtract, "sdiffstore", ctx, args, out)
}

fn store(
    operation: Operation,
    event: &'static str,
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let (destination, keys) = (args.bytes()?, args.rest());
    let mut members = Members::default();
    let flat_entries = ctx.txn.limits().set_max_listpack_entries;
    for key in keys {
        // Removes what has expired, and brings the others into memory, where the view finds them.
        ctx.txn.lookup(key)?;
    }
    {
        let view = ctx.txn.view();
        let objects = look_up(keys, |key| Ok(view.peek(key)?))?;
        operation.run(&view, &objects, &mut |member| {
            members.push(member);
            ControlFlow::Continue(())
        })?;
        let is_large = |object: &Object<'_>| object.set().is_some_and(|set| !set.is_flat());
        if members.spans.len() <= flat_entries && objects.iter().flatten().any(is_large) {
            // The order of a large set's members is each replica's own; that of a flat one's is not.
            members.sort();
        }
    }
    let existed = ctx.txn.remove(destination)?;
    let count = members.spans.len();
    if count > 0 {
        ctx.txn.edit_set(destination, |set, edit| {
            for member in members.iter() {
                set.insert(member, edit);
            }
        })?;
        ctx.txn.notify(event, destination);
    } else if existed {
        ctx.txn.notify("del", destination);
    }
    out.integer(count as i64);
    Ok(())
}

/// Members of a result, one behind the other.
#[derive(Default)]
struct Members {
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Members {
    fn push(&mut self, member: Item<'_>) {
        let start = self.bytes.len();
        self.bytes
            .extend_from_slice(member.bytes(&mut itoa::Buffer::new()));
        self.spans.push(start..self.bytes.len());
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let span = |span: &Range<usize>| &bytes[span.clone()];
        self.spans.sort_by(|a, b| span(a).cmp(span(b)));
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| &self.bytes[span.clone()])
    }
}

/// The objects of keys, all of them sets or not there.
fn look_up<'v>(
    keys: &[&[u8]],
    look_up: impl Fn(&[u8]) -> CommandResult<Option<Object<'v>>>,
) -> CommandResult<Vec<Option<Object<'v>>>> {
    let look_up = |key: &&[u8]| {
        let object = look_up(key)?;
        object.as_ref().map(set).transpose()?;
        Ok(object)
    };
    keys.iter().map(look_up).collect()
}

/// What is done with each member of a result; it may end the search.
type Emit<'e> = dyn FnMut(Item<'_>) -> ControlFlow<()> + 'e;

impl Operation {
    fn run(
        self,
        view: &View<'_>,
        objects: &[Option<Object<'_>>],
        emit: &mut Emit<'_>,
    ) -> CommandResult {
        let sets = objects.iter().map(|object| object.as_ref().map(set));
        let sets = sets
            .map(Option::transpose)
            .collect::<CommandResult<Vec<_>>>()?;
        let _ = match self {
            Self::Intersect => intersect(view, &sets, emit),
            Self::Unite => unite(view, &sets, emit),
            Self::Subtract => subtract(view, &sets, emit),
        };
        Ok(())
    }
}

/// A member to ask sets for.
struct Wanted<'m, 'v> {
    member: Item<'m>,
    number: Option<i64>,
    /// Its keyed hash, once it was needed.
    hash: Option<u32>,
    view: &'m View<'v>,
}

impl<'m, 'v> Wanted<'m, 'v> {
    fn new(member: Item<'m>, view: &'m View<'v>) -> Self {
        Self {
            member,
            number: member.int(),
            hash: None,
            view,
        }
    }

    fn is_in(&mut self, set: SetRef<'_>) -> bool {
        if let SetRef::Intset(intset) = set {
            return self.number.is_some_and(|number| intset.contains(number));
        }
        let (hash, view) = (&mut self.hash, self.view);
        set.contains(self.member.bytes(&mut itoa::Buffer::new()), |member| {
            *hash.get_or_insert_with(|| view.element_hash(member))
        })
    }
}

/// Every member of the smallest set that all others have.
fn intersect(view: &View<'_>, sets: &[Option<SetRef<'_>>], emit: &mut Emit<'_>) -> ControlFlow<()> {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<_>>>() else {
        return ControlFlow::Continue(());
    };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else {
        return ControlFlow::Continue(());
    };
    for member in smallest.iter() {
        let mut wanted = Wanted::new(member, view);
        if others.iter().all(|set| wanted.is_in(*set)) {
            emit(member)?;
        }
    }
    ControlFlow::Continue(())
}

/// What a member is remembered by: its number, if it is one, or its bytes.
fn identity(member: Item<'_>) -> (Option<i64>, &[u8]) {
    match (member.int(), member) {
        (Some(number), _) => (Some(number), &[]),
        (None, Item::Bytes(bytes)) => (None, bytes),
        (None, Item::Int(number)) => (Some(number), &[]),
    }
}

/// Every member of each set that no set before it has.
fn unite(view: &View<'_>, sets: &[Option<SetRef<'_>>], emit: &mut Emit<'_>) -> ControlFlow<()> {
    let sets: Vec<SetRef<'_>> = sets.iter().copied().flatten().collect();
    if sets.len() > ASKED_SETS {
        let mut found = HashSet::new();
        for member in sets.iter().flat_map(|set| set.iter()) {
            if found.insert(identity(member)) {
                emit(member)?;
            }
        }
        return ControlFlow::Continue(());
    }
    for (nth, set) in sets.iter().enumerate() {
        for member in set.iter() {
            let mut wanted = Wanted::new(member, view);
            if !sets[..nth].iter().any(|set| wanted.is_in(*set)) {
                emit(member)?;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Every member of the first set that no other has.
fn subtract(view: &View<'_>, sets: &[Option<SetRef<'_>>], emit: &mut Emit<'_>) -> ControlFlow<()> {
    let Some((Some(first), others)) = sets.split_first() else {
        return ControlFlow::Continue(());
    };
    let mut others: Vec<SetRef<'_>> = others.iter().copied().flatten().collect();
    // The largest is the most likely to have a member.
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    let remembered = others.iter().map(|set| set.len()).sum::<usize>();
    if others.len() > ASKED_SETS && remembered < first.len().saturating_mul(others.len()) {
        let left_out: HashSet<_> = others
            .iter()
            .flat_map(|set| set.iter().map(identity))
            .collect();
        for member in first.iter() {
            if !left_out.contains(&identity(member)) {
                emit(member)?;
            }
        }
        return ControlFlow::Continue(());
    }
    for member in first.iter() {
        let mut wanted = Wanted::new(member, view);
        if !others.iter().any(|set| wanted.is_in(*set)) {
            emit(member)?;
        }
    }
    ControlFlow::Continue(())
}
