//! Sorted sets that are only on disk, looked at by the order of their members: the same as in memory, with the same records.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use proptest::prelude::*;
use storage::dataset::{
    Afar, Checkpoint, Cold, ColdKey, Loan, Looks, Members, Point, RankLooks, RankSpan, Search,
    Searched,
};
use storage::types::{Change, Drawn, Limits, MemberBound};

use crate::support::Bench;

const KEY: &[u8] = b"zset";

#[derive(Clone, Debug)]
enum Step {
    /// Gives members these scores.
    Add(Vec<(u8, i8)>),
    /// Removes members by name.
    Remove(Vec<u8>),
    /// Takes members from an end.
    Pop { from_last: bool, count: usize },
    /// Removes the members of some scores.
    RemoveScores(i8, i8),
    /// Looks for the rank of a member.
    Rank(u8),
    /// Counts the members of some scores.
    Count(i8, i8),
    /// Reads members by rank.
    Ranks { start: i64, len: i64 },
    /// Reads members by score from an end.
    Scores {
        min: i8,
        max: i8,
        most: usize,
        backwards: bool,
    },
    /// Searches, around a member or not.
    Search {
        around: Option<u8>,
        spans: Vec<(i8, i8)>,
        enough: Option<usize>,
    },
    /// Draws a member.
    Draw(u64),
    /// Begins a checkpoint.
    Freeze,
    /// Ends it.
    Finish,
    /// Drops from memory what can be read from the disk.
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let scores = || (-5_i8..6, -5_i8..6);
    prop_oneof![
        6 => proptest::collection::vec((0_u8..40, -5_i8..6), 1..8).prop_map(Step::Add),
        4 => proptest::collection::vec(0_u8..40, 1..5).prop_map(Step::Remove),
        4 => (any::<bool>(), 1_usize..4)
            .prop_map(|(from_last, count)| Step::Pop { from_last, count }),
        2 => scores().prop_map(|(a, b)| Step::RemoveScores(a, b)),
        3 => (0_u8..40).prop_map(Step::Rank),
        3 => scores().prop_map(|(a, b)| Step::Count(a, b)),
        4 => (-12_i64..12, 0_i64..6).prop_map(|(start, len)| Step::Ranks { start, len }),
        4 => (scores(), 0_usize..6, any::<bool>()).prop_map(|((min, max), most, backwards)| {
            Step::Scores { min, max, most, backwards }
        }),
        3 => (
            proptest::option::of(0_u8..40),
            proptest::collection::vec(scores(), 0..4),
            proptest::option::of(1_usize..5),
        ).prop_map(|(around, spans, enough)| Step::Search { around, spans, enough }),
        1 => any::<u64>().prop_map(Step::Draw),
        3 => Just(Step::Freeze),
        3 => Just(Step::Finish),
        5 => Just(Step::Drop),
    ]
}

/// The last one is longer than what the engine takes as a key.
fn member(number: u8) -> Vec<u8> {
    match number {
        0..39 => format!("member {}", u32::from(number).pow(3)).into_bytes(),
        _ => vec![b'x'; 1500],
    }
}

/// One of them is -0.
fn score(number: i8) -> f64 {
    match number {
        5 => -0.0,
        -5 => f64::NEG_INFINITY,
        _ => f64::from(number) / 2.0,
    }
}

/// Looks for multiples of a number as scores, in spans that are moved by the member's score.
#[derive(Clone, Debug, PartialEq)]
struct Multiples {
    of: f64,
    spans: Vec<(f64, f64)>,
}

impl Search for Multiples {
    fn spans(&self, around: Option<f64>) -> Vec<(f64, f64)> {
        let from = around.filter(|from| from.is_finite()).unwrap_or(0.0);
        let moved = self.spans.iter().map(|(min, max)| (min + from, max + from));
        moved.collect()
    }

    fn finds(&self, around: Option<f64>, score: f64) -> bool {
        around == Some(score) || score % self.of == 0.0
    }

    fn is_same(&self, other: &dyn Search) -> bool {
        (other as &dyn Any).downcast_ref() == Some(self)
    }
}

