use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::types::{Large, Limits, Recorder};

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

fn contents(hash: HashRef<'_>) -> Model {
    let fields: Vec<_> = hash.iter_expiring().collect();
    let model: Model = fields
        .iter()
        .map(|(field, value, expire_at_ms)| (field.to_vec(), (value.to_vec(), *expire_at_ms)))
        .collect();
    assert_eq!(fields.len(), model.len(), "each field once");
    assert_eq!(hash.len(), model.len());
    model
}

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>),
    SetKeeping(Vec<u8>),
    Remove,
    Expire(u64),
    Persist,
    Pass(u64),
    Purge(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let value = || proptest::collection::vec(any::<u8>(), 0..12);
    prop_oneof![
        6 => value().prop_map(Step::Set),
        2 => value().prop_map(Step::SetKeeping),
        2 => Just(Step::Remove),
        3 => (0u64..6).prop_map(Step::Expire),
        1 => Just(Step::Persist),
        2 => (1u64..4).prop_map(Step::Pass),
        1 => (1usize..3).prop_map(Step::Purge),
    ]
}

/// What a step does to a plain map that holds only what has not expired.
fn model_step(model: &mut Model, field: &[u8], step: &Step, now_ms: u64) -> bool {
    match step {
        Step::Set(value) => model
            .insert(field.to_vec(), (value.clone(), None))
            .is_none(),
        Step::SetKeeping(value) => match model.get_mut(field) {
            Some((own, _)) => {
                own.clone_from(value);
                false
            }
            None => model
                .insert(field.to_vec(), (value.clone(), None))
                .is_none(),
        },
        Step::Remove => model.remove(field).is_some(),
        Step::Expire(after_ms) => match model.get_mut(field) {
            Some((_, expire_at_ms)) => {
                *expire_at_ms = Some(now_ms + after_ms);
                true
            }
            None => false,
        },
        Step::Persist => match model.get_mut(field) {
            Some((_, expire_at_ms)) => {
                *expire_at_ms = None;
                true
            }
            None => false,
        },
        Step::Pass(_) | Step::Purge(_) => false,
    }
}

fn step_on(hash: &mut Hash, field: &[u8], step: &Step, edit: &mut Edit<'_>) -> bool {
    let now_ms = edit.now_ms();
    // Only a field that is there is given an expiry: commands look first.
    let there = hash
        .as_ref()
        .at(now_ms)
        .get(field, |field| edit.hash(field))
        .is_some();
    match step {
        Step::Set(value) => hash.set(field, value, edit),
        Step::SetKeeping(value) => hash.set_keeping_expiry(field, value, edit),
        Step::Remove => hash.remove(field, edit),
        Step::Expire(after_ms) => there && hash.set_expiry(field, Some(now_ms + after_ms), edit),
        Step::Persist => there && hash.set_expiry(field, None, edit),
        Step::Pass(_) => false,
        Step::Purge(limit) => {
            assert!(hash.remove_expired(*limit, edit) <= *limit);
            false
        }
    }
}

fn check_records(table: &HashTable, recorder: &Recorder) {
    let mut meta = Vec::new();
    table.meta(&mut meta);
    let loaded: HashTable = recorder.load(&meta).unwrap();
    assert_eq!(
        contents(Hash::large_ref(&loaded)),
        contents(Hash::large_ref(table))
    );
    assert_eq!(loaded.digest(), table.digest());
    assert_eq!(
        (loaded.next_expiry(), loaded.last_expiry()),
        (table.next_expiry(), table.last_expiry())
    );
    let expiries = (table.next_expiry(), table.last_expiry());
    assert_eq!(expiries_of_meta(&meta), expiries);
    let fields = contents(Hash::large_ref(table)).into_iter();
    let index =
        fields.filter_map(|(field, (_, at_ms))| Some((at_ms?, recorder.hash(&field), field)));
    assert_eq!(index.collect::<BTreeSet<_>>(), recorder.expiries);
    meta[0] ^= 1;
    assert!(recorder.load::<HashTable>(&meta).is_err());
}

