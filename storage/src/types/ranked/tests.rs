//! Against a sorted vector; and after every change, all that is said about nodes.

use proptest::prelude::*;

use super::*;

impl Ranking {
    /// Asserts all that is said about nodes.
    fn check(&self) {
        let mut bytes = 0;
        let (count, _) = self.root.check(None, None, true, &mut bytes);
        assert_eq!((count, bytes), (self.len, self.bytes));
    }
}

impl Node {
    /// Number of entries and height.
    fn check(
        &self,
        low: Option<&Ranked>,
        high: Option<&Ranked>,
        is_root: bool,
        bytes: &mut usize,
    ) -> (usize, usize) {
        *bytes += self.own_bytes();
        assert!(self.width() <= self.max_width());
        assert!(is_root || self.width() > 0);
        match self {
            Self::Leaf(entries) => {
                assert!(
                    entries
                        .windows(2)
                        .all(|pair| pair[0].is_before(pair[1].score, &pair[1].member))
                );
                for entry in entries {
                    assert!(low.is_none_or(|low| !entry.is_before(low.score, &low.member)));
                    assert!(high.is_none_or(|high| entry.is_before(high.score, &high.member)));
                }
                (entries.len(), 0)
            }
            Self::Inner(inner) => {
                let width = inner.children.len();
                assert!(width > 1 && inner.bounds.len() == width && inner.counts.len() == width);
                let mut heights = Vec::new();
                for (at, child) in inner.children.iter().enumerate() {
                    let low = if at == 0 { low } else { inner.bounds.get(at) };
                    let high = inner.bounds.get(at + 1).or(high);
                    let (count, height) = child.check(low, high, false, bytes);
                    assert_eq!(count, inner.counts[at]);
                    heights.push(height);
                }
                assert!(heights.windows(2).all(|pair| pair[0] == pair[1]));
                (inner.counts.iter().sum(), heights[0] + 1)
            }
        }
    }
}

type Model = Vec<(i32, Vec<u8>)>;

fn entry((score, member): &(i32, Vec<u8>)) -> Ranked {
    Ranked {
        score: f64::from(*score),
        member: member[..].into(),
    }
}

fn pairs<'a>(entries: impl Iterator<Item = &'a Ranked>) -> Model {
    entries
        .map(|entry| (entry.score as i32, entry.member.to_vec()))
        .collect()
}

fn compare(ranking: &Ranking, model: &Model) {
    ranking.check();
    assert_eq!(&pairs(ranking.range(0..usize::MAX)), model);
    let mut back = pairs(ranking.range(0..model.len()).rev());
    back.reverse();
    assert_eq!(&back, model);
    for (rank, (score, member)) in model.iter().enumerate() {
        assert_eq!(ranking.rank(f64::from(*score), member), rank);
        assert_eq!(&*ranking.get(rank).unwrap().member, &member[..]);
    }
    assert!(ranking.get(model.len()).is_none());
}

fn pair() -> impl Strategy<Value = (i32, Vec<u8>)> {
    (-4..4, (0u16..200).prop_map(|n| n.to_be_bytes().to_vec()))
}

proptest! {
    #[test]
    fn is_a_sorted_sequence(
        start in proptest::collection::btree_set(pair(), 0..300),
        steps in proptest::collection::vec((pair(), 0u8..6, any::<usize>()), 0..150))
    {
        let mut model: Model = start.into_iter().collect();
        let mut ranking = Ranking::from_sorted(model.iter().map(entry).collect());
        compare(&ranking, &model);
        for (pair, action, number) in steps {
            match (action, model.binary_search(&pair)) {
                (0..3, Err(at)) => {
                    ranking.insert(entry(&pair));
                    model.insert(at, pair);
                }
                (0..3, Ok(at)) => {
                    let taken = ranking.remove(f64::from(pair.0), &pair.1).unwrap();
                    prop_assert_eq!(&taken.member[..], &model.remove(at).1[..]);
                }
                (3, Err(_)) => prop_assert!(ranking.remove(f64::from(pair.0), &pair.1).is_none()),
                _ if model.is_empty() => prop_assert!(ranking.remove_at(0).is_none()),
                _ => {
                    let at = number % model.len();
                    let taken = ranking.remove_at(at).unwrap();
                    prop_assert_eq!(&taken.member[..], &model.remove(at).1[..]);
                }
            }
            ranking.check();
        }
        compare(&ranking, &model);
        for from in 0..model.len() {
            let (mut both, to) = (ranking.range(from..model.len()), model.len());
            let front = pairs(both.by_ref().take((to - from) / 2));
            let mut back = pairs(both.rev());
            back.reverse();
            prop_assert_eq!(&[front, back].concat()[..], &model[from..]);
        }
    }
}

#[test]
fn grows_and_shrinks_in_any_order() {
    let orders: [fn(u32) -> u32; 3] = [|n| n, |n| 4999 - n, |n| n * 2017 % 5000];
    for order in orders {
        for undo in orders {
            let mut ranking = Ranking::default();
            for n in (0..5000).map(order) {
                ranking.insert(entry(&(n as i32, vec![7])));
            }
            ranking.check();
            assert!(ranking.range(0..5000).is_sorted_by_key(|entry| entry.score));
            for (left, n) in (0..5000).map(undo).enumerate() {
                assert!(ranking.remove(f64::from(n), &[7]).is_some());
                if left % 61 == 0 {
                    ranking.check();
                }
            }
            assert_eq!((ranking.len(), ranking.memory_bytes()), (0, 0));
        }
    }
}

#[test]
fn entries_in_order_fill_their_leaves() {
    let mut ranking = Ranking::default();
    for n in 0..1000 {
        ranking.insert(entry(&(n, Vec::new())));
    }
    let per_entry = ranking.memory_bytes() as f64 / 1000.0 / size_of::<Ranked>() as f64;
    // The small nodes of tests have a great share of inner ones.
    assert!(per_entry < 2.5, "{per_entry}");
}
