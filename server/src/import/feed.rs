//! From keys of a file to commands, in batches: the reading thread of an import.

use std::io::Read;

use anyhow::bail;
use bytes::BytesMut;
use storage::ids::DB_COUNT;
use storage::rdb::file::{FileKey, FilePart, FileReader};
use storage::rdb::{self, Value};
use storage::types::stream::{StreamId, StreamRef};
use tokio::sync::mpsc;

use super::{BATCH_BYTES, Batch};
use crate::dispatch::imports::Totals;
use crate::machine::batch;

/// Elements of a large value that one command takes.
const ELEMENTS: usize = 1024;

impl Batch {
    fn new(db: u32) -> Self {
        Self {
            db,
            commands: BytesMut::new(),
            keys: Vec::new(),
            position: 0,
        }
    }

    fn push(&mut self, key: &[u8], args: &[&[u8]]) {
        batch::push(&mut self.commands, args);
        self.keys.push(key.to_vec());
    }
}

/// The reading thread.
pub(super) struct Feed {
    batches: mpsc::Sender<Batch>,
    batch: Batch,
    totals: Totals,
    /// What has expired by then is left out.
    now_ms: u64,
    replace: bool,
}

impl Feed {
    /// Hands commands to `batches`, for keys that have not expired at `now_ms`.
    pub(super) fn new(batches: mpsc::Sender<Batch>, now_ms: u64, replace: bool) -> Self {
        Self {
            batches,
            batch: Batch::new(0),
            totals: Totals::default(),
            now_ms,
            replace,
        }
    }

    /// Reads the file to its end, or until nobody takes the commands any more.
    pub(super) fn run<R: Read>(mut self, mut reader: FileReader<R>) -> anyhow::Result<Totals> {
        while let Some(part) = reader.next_part()? {
            match part {
                FilePart::Key(key) => {
                    if self.key(&key)?.is_none() {
                        // The other end has given up, and knows why.
                        return Ok(self.totals);
                    }
                }
                FilePart::Skipped(what) => {
                    self.totals.skipped += 1;
                    tracing::warn!("import: {what} is passed over");
                }
                FilePart::Aux(name, value) => {
                    tracing::debug!("import: {} {}", name.escape_ascii(), value.escape_ascii());
                }
                FilePart::Sizes(..) => {}
            }
            self.batch.position = reader.position();
        }
        let _ = self.hand_over(0);
        Ok(self.totals)
    }

    fn key(&mut self, key: &FileKey) -> anyhow::Result<Option<()>> {
        let name = key.key.escape_ascii();
        let Ok(db) = u8::try_from(key.db).map(u32::from) else {
            bail!(
                "key \"{name}\" is in database {}; there are {DB_COUNT}",
                key.db
            );
        };
        if db >= DB_COUNT.into() {
            bail!("key \"{name}\" is in database {db}; there are {DB_COUNT}");
        }
        if key.expire_at_ms.is_some_and(|at_ms| at_ms <= self.now_ms) {
            self.totals.expired += 1;
            return Ok(Some(()));
        }
        if self.batch.db != db && self.hand_over(db).is_none() {
            return Ok(None);
        }
        self.totals.keys += 1;
        if key.encoded_bytes() < BATCH_BYTES {
            self.restore(key);
            if self.batch.commands.len() < BATCH_BYTES {
                return Ok(Some(()));
            }
            return Ok(self.hand_over(db));
        }
        let value = key.value();
        let value = value.map_err(|error| anyhow::anyhow!("key \"{name}\": {error}"))?;
        Ok(self.large(key, &value))
    }

    /// One command for the whole key.
    fn restore(&mut self, key: &FileKey) {
        self.restore_payload(key, &key.payload());
    }

    fn restore_payload(&mut self, key: &FileKey, payload: &[u8]) {
        let ttl = key.expire_at_ms.unwrap_or(0).to_string();
        let frequency = key.frequency.map(|frequency| frequency.to_string());
        let idle = key.idle_seconds.map(|seconds| seconds.to_string());
        let mut args: Vec<&[u8]> = vec![b"RESTORE", &key.key, ttl.as_bytes(), payload, b"ABSTTL"];
        if self.replace {
            args.push(b"REPLACE");
        }
        match (&frequency, &idle) {
            (Some(frequency), _) => args.extend([b"FREQ", frequency.as_bytes()]),
            (None, Some(idle)) => args.extend([b"IDLETIME", idle.as_bytes()]),
            (None, None) => {}
        }
        self.batch.push(&key.key, &args);
    }

