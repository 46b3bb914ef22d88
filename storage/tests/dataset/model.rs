//! Random operations against a model: ordered maps that know nothing of slots, disks or checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use storage::dataset::{Expiry, Point};
use storage::ids::DbIndex;
use storage::types::{Change, Encoding, Kind, Limits};

use crate::content::{Content, Item};
use crate::support::Bench;

mod operations;
mod sequences;

use operations::{Op, TestExpiry, op};

const DBS: u8 = 3;

/// Small ones, so that collections of a few elements become large.
fn limits() -> Limits {
    Limits {
        hash_max_listpack_entries: 3,
        set_max_intset_entries: 4,
        set_max_listpack_entries: 3,
        zset_max_listpack_entries: 3,
        list_max_listpack_size: 3,
        ..Limits::default()
    }
}

/// Some members are numbers, some are longer than what the engine takes as a key.
fn member(number: u16) -> Vec<u8> {
    match number {
        0..30 => (u64::from(number).pow(5)).to_string().into_bytes(),
        30..55 => format!("member {number}").into_bytes(),
        _ => vec![number as u8; 1200],
    }
}

fn field(number: u8) -> Vec<u8> {
    member(u16::from(number) * 5)
}

type Keys = BTreeMap<Vec<u8>, Item>;

#[derive(Clone, Default)]
struct Model {
    dbs: [Keys; DBS as usize],
}

impl Model {
    fn db(&mut self, db: u8) -> &mut Keys {
        &mut self.dbs[usize::from(db)]
    }

    /// The key, if it has not expired. What has expired stays: no command meets it.
    fn peek(&mut self, db: u8, key: &[u8], now_ms: u64) -> Option<Item> {
        self.db(db).get(key)?.clone().at(now_ms)
    }

    /// The key, removed first if it has expired, as are its fields that have.
    fn live(&mut self, db: u8, key: &[u8], now_ms: u64) -> Option<Item> {
        let keys = self.db(db);
        match keys.remove(key)?.at(now_ms) {
            Some(item) => {
                keys.insert(key.to_vec(), item.clone());
                Some(item)
            }
            None => None,
        }
    }
}

/// A data set, its model, and the model as of the last durable checkpoint and of the one under way.
struct World {
    bench: Bench,
    model: Model,
    under_way: Option<(storage::dataset::Checkpoint, Model)>,
    durable: Model,
}

/// Some keys share a hash tag, one is long.
fn name(key: u8) -> Vec<u8> {
    match key {
        0..12 => format!("key:{key}").into_bytes(),
        12..23 => format!("{{tag}}:{key}").into_bytes(),
        _ => vec![b'L'; 3000],
    }
}

fn bytes(key: u8, size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| b'a' + ((n + usize::from(key)) % 26) as u8)
        .collect()
}

fn text_encoding(value: &[u8]) -> Encoding {
    if value.len() <= 44 {
        Encoding::Embstr
    } else {
        Encoding::Raw
    }
}

impl World {
    fn new(bench: Bench) -> Self {
        Self {
            bench,
            model: Model::default(),
            under_way: None,
            durable: Model::default(),
        }
    }

