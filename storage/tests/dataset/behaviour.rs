//! Single facts about views, transactions and checkpoints.

use prost::Message;
use storage::dataset::{Event, Expiry};
use storage::ids::{DbIndex, FIRST_REGION, LogIndex, Term};
use storage::keys;
use storage::proto::raft::ConfState;
use storage::proto::store::{Region, RegionLocalState};
use storage::types::{Encoding, Kind};

use crate::support::Bench;

#[test]
fn encodings_follow_the_commands_that_made_them() {
    let mut bench = Bench::memory();
    bench.entry(0, |txn| {
        txn.set_string(b"int", b"12", Expiry::Clear).unwrap();
        txn.set_string(b"embstr", &[b'x'; 44], Expiry::Clear)
            .unwrap();
        txn.set_string(b"raw", &[b'x'; 45], Expiry::Clear).unwrap();
        txn.set_text(b"float", b"12", Expiry::Clear).unwrap();
        txn.set_int(b"number", i64::MIN, Expiry::Clear).unwrap();
        txn.edit_string(b"new", |value| value.push(b'1')).unwrap();
        txn.set_string(b"appended", b"12", Expiry::Clear).unwrap();
        txn.edit_string(b"appended", |value| value.push(b'3'))
            .unwrap();
        assert!(txn.copy(b"appended", b"copied", DbIndex(0)).unwrap());
    });
    let expected = [
        ("int", Encoding::Int, "12"),
        ("float", Encoding::Embstr, "12"),
        ("number", Encoding::Int, "-9223372036854775808"),
        ("new", Encoding::Raw, "1"),
        ("appended", Encoding::Raw, "123"),
        ("copied", Encoding::Raw, "123"),
    ];
    for round in 0..2 {
        for (key, encoding, value) in expected {
            let object = bench.view(0).lookup(key.as_bytes()).unwrap().unwrap();
            assert_eq!(
                (object.kind(), object.encoding()),
                (Kind::String, encoding),
                "{key}, round {round}"
            );
            assert_eq!(object.string().unwrap(), value.as_bytes());
        }
        bench.checkpoint();
        bench.reopen();
    }
}

#[test]
fn time_never_goes_back_and_entries_come_in_order() {
    let mut bench = Bench::memory();
    bench.set(b"k", b"v");
    assert_eq!(bench.dataset.now_ms(), 1_000_000);
    let txn = bench.dataset.begin(LogIndex(2), Term(3), 5, 0);
    assert_eq!((txn.now_ms(), txn.index()), (1_000_000, LogIndex(2)));
    drop(txn);
    let state = bench.dataset.apply_state();
    assert_eq!(
        (state.applied_index, state.applied_term, state.now_ms),
        (2, 3, 1_000_000)
    );
}

#[test]
#[should_panic(expected = "entries are executed in order")]
fn an_entry_that_is_not_the_next_is_refused() {
    Bench::memory().dataset.begin(LogIndex(2), Term(1), 0, 0);
}

#[test]
fn randomness_comes_from_the_entry() {
    let mut bench = Bench::memory();
    let mut draw = |seed| {
        let index = LogIndex(bench.dataset.apply_state().applied_index + 1);
        let mut txn = bench.dataset.begin(index, Term(1), 0, seed);
        [txn.random(), txn.random()]
    };
    let first = draw(7);
    assert_ne!(first[0], first[1]);
    assert_eq!(draw(7), first);
    assert_ne!(draw(8), first);
}