impl Multiples {
    /// What is found among members in order.
    fn among(&self, around: Option<f64>, enough: Option<usize>, pairs: &Pairs) -> Pairs {
        let found = self.spans(around).into_iter().flat_map(|(min, max)| {
            let within = move |score: f64| min <= score && score < max;
            let found = pairs.iter().filter(move |(_, score)| within(*score));
            found.filter(|(_, score)| self.finds(around, *score))
        });
        found.take(enough.unwrap_or(usize::MAX)).cloned().collect()
    }
}

/// What the sorted set ought to be.
#[derive(Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

type Pairs = Vec<(Vec<u8>, f64)>;

impl Model {
    fn in_order(&self) -> Pairs {
        let pairs = self.0.iter();
        let mut pairs: Pairs = pairs
            .map(|(member, &score)| (member.clone(), score))
            .collect();
        pairs.sort_by(|(a, a_score), (b, b_score)| {
            a_score.partial_cmp(b_score).unwrap().then_with(|| a.cmp(b))
        });
        pairs
    }

    fn between(&self, min: i8, max: i8) -> Pairs {
        let mut pairs = self.in_order();
        pairs.retain(|(_, own)| score(min) <= *own && *own < score(max));
        pairs
    }

    fn has_long(&self) -> bool {
        self.0.contains_key(&member(39))
    }
}

fn limits() -> Limits {
    Limits {
        zset_max_listpack_entries: 3,
        ..Limits::default()
    }
}

/// The scores from `min` on and below `max`.
fn span(min: i8, max: i8) -> (Bound<f64>, Bound<f64>) {
    (Bound::Included(score(min)), Bound::Excluded(score(max)))
}

fn looking(looks: RankLooks) -> Point<'static> {
    Point {
        key: KEY,
        looks: Looks::Ranks(looks),
    }
}

fn named(members: &[Vec<u8>]) -> Point<'_> {
    let members: Members<'_> = members.iter().map(|member| &member[..]).collect();
    Point::new(KEY, members)
}