    fn run(&mut self, op: &Op) {
        let now_ms = self.bench.now_ms;
        match *op {
            Op::Set {
                db,
                key,
                size,
                expiry,
            } => self.set(db, &name(key), bytes(key, size), expiry),
            Op::SetInt { db, key, value } => {
                let item = Item {
                    content: Content::String(value.to_string().into_bytes(), Encoding::Int),
                    expire_at_ms: None,
                };
                self.bench
                    .entry(db, |txn| txn.set_int(&name(key), value, Expiry::Clear))
                    .unwrap();
                self.model.db(db).insert(name(key), item);
            }
            Op::Append { db, key, size } => {
                if !self.may_be(db, key, Kind::String) {
                    return;
                }
                let more = bytes(key, size);
                self.bench
                    .entry(db, |txn| txn.warm([&name(key)[..], b"absent"]));
                let append = |value: &mut Vec<u8>| value.extend_from_slice(&more);
                self.bench
                    .entry(db, |txn| txn.edit_string(&name(key), append))
                    .unwrap();
                let old = self.model.live(db, &name(key), now_ms);
                let (mut value, expire_at_ms) = match old {
                    Some(Item {
                        content: Content::String(value, _),
                        expire_at_ms,
                    }) => (value, expire_at_ms),
                    _ => (vec![], None),
                };
                value.extend_from_slice(&more);
                let content = Content::String(value, Encoding::Raw);
                let item = Item {
                    content,
                    expire_at_ms,
                };
                self.model.db(db).insert(name(key), item);
            }
            Op::Members {
                db,
                key,
                ref members,
                adds,
            } => self.members(db, key, members, adds),
            Op::Fields {
                db,
                key,
                ref fields,
                sets,
            } => self.fields(db, key, fields, sets),
            Op::Scores {
                db,
                key,
                ref members,
                sets,
            } => self.scores(db, key, members, sets),
            Op::ExpireFields {
                db,
                key,
                ref fields,
                in_ms,
            } => self.expire_fields(db, key, fields, in_ms),
            Op::List { db, key, ref step } => self.list(db, key, step),
            Op::Stream { db, key, ref step } => self.stream(db, key, step),
            Op::Remove { db, key } => {
                let removed = self.bench.entry(db, |txn| txn.remove(&name(key))).unwrap();
                assert_eq!(removed, self.model.live(db, &name(key), now_ms).is_some());
                self.model.db(db).remove(&name(key));
            }
            Op::Expire { db, key, in_ms } => {
                let expire_at_ms = in_ms.map(|in_ms| now_ms + in_ms);
                let set = self
                    .bench
                    .entry(db, |txn| txn.set_expiry(&name(key), expire_at_ms))
                    .unwrap();
                let item = self.model.live(db, &name(key), now_ms);
                assert_eq!(set, item.is_some());
                if let Some(item) = item {
                    self.model.db(db).insert(
                        name(key),
                        Item {
                            expire_at_ms,
                            ..item
                        },
                    );
                }
            }
            Op::Rename { db, from, to } => {
                let renamed = self
                    .bench
                    .entry(db, |txn| txn.rename(&name(from), &name(to)))
                    .unwrap();
                let item = self.model.live(db, &name(from), now_ms);
                assert_eq!(renamed, item.is_some());
                if let Some(item) = item {
                    self.model.db(db).remove(&name(from));
                    self.model.db(db).insert(name(to), item);
                }
            }
            Op::Copy {
                db,
                from,
                to,
                to_db,
            } => {
                let copied = self
                    .bench
                    .entry(db, |txn| txn.copy(&name(from), &name(to), DbIndex(to_db)))
                    .unwrap();
                let item = self.model.live(db, &name(from), now_ms);
                assert_eq!(copied, item.is_some());
                item.map(|item| self.model.db(to_db).insert(name(to), item));
            }
            Op::Move { db, key, to_db } => self.move_to(db, &name(key), to_db),
            Op::FlushDb { db } => {
                self.bench.entry(db, |txn| txn.flush_db());
                self.model.db(db).clear();
            }
            Op::FlushAll => {
                self.bench.entry(0, |txn| txn.flush_all());
                self.model = Model::default();
            }
            Op::Swap { a, b } => {
                self.bench
                    .entry(0, |txn| txn.swap_db(DbIndex(a), DbIndex(b)));
                self.model.dbs.swap(usize::from(a), usize::from(b));
            }
            Op::SetFlushSet { db, key } => {
                let run = |txn: &mut storage::dataset::Txn<'_>| {
                    txn.set_string(b"before", b"x", Expiry::Clear)?;
                    txn.flush_db();
                    txn.set_string(&name(key), b"after", Expiry::Clear)
                };
                self.bench.entry(db, run).unwrap();
                self.model.db(db).clear();
                let item = Item {
                    content: Content::String(b"after".to_vec(), Encoding::Embstr),
                    expire_at_ms: None,
                };
                self.model.db(db).insert(name(key), item);
            }
            _ => self.maintain(op),
        }
    }

    fn set(&mut self, db: u8, key: &[u8], value: Vec<u8>, expiry: TestExpiry) {
        let now_ms = self.bench.now_ms;
        let old = self.model.live(db, key, now_ms);
        let (expiry, expire_at_ms) = match expiry {
            TestExpiry::Clear => (Expiry::Clear, None),
            TestExpiry::Keep => (Expiry::Keep, old.and_then(|item| item.expire_at_ms)),
            TestExpiry::InMs(in_ms) => (Expiry::AtMs(now_ms + in_ms), Some(now_ms + in_ms)),
        };
        self.bench
            .entry(db, |txn| txn.set_string(key, &value, expiry))
            .unwrap();
        self.model.db(db).insert(
            key.to_vec(),
            Item {
                content: Content::String(value.clone(), text_encoding(&value)),
                expire_at_ms,
            },
        );
    }

    /// True if the key is free or of this type.
    fn may_be(&mut self, db: u8, key: u8, kind: Kind) -> bool {
        let item = self.model.peek(db, &name(key), self.bench.now_ms);
        item.is_none_or(|item| item.content.kind() == kind)
    }

    /// Stores what became of a collection.
    fn became(&mut self, db: u8, key: u8, content: Content, expire_at_ms: Option<u64>) {
        if content.is_vacant() {
            self.model.db(db).remove(&name(key));
        } else {
            let item = Item {
                content,
                expire_at_ms,
            };
            self.model.db(db).insert(name(key), item);
        }
    }

    fn members(&mut self, db: u8, key: u8, members: &[u16], adds: bool) {
        if !self.may_be(db, key, Kind::Set) {
            return;
        }
        let (mut set, expire_at_ms) = match self.model.live(db, &name(key), self.bench.now_ms) {
            Some(Item {
                content: Content::Set(set),
                expire_at_ms,
            }) => (set, expire_at_ms),
            _ => (BTreeSet::new(), None),
        };
        let len = set.len();
        let run = |txn: &mut storage::dataset::Txn<'_>| {
            txn.set_limits(limits());
            // As commands do that say what they look at; the others bring the whole set into memory.
            if members.first().is_some_and(|number| number % 3 > 0) {
                let named: Vec<Vec<u8>> = members.iter().map(|&number| member(number)).collect();
                txn.focus([Point::new(
                    &name(key),
                    named.iter().map(|member| &member[..]),
                )]);
            }
            let found = txn.lookup(&name(key)).unwrap();
            let count = found.map_or(0, |found| found.set().unwrap().len());
            assert_eq!(count, len);
            txn.edit_set(&name(key), |set, edit| {
                let change = |&number: &u16| {
                    let member = member(number);
                    if adds {
                        set.insert(&member, edit)
                    } else {
                        set.remove(&member, edit)
                    }
                };
                members.iter().map(change).collect::<Vec<bool>>()
            })
        };
        let changed = self.bench.entry(db, run).unwrap();
        let expected = members.iter().map(|&number| match adds {
            true => set.insert(member(number)),
            false => set.remove(&member(number)),
        });
        assert_eq!(changed, expected.collect::<Vec<bool>>());
        self.became(db, key, Content::Set(set), expire_at_ms);
    }

    fn fields(&mut self, db: u8, key: u8, fields: &[(u8, u16)], sets: bool) {
        if !self.may_be(db, key, Kind::Hash) {
            return;
        }
        let (mut hash, expire_at_ms) = match self.model.live(db, &name(key), self.bench.now_ms) {
            Some(Item {
                content: Content::Hash(hash),
                expire_at_ms,
            }) => (hash, expire_at_ms),
            _ => (BTreeMap::new(), None),
        };
        let before = hash.clone();
        let run = |txn: &mut storage::dataset::Txn<'_>| {
            txn.set_limits(limits());
            if fields.first().is_some_and(|(number, _)| number % 3 > 0) {
                let named: Vec<Vec<u8>> = fields.iter().map(|&(number, _)| field(number)).collect();
                txn.focus([Point::new(&name(key), named.iter().map(|field| &field[..]))]);
            }
            let found = txn.lookup(&name(key)).unwrap();
            let first = fields.first().map(|&(number, _)| field(number));
            let there = found.is_some_and(|found| {
                let hash = found.hash().unwrap();
                assert_eq!(hash.len(), before.len());
                let hasher = storage::types::KeyHasher::new(b"0123456789abcdef");
                first
                    .as_ref()
                    .is_some_and(|first| hash.get(first, |field| hasher.hash(field)).is_some())
            });
            assert_eq!(
                there,
                first.is_some_and(|first| before.contains_key(&first))
            );
            txn.edit_hash(&name(key), |hash, edit| {
                let change = |&(number, value): &(u8, u16)| {
                    if sets {
                        hash.set(&field(number), &member(value), edit)
                    } else {
                        hash.remove(&field(number), edit)
                    }
                };
                fields.iter().map(change).collect::<Vec<bool>>()
            })
        };
        let changed = self.bench.entry(db, run).unwrap();
        let expected = fields.iter().map(|&(number, value)| match sets {
            true => hash.insert(field(number), (member(value), None)).is_none(),
            false => hash.remove(&field(number)).is_some(),
        });
        assert_eq!(changed, expected.collect::<Vec<bool>>());
        self.became(db, key, Content::Hash(hash), expire_at_ms);
    }

    fn scores(&mut self, db: u8, key: u8, members: &[(u16, i32)], sets: bool) {
        if !self.may_be(db, key, Kind::ZSet) {
            return;
        }
        let (mut scores, expire_at_ms) = match self.model.live(db, &name(key), self.bench.now_ms) {
            Some(Item {
                content: Content::SortedSet(scores),
                expire_at_ms,
            }) => (scores, expire_at_ms),
            _ => (BTreeMap::new(), None),
        };
        let run = |txn: &mut storage::dataset::Txn<'_>| {
            txn.set_limits(limits());
            if members.first().is_some_and(|(number, _)| number % 3 > 0) {
                let named: Vec<Vec<u8>> =
                    members.iter().map(|&(number, _)| member(number)).collect();
                txn.focus([Point::new(
                    &name(key),
                    named.iter().map(|member| &member[..]),
                )]);
            }
            txn.edit_zset(&name(key), |set, edit| {
                let change = |&(number, score): &(u16, i32)| {
                    if sets {
                        set.insert(&member(number), score.into(), edit) != Change::None
                    } else {
                        set.remove(&member(number), edit).is_some()
                    }
                };
                members.iter().map(change).collect::<Vec<bool>>()
            })
        };
        let changed = self.bench.entry(db, run).unwrap();
        let expected = members.iter().map(|&(number, score)| match sets {
            true => scores.insert(member(number), score) != Some(score),
            false => scores.remove(&member(number)).is_some(),
        });
        assert_eq!(changed, expected.collect::<Vec<bool>>());
        self.became(db, key, Content::SortedSet(scores), expire_at_ms);
    }

    fn expire_fields(&mut self, db: u8, key: u8, fields: &[u8], in_ms: Option<u64>) {
        let now_ms = self.bench.now_ms;
        if !self.may_be(db, key, Kind::Hash) {
            return;
        }
        let expire_at_ms = in_ms.map(|in_ms| now_ms + in_ms);
        let run = |txn: &mut storage::dataset::Txn<'_>| {
            txn.set_limits(limits());
            txn.edit_hash(&name(key), |hash, edit| {
                let change = |&number: &u8| hash.set_expiry(&field(number), expire_at_ms, edit);
                fields.iter().map(change).collect::<Vec<bool>>()
            })
        };
        let changed = self.bench.entry(db, run).unwrap();
        let Some(Item {
            content: Content::Hash(mut hash),
            expire_at_ms: key_expiry,
        }) = self.model.live(db, &name(key), now_ms)
        else {
            assert!(!changed.contains(&true));
            return;
        };
        let expected = fields.iter().map(|&number| {
            let found = hash.get_mut(&field(number));
            found.map(|(_, own)| *own = expire_at_ms).is_some()
        });
        assert_eq!(changed, expected.collect::<Vec<bool>>());
        self.became(db, key, Content::Hash(hash), key_expiry);
    }

    fn move_to(&mut self, db: u8, key: &[u8], to_db: u8) {
        let now_ms = self.bench.now_ms;
        let moved = self
            .bench
            .entry(db, |txn| txn.move_to(key, DbIndex(to_db)))
            .unwrap();
        if db == to_db {
            assert!(!moved);
            return;
        }
        let item = self.model.live(db, key, now_ms);
        let free = item.is_some() && self.model.live(to_db, key, now_ms).is_none();
        assert_eq!(moved, free);
        if let (Some(item), true) = (item, moved) {
            self.model.db(db).remove(key);
            self.model.db(to_db).insert(key.to_vec(), item);
        }
    }

    /// What commands must not notice, but for time.
    fn maintain(&mut self, op: &Op) {
        match *op {
            Op::Get { db, key } => {
                let names: Vec<Vec<u8>> = (0..24).map(name).collect();
                self.bench.view(db).warm(names.iter().map(|name| &name[..]));
                let expected = self.model.clone().live(db, &name(key), self.bench.now_ms);
                let view = self.bench.view(db);
                let found = view.lookup(&name(key)).unwrap();
                assert_eq!(
                    found.as_ref().map(Content::of),
                    expected.map(|item| item.content)
                );
            }
            Op::Advance { by_ms } => self.bench.now_ms += by_ms,
            Op::DeleteExpired => self.delete_expired(),
            Op::Freeze => {
                if let Some(checkpoint) = self.bench.dataset.freeze() {
                    self.under_way = Some((checkpoint, self.model.clone()));
                }
            }
            Op::Finish => self.finish(),
            Op::DropCold { maxmemory } => {
                self.bench.dataset.set_maxmemory(maxmemory);
                self.bench.dataset.drop_cold(1000);
                self.bench.dataset.set_maxmemory(0);
            }
            Op::DropAll => {
                self.bench.dataset.drop_all_clean();
            }
            Op::LoadNext { budget } => {
                self.bench.dataset.load_next(budget).unwrap();
            }
            Op::Promote => {
                self.bench.dataset.promote(8).unwrap();
            }
            Op::CleanUp => self.clean_up(),
            Op::Reopen => {
                self.finish();
                self.under_way = None;
                self.bench.reopen();
                self.model = self.durable.clone();
            }
            _ => unreachable!("{op:?} is no maintenance"),
        }
    }

    /// Elements of large collections, of expired keys too.
    fn elements(&self) -> usize {
        let mut elements = 0;
        for db in 0..DBS {
            let view = self.bench.dataset.view(DbIndex(db), 0);
            for key in self.model.dbs[usize::from(db)].keys() {
                let object = view.peek(key).unwrap().expect("the key is there");
                if matches!(object.encoding(), Encoding::Hashtable | Encoding::Skiplist) {
                    elements += object.set().map_or(0, |set| set.len());
                    elements += object.hash().map_or(0, |hash| hash.len());
                    // A field that expires has a record in the order of times besides.
                    elements += object.hash().map_or(0, |hash| {
                        hash.iter_expiring()
                            .filter(|field| field.2.is_some())
                            .count()
                    });
                    // A member with a score has a record in the order of scores besides.
                    elements += object.zset().map_or(0, |set| 2 * set.len());
                }
            }
        }
        elements
    }

    fn clean_up(&mut self) {
        if let Some(cleanup) = self.bench.dataset.next_cleanup() {
            let done = cleanup.run(&*self.bench.engine).unwrap();
            self.bench.dataset.cleanup_done(done);
        }
    }

    fn finish(&mut self) {
        if let Some((checkpoint, model)) = self.under_way.take() {
            let done = checkpoint.run(&*self.bench.engine).unwrap();
            self.bench.dataset.checkpoint_done(done);
            self.durable = model;
        }
    }

    fn delete_expired(&mut self) {
        let now_ms = self.bench.now_ms;
        let keys = self.bench.dataset.expired(now_ms, 5);
        assert!(keys.is_sorted_by_key(|key| key.expire_at_ms));
        for found in keys {
            let db = found.db as u8;
            assert!(now_ms > found.expire_at_ms);
            if found.fields {
                self.bench
                    .entry(db, |txn| txn.remove_expired_fields(&found.key))
                    .unwrap();
                let item = self.model.db(db).get(&found.key[..]);
                let key_expires_at_ms = item.and_then(|item| item.expire_at_ms);
                // A key that has expired itself stays until it is found as such.
                if key_expires_at_ms.is_none_or(|at_ms| now_ms <= at_ms) {
                    self.model.live(db, &found.key, now_ms);
                }
                continue;
            }
            let item = self
                .model
                .db(db)
                .remove(&found.key[..])
                .expect("only keys that are there are found");
            assert_eq!(item.expire_at_ms, Some(found.expire_at_ms));
            let removed = self
                .bench
                .entry(db, |txn| txn.remove_expired(&found.key, found.expire_at_ms))
                .unwrap();
            assert!(removed);
        }
    }

    fn check(&mut self) {
        let now_ms = self.bench.now_ms;
        for db in 0..DBS {
            let view = self.bench.view(db);
            let keys = self.model.db(db);
            assert_eq!(view.len(), keys.len() as u64, "keys of database {db}");
            let expiring = keys
                .values()
                .filter(|item| item.expire_at_ms.is_some())
                .count();
            assert_eq!(
                view.expires_len(),
                expiring as u64,
                "expiring keys of database {db}"
            );
            let there = keys
                .iter()
                .filter_map(|(key, item)| Some((key.clone(), item.clone().at(now_ms)?)));
            let there: Keys = there.collect();
            let mut found = BTreeMap::new();
            view.for_each_key(|key, object| {
                let item = (object.kind(), object.expire_at_ms());
                assert_eq!(found.insert(key.to_vec(), item), None, "no key twice");
            })
            .unwrap();
            let kinds: BTreeMap<_, _> = there
                .iter()
                .map(|(key, item)| (key.clone(), (item.content.kind(), item.expire_at_ms)))
                .collect();
            assert_eq!(found, kinds, "database {db}");
            let scanned = self.bench.scan_all(db, 3);
            let unique: BTreeSet<_> = scanned.iter().cloned().collect();
            assert_eq!(unique.len(), scanned.len());
            assert!(unique.iter().eq(there.keys()));
            for (key, item) in &there {
                let object = view.peek(key).unwrap().expect("the key is there");
                assert_eq!(Content::of(&object), item.content);
            }
            assert_eq!(view.random_key(now_ms).unwrap().is_none(), there.is_empty());
        }
    }
}