#[test]
fn expired_keys_are_removed_counted_and_told() {
    let mut bench = Bench::memory();
    bench.dataset.record_events(true);
    let at_ms = bench.now_ms + 100;
    for key in [&b"met"[..], b"found", b"renewed"] {
        bench
            .entry(2, |txn| txn.set_string(key, b"v", Expiry::AtMs(at_ms)))
            .unwrap();
    }
    bench.now_ms += 101;
    assert_eq!((bench.get(2, b"met"), bench.view(2).len()), (None, 3));
    let expired = bench.dataset.expired(bench.now_ms, 10);
    assert_eq!(expired.len(), 3);
    assert_eq!(bench.dataset.expired(bench.now_ms, 2).len(), 2);
    assert_eq!(bench.dataset.expired(at_ms, 10).len(), 0);
    bench.entry(2, |txn| {
        assert!(!txn.exists(b"met").unwrap());
        txn.set_string(b"renewed", b"v", Expiry::Clear).unwrap();
        txn.notify("set", b"renewed");
    });
    let removed: Vec<bool> = bench.entry(2, |txn| {
        expired
            .iter()
            .map(|key| txn.remove_expired(&key.key, key.expire_at_ms).unwrap())
            .collect()
    });
    assert_eq!(
        removed.iter().filter(|removed| **removed).count(),
        1,
        "one was met, one renewed"
    );
    assert_eq!(bench.dataset.stats().expired_keys, 3);
    let event = |kind, key: &[u8]| Event {
        kind,
        db: DbIndex(2),
        key: key.into(),
    };
    let events = [
        event("expired", b"met"),
        event("expired", b"renewed"),
        event("set", b"renewed"),
        event("expired", b"found"),
    ];
    assert_eq!(bench.dataset.take_events(), events);
    assert_eq!(
        (
            bench.dataset.take_events().len(),
            bench.view(2).len(),
            bench.view(2).expires_len()
        ),
        (0, 1, 0)
    );
}

#[test]
fn views_count_hits_and_misses() {
    let mut bench = Bench::memory();
    bench.set(b"k", b"v");
    bench.get(0, b"k");
    bench.get(0, b"k");
    bench.get(0, b"absent");
    let stats = bench.dataset.stats();
    assert_eq!((stats.hits, stats.misses), (2, 1));
    bench.dataset.reset_stats();
    assert_eq!(bench.dataset.stats().hits, 0);
}

#[test]
fn only_a_use_restarts_the_idle_time() {
    let mut bench = Bench::memory();
    bench.set(b"k", b"v");
    bench.now_ms += 10_000;
    let idle = |bench: &Bench| bench.view(0).peek(b"k").unwrap().unwrap().idle_ms();
    assert_eq!(idle(&bench), 10_000);
    bench.view(0).without_touching().lookup(b"k").unwrap();
    assert_eq!(idle(&bench), 10_000);
    bench.view(0).lookup(b"k").unwrap();
    assert_eq!(idle(&bench), 0);
    bench.now_ms += 5000;
    assert!(bench.entry(0, |txn| txn.touch(b"k")).unwrap());
    assert_eq!(idle(&bench), 0);
}

#[test]
fn a_checkpoint_carries_state_configuration_and_databases() {
    let mut bench = Bench::memory();
    assert!(bench.dataset.freeze().is_none(), "nothing happened");
    let region = Region {
        id: FIRST_REGION.get(),
        next_store_id: 4,
        ..Region::default()
    };
    let conf_state = ConfState {
        voters: vec![1, 2, 3],
        ..ConfState::default()
    };
    bench
        .dataset
        .configure(LogIndex(1), Term(1), conf_state, region.clone());
    assert!(bench.checkpoint(), "a configuration is something");
    bench
        .entry(1, |txn| txn.set_string(b"k", b"one", Expiry::Clear))
        .unwrap();
    bench.entry(0, |txn| txn.swap_db(DbIndex(0), DbIndex(1)));
    let checkpoint = bench.dataset.freeze().unwrap();
    assert_eq!(
        (checkpoint.index(), bench.dataset.checkpoint_index()),
        (LogIndex(3), LogIndex(1))
    );
    assert!(bench.dataset.freeze().is_none(), "one is under way");
    let done = checkpoint.run(&*bench.engine).unwrap();
    bench.dataset.checkpoint_done(done);
    assert_eq!(bench.dataset.checkpoint_index(), LogIndex(3));
    assert!(bench.dataset.freeze().is_none(), "nothing happened since");
    bench.reopen();
    assert_eq!(bench.dataset.checkpoint_index(), LogIndex(3));
    let state = bench.dataset.apply_state();
    assert_eq!(state.conf_state.as_ref().unwrap().voters, [1, 2, 3]);
    let written = bench.engine.get(&keys::region_state(FIRST_REGION)).unwrap();
    let written = RegionLocalState::decode(written.unwrap()).unwrap();
    assert_eq!(written.region, Some(region));
    assert_eq!(
        (bench.get(0, b"k").as_deref(), bench.get(1, b"k")),
        (Some(&b"one"[..]), None)
    );
}

