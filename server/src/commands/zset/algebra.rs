//! Sorted sets of several: ZUNION ZUNIONSTORE ZINTER ZINTERSTORE ZINTERCARD ZDIFF ZDIFFSTORE. Plain sets count as sorted sets
//! whose scores are all 1.

use std::collections::HashMap;

use resp::Writer;
use storage::dataset::{Object, View};
use storage::types::{Item, SetRef, SortedSetRef};

use super::super::args::Args;
use super::super::context::{ReadContext, WriteContext};
use super::super::error::{CommandError, CommandResult};
use super::super::number::{parse_f64, parse_i64};
use super::{store, write_header, write_pair};

/// What is done with several sorted sets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Unite,
    Intersect,
    Subtract,
}

/// The score of a member of several sets.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

/// What is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    Members,
    Count,
    Stored,
}

/// Scores and members.
type Scored = Vec<(f64, Vec<u8>)>;

/// ZUNION numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]
pub(super) fn zunion(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(Operation::Unite, "zunion", ctx, args, out)
}

/// ZINTER numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]
pub(super) fn zinter(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(Operation::Intersect, "zinter", ctx, args, out)
}

/// ZDIFF numkeys key [key ...] [WITHSCORES]
pub(super) fn zdiff(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    answer(Operation::Subtract, "zdiff", ctx, args, out)
}

fn answer(
    operation: Operation,
    name: &'static str,
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let keys = keys(args, name)?;
    let objects = look_up(keys, |key| Ok(ctx.view.lookup(key)?))?;
    let options = Options::parse(args, operation, Reply::Members, keys.len())?;
    let members = operation.run(&ctx.view, &objects, &options)?;
    write_header(members.len(), options.with_scores, out);
    for (score, member) in &members {
        write_pair((Item::Bytes(member), *score), options.with_scores, out);
    }
    Ok(())
}

/// ZINTERCARD numkeys key [key ...] [LIMIT limit]
pub(super) fn zintercard(
    ctx: &ReadContext<'_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let keys = keys(args, "zintercard")?;
    let objects = look_up(keys, |key| Ok(ctx.view.lookup(key)?))?;
    let options = Options::parse(args, Operation::Intersect, Reply::Count, keys.len())?;
    let limit = if options.limit == 0 {
        usize::MAX
    } else {
        options.limit
    };
    let mut count = 0;
    let inputs = inputs(&objects, &options)?;
    intersect(&ctx.view, inputs, options.aggregate, &mut |_, _| {
        count += 1;
        count < limit
    });
    out.integer(count as i64);
    Ok(())
}

/// ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]
pub(super) fn zunionstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    store_result(Operation::Unite, "zunionstore", ctx, args, out)
}

/// ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE SUM | MIN | MAX]
pub(super) fn zinterstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    store_result(Operation::Intersect, "zinterstore", ctx, args, out)
}

/// ZDIFFSTORE destination numkeys key [key ...]
pub(super) fn zdiffstore(
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    store_result(Operation::Subtract, "zdiffstore", ctx, args, out)
}

fn store_result(
    operation: Operation,
    name: &'static str,
    ctx: &mut WriteContext<'_, '_>,
    args: &mut Args<'_>,
    out: &mut Writer<'_>,
) -> CommandResult {
    let destination = args.bytes()?;
    let keys = keys(args, name)?;
    for key in keys {
        // Removes what has expired, and brings the others into memory, where the view finds them.
        ctx.txn.lookup(key)?;
    }
    let mut members = {
        let view = ctx.txn.view();
        let objects = look_up(keys, |key| Ok(view.peek(key)?))?;
        let options = Options::parse(args, operation, Reply::Stored, keys.len())?;
        operation.run(&view, &objects, &options)?
    };
    // A long member makes the set large before the others come: a flat one would forget the sign of a zero.
    if let Some((longest, _)) = (0..)
        .zip(&members)
        .max_by_key(|(_, (_, member))| member.len())
    {
        members.swap(0, longest);
    }
    store(ctx, destination, &members, name, out)
}