/// A data set with its model, and the checkpoint under way.
struct World {
    bench: Bench,
    model: Model,
    under_way: Option<Checkpoint>,
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::memory(),
            model: Model::default(),
            under_way: None,
        }
    }

    /// Reads what the command has said that it looks at. Unless a member is a long one, the whole is never read.
    fn read<R>(
        &self,
        point: Point<'_>,
        read: impl FnOnce(storage::types::SortedSetRef<'_>) -> R,
    ) -> Option<R> {
        let mut view = self.bench.view(0);
        if !self.model.has_long() {
            view = view.refusing_cold();
        }
        view.focus([point], 7);
        let object = view.lookup(KEY).unwrap();
        let found = object.map(|object| {
            let set = object.zset().unwrap();
            assert_eq!(set.len(), self.model.0.len());
            read(set)
        });
        assert_eq!(found.is_some(), !self.model.0.is_empty());
        found
    }

    fn edit<R>(
        &mut self,
        point: Point<'_>,
        change: impl FnOnce(&mut storage::types::SortedSet, &mut storage::types::Edit<'_>) -> R,
    ) -> R {
        let before = self.model.0.len();
        let result = self.bench.entry(0, |txn| {
            txn.set_limits(limits());
            txn.focus([point]);
            let found = txn.lookup(KEY).unwrap();
            assert_eq!(found.map_or(0, |found| found.zset().unwrap().len()), before);
            txn.edit_zset(KEY, change)
        });
        result.unwrap()
    }

    fn add(&mut self, pairs: &[(u8, i8)]) {
        let pairs = pairs
            .iter()
            .map(|&(number, to)| (member(number), score(to)));
        let pairs: Pairs = pairs.collect();
        let names: Vec<Vec<u8>> = pairs.iter().map(|(name, _)| name.clone()).collect();
        let changes = self.edit(named(&names), |set, edit| {
            let changes = pairs.iter();
            let changes = changes.map(|(member, score)| set.insert(member, *score, edit));
            changes.collect::<Vec<Change>>()
        });
        let scores = &mut self.model.0;
        let expected = pairs
            .into_iter()
            .map(|(member, score)| match scores.get(&member) {
                Some(old) if *old == score => Change::None,
                _ => scores
                    .insert(member, score)
                    .map_or(Change::Added, |_| Change::Moved),
            });
        assert_eq!(changes, expected.collect::<Vec<Change>>());
    }

    fn remove(&mut self, numbers: &[u8]) {
        let names: Vec<Vec<u8>> = numbers.iter().map(|&number| member(number)).collect();
        let removed = self.edit(named(&names), |set, edit| {
            let removed = names.iter().map(|member| set.remove(member, edit));
            removed.collect::<Vec<Option<f64>>>()
        });
        let expected = names.iter().map(|member| self.model.0.remove(member));
        assert_eq!(removed, expected.collect::<Vec<Option<f64>>>());
    }

    fn pop(&mut self, from_last: bool, count: usize) {
        let (pairs, len) = (self.model.in_order(), self.model.0.len());
        let count = count.min(len);
        if count == 0 {
            return;
        }
        let (start, stop, ranks) = if from_last {
            (-(count as i64), -1, len - count..len)
        } else {
            (0, count as i64 - 1, 0..count)
        };
        let expected = &pairs[ranks.clone()];
        let popped = self.edit(looking(RankLooks::Ranks { start, stop }), |set, edit| {
            let members = set.as_ref().range(ranks.clone());
            let popped: Pairs = members
                .map(|(item, score)| (item.to_vec(), score))
                .collect();
            assert_eq!(set.remove_ranks(ranks, edit), count);
            popped
        });
        assert_eq!(popped, expected);
        for (member, _) in expected {
            self.model.0.remove(member);
        }
    }

    fn remove_scores(&mut self, min: i8, max: i8) {
        let expected = self.model.between(min, max);
        let (from, to) = span(min, max);
        let looks = RankLooks::Span {
            span: RankSpan::Scores(from, to),
            most: usize::MAX,
            backwards: false,
        };
        let removed = self.edit(looking(looks), |set, edit| {
            let ranks = set.as_ref().ranks_by_score(from, to);
            set.remove_ranks(ranks, edit)
        });
        assert_eq!(removed, expected.len());
        for (member, _) in expected {
            self.model.0.remove(&member);
        }
    }

    fn read_ranks(&self, start: i64, len: i64) {
        let pairs = self.model.in_order();
        let total = pairs.len() as i64;
        let from = if start < 0 { start + total } else { start };
        let stop = from + len - 1;
        let (from, to) = (from.clamp(0, total), (stop + 1).clamp(0, total));
        if from >= to {
            return;
        }
        let looks = RankLooks::Ranks {
            start,
            stop: if start < 0 { stop - total } else { stop },
        };
        if start < 0 && stop >= total {
            return;
        }
        let ranks = from as usize..to as usize;
        let expected = &pairs[ranks.clone()];
        self.read(looking(looks), |set| {
            let found = set.range(ranks).map(|(item, score)| (item.to_vec(), score));
            assert_eq!(found.collect::<Pairs>(), expected);
        });
    }

    fn read_scores(&self, min: i8, max: i8, most: usize, backwards: bool) {
        let mut expected = self.model.between(min, max);
        if backwards {
            expected.reverse();
        }
        expected.truncate(most);
        let (from, to) = span(min, max);
        let looks = RankLooks::Span {
            span: RankSpan::Scores(from, to),
            most,
            backwards,
        };
        self.read(looking(looks), |set| {
            let ranks = set.ranks_by_score(from, to);
            let found = set.range(ranks);
            let pair = |(item, score): (storage::types::Item<'_>, f64)| (item.to_vec(), score);
            let found: Pairs = match backwards {
                true => found.rev().take(most).map(pair).collect(),
                false => found.take(most).map(pair).collect(),
            };
            assert_eq!(found, expected);
        });
    }

    fn search(&self, around: Option<u8>, spans: &[(i8, i8)], enough: Option<usize>) {
        let name = around.map(member);
        let spans = spans.iter().map(|&(min, max)| (score(min), score(max)));
        let search = Multiples {
            of: 1.0,
            spans: spans.collect(),
        };
        let from = name.as_ref().and_then(|name| self.model.0.get(name));
        let expected = search.among(from.copied(), enough, &self.model.in_order());
        let looks = RankLooks::Search(Searched {
            members: name.iter().map(|name| name.clone().into()).collect(),
            by: Arc::new(search.clone()),
            enough,
        });
        self.read(looking(looks), |set| {
            let score = name.as_ref().and_then(|name| {
                let hash = self.bench.view(0).element_hash(name);
                set.score(name, |_| hash)
            });
            assert_eq!(score, from.copied());
            let mut pairs = Pairs::new();
            for (min, max) in search.spans(score) {
                let ranks = set.ranks_by_score(Bound::Included(min), Bound::Excluded(max));
                pairs.extend(set.range(ranks).map(|(item, score)| (item.to_vec(), score)));
            }
            pairs.sort_by(|(a, a_score), (b, b_score)| {
                a_score.partial_cmp(b_score).unwrap().then_with(|| a.cmp(b))
            });
            pairs.dedup();
            assert_eq!(search.among(score, enough, &pairs), expected);
        });
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Add(pairs) => self.add(pairs),
            Step::Remove(numbers) => self.remove(numbers),
            &Step::Pop { from_last, count } => self.pop(from_last, count),
            &Step::RemoveScores(min, max) => self.remove_scores(min, max),
            &Step::Rank(number) => {
                let name = member(number);
                let pairs = self.model.in_order();
                let expected = pairs.iter().position(|(other, _)| *other == name);
                let expected = expected.map(|rank| (rank, pairs[rank].1));
                let hash = self.bench.view(0).element_hash(&name);
                let looks = RankLooks::RankOf(name.clone().into());
                self.read(looking(looks), |set| {
                    assert_eq!(set.rank(&name, |_| hash), expected);
                });
            }
            &Step::Count(min, max) => {
                let expected = self.model.between(min, max).len();
                let (from, to) = span(min, max);
                let looks = RankLooks::Count(RankSpan::Scores(from, to));
                self.read(looking(looks), |set| {
                    assert_eq!(set.ranks_by_score(from, to).len(), expected);
                });
            }
            &Step::Ranks { start, len } => self.read_ranks(start, len),
            &Step::Scores {
                min,
                max,
                most,
                backwards,
            } => self.read_scores(min, max, most, backwards),
            Step::Search {
                around,
                spans,
                enough,
            } => self.search(*around, spans, *enough),
            &Step::Draw(seed) => {
                let look = Point {
                    key: KEY,
                    looks: Looks::Draw(Drawn::Repeated(1)),
                };
                let scores = &self.model.0;
                let mut view = self.bench.view(0);
                view.focus([look], seed);
                if let Some(object) = view.lookup(KEY).unwrap() {
                    let mut number = seed;
                    let mut random = || storage::random::next(&mut number);
                    let (item, score) = object.zset().unwrap().random(&mut random).unwrap();
                    assert_eq!(scores.get(&item.to_vec()), Some(&score));
                }
            }
            Step::Freeze => {
                if self.under_way.is_none() {
                    self.under_way = self.bench.dataset.freeze();
                }
            }
            Step::Finish => self.finish(),
            Step::Drop => {
                self.bench.dataset.drop_all_clean();
            }
        }
    }

    fn finish(&mut self) {
        if let Some(checkpoint) = self.under_way.take() {
            let done = checkpoint.run(&*self.bench.engine).unwrap();
            self.bench.dataset.checkpoint_done(done);
        }
    }

    fn check(&self) {
        let view = self.bench.view(0);
        let object = view.lookup(KEY).unwrap();
        let found = object.map_or_else(Pairs::new, |object| {
            let pairs = object.zset().unwrap().iter();
            pairs.map(|(item, score)| (item.to_vec(), score)).collect()
        });
        assert_eq!(found, self.model.in_order());
    }
}

proptest! {
    #[test]
    fn are_as_in_memory(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut cold, mut hot) = (World::new(), World::new());
        // Large from the beginning.
        let all: Vec<(u8, i8)> = (0..36).map(|n| (n, (n % 10) as i8 - 5)).collect();
        cold.add(&all);
        hot.add(&all);
        for step in &steps {
            cold.run(step);
            if !matches!(step, Step::Drop) {
                hot.run(step);
            }
        }
        cold.check();
        hot.check();
        for world in [&mut cold, &mut hot] {
            world.finish();
            world.bench.checkpoint();
        }
        let records = |bench: &Bench| -> Vec<_> {
            bench.engine.scan(b"", b"").map(Result::unwrap).collect()
        };
        let digests = [&cold, &hot].map(|world| world.bench.dataset.digest().unwrap());
        prop_assert_eq!(digests[0], digests[1], "signs of zeros included");
        prop_assert_eq!(records(&cold.bench), records(&hot.bench), "records on disk");
        cold.bench.reopen();
        cold.check();
    }
}