#[test]
fn appending_to_a_large_string_costs_what_is_appended() {
    let mut bench = Bench::memory();
    bench.set(b"big", &vec![b'x'; 50_000_000]);
    let checkpoint = bench.dataset.freeze().unwrap();
    let before = bench.dataset.write_set_bytes();
    assert!(before < 1000, "{before}");
    // Each copy of the whole would move 50 MB: ten thousand of them would take a minute and more.
    for _ in 0..10_000 {
        bench
            .entry(0, |txn| txn.edit_string(b"big", |value| value.push(b'y')))
            .unwrap();
    }
    assert_eq!(bench.dataset.write_set_records(), 1);
    let done = checkpoint.run(&*bench.engine).unwrap();
    bench.dataset.checkpoint_done(done);
    assert_eq!(
        bench
            .view(0)
            .peek(b"big")
            .unwrap()
            .unwrap()
            .string()
            .unwrap()
            .len(),
        50_010_000
    );
    bench.reopen();
    assert_eq!(
        bench
            .view(0)
            .peek(b"big")
            .unwrap()
            .unwrap()
            .string()
            .unwrap()
            .len(),
        50_000_000,
        "as it was frozen"
    );
}

/// In memory and on disk alike, by lookups and by scans.
#[test]
fn views_tell_which_expired_keys_they_met() {
    let mut bench = Bench::memory();
    let expire_at_ms = bench.now_ms + 1;
    bench.entry(3, |txn| {
        txn.set_string(b"expires", b"v", Expiry::AtMs(expire_at_ms))
            .unwrap();
        txn.set_string(b"stays", b"v", Expiry::Clear).unwrap();
    });
    bench.checkpoint();
    for round in 0..2 {
        bench.now_ms = expire_at_ms - 1;
        assert!(bench.view(3).exists(b"expires").unwrap());
        bench.now_ms = expire_at_ms + 1;
        let view = bench.view(3);
        assert!(!view.exists(b"expires").unwrap() && view.exists(b"stays").unwrap());
        let met = view.take_expired();
        let met: Vec<_> = met
            .iter()
            .map(|key| (key.db, &key.key[..], key.expire_at_ms))
            .collect();
        assert_eq!(met, [(3, &b"expires"[..], expire_at_ms)], "round {round}");
        assert!(view.take_expired().is_empty(), "told once");
        assert_eq!(view.scan(0, 10).unwrap().1.len(), 1);
        assert_eq!(view.take_expired().len(), 1);
        view.for_each_key(|_, _| ()).unwrap();
        assert_eq!(view.take_expired().len(), 1);
        drop(view);
        bench.reopen();
    }
    bench.entry(3, |txn| {
        assert!(!txn.remove_expired(b"expires", expire_at_ms - 1).unwrap());
        assert!(txn.remove_expired(b"expires", expire_at_ms).unwrap());
        assert!(!txn.remove_expired(b"expires", expire_at_ms).unwrap());
    });
    assert_eq!(bench.view(3).len(), 1);
}

#[test]
fn lookups_that_do_not_touch_are_no_uses() {
    let mut bench = Bench::memory();
    bench.set(b"k", b"v");
    bench.now_ms += 60_000;
    assert!(
        bench
            .view(0)
            .without_touching()
            .lookup(b"k")
            .unwrap()
            .is_some()
    );
    bench.entry(0, |txn| {
        txn.set_touching(false);
        assert!(txn.lookup(b"k").unwrap().is_some());
        assert!(txn.view().lookup(b"k").unwrap().is_some());
    });
    let idle_ms = |bench: &Bench| bench.view(0).peek(b"k").unwrap().unwrap().idle_ms();
    assert_eq!(idle_ms(&bench), 60_000);
    bench.entry(0, |txn| assert!(txn.lookup(b"k").unwrap().is_some()));
    assert_eq!(idle_ms(&bench), 0);
    bench.now_ms += 60_000;
    let touched = bench.view(0).without_touching().touch(b"k").unwrap();
    assert!(touched.is_some() && idle_ms(&bench) == 0);
}