/// Takes the number of keys and the keys.
fn keys<'a>(args: &mut Args<'a>, name: &str) -> CommandResult<&'a [&'a [u8]]> {
    let count = args.int()?;
    if count < 1 {
        return Err(CommandError::reply(format!(
            "ERR at least 1 input key is needed for '{name}' command"
        )));
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    args.several(count)
}

/// The objects of keys, all of them sorted sets or sets or not there.
fn look_up<'v>(
    keys: &[&[u8]],
    look_up: impl Fn(&[u8]) -> CommandResult<Option<Object<'v>>>,
) -> CommandResult<Vec<Option<Object<'v>>>> {
    let look_up = |key: &&[u8]| {
        let object = look_up(key)?;
        object.as_ref().map(Source::of).transpose()?;
        Ok(object)
    };
    keys.iter().map(look_up).collect()
}

struct Options {
    /// One for each key.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// 0: none.
    limit: usize,
}

impl Options {
    fn parse(
        args: &mut Args<'_>,
        operation: Operation,
        reply: Reply,
        keys: usize,
    ) -> CommandResult<Self> {
        let mut options = Self {
            weights: vec![1.0; keys],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: 0,
        };
        let combines = operation != Operation::Subtract && reply != Reply::Count;
        while !args.is_empty() {
            if combines && args.remaining() > keys && args.flag("WEIGHTS") {
                for weight in &mut options.weights {
                    *weight = parse_f64(args.bytes()?)
                        .ok_or_else(|| CommandError::reply("ERR weight value is not a float"))?;
                }
            } else if combines && args.remaining() > 1 && args.flag("AGGREGATE") {
                options.aggregate = Aggregate::parse(args)?;
            } else if reply == Reply::Members && args.flag("WITHSCORES") {
                options.with_scores = true;
            } else if reply == Reply::Count && args.remaining() > 1 && args.flag("LIMIT") {
                options.limit = parse_i64(args.bytes()?)
                    .and_then(|limit| usize::try_from(limit).ok())
                    .ok_or(CommandError::NEGATIVE_LIMIT)?;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

impl Aggregate {
    fn parse(args: &mut Args<'_>) -> CommandResult<Self> {
        if args.flag("SUM") {
            Ok(Self::Sum)
        } else if args.flag("MIN") {
            Ok(Self::Min)
        } else if args.flag("MAX") {
            Ok(Self::Max)
        } else {
            Err(CommandError::SYNTAX)
        }
    }

    /// What `score` becomes with `other`. Infinities of both signs make 0.
    fn combine(self, score: f64, other: f64) -> f64 {
        match self {
            Self::Sum => or_zero(score + other),
            Self::Min if other < score => other,
            Self::Max if other > score => other,
            Self::Min | Self::Max => score,
        }
    }
}

fn or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// A sorted set or a set.
#[derive(Clone, Copy)]
enum Source<'o> {
    Sorted(SortedSetRef<'o>),
    Plain(SetRef<'o>),
}

impl<'o> Source<'o> {
    fn of(object: &'o Object<'_>) -> CommandResult<Self> {
        let sorted = object.zset().map(Self::Sorted);
        sorted
            .or_else(|| object.set().map(Self::Plain))
            .ok_or(CommandError::WRONG_TYPE)
    }

    fn len(self) -> usize {
        match self {
            Self::Sorted(set) => set.len(),
            Self::Plain(set) => set.len(),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = (Item<'o>, f64)> + 'o> {
        match self {
            Self::Sorted(set) => Box::new(set.iter()),
            Self::Plain(set) => Box::new(set.iter().map(|member| (member, 1.0))),
        }
    }

    fn score(self, member: &[u8], hash: impl FnOnce(&[u8]) -> u32) -> Option<f64> {
        match self {
            Self::Sorted(set) => set.score(member, hash),
            Self::Plain(set) => set.contains(member, hash).then_some(1.0),
        }
    }
}

/// A set and its weight; nothing for a key that is not there.
#[derive(Clone, Copy)]
struct Input<'o> {
    source: Option<Source<'o>>,
    weight: f64,
}

impl Input<'_> {
    fn len(&self) -> usize {
        self.source.map_or(0, Source::len)
    }
}

fn inputs<'o>(
    objects: &'o [Option<Object<'_>>],
    options: &Options,
) -> CommandResult<Vec<Input<'o>>> {
    let inputs = objects.iter().zip(&options.weights);
    inputs
        .map(|(object, &weight)| {
            let source = object.as_ref().map(Source::of).transpose()?;
            Ok(Input { source, weight })
        })
        .collect()
}

impl Operation {
    /// The members of the result, in their order.
    fn run(
        self,
        view: &View<'_>,
        objects: &[Option<Object<'_>>],
        options: &Options,
    ) -> CommandResult<Scored> {
        let mut inputs = inputs(objects, options)?;
        let mut members = match self {
            Self::Subtract => subtract(view, &inputs),
            Self::Unite => {
                inputs.sort_by_key(Input::len);
                unite(&inputs, options.aggregate)
            }
            Self::Intersect => {
                let mut members = Vec::new();
                intersect(view, inputs, options.aggregate, &mut |member, score| {
                    members.push((score, member.to_vec()));
                    true
                });
                members
            }
        };
        let less = |(score, member): &(f64, Vec<u8>), (other_score, other): &(f64, Vec<u8>)| {
            let by_score = score.partial_cmp(other_score);
            by_score
                .unwrap_or(std::cmp::Ordering::Equal)
                .then_with(|| member.cmp(other))
        };
        members.sort_unstable_by(less);
        Ok(members)
    }
}

/// Scores are combined from the smallest set to the largest: sums of fractions depend on it.
fn unite(inputs: &[Input<'_>], aggregate: Aggregate) -> Scored {
    let mut found: HashMap<Vec<u8>, f64> = HashMap::new();
    let mut buffer = itoa::Buffer::new();
    for input in inputs {
        for (member, score) in input.source.into_iter().flat_map(Source::iter) {
            let score = or_zero(score * input.weight);
            let member = member.bytes(&mut buffer);
            match found.get_mut(member) {
                Some(sum) => *sum = aggregate.combine(*sum, score),
                None => {
                    found.insert(member.to_vec(), score);
                }
            }
        }
    }
    found
        .into_iter()
        .map(|(member, score)| (score, member))
        .collect()
}

/// Gives every member of all sets and its score to `emit`, until that says false.
fn intersect(
    view: &View<'_>,
    mut inputs: Vec<Input<'_>>,
    aggregate: Aggregate,
    emit: &mut dyn FnMut(&[u8], f64) -> bool,
) {
    inputs.sort_by_key(Input::len);
    let Some((smallest, others)) = inputs.split_first() else {
        return;
    };
    let mut buffer = itoa::Buffer::new();
    for (member, score) in smallest.source.into_iter().flat_map(Source::iter) {
        let member = member.bytes(&mut buffer);
        let hash = |member: &[u8]| view.element_hash(member);
        let first = or_zero(score * smallest.weight);
        let score = others.iter().try_fold(first, |score, input| {
            let other = input.source?.score(member, hash)?;
            Some(aggregate.combine(score, other * input.weight))
        });
        if score.is_some_and(|score| !emit(member, score)) {
            return;
        }
    }
}

fn subtract(view: &View<'_>, inputs: &[Input<'_>]) -> Scored {
    let Some((first, others)) = inputs.split_first() else {
        return Vec::new();
    };
    let mut members = Vec::new();
    let mut buffer = itoa::Buffer::new();
    for (member, score) in first.source.into_iter().flat_map(Source::iter) {
        let member = member.bytes(&mut buffer);
        let hash = |member: &[u8]| view.element_hash(member);
        let is_in = |input: &Input<'_>| {
            let source = input.source;
            source.is_some_and(|source| source.score(member, hash).is_some())
        };
        if !others.iter().any(is_in) {
            members.push((score, member.to_vec()));
        }
    }
    members
}