/// Members of one score: members `from` on, before `to`.
#[test]
fn members_of_one_score_are_found_by_their_own_order() {
    let mut world = World::new();
    let all: Vec<(u8, i8)> = (0..39).map(|n| (n, 3)).collect();
    world.add(&all);
    world.bench.checkpoint();
    world.bench.reopen();
    let pairs = world.model.in_order();
    for (from, to) in [(0, 5), (7, 7), (7, 8), (20, 38)] {
        let (from_member, to_member) = (&pairs[from].0, &pairs[to].0);
        let bounds = |member: &[u8]| Box::<[u8]>::from(member);
        let spans = [
            (
                Bound::Included(bounds(from_member)),
                Bound::Excluded(bounds(to_member)),
                from..to,
            ),
            (
                Bound::Excluded(bounds(from_member)),
                Bound::Included(bounds(to_member)),
                from + 1..to + 1,
            ),
            (Bound::Unbounded, Bound::Excluded(bounds(to_member)), 0..to),
            (
                Bound::Excluded(bounds(from_member)),
                Bound::Unbounded,
                from + 1..pairs.len(),
            ),
        ];
        for (min, max, ranks) in spans {
            let span = RankSpan::Members(min.clone(), max.clone());
            let end = |end: Bound<Box<[u8]>>, open| match end {
                Bound::Included(member) => (true, member),
                Bound::Excluded(member) => (false, member),
                Bound::Unbounded => (open, Box::default()),
            };
            let ((min_in, min_member), (max_in, max_member)) =
                (end(min.clone(), true), end(max.clone(), true));
            let bound = |unbounded: bool, included: bool, member| match (unbounded, included) {
                (true, _) => None,
                (_, true) => Some(MemberBound::Included(member)),
                (_, false) => Some(MemberBound::Excluded(member)),
            };
            let low = bound(min == Bound::Unbounded, min_in, &min_member[..])
                .unwrap_or(MemberBound::Lowest);
            let high = bound(max == Bound::Unbounded, max_in, &max_member[..])
                .unwrap_or(MemberBound::Highest);
            let wanted = ranks.len();
            world.read(looking(RankLooks::Count(span.clone())), |set| {
                assert_eq!(set.ranks_by_member(low, high).len(), wanted);
            });
            let looks = RankLooks::Span {
                span,
                most: 3,
                backwards: false,
            };
            world.read(looking(looks), |set| {
                let found = set.range(set.ranks_by_member(low, high)).take(3);
                let found: Vec<Vec<u8>> = found.map(|(item, _)| item.to_vec()).collect();
                let expected = pairs[ranks]
                    .iter()
                    .take(3)
                    .map(|(member, _)| member.clone());
                assert_eq!(found, expected.collect::<Vec<_>>());
            });
        }
    }
}

