//! A value out of a payload, and the key that it becomes.

use crate::Result;
use crate::dataset::{Expiry, Txn};
use crate::types::End;
use crate::types::stream::StreamLog;

/// A value out of a payload. Elements of collections in the order of the payload; sets, sorted sets and hashes have no member
/// or field twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string's bytes.
    String(Vec<u8>),
    /// A list's elements.
    List(Vec<Vec<u8>>),
    /// A set's members.
    Set(Vec<Vec<u8>>),
    /// A sorted set's members and scores, none of them NaN.
    ZSet(Vec<(Vec<u8>, f64)>),
    /// A hash's fields.
    Hash(Vec<ExpiringField>),
    /// A stream; it may be without entries.
    Stream(Box<StreamLog>),
}

/// A field, its value, and when it expires in milliseconds of Unix time; none: never.
pub type ExpiringField = (Vec<u8>, Vec<u8>, Option<u64>);

impl Value {
    /// Sets `key` to this value, whatever it was. How it is represented follows from the limits in force.
    pub fn store(&self, txn: &mut Txn<'_>, key: &[u8], expire_at_ms: Option<u64>) -> Result<()> {
        if let Self::String(value) = self {
            let expiry = expire_at_ms.map_or(Expiry::Clear, Expiry::AtMs);
            return txn.set_string(key, value, expiry);
        }
        txn.remove(key)?;
        match self {
            Self::String(_) => {}
            Self::List(elements) => txn.edit_list(key, |list, edit| {
                let bytes = elements.iter().map(Vec::len).sum();
                list.expect(elements.len(), bytes, edit);
                for element in elements {
                    list.push(End::Tail, element, edit);
                }
            })?,
            Self::Set(members) => txn.edit_set(key, |set, edit| {
                for member in members {
                    set.insert(member, edit);
                }
            })?,
            Self::ZSet(members) => txn.edit_zset(key, |zset, edit| {
                // As Redis, which converts nothing on the way: a flat one would lose the sign of a zero.
                let longest = members.iter().map(|(member, _)| member.len()).max();
                let is_long = longest > Some(edit.limits().zset_max_listpack_value);
                zset.expect(if is_long { usize::MAX } else { members.len() }, edit);
                for (member, score) in members {
                    zset.insert(member, *score, edit);
                }
            })?,
            Self::Hash(fields) => txn.edit_hash(key, |hash, edit| {
                for (field, value, expire_at_ms) in fields {
                    hash.set(field, value, edit);
                    if expire_at_ms.is_some() {
                        hash.set_expiry(field, *expire_at_ms, edit);
                    }
                }
            })?,
            Self::Stream(log) => {
                txn.edit_stream(key, |stream, edit| stream.set_whole(log, edit))?;
            }
        }
        if expire_at_ms.is_some() {
            txn.set_expiry(key, expire_at_ms)?;
        }
        Ok(())
    }
}
