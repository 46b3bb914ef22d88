//! A proxy between two Stores that can stop, cut, damage and record what a purpose's connections carry.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::wire::{HELLO_FRAME_BYTES, PURPOSE_OFFSET};

/// What happens to the connections of one purpose.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rule {
    /// Standing connections are cut and new ones closed at once.
    pub(crate) closed: bool,
    /// Nothing more is read from the dialer, so that its socket fills up.
    pub(crate) stalled: bool,
    /// The same, once the dialer has sent so many bytes.
    pub(crate) stall_at: Option<usize>,
    /// What the dialer sends is read and thrown away, as is what comes back.
    pub(crate) black_hole: bool,
    /// Answers are not passed on.
    pub(crate) mute: bool,
    /// The connection is cut when the dialer has sent so many bytes.
    pub(crate) cut_at: Option<usize>,
    /// The bits of the byte at this position are flipped.
    pub(crate) damage_at: Option<usize>,
}

type Rules = HashMap<u8, Rule>;

/// What dialers sent: purpose and bytes of each connection.
type Recording = Vec<(u8, Vec<u8>)>;

/// Runs until it is dropped.
pub(crate) struct Proxy {
    pub(crate) address: String,
    rules: watch::Sender<Rules>,
    pub(crate) recorded: Arc<Mutex<Recording>>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let rules = watch::Sender::new(Rules::new());
        let recorded = Arc::new(Mutex::new(Recording::new()));
        let (target, watched, log) = (target.to_owned(), rules.subscribe(), Arc::clone(&recorded));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(
                    stream,
                    target.clone(),
                    watched.clone(),
                    Arc::clone(&log),
                ));
            }
        });
        Self {
            address,
            rules,
            recorded,
            task,
        }
    }

    pub(crate) fn set(&self, purpose: u8, rule: Rule) {
        self.rules.send_modify(|rules| {
            rules.insert(purpose, rule);
        });
    }

    /// Bytes that dialers sent on connections of this purpose.
    pub(crate) fn sent_bytes(&self, purpose: u8) -> usize {
        let recorded = self.recorded.lock();
        recorded
            .iter()
            .filter(|(of, _)| *of == purpose)
            .map(|(_, bytes)| bytes.len())
            .sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connection(
    mut dialer: TcpStream,
    target: String,
    rules: watch::Receiver<Rules>,
    recorded: Arc<Mutex<Recording>>,
) {
    let mut hello = vec![0; HELLO_FRAME_BYTES];
    if dialer.read_exact(&mut hello).await.is_err() {
        return;
    }
    let purpose = hello[PURPOSE_OFFSET];
    let Ok(mut acceptor) = TcpStream::connect(target).await else {
        return;
    };
    if acceptor.write_all(&hello).await.is_err() {
        return;
    }
    let number = {
        let mut recorded = recorded.lock();
        recorded.push((purpose, hello));
        recorded.len() - 1
    };
    let (from_dialer, to_dialer) = dialer.into_split();
    let (from_acceptor, to_acceptor) = acceptor.into_split();
    let of = |rules: &Rules| rules.get(&purpose).copied().unwrap_or_default();
    let mut closing = rules.clone();
    tokio::select! {
        () = upwards(from_dialer, to_acceptor, rules.clone(), of, |bytes| {
            let mut recorded = recorded.lock();
            recorded[number].1.extend_from_slice(bytes);
            recorded[number].1.len() - bytes.len()
        }) => {}
        () = downwards(from_acceptor, to_dialer, rules, of) => {}
        _ = closing.wait_for(|rules| of(rules).closed) => {}
    }
}

async fn upwards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut rules: watch::Receiver<Rules>,
    of: impl Fn(&Rules) -> Rule,
    record: impl Fn(&[u8]) -> usize,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut read = 0;
    loop {
        let goes_on = |rules: &Rules| {
            let rule = of(rules);
            !rule.stalled && rule.stall_at.is_none_or(|end| read < end)
        };
        if rules.wait_for(goes_on).await.is_err() {
            return;
        }
        let count = tokio::select! {
            count = from.read(&mut buffer) => count,
            _ = rules.changed() => continue,
        };
        let Ok(count @ 1..) = count else { return };
        let position = record(&buffer[..count]);
        read = position + count;
        let rule = of(&rules.borrow());
        if let Some(damaged) = rule.damage_at
            && (position..position + count).contains(&damaged)
        {
            buffer[damaged - position] ^= 0xFF;
        }
        let passed = rule
            .cut_at
            .map_or(count, |end| end.saturating_sub(position).min(count));
        if !rule.black_hole && to.write_all(&buffer[..passed]).await.is_err() {
            return;
        }
        if passed < count {
            return;
        }
    }
}

async fn downwards(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    rules: watch::Receiver<Rules>,
    of: impl Fn(&Rules) -> Rule,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let rule = of(&rules.borrow());
        if !rule.black_hole && !rule.mute && to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
