//! What the next start is to do first, noted in the data directory by a process that then ends to let it happen: it is about the
//! directory itself, which a running Store has open.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use prost::Message;
use storage::engine::Engines;

use crate::config::Settings;
use crate::identity;
use crate::join::Joined;
use storage::proto::store::{StoreAddress, StoreIdent};

const FILE: &str = "next-start";
const RECOVER: &[u8] = b"recover";
const JOIN: &[u8] = b"join ";

/// The directories of a Store's data.
const DATA: [&str; 3] = ["kv", "raft", "snapshots"];

/// What is to be done.
pub(super) enum NextStart {
    /// Become a cluster of its own: see [`storage::peer_storage::recover`].
    Recover,
    /// Become an empty member of a cluster that has given this Store an id already.
    Join(Joined),
}

/// Notes it, durably.
pub(super) fn note(dir: &Path, what: &NextStart) -> io::Result<()> {
    let mut bytes = Vec::new();
    match what {
        NextStart::Recover => bytes.extend_from_slice(RECOVER),
        NextStart::Join(joined) => {
            bytes.extend_from_slice(JOIN);
            let ident = StoreIdent {
                format: 0,
                cluster_id: joined.cluster_id.to_vec().into(),
                store_id: joined.store.get(),
                birth: 0,
            };
            bytes.extend_from_slice(&ident.encode_length_delimited_to_vec());
            for member in &joined.members {
                bytes.extend_from_slice(&member.encode_length_delimited_to_vec());
            }
        }
    }
    let unfinished = dir.join(format!("{FILE}.tmp"));
    let mut file = File::create(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path(dir))?;
    File::open(dir)?.sync_all()
}

/// Reads what was noted.
pub(super) fn read(dir: &Path) -> anyhow::Result<Option<NextStart>> {
    let bytes = match fs::read(path(dir)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(path(dir).display().to_string()),
    };
    parse(&bytes)
        .with_context(|| format!("{} is damaged: remove it", path(dir).display()))
        .map(Some)
}

fn parse(bytes: &[u8]) -> Option<NextStart> {
    if bytes == RECOVER {
        return Some(NextStart::Recover);
    }
    let mut rest = bytes.strip_prefix(JOIN)?;
    let ident = StoreIdent::decode_length_delimited(&mut rest).ok()?;
    let mut members = Vec::new();
    while !rest.is_empty() {
        members.push(StoreAddress::decode_length_delimited(&mut rest).ok()?);
    }
    Some(NextStart::Join(Joined {
        store: storage::ids::StoreId(ident.store_id),
        cluster_id: ident.cluster_id.as_ref().try_into().ok()?,
        members,
    }))
}

/// Removes the data, where that is to be done. Before the engines are opened.
pub(super) fn clear(dir: &Path, what: Option<&NextStart>) -> io::Result<()> {
    if !matches!(what, Some(NextStart::Join(_))) {
        return Ok(());
    }
    for name in DATA {
        match fs::remove_dir_all(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Does it, and forgets it. Safe to repeat after a crash.
pub(super) fn run(
    settings: &Settings,
    engines: &Engines,
    what: Option<NextStart>,
) -> anyhow::Result<()> {
    match what {
        None => return Ok(()),
        Some(NextStart::Recover) => identity::recover(settings, engines)?,
        Some(NextStart::Join(joined)) => identity::become_member(settings, engines, joined)?,
    }
    fs::remove_file(path(&settings.dir))?;
    Ok(File::open(&settings.dir)?.sync_all()?)
}

fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(read(dir.path()).expect("nothing there").is_none());
        note(dir.path(), &NextStart::Recover).expect("written");
        assert!(matches!(
            read(dir.path()).expect("read"),
            Some(NextStart::Recover)
        ));
        let member = StoreAddress {
            store_id: 1,
            host: "a".to_owned(),
            port: 1,
            bus_port: 2,
            tls_port: 0,
        };
        let joined = Joined {
            store: storage::ids::StoreId(4),
            cluster_id: [9; 16],
            members: vec![member.clone()],
        };
        note(dir.path(), &NextStart::Join(joined)).expect("written");
        let Some(NextStart::Join(joined)) = read(dir.path()).expect("read") else {
            panic!("it is to join")
        };
        assert_eq!((joined.store.get(), joined.cluster_id), (4, [9; 16]));
        assert_eq!(joined.members, [member]);
        fs::write(path(dir.path()), b"recove").expect("written");
        assert!(read(dir.path()).is_err());
    }
}
