//! Several commands to an entry: what each leaves for the end of the entry is as durable as if it were alone.

use proptest::prelude::*;
use storage::dataset::{Expiry, Txn};
use storage::ids::DbIndex;
use storage::types::stream::{IdRequest, StreamId};
use storage::types::{End, Limits};

use crate::support::Bench;

#[derive(Clone, Debug)]
enum Command {
    Push(u8, bool, usize),
    Pop(u8, bool),
    Append(u8, usize),
    /// Deletes the entry of this number, or that many of the oldest.
    Delete(u8, u64),
    Field(u8, u8),
    Member(u8, u8),
    Score(u8, u8),
    Remove(u8),
    Replace(u8),
    Rename(u8, u8),
    Copy(u8, u8),
    Move(u8),
    Flush,
}

/// Keys of each type, some in the same slot.
const KEYS: u8 = 3;

fn key(kind: &str, number: u8) -> Vec<u8> {
    format!("{{{}}}{kind}{number}", number / 2).into_bytes()
}

fn command() -> impl Strategy<Value = Command> {
    let k = 0..KEYS;
    prop_oneof![
        12 => (k.clone(), any::<bool>(), 0usize..300).prop_map(|(k, end, len)| Command::Push(k, end, len)),
        4 => (k.clone(), any::<bool>()).prop_map(|(k, end)| Command::Pop(k, end)),
        12 => (k.clone(), 0usize..300).prop_map(|(k, len)| Command::Append(k, len)),
        8 => (k.clone(), 0u64..60).prop_map(|(k, n)| Command::Delete(k, n)),
        4 => (k.clone(), any::<u8>()).prop_map(|(k, n)| Command::Field(k, n)),
        4 => (k.clone(), any::<u8>()).prop_map(|(k, n)| Command::Member(k, n)),
        4 => (k.clone(), any::<u8>()).prop_map(|(k, n)| Command::Score(k, n)),
        1 => k.clone().prop_map(Command::Remove),
        1 => k.clone().prop_map(Command::Replace),
        2 => (k.clone(), k.clone()).prop_map(|(a, b)| Command::Rename(a, b)),
        2 => (k.clone(), k.clone()).prop_map(|(a, b)| Command::Copy(a, b)),
        1 => k.prop_map(Command::Move),
        1 => Just(Command::Flush),
    ]
}

fn run(txn: &mut Txn<'_>, command: &Command) {
    let end = |head: bool| if head { End::Head } else { End::Tail };
    txn.set_limits(Limits {
        list_max_listpack_size: 4,
        hash_max_listpack_entries: 4,
        set_max_listpack_entries: 4,
        zset_max_listpack_entries: 4,
        ..Limits::default()
    });
    match *command {
        Command::Push(k, head, len) => txn
            .edit_list(&key("list", k), |list, edit| {
                list.expect(1, len, edit);
                list.push(end(head), &vec![b'x'; len], edit);
            })
            .unwrap(),
        Command::Pop(k, head) => txn
            .edit_list(&key("list", k), |list, edit| {
                list.pop(end(head), edit);
                list.shrink(edit);
            })
            .unwrap(),
        Command::Append(k, len) => txn
            .edit_stream(&key("stream", k), |stream, edit| {
                let ms = stream.as_ref().last_id().ms + 1;
                let id = IdRequest::Exact(StreamId { ms, seq: 0 });
                stream.add(id, &[[b"field", &vec![b'x'; len]]], edit);
            })
            .unwrap(),
        Command::Delete(k, number) => txn
            .edit_stream(&key("stream", k), |stream, edit| {
                stream.delete(StreamId { ms: number, seq: 0 }, edit);
            })
            .unwrap(),
        Command::Field(k, n) => txn
            .edit_hash(&key("hash", k), |hash, edit| {
                hash.set(&[n % 16], &[n], edit);
            })
            .unwrap(),
        Command::Member(k, n) => txn
            .edit_set(&key("set", k), |set, edit| {
                let member = [b'm', n % 16];
                if !set.insert(&member, edit) {
                    set.remove(&member, edit);
                }
            })
            .unwrap(),
        Command::Score(k, n) => txn
            .edit_zset(&key("zset", k), |set, edit| {
                set.insert(&[n % 16], f64::from(n), edit);
            })
            .unwrap(),
        _ => run_on_key(txn, command),
    }
}

/// Commands that take keys of any type.
fn run_on_key(txn: &mut Txn<'_>, command: &Command) {
    for kind in ["list", "stream"] {
        match *command {
            Command::Remove(k) => drop(txn.remove(&key(kind, k)).unwrap()),
            Command::Replace(k) => {
                // A string is in the way of what comes next: it goes again.
                txn.set_string(&key(kind, k), b"string", Expiry::Clear)
                    .unwrap();
                txn.remove(&key(kind, k)).unwrap();
            }
            Command::Rename(a, b) => drop(txn.rename(&key(kind, a), &key(kind, b)).unwrap()),
            Command::Copy(a, b) => {
                let db = txn.db();
                txn.copy(&key(kind, a), &key(kind, b), db).unwrap();
            }
            Command::Move(k) => drop(txn.move_to(&key(kind, k), DbIndex(1)).unwrap()),
            _ => {}
        }
    }
    if matches!(command, Command::Flush) {
        txn.flush_db();
    }
}

fn digest_of_disk(bench: &mut Bench) -> u64 {
    bench.checkpoint();
    bench.reopen();
    bench.dataset.digest().unwrap()
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn many_commands_in_an_entry_are_as_durable_as_each_in_its_own(
        entries in proptest::collection::vec((proptest::collection::vec(command(), 1..40), any::<bool>()), 1..8))
    {
        let (mut together, mut alone) = (Bench::memory(), Bench::memory());
        for (commands, reopens) in &entries {
            together.entry(0, |txn| commands.iter().for_each(|command| run(txn, command)));
            for command in commands {
                alone.entry(0, |txn| run(txn, command));
            }
            let digest = together.dataset.digest().unwrap();
            prop_assert_eq!(digest, alone.dataset.digest().unwrap());
            if *reopens {
                prop_assert_eq!(digest, digest_of_disk(&mut together));
            }
        }
        let digest = alone.dataset.digest().unwrap();
        prop_assert_eq!(digest, digest_of_disk(&mut together));
        prop_assert_eq!(digest, digest_of_disk(&mut alone));
    }
}