    /// A key whose value is larger than a batch: it grows, a command at a time. None when nobody takes them any more.
    fn large(&mut self, key: &FileKey, value: &Value) -> Option<()> {
        if let Value::Stream(stream) = value {
            return self.stream(key, stream.view());
        }
        if self.replace {
            self.grow(&key.key, b"DEL", &[])?;
        }
        match value {
            Value::Stream(_) => {}
            Value::String(string) => self.grow(&key.key, b"SET", &[string])?,
            Value::List(elements) => {
                self.elements(&key.key, b"RPUSH", elements, |args, element| {
                    args.push(element.clone());
                })?
            }
            Value::Set(members) => self.elements(&key.key, b"SADD", members, |args, member| {
                args.push(member.clone());
            })?,
            Value::ZSet(members) => {
                self.elements(&key.key, b"ZADD", members, |args, (member, score)| {
                    args.extend([score.to_string().into_bytes(), member.clone()]);
                })?
            }
            Value::Hash(fields) => {
                self.elements(&key.key, b"HSET", fields, |args, (field, value, _)| {
                    args.extend([field.clone(), value.clone()]);
                })?;
                for (field, _, at_ms) in fields {
                    if let Some(at_ms) = at_ms {
                        let at_ms = at_ms.to_string().into_bytes();
                        let args = [&at_ms[..], b"FIELDS", b"1", field];
                        self.grow(&key.key, b"HPEXPIREAT", &args)?;
                    }
                }
            }
        }
        if let Some(at_ms) = key.expire_at_ms {
            self.grow(&key.key, b"PEXPIREAT", &[at_ms.to_string().as_bytes()])?;
        }
        Some(())
    }

    /// A large stream. First everything but the entries, as a payload, because no commands tell when consumers were seen and
    /// which deleted entries are pending; it has had no entries as yet, so that they can be added one by one.
    fn stream(&mut self, key: &FileKey, stream: StreamRef<'_>) -> Option<()> {
        if stream.is_empty() {
            self.restore(key);
            return self.hand_over(self.batch.db);
        }
        self.restore_payload(key, &rdb::dump_stream_without_entries(stream));
        for entry in stream.entries(StreamId::MIN..=StreamId::MAX) {
            let id = entry.id.to_string().into_bytes();
            let fields = entry.fields();
            let fields = fields.flat_map(|(name, value)| [name.to_vec(), value.to_vec()]);
            let args: Vec<Vec<u8>> = std::iter::once(id).chain(fields).collect();
            let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
            self.grow(&key.key, b"XADD", &slices)?;
        }
        let head = [
            stream.last_id().to_string(),
            "ENTRIESADDED".to_owned(),
            stream.entries_added().to_string(),
            "MAXDELETEDID".to_owned(),
            stream.max_deleted_id().to_string(),
        ];
        self.grow(&key.key, b"XSETID", &head.each_ref().map(String::as_bytes))
    }

    fn elements<E>(
        &mut self,
        key: &[u8],
        command: &[u8],
        elements: &[E],
        add: impl Fn(&mut Vec<Vec<u8>>, &E),
    ) -> Option<()> {
        let mut args: Vec<Vec<u8>> = Vec::new();
        let mut bytes = 0;
        for (nth, element) in elements.iter().enumerate() {
            let known = args.len();
            add(&mut args, element);
            bytes += args[known..].iter().map(Vec::len).sum::<usize>();
            if args.len() >= ELEMENTS || bytes >= BATCH_BYTES || nth + 1 == elements.len() {
                let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
                self.grow(key, command, &slices)?;
                args.clear();
                bytes = 0;
            }
        }
        Some(())
    }

    fn grow(&mut self, key: &[u8], command: &[u8], args: &[&[u8]]) -> Option<()> {
        self.batch.push(key, &[&[command, key], args].concat());
        if self.batch.commands.len() < BATCH_BYTES {
            return Some(());
        }
        self.hand_over(self.batch.db)
    }

    /// Passes the batch on, and begins one for `db`.
    fn hand_over(&mut self, db: u32) -> Option<()> {
        let next = Batch {
            position: self.batch.position,
            ..Batch::new(db)
        };
        let batch = std::mem::replace(&mut self.batch, next);
        if batch.keys.is_empty() {
            return Some(());
        }
        self.batches.blocking_send(batch).ok()
    }
}
