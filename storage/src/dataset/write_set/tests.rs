use super::*;
use crate::dataset::position::Position;
use crate::dataset::record::{ElementPlace, Incarnation, PREFIX_BYTES, PhysicalDb};
use crate::types::KeyHasher;

fn with_key<R>(key: &[u8], f: impl FnOnce(&RecordKey<'_>) -> R) -> R {
    let hasher = KeyHasher::new(&[2; 16]);
    f(&RecordKey::new(
        &hasher,
        PhysicalDb(0),
        hasher.position(key),
        key,
    ))
}

fn contents(set: &FrozenSet) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let records = set.records().map(|record| set.record(record));
    records
        .map(|(key, value)| {
            (
                key[PREFIX_BYTES..].to_vec(),
                value.map(|value| value.to_vec()),
            )
        })
        .collect()
}

#[test]
fn the_last_write_of_a_key_counts() {
    let mut set = WriteSet::default();
    let mut expected = BTreeMap::new();
    for round in 0..4usize {
        for n in 0..3000usize {
            let key = format!("key{n}").into_bytes();
            let action = (n * 7 + round * 3) % 5;
            with_key(&key, |record_key| match action {
                0 => {
                    set.delete(record_key);
                    expected.insert(key.clone(), None);
                }
                1 => {
                    set.put_large(record_key, &key, 9000);
                    expected.insert(key.clone(), Some([&b"H"[..], &key].concat()));
                }
                _ => {
                    let payload = vec![b'p'; n % 40 * (round + 1)];
                    set.put(record_key, &[b"head", &payload]);
                    expected.insert(key.clone(), Some([&b"head"[..], &payload].concat()));
                }
            });
            let pending = with_key(&key, |record_key| set.pending(record_key));
            assert_eq!(
                pending,
                Some(if action == 0 {
                    Pending::Delete
                } else {
                    Pending::Put
                })
            );
        }
    }
    assert_eq!(set.len(), 3000);
    assert_eq!(
        with_key(b"absent", |record_key| set.pending(record_key)),
        None
    );
    let marked = expected
        .values()
        .flatten()
        .filter(|value| value.starts_with(b"H"))
        .count();
    assert_eq!((set.large.len(), set.large_bytes), (marked, marked * 9000));
    let frozen = set.freeze(|key| {
        Some(LargeValue {
            head: SmallVec::from_slice(b"H"),
            bytes: Arc::new(key.to_vec()),
        })
    });
    assert_eq!(contents(&frozen), expected);
    assert_eq!(
        with_key(b"key1", |record_key| frozen.pending(record_key)),
        Some(if expected[&b"key1"[..]].is_none() {
            Pending::Delete
        } else {
            Pending::Put
        })
    );
}

#[test]
fn overwriting_in_place_costs_no_memory() {
    let mut set = WriteSet::default();
    for n in 0..10_000u64 {
        with_key(b"counter", |key| {
            set.put(key, &[b"h", n.to_string().as_bytes()])
        });
    }
    assert!(set.size_bytes() < 500, "{}", set.size_bytes());
}

#[test]
fn a_key_larger_than_a_chunk_is_kept() {
    let hasher = KeyHasher::new(&[2; 16]);
    let long = vec![b'k'; 3 << 20];
    let position = Position { slot: 1, hash: 1 };
    let mut key = RecordKey::new(&hasher, PhysicalDb(0), position, b"");
    key.rest = (&long).into();
    let mut set = WriteSet::default();
    set.put(&key, &[b"h", b"value"]);
    assert_eq!(
        contents(&set.freeze(|_| None))[&long],
        Some(b"hvalue".to_vec())
    );
}

#[test]
fn elements_are_in_order_once_somebody_asks_and_cost_no_memory_when_written_again() {
    let hasher = KeyHasher::new(&[2; 16]);
    let place = ElementPlace {
        slot: 1,
        db: PhysicalDb(0),
        incarnation: Incarnation(4),
    };
    let mut set = WriteSet::default();
    let write = |set: &mut WriteSet, number: u32, value: &[u8]| {
        let key = RecordKey::element(&hasher, place, number.wrapping_mul(0x9e37_79b9), b"m");
        set.put(&key, &[value]);
    };
    let elements = |set: &WriteSet| set.elements(&place.prefix(), Bound::Unbounded, usize::MAX);
    (0..100).for_each(|number| write(&mut set, number, b"1"));
    assert_eq!(elements(&set).len(), 100);
    (100..200).for_each(|number| write(&mut set, number, b"1"));
    let before = set.memory_bytes();
    for _ in 0..50 {
        (0..200).for_each(|number| write(&mut set, number, b"2"));
    }
    assert_eq!(set.memory_bytes(), before);
    let found = elements(&set);
    assert_eq!(found.len(), 200);
    assert!(found.is_sorted_by(|(a, _), (b, _)| a < b));
    assert!(
        found
            .iter()
            .all(|(_, value)| value.as_deref() == Some(b"2"))
    );
}