/// What a reader sees who says what it looks at; none if it is to come back.
fn seen(
    bench: &Bench,
    looks: &RankLooks,
    loans: &[Loan],
    as_of_then: bool,
) -> Result<Vec<(Vec<u8>, usize)>, Box<ColdKey>> {
    let view = bench.view(0).refusing_cold();
    let mut view = view.with_loans(loans, as_of_then);
    view.focus([looking(looks.clone())], 7);
    let hash = |member: &[u8]| bench.view(0).element_hash(member);
    match view.lookup(KEY) {
        Err(storage::Error::Cold(key)) => Err(key),
        found => {
            let object = found.unwrap().unwrap();
            let set = object.zset().unwrap();
            Ok(match looks {
                RankLooks::RankOf(member) => {
                    let rank = set.rank(member, hash).map(|(rank, _)| rank);
                    vec![(member.to_vec(), rank.unwrap())]
                }
                RankLooks::Count(RankSpan::Scores(min, max)) => {
                    vec![(Vec::new(), set.ranks_by_score(*min, *max).len())]
                }
                &RankLooks::Ranks { start, stop } => {
                    let (start, stop) = (start as usize, stop as usize);
                    let found = set.range(start..stop + 1);
                    let found = found.map(|(item, score)| (item.to_vec(), score as usize));
                    found.collect()
                }
                RankLooks::Search(searched) => {
                    let score = set.score(&searched.members[0], hash).unwrap();
                    let mut found = set.range(
                        set.ranks_by_score(Bound::Included(score + 30_000.0), Bound::Unbounded),
                    );
                    let (last, last_score) = found.next_back().unwrap();
                    vec![
                        (searched.members[0].to_vec(), score as usize),
                        (last.to_vec(), last_score as usize),
                    ]
                }
                _ => unreachable!("not asked for here"),
            })
        }
    }
}