proptest! {
    #[test]
    fn is_a_map_whose_entries_expire_and_comes_back_from_its_records(
        steps in proptest::collection::vec((0u8..12, step()), 0..80))
    {
        let limits = Limits { hash_max_listpack_entries: 6, hash_max_listpack_value: 10, ..Limits::default() };
        let (mut hash, mut recorder, mut model) = (Hash::default(), Recorder::new(), Model::new());
        let mut now_ms = 1000;
        for (field, step) in steps {
            let field = format!("field{field}").into_bytes();
            if let Step::Pass(time_ms) = step {
                now_ms += time_ms;
            }
            model.retain(|_, (_, expire_at_ms)| !is_over(*expire_at_ms, now_ms));
            let expected = model_step(&mut model, &field, &step, now_ms);
            let answer = recorder.edit_at(&limits, now_ms, |edit| step_on(&mut hash, &field, &step, edit));
            prop_assert_eq!(answer, expected, "{:?}", step);
            let view = hash.as_ref().at(now_ms);
            prop_assert_eq!(contents(view), model.clone());
            let found = view.get_expiring(&field, |field| recorder.hash(field));
            prop_assert_eq!(found.map(|(value, at_ms)| (value.to_vec(), at_ms)), model.get(&field).cloned());
            let all = contents(hash.as_ref());
            let expiries = all.values().map(|(_, expire_at_ms)| *expire_at_ms);
            prop_assert_eq!(view.next_expiry_ms(), expiries.clone().flatten().min());
            let last = if expiries.clone().any(|at_ms| at_ms.is_none()) { None } else { expiries.flatten().max() };
            prop_assert_eq!(view.last_expiry_ms(), last);
            match &hash {
                Hash::Table(table) => check_records(table, &recorder),
                _ => prop_assert!(recorder.records().is_empty()),
            }
            if let Hash::ListpackEx(listpack) = &hash {
                let times: Vec<_> = Triples(listpack.as_ref().iter()).map(|(_, _, at_ms)| at_ms.unwrap_or(u64::MAX)).collect();
                prop_assert!(times.is_sorted(), "{:?}", times);
            }
            let mut seed = now_ms;
            let drawn = view.random(&mut || { seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); seed >> 7 });
            prop_assert_eq!(drawn.is_some(), !model.is_empty());
            if let Some((drawn, _)) = drawn {
                prop_assert!(model.contains_key(&drawn.to_vec()));
            }
        }
    }
}

#[test]
fn becomes_large_when_redis_s_would() {
    let limits = Limits::default();
    let mut recorder = Recorder::new();
    let mut hash = Hash::default();
    recorder.edit(&limits, |edit| {
        for n in 0..512u32 {
            hash.set(&n.to_le_bytes(), &[b'v'; 64], edit);
        }
        assert!(matches!(hash, Hash::Listpack(_)));
        hash.set(b"one more", b"", edit);
        assert!(matches!(hash, Hash::Table(_)));
        let mut long = Hash::default();
        long.set(&[b'f'; 65], b"", edit);
        assert!(matches!(long, Hash::Table(_)));
        let mut expected = Hash::default();
        expected.expect(&[[b"f".as_slice(), b"v"]; 512], edit);
        assert!(matches!(expected, Hash::Listpack(_)));
        expected.expect(&[[b"f".as_slice(), b"v"]; 513], edit);
        assert!(matches!(expected, Hash::Table(_)));
    });
}

#[test]
fn fields_that_expire_lie_as_in_redis() {
    let limits = Limits::default();
    let mut recorder = Recorder::new();
    let mut hash = Hash::default();
    let order = |hash: &Hash| -> Vec<String> {
        let fields = hash.as_ref().iter().map(|(field, _)| field.to_vec());
        fields
            .map(|field| String::from_utf8(field).unwrap())
            .collect()
    };
    recorder.edit(&limits, |edit| {
        for field in ["a", "b", "c", "d", "e"] {
            hash.set(field.as_bytes(), b"v", edit);
        }
        hash.set_expiry(b"c", Some(50), edit);
        assert!(matches!(hash, Hash::ListpackEx(_)));
        hash.set_expiry(b"d", Some(20), edit);
        hash.set_expiry(b"b", Some(50), edit);
        assert_eq!(order(&hash), ["d", "c", "b", "a", "e"]);
        hash.set(b"d", b"w", edit);
        assert_eq!(order(&hash), ["c", "b", "a", "e", "d"]);
        hash.set_keeping_expiry(b"b", b"longer", edit);
        hash.set_expiry(b"c", None, edit);
        assert_eq!(order(&hash), ["b", "a", "e", "d", "c"]);
        assert_eq!(
            hash.as_ref().flat().map(|(encoding, _)| encoding),
            Some(Encoding::ListpackEx)
        );
    });
}