/// So many cases, or as many as the environment's PROPTEST_CASES says.
fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.and_then(|asked| asked.parse().ok()).unwrap_or(cases);
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn check_all(bench: Bench, ops: &[Op], every: usize) {
    let mut world = World::new(bench);
    for (n, op) in ops.iter().enumerate() {
        world.run(op);
        if n % every == 0 {
            world.check();
        }
    }
    world.check();
    let digest = world.bench.dataset.digest().unwrap();
    world.finish();
    world.bench.checkpoint();
    assert_eq!(
        world.bench.dataset.digest().unwrap(),
        digest,
        "a checkpoint changes nothing"
    );
    world.bench.reopen();
    assert_eq!(
        world.bench.dataset.digest().unwrap(),
        digest,
        "nor does opening what it wrote"
    );
    world.check();
    while world.bench.dataset.cleanups_pending() > 0 {
        world.clean_up();
    }
    assert_eq!(
        world.bench.dataset.digest().unwrap(),
        digest,
        "nor does deleting what nobody can see"
    );
    while world.bench.dataset.load_next(7).unwrap() {}
    assert_eq!(
        world.bench.dataset.digest().unwrap(),
        digest,
        "nor does loading it"
    );
    world.check();
    check_leftovers(&mut world, ops);
}

/// Nothing is on disk of collections that are gone. How many records lists and streams have depends on their nodes, so these go
/// first.
fn check_leftovers(world: &mut World, ops: &[Op]) {
    world.remove_sequences();
    world.bench.checkpoint();
    while world.bench.dataset.cleanups_pending() > 0 {
        world.clean_up();
    }
    let flushes = |op: &Op| {
        matches!(
            op,
            Op::FlushDb { .. } | Op::FlushAll | Op::SetFlushSet { .. }
        )
    };
    if !ops.iter().any(flushes) {
        let elements = world.bench.engine.scan(b"\x01", b"\x02");
        let elements = elements.filter(|pair| pair.as_ref().unwrap().0[4] == 1);
        assert_eq!(
            elements.count(),
            world.elements(),
            "no record is left of collections that are gone"
        );
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn the_data_set_is_what_the_model_says(ops in proptest::collection::vec(op(), 1..120)) {
        check_all(Bench::memory(), &ops, 8);
    }
}

proptest! {
    #![proptest_config(config(4))]

    #[test]
    fn on_the_lsm_too(ops in proptest::collection::vec(op(), 50..150)) {
        check_all(Bench::lsm(), &ops, 20);
    }
}

proptest! {
    #![proptest_config(config(40))]

    /// Two replicas execute the same entries; one of them drops, loads and promotes as it likes.
    #[test]
    fn replicas_agree_on_digest_and_records(ops in proptest::collection::vec(op(), 1..150)) {
        let (mut a, mut b) = (World::new(Bench::memory()), World::new(Bench::memory()));
        for op in &ops {
            let own = matches!(op, Op::DropCold { .. } | Op::DropAll | Op::LoadNext { .. } | Op::Promote | Op::Get { .. });
            if matches!(op, Op::Reopen | Op::DeleteExpired) {
                continue;
            }
            a.run(op);
            if !own {
                b.run(op);
            }
        }
        for world in [&mut a, &mut b] {
            world.finish();
            world.bench.checkpoint();
        }
        prop_assert_eq!(a.bench.dataset.digest().unwrap(), b.bench.dataset.digest().unwrap());
        let records = |world: &World| world.bench.engine.scan(b"", b"").collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert_eq!(records(&a), records(&b));
    }
}
