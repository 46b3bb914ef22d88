//! Opens what a power cut left, as a server would, and looks whether everything is there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::BytesMut;
use parking_lot::RwLock;
use prost::Message as _;
use raft::eraftpb::EntryType;
use resp::{Frame, FrameDecoder};
use server::machine::{Machine, batch};
use storage::dataset::{Dataset, DatasetOptions, Obsolete};
use storage::engine::lsm::{LsmEngine, LsmOptions};
use storage::engine::{Durability, Engines};
use storage::ids::{FIRST_REGION, LogIndex, Term};
use storage::peer_storage::{PeerStorage, PeerStorageOptions};
use storage::proto::command::{RaftCmdRequest, Request};

use super::story::{Data, ROUND, Story};

/// A client, how many of its commands were acknowledged when the power was cut, and how many it has sent in the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) story: Story,
    pub(crate) acknowledged: u64,
    pub(crate) sent: u64,
}

/// A node after the power cut, with its whole log executed.
pub(crate) struct Store {
    machine: Machine,
    /// Term and index of its last entry: it can be elected by those that have no newer one.
    pub(crate) last: (Term, LogIndex),
}

impl Store {
    /// Opens the directory of a node; `None` if nobody has served from it yet.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Option<Self>> {
        let obsolete = Obsolete::default();
        let engines = open_engines(dir, &obsolete)?;
        if PeerStorage::store_ident(&engines)?.is_none() {
            return Ok(None);
        }
        let options = PeerStorageOptions {
            durability: Durability::Synced,
            log_cache_bytes: 1 << 20,
            snapshot_dir: dir.join("snapshots"),
        };
        let storage = PeerStorage::open(engines.clone(), FIRST_REGION, options)?;
        let options = DatasetOptions {
            hash_seed: server::identity::hash_seed(&engines)?,
            ..DatasetOptions::default()
        };
        let mut dataset = Dataset::open(FIRST_REGION, Arc::clone(&engines.kv), options)?;
        dataset.set_obsolete(obsolete);
        let store = Self {
            machine: Machine::new(Arc::new(RwLock::new(dataset))),
            last: (storage.last_term(), storage.last_index()),
        };
        store.execute_log(&storage)?;
        Ok(Some(store))
    }

    fn execute_log(&self, storage: &PeerStorage) -> anyhow::Result<()> {
        let from = storage.checkpoint_index().next();
        let to = storage.last_index().next();
        for entry in storage.read_entries(from, to, u64::MAX)? {
            ensure!(
                entry.get_entry_type() == EntryType::EntryNormal,
                "nobody has changed the members"
            );
            let (index, term) = (LogIndex(entry.index), Term(entry.term));
            let mut dataset = self.machine.dataset().write();
            self.machine
                .apply(&mut dataset, index, term, &entry.data, false)?;
        }
        Ok(())
    }

    /// Every client's data must be what its commands led to: all that were acknowledged, and any number of those after.
    pub(crate) fn check(&mut self, expected: &[Expected]) -> anyhow::Result<()> {
        for client in expected {
            self.check_client(client)
                .with_context(|| format!("{client:?}"))?;
        }
        Ok(())
    }

    fn check_client(&mut self, expected: &Expected) -> anyhow::Result<()> {
        let Expected {
            story,
            acknowledged,
            sent,
        } = expected;
        let data = self.read(story)?;
        let counted = match data.strings.get(&story.key("count")) {
            Some(count) => count.parse::<u64>()?,
            None => 0,
        };
        let first = counted.saturating_sub(1) * ROUND + u64::from(counted > 0);
        let last = counted * ROUND;
        ensure!(
            last >= *acknowledged,
            "{} commands were acknowledged, and at most {last} are there",
            acknowledged
        );
        let mut possible = first.max(*acknowledged)..=last.min(*sent);
        if possible.any(|count| story.after(count) == data) {
            return Ok(());
        }
        bail!(
            "no number of commands from {} on leads to {data:?}",
            first.max(*acknowledged)
        )
    }

    fn read(&mut self, story: &Story) -> anyhow::Result<Data> {
        let strings = story.strings();
        let mut get = vec!["MGET"];
        get.extend(strings.iter().map(String::as_str));
        let (list, hash) = (story.key("list"), story.key("hash"));
        let replies = self.ask(&[&get, &["LRANGE", &list, "0", "-1"], &["HGETALL", &hash]])?;
        let [values, list, hash] = &replies[..] else {
            bail!("three replies were expected: {replies:?}");
        };
        let texts = |frame: &Frame| -> anyhow::Result<Vec<Option<String>>> {
            let items = frame.as_slice().context("an array")?;
            Ok(items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect())
        };
        let values = texts(values)?.into_iter().zip(strings);
        let fields: Vec<String> = texts(hash)?.into_iter().flatten().collect();
        let pairs = fields.chunks_exact(2);
        Ok(Data {
            strings: values
                .filter_map(|(value, name)| Some((name, value?)))
                .collect(),
            list: texts(list)?.into_iter().flatten().collect(),
            hash: pairs
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect::<BTreeMap<_, _>>(),
        })
    }

    /// Executes commands as one more entry of the log.
    fn ask(&mut self, commands: &[&[&str]]) -> anyhow::Result<Vec<Frame>> {
        let mut bytes = BytesMut::new();
        for command in commands {
            let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
            batch::push(&mut bytes, &words);
        }
        let entry = RaftCmdRequest {
            requests: vec![Request {
                protocol: 2,
                commands: bytes.freeze(),
                ..Request::default()
            }],
            ..RaftCmdRequest::default()
        };
        self.last.1 = self.last.1.next();
        let mut dataset = self.machine.dataset().write();
        let data = entry.encode_to_vec().into();
        let responses = self
            .machine
            .apply(&mut dataset, self.last.1, self.last.0, &data, true)?;
        let mut decoder = FrameDecoder::new();
        for response in responses {
            decoder.push(&response.replies);
        }
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }
}

fn open_engines(dir: &Path, obsolete: &Obsolete) -> anyhow::Result<Engines> {
    let open = |name: &str, options: LsmOptions| -> anyhow::Result<Arc<LsmEngine>> {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(Arc::new(LsmEngine::open(&dir, options)?))
    };
    let obsolete = obsolete.clone();
    Ok(Engines {
        kv: open(
            "kv",
            LsmOptions {
                obsolete: Some(Arc::new(move |key, value| obsolete.is_obsolete(key, value))),
                ..LsmOptions::kv()
            },
        )?,
        raft: open("raft", LsmOptions::raft())?,
    })
}