/// A part, read for somebody.
fn lent(bench: &mut Bench, cold: Cold) -> Loan {
    let loan = bench
        .dataset
        .admit_loaded(cold.load(|_| ()).unwrap())
        .unwrap();
    loan.expect("a part is not taken into memory")
}

#[test]
fn what_is_far_from_both_ends_is_read_without_the_lock_and_lent() {
    const MEMBERS: usize = 40_000;
    let name = |n: usize| format!("member {n:05}").into_bytes();
    let mut bench = Bench::memory();
    bench.entry(0, |txn| {
        let filled = txn.edit_zset(KEY, |set, edit| {
            (0..MEMBERS).for_each(|n| {
                set.insert(&name(n), n as f64, edit);
            });
        });
        filled.unwrap();
    });
    bench.checkpoint();
    // Less than the set takes.
    bench.options.maxmemory_bytes = 1 << 20;
    bench.reopen();
    // The first one goes to the middle, where nobody has written it yet.
    let moved = name(0);
    bench.entry(0, |txn| {
        txn.focus([Point::new(KEY, [&moved[..]])]);
        let moved = txn.edit_zset(KEY, |set, edit| {
            set.insert(&moved, MEMBERS as f64 / 2.0 + 0.5, edit)
        });
        assert_eq!(moved.unwrap(), Change::Moved);
    });
    let all = RankSpan::Scores(
        Bound::Included(f64::NEG_INFINITY),
        Bound::Excluded(f64::INFINITY),
    );
    let middle = MEMBERS / 2;
    let asked = [
        (
            RankLooks::RankOf(moved.clone().into()),
            vec![(moved.clone(), middle)],
        ),
        (RankLooks::Count(all), vec![(Vec::new(), MEMBERS)]),
        (
            RankLooks::Ranks {
                start: middle as i64 - 1,
                stop: middle as i64,
            },
            vec![(name(middle), middle), (moved.clone(), middle)],
        ),
        (
            RankLooks::Search(Searched {
                members: vec![name(9).into()],
                by: Arc::new(Multiples {
                    of: 10.0,
                    spans: vec![(0.0, 30_000.0), (30_000.0, 30_020.0)],
                }),
                enough: Some(3002),
            }),
            vec![(name(9), 9), (name(30_010), 30_010)],
        ),
    ];
    for (looks, expected) in &asked {
        let refused = seen(&bench, looks, &[], false);
        let key = refused.expect_err("it takes too long under the lock");
        assert_eq!(key.looks, Some(Afar::Ranks(looks.clone())));
        let early = bench.dataset.cold_key(&key).unwrap().expect("it is cold");
        // Somebody changes it meanwhile.
        bench.now_ms += 1;
        let last = name(MEMBERS - 1);
        let score = bench.now_ms as f64;
        bench.entry(0, |txn| {
            txn.focus([Point::new(KEY, [&last[..]])]);
            let moved = txn.edit_zset(KEY, |set, edit| set.insert(&last, score, edit));
            assert_eq!(moved.unwrap(), Change::Moved);
        });
        let loan = [lent(&mut bench, early)];
        assert!(seen(&bench, looks, &loan, false).is_err(), "it has changed");
        let then = seen(&bench, looks, &loan, true);
        assert_eq!(&then.expect("as it was then"), expected);
        let again = bench.dataset.cold_key(&key).unwrap().expect("it is cold");
        let loan = [lent(&mut bench, again)];
        let now = seen(&bench, looks, &loan, false);
        assert_eq!(&now.expect("it was lent"), expected);
    }
    assert_eq!(bench.dataset.stats().resident, 0);
}
