//! Against a plain model, and against the bytes of Redis.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::tree::SHARED_BYTES;
use super::*;
use crate::types::{Large, Limits, Recorder};

/// Members and scores, in order. Scores are small whole numbers or infinite.
type Model = Vec<(f64, Vec<u8>)>;

fn contents(set: SortedSetRef<'_>) -> Model {
    let model: Model = set
        .iter()
        .map(|(member, score)| (score, member.to_vec()))
        .collect();
    let mut back: Model = set
        .iter()
        .rev()
        .map(|(member, score)| (score, member.to_vec()))
        .collect();
    back.reverse();
    assert_eq!(model, back);
    assert_eq!(model.len(), set.len());
    model
}

fn sorted(map: &BTreeMap<Vec<u8>, f64>) -> Model {
    let mut model: Model = map
        .iter()
        .map(|(member, score)| (*score, member.clone()))
        .collect();
    model.sort_by(|(a, x), (b, y)| a.partial_cmp(b).unwrap().then_with(|| x.cmp(y)));
    model
}

fn check_reads(set: SortedSetRef<'_>, model: &Model, recorder: &Recorder) {
    assert_eq!(&contents(set), model);
    for (rank, (score, member)) in model.iter().enumerate() {
        let hash = |member: &[u8]| recorder.hash(member);
        assert_eq!(set.score(member, hash), Some(*score));
        assert_eq!(set.rank(member, hash), Some((rank, *score)));
    }
    for (low, high) in [
        (-3.0, 2.0),
        (0.0, f64::INFINITY),
        (2.0, 1.0),
        (f64::NEG_INFINITY, 0.0),
    ] {
        let count =
            |within: &dyn Fn(f64) -> bool| model.iter().filter(|(score, _)| within(*score)).count();
        let ranks = set.ranks_by_score(Bound::Included(low), Bound::Excluded(high));
        assert_eq!(ranks.len(), count(&|score| low <= score && score < high));
        let ranks = set.ranks_by_score(Bound::Excluded(low), Bound::Included(high));
        assert_eq!(ranks.len(), count(&|score| low < score && score <= high));
        for (score, _) in &model[ranks] {
            assert!(low < *score && *score <= high);
        }
    }
    let (mut cursor, mut scanned) = (0, Vec::new());
    loop {
        let (next, found) = set.scan(cursor, 3);
        scanned.extend(
            found
                .iter()
                .map(|(member, score)| (*score, member.to_vec())),
        );
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    scanned.sort_by(|(a, x), (b, y)| a.partial_cmp(b).unwrap().then_with(|| x.cmp(y)));
    assert_eq!(&scanned, model);
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (0i64..40).prop_map(|n| (n * n * n * 1000).to_string().into_bytes()),
        1 => (0u8..20).prop_map(|n| vec![n; usize::from(n)]),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        9 => (-20i32..20).prop_map(|n| f64::from(n) / 4.0),
        1 => proptest::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

proptest! {
    #[test]
    fn is_a_sorted_set_and_comes_back_from_its_records(
        steps in proptest::collection::vec((member(), score(), 0u8..8), 0..120), listpack in 0usize..30)
    {
        let limits = Limits {
            zset_max_listpack_entries: listpack, zset_max_listpack_value: 12, ..Limits::default()
        };
        let (mut set, mut recorder) = (SortedSet::default(), Recorder::new());
        let mut map: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
        for (member, score, action) in steps {
            match action {
                0 => {
                    let removed = recorder.edit(&limits, |edit| set.remove(&member, edit));
                    prop_assert_eq!(removed, map.remove(&member));
                }
                1 => {
                    let model = sorted(&map);
                    let ranks = set.as_ref().ranks_by_score(Bound::Included(score), Bound::Included(score + 1.0));
                    for (_, member) in &model[ranks.clone()] {
                        map.remove(member);
                    }
                    let count = ranks.len();
                    let removed = recorder.edit(&limits, |edit| set.remove_ranks(ranks, edit));
                    prop_assert_eq!(removed, count);
                }
                _ => {
                    let old = map.insert(member.clone(), score);
                    let change = recorder.edit(&limits, |edit| set.insert(&member, score, edit));
                    let expected = match old {
                        None => Change::Added,
                        Some(old) if old == score => Change::None,
                        Some(_) => Change::Moved,
                    };
                    prop_assert_eq!(change, expected);
                }
            }
            let model = sorted(&map);
            check_reads(set.as_ref(), &model, &recorder);
            match &set {
                SortedSet::Tree(tree) => {
                    let mut meta = Vec::new();
                    tree.meta(&mut meta);
                    let loaded: ZSetTree = recorder.load(&meta).unwrap();
                    check_reads(SortedSetRef::Tree(&loaded), &model, &recorder);
                    prop_assert_eq!(loaded.digest(), tree.digest());
                }
                SortedSet::Listpack(pairs) => {
                    prop_assert!(pairs.as_ref().len() / 2 <= listpack);
                    prop_assert!(recorder.records().is_empty());
                }
            }
        }
    }

    #[test]
    fn ranges_of_members(
        members in proptest::collection::btree_set("[a-d]{0,3}", 0..40), low in "[a-d]{0,3}", high in "[a-d]{0,3}",
        listpack in proptest::sample::select(vec![0usize, 100]))
    {
        use MemberBound::{Excluded, Highest, Included, Lowest};
        let limits = Limits { zset_max_listpack_entries: listpack, ..Limits::default() };
        let (mut set, mut recorder) = (SortedSet::default(), Recorder::new());
        for member in &members {
            recorder.edit(&limits, |edit| set.insert(member.as_bytes(), 1.0, edit));
        }
        let count = |within: &dyn Fn(&String) -> bool| members.iter().filter(|it| within(it)).count();
        let (set, low_bytes, high_bytes) = (set.as_ref(), low.as_bytes(), high.as_bytes());
        let ranks = set.ranks_by_member(Included(low_bytes), Included(high_bytes));
        prop_assert_eq!(ranks.len(), count(&|it| *it >= low && *it <= high));
        let ranks = set.ranks_by_member(Excluded(low_bytes), Excluded(high_bytes));
        prop_assert_eq!(ranks.len(), count(&|it| *it > low && *it < high));
        prop_assert_eq!(set.ranks_by_member(Lowest, Included(high_bytes)).len(), count(&|it| *it <= high));
        prop_assert_eq!(set.ranks_by_member(Included(low_bytes), Highest).len(), count(&|it| *it >= low));
        prop_assert_eq!(set.ranks_by_member(Highest, Lowest).len(), 0);
    }
}

#[test]
fn a_flat_one_has_the_bytes_of_redis() {
    // From DUMP of redis-server 7.0.15: ZADD z 1 b 1 a 2.5 5 -3 c
    let limits = Limits::default();
    let mut set = SortedSet::default();
    Recorder::new().edit(&limits, |edit| {
        for (score, member) in [(1.0, "b"), (1.0, "a"), (2.5, "5"), (-3.0, "c")] {
            set.insert(member.as_bytes(), score, edit);
        }
    });
    let SortedSet::Listpack(listpack) = set else {
        panic!("few members");
    };
    let expected = [
        &[0x1f, 0, 0, 0, 8, 0][..],
        &[0x81, b'c', 2, 0xdf, 0xfd, 2],
        &[0x81, b'a', 2, 1, 1, 0x81, b'b', 2, 1, 1],
        &[5, 1, 0x83, b'2', b'.', b'5', 4, 0xff],
    ]
    .concat();
    let mut expected = expected;
    expected[0] = expected.len() as u8;
    assert_eq!(listpack.as_ref().bytes(), expected);
}

#[test]
fn memory_is_that_of_its_parts() {
    let limits = Limits {
        zset_max_listpack_entries: 0,
        ..Limits::default()
    };
    let mut set = SortedSet::default();
    let mut recorder = Recorder::new();
    recorder.edit(&limits, |edit| {
        for n in 0..2000u32 {
            set.insert(&n.to_be_bytes(), f64::from(n % 7), edit);
        }
    });
    let SortedSet::Tree(tree) = &set else {
        panic!("not flat");
    };
    assert!(tree.memory_bytes() > 2000 * (2 * size_of::<Ranked>() + SHARED_BYTES + 4));
    recorder.edit(&limits, |edit| set.remove_ranks(0..2000, edit));
    let SortedSet::Tree(tree) = &set else {
        panic!("there is no way back");
    };
    assert!(tree.memory_bytes() < 20_000, "{}", tree.memory_bytes());
}
