//! One key and its value in memory.
//!
//! A small string or flat collection is one allocation that holds everything, because a million of them is the common case:
//! header, expiry only if there is one, key, value. Everything else is an [`Entry::Large`] with an object of its own.

use std::sync::Arc;

use super::access::Access;
use super::collection::Collected;
use super::record::Incarnation;
use crate::prefetch;
use crate::types::table::Keyed;
use crate::types::{Collection, Encoding, Hash, HashRef, Kind};

const HEADER_BYTES: usize = 13;
const EXPIRE_BYTES: usize = 8;
/// What an entry may hold (expiry, key, value) and still be packed. Beyond it an object of its own costs little more.
const PACKED_MAX_BYTES: usize = 1024 - HEADER_BYTES;

const EXPIRES: u8 = 0x80;
const ENCODING: u8 = 0x03;
const KIND: u8 = 0x1c;
const KIND_SHIFT: u8 = 2;
/// Type and encoding of a flat hash whose fields may expire.
const EXPIRING_HASH: u8 = Kind::Hash.code() << KIND_SHIFT | Encoding::ListpackEx.code();

/// A key with its value. Two words, so that a table's slot is 16 bytes.
pub(super) enum Entry {
    Packed(Box<Packed<[u8]>>),
    Large(Box<Large>),
}

/// A flat value in one allocation. `data`: the expiry (8 bytes, if `EXPIRES`), the key, the value, unused bytes.
pub(super) struct Packed<D: ?Sized> {
    access: Access,
    hash: u32,
    key_len: u16,
    value_len: u16,
    flags: u8,
    data: D,
}

/// Anything else.
pub(super) struct Large {
    access: Access,
    hash: u32,
    expire_at_ms: Option<u64>,
    key: Box<[u8]>,
    value: Value,
}

/// What a [`Large`] entry holds.
pub(super) enum Value {
    /// Shared with a checkpoint under way; an edit copies only then.
    Flat {
        bytes: Arc<Vec<u8>>,
        kind: Kind,
        encoding: Encoding,
    },
    /// Elements with records of their own.
    Collected {
        incarnation: Incarnation,
        object: Collected,
    },
    /// A collection that is being edited.
    Taken,
}

/// A flat value to be stored.
#[derive(Clone, Copy)]
pub(super) struct Flat<'a> {
    pub(super) value: &'a [u8],
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    pub(super) expire_at_ms: Option<u64>,
}

impl Entry {
    /// A new entry of a flat value.
    pub(super) fn flat(hash: u32, key: &[u8], parts: Flat<'_>, access: Access) -> Self {
        let expire_bytes = if parts.expire_at_ms.is_some() {
            EXPIRE_BYTES
        } else {
            0
        };
        let length = expire_bytes + key.len() + parts.value.len();
        if length > PACKED_MAX_BYTES {
            let value = Value::Flat {
                bytes: Arc::new(parts.value.to_vec()),
                kind: parts.kind,
                encoding: parts.encoding,
            };
            return Self::large(hash, key, value, parts.expire_at_ms, access);
        }
        let mut packed = Packed::allocate(length);
        packed.access = access;
        packed.hash = hash;
        packed.key_len = key.len() as u16;
        packed.flags = if parts.expire_at_ms.is_some() {
            EXPIRES
        } else {
            0
        };
        if let Some(room) = packed.data.get_mut(expire_bytes..expire_bytes + key.len()) {
            room.copy_from_slice(key);
        }
        packed.fill(parts);
        Self::Packed(packed)
    }

    /// A new entry of a value with an object of its own.
    pub(super) fn large(
        hash: u32,
        key: &[u8],
        value: Value,
        expire_at_ms: Option<u64>,
        access: Access,
    ) -> Self {
        Self::Large(Box::new(Large {
            access,
            hash,
            expire_at_ms,
            key: key.into(),
            value,
        }))
    }

    /// The same flat value, encoding and expiry under another key; none of a large collection.
    pub(super) fn with_key(&self, hash: u32, key: &[u8], access: Access) -> Option<Self> {
        match self {
            Self::Packed(packed) => Some(Self::flat(hash, key, packed.parts(), access)),
            Self::Large(large) => match &large.value {
                Value::Flat {
                    bytes,
                    kind,
                    encoding,
                } => {
                    let value = Value::Flat {
                        bytes: Arc::clone(bytes),
                        kind: *kind,
                        encoding: *encoding,
                    };
                    Some(Self::large(hash, key, value, large.expire_at_ms, access))
                }
                Value::Collected { .. } | Value::Taken => None,
            },
        }
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Packed(packed) => packed.key(),
            Self::Large(large) => &large.key,
        }
    }

    /// The upper 32 bits of the key's hash.
    #[inline]
    pub(super) fn hash(&self) -> u32 {
        match self {
            Self::Packed(packed) => packed.hash,
            Self::Large(large) => large.hash,
        }
    }

    #[inline]
    pub(super) fn access(&self) -> &Access {
        match self {
            Self::Packed(packed) => &packed.access,
            Self::Large(large) => &large.access,
        }
    }

    #[inline]
    pub(super) fn expire_at_ms(&self) -> Option<u64> {
        match self {
            Self::Packed(packed) => packed.expire_at_ms(),
            Self::Large(large) => large.expire_at_ms,
        }
    }

    /// The earliest expiry of a hash's fields.
    #[inline]
    pub(super) fn next_field_expiry_ms(&self) -> Option<u64> {
        self.expiring_hash()?.next_expiry_ms()
    }

    /// A hash that may have fields which expire.
    #[inline]
    pub(super) fn expiring_hash(&self) -> Option<HashRef<'_>> {
        let flat = |bytes| Some(Hash::flat_ref(Encoding::ListpackEx, bytes));
        match self {
            Self::Packed(packed) if packed.flags & (KIND | ENCODING) == EXPIRING_HASH => {
                flat(packed.value())
            }
            Self::Packed(_) => None,
            Self::Large(large) => match &large.value {
                Value::Flat {
                    bytes,
                    encoding: Encoding::ListpackEx,
                    ..
                } => flat(bytes),
                Value::Collected { object, .. } => object.hash(),
                _ => None,
            },
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Packed(packed) => packed.kind(),
            Self::Large(large) => match &large.value {
                Value::Flat { kind, .. } => *kind,
                Value::Collected { object, .. } => object.kind(),
                Value::Taken => Kind::String,
            },
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self {
            Self::Packed(packed) => packed.encoding(),
            Self::Large(large) => match &large.value {
                Value::Flat { encoding, .. } => *encoding,
                Value::Collected { object, .. } => object.encoding(),
                Value::Taken => Encoding::Raw,
            },
        }
    }

    /// The same value under another key.
    pub(super) fn rekeyed(self, hash: u32, key: &[u8], access: Access) -> Self {
        match self {
            Self::Large(mut large) => {
                large.hash = hash;
                large.key = key.into();
                large.access = access;
                Self::Large(large)
            }
            Self::Packed(packed) => Self::flat(hash, key, packed.parts(), access),
        }
    }

    /// The bytes of a flat value; empty of a large collection.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Packed(packed) => packed.value(),
            Self::Large(large) => match &large.value {
                Value::Flat { bytes, .. } => bytes,
                Value::Collected { .. } | Value::Taken => &[],
            },
        }
    }

    /// The bytes of a flat value with an object of its own, to be kept beyond the next edit.
    pub(super) fn shared_bytes(&self) -> Option<Arc<Vec<u8>>> {
        match self {
            Self::Packed(_) => None,
            Self::Large(large) => match &large.value {
                Value::Flat { bytes, .. } => Some(Arc::clone(bytes)),
                Value::Collected { .. } | Value::Taken => None,
            },
        }
    }

    /// A large collection.
    #[inline]
    pub(super) fn collected(&self) -> Option<(Incarnation, &Collected)> {
        match self {
            Self::Large(large) => match &large.value {
                Value::Collected {
                    incarnation,
                    object,
                } => Some((*incarnation, object)),
                Value::Flat { .. } | Value::Taken => None,
            },
            Self::Packed(_) => None,
        }
    }

    /// A large collection, to be changed.
    pub(super) fn collected_mut(&mut self) -> Option<(&mut Incarnation, &mut Collected)> {
        match self {
            Self::Large(large) => match &mut large.value {
                Value::Collected {
                    incarnation,
                    object,
                } => Some((incarnation, object)),
                Value::Flat { .. } | Value::Taken => None,
            },
            Self::Packed(_) => None,
        }
    }

    /// Takes a large collection out; it, or another value, is to be put back at once.
    pub(super) fn take_collected(&mut self) -> Option<Collected> {
        match self {
            Self::Large(large) => match std::mem::replace(&mut large.value, Value::Taken) {
                Value::Collected { object, .. } => Some(object),
                value @ (Value::Flat { .. } | Value::Taken) => {
                    large.value = value;
                    None
                }
            },
            Self::Packed(_) => None,
        }
    }

    /// Takes the bytes of a flat value out, into `scratch` if they are packed; they, or others, are to be
    /// [`Self::put_bytes`] back.
    pub(super) fn take_bytes(&mut self, scratch: &mut Vec<u8>) -> Vec<u8> {
        match self {
            Self::Packed(packed) => {
                let mut bytes = std::mem::take(scratch);
                bytes.clear();
                bytes.extend_from_slice(packed.value());
                bytes
            }
            Self::Large(large) => match &mut large.value {
                Value::Flat { bytes, .. } => std::mem::take(Arc::make_mut(bytes)),
                Value::Collected { .. } | Value::Taken => Vec::new(),
            },
        }
    }

    /// Stores the bytes of a flat value where one, or a large collection, of the same type was taken out. What is not needed of them goes to `scratch`.
    pub(super) fn put_bytes(
        &mut self,
        kind: Kind,
        encoding: Encoding,
        value: Vec<u8>,
        scratch: &mut Vec<u8>,
    ) {
        if let Self::Large(large) = self
            && let Value::Flat {
                bytes,
                encoding: own,
                ..
            } = &mut large.value
            && value.len() + large.key.len() + EXPIRE_BYTES > PACKED_MAX_BYTES
        {
            *own = encoding;
            *Arc::make_mut(bytes) = value;
            return;
        }
        let parts = Flat {
            value: &value,
            kind,
            encoding,
            expire_at_ms: self.expire_at_ms(),
        };
        self.set_flat(parts);
        *scratch = value;
    }

    /// Becomes a large collection. Key, expiry and use stay.
    pub(super) fn set_collected(&mut self, incarnation: Incarnation, object: Collected) {
        let value = Value::Collected {
            incarnation,
            object,
        };
        match self {
            Self::Large(large) => large.value = value,
            Self::Packed(packed) => {
                *self = Self::large(
                    packed.hash,
                    packed.key(),
                    value,
                    packed.expire_at_ms(),
                    packed.access.clone(),
                );
            }
        }
    }

    /// Replaces value, type, encoding and expiry, in place where it fits.
    pub(super) fn set_flat(&mut self, parts: Flat<'_>) {
        match self {
            Self::Packed(packed) if packed.fits(parts) => packed.fill(parts),
            Self::Large(large) if parts.value.len() > PACKED_MAX_BYTES => {
                large.expire_at_ms = parts.expire_at_ms;
                if let Value::Flat { bytes, .. } = &mut large.value
                    && let Some(bytes) = Arc::get_mut(bytes)
                    && bytes.capacity() / 2 <= parts.value.len()
                {
                    bytes.clear();
                    bytes.extend_from_slice(parts.value);
                } else {
                    large.value = Value::Flat {
                        bytes: Arc::new(parts.value.to_vec()),
                        kind: parts.kind,
                        encoding: parts.encoding,
                    };
                }
                if let Value::Flat { kind, encoding, .. } = &mut large.value {
                    (*kind, *encoding) = (parts.kind, parts.encoding);
                }
            }
            _ => *self = Self::flat(self.hash(), self.key(), parts, self.access().clone()),
        }
    }

    /// Sets or clears the expiry.
    pub(super) fn set_expire(&mut self, expire_at_ms: Option<u64>) {
        match self {
            Self::Packed(packed) if packed.expire_at_ms().is_some() == expire_at_ms.is_some() => {
                packed.fill_expire(expire_at_ms);
            }
            Self::Large(large) => large.expire_at_ms = expire_at_ms,
            Self::Packed(packed) => {
                let parts = Flat {
                    expire_at_ms,
                    ..packed.parts()
                };
                *self = Self::flat(packed.hash, packed.key(), parts, packed.access.clone());
            }
        }
    }

    /// Changes a string's bytes; its encoding becomes raw. Amortised O(change) for a string with an object of its own.
    pub(super) fn edit_string<R>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut scratch = Vec::new();
        let mut bytes = self.take_bytes(&mut scratch);
        let result = edit(&mut bytes);
        self.put_bytes(Kind::String, Encoding::Raw, bytes, &mut scratch);
        result
    }

    /// Bytes allocated for this entry, its slot in the table not included.
    #[inline]
    pub(super) fn allocated_bytes(&self) -> usize {
        match self {
            Self::Packed(packed) => HEADER_BYTES + packed.data.len(),
            Self::Large(large) => {
                let value = match &large.value {
                    Value::Flat { bytes, .. } => {
                        size_of::<Vec<u8>>() + 2 * size_of::<usize>() + bytes.capacity()
                    }
                    Value::Collected { object, .. } => object.memory_bytes(),
                    Value::Taken => 0,
                };
                size_of::<Large>() + large.key.len() + value
            }
        }
    }
}

impl Keyed for Entry {
    #[inline]
    fn key(&self) -> &[u8] {
        self.key()
    }

    #[inline]
    fn prefetch(&self) {
        match self {
            Self::Packed(packed) => prefetch::object(&**packed),
            Self::Large(large) => prefetch::object(&**large),
        }
    }
}

impl Packed<[u8]> {
    /// Zeroed, with room for `length` bytes of data. A table of sized allocations, because a header with a slice behind
    /// it can only be made from an array.
    fn allocate(length: usize) -> Box<Self> {
        macro_rules! classes {
            ($($bytes:literal)*) => {
                match length + HEADER_BYTES {
                    $(total if total <= $bytes => Box::new(Packed::zeroed([0; $bytes - HEADER_BYTES])),)*
                    total => {
                        // Callers keep within PACKED_MAX_BYTES.
                        debug_assert!(total <= 1024);
                        Box::new(Packed::zeroed([0; PACKED_MAX_BYTES]))
                    }
                }
            };
        }
        // The size classes of common allocators, so that none pads.
        classes!(32 48 64 80 96 112 128 160 192 224 256 320 384 448 512 640 768 896 1024)
    }

    #[inline]
    fn expire_bytes(&self) -> usize {
        if self.flags & EXPIRES == 0 {
            0
        } else {
            EXPIRE_BYTES
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        let start = self.expire_bytes();
        self.data
            .get(start..start + usize::from(self.key_len))
            .unwrap_or_default()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        let start = self.expire_bytes() + usize::from(self.key_len);
        self.data
            .get(start..start + usize::from(self.value_len))
            .unwrap_or_default()
    }

    #[inline]
    fn expire_at_ms(&self) -> Option<u64> {
        if self.flags & EXPIRES == 0 {
            return None;
        }
        self.data
            .first_chunk()
            .map(|bytes| u64::from_le_bytes(*bytes))
    }

    #[inline]
    fn kind(&self) -> Kind {
        // Only what has a code is filled in.
        Kind::from_code((self.flags & KIND) >> KIND_SHIFT).unwrap_or(Kind::String)
    }

    #[inline]
    fn encoding(&self) -> Encoding {
        Encoding::from_code(self.kind(), self.flags & ENCODING).unwrap_or(Encoding::Raw)
    }

    fn parts(&self) -> Flat<'_> {
        Flat {
            value: self.value(),
            kind: self.kind(),
            encoding: self.encoding(),
            expire_at_ms: self.expire_at_ms(),
        }
    }

    /// True when the value fits in place: the expiry neither comes nor goes, and not more than half would be unused.
    fn fits(&self, parts: Flat<'_>) -> bool {
        let needed = self.expire_bytes() + usize::from(self.key_len) + parts.value.len();
        parts.expire_at_ms.is_some() == (self.flags & EXPIRES != 0)
            && needed <= self.data.len()
            && (needed + HEADER_BYTES) * 2 >= self.data.len()
    }

    /// Writes value, encoding and expiry; the caller has made room.
    fn fill(&mut self, parts: Flat<'_>) {
        self.fill_expire(parts.expire_at_ms);
        let start = self.expire_bytes() + usize::from(self.key_len);
        let room = self.data.get_mut(start..start + parts.value.len());
        debug_assert!(room.is_some());
        if let Some(room) = room {
            room.copy_from_slice(parts.value);
            self.value_len = parts.value.len() as u16;
            self.flags =
                self.flags & EXPIRES | parts.kind.code() << KIND_SHIFT | parts.encoding.code();
        }
    }

    fn fill_expire(&mut self, expire_at_ms: Option<u64>) {
        if let (Some(expire_at_ms), Some(room)) = (expire_at_ms, self.data.first_chunk_mut()) {
            *room = expire_at_ms.to_le_bytes();
        }
    }
}

impl<const N: usize> Packed<[u8; N]> {
    fn zeroed(data: [u8; N]) -> Self {
        Self {
            access: Access::new(0),
            hash: 0,
            key_len: 0,
            value_len: 0,
            flags: 0,
            data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &[u8], expire_at_ms: Option<u64>) -> Flat<'_> {
        Flat {
            value,
            kind: Kind::String,
            encoding: Encoding::Embstr,
            expire_at_ms,
        }
    }

    #[test]
    fn an_entry_is_two_words_and_a_packed_one_has_the_size_that_it_says() {
        assert_eq!(size_of::<Entry>(), 16);
        for length in 0..=PACKED_MAX_BYTES {
            let packed = Packed::allocate(length);
            assert_eq!(size_of_val(&*packed), HEADER_BYTES + packed.data.len());
            assert!(packed.data.len() >= length);
        }
        let entry = Entry::flat(1, &[b'k'; 16], parts(&[b'v'; 64], None), Access::new(0));
        assert_eq!(entry.allocated_bytes(), 96);
    }

    #[test]
    fn values_and_expiries_come_back_whatever_the_sizes() {
        for key_len in [0, 1, 16, 300, 2000] {
            let key = vec![b'k'; key_len];
            let mut entry = Entry::flat(9, &key, parts(b"", None), Access::new(0));
            for value_len in [
                0, 1, 44, 64, 700, 990, 998, 999, 1011, 1012, 5000, 3, 100_000, 60_000, 10, 0,
            ] {
                for expire_at_ms in [None, Some(1), Some(u64::MAX), None] {
                    let value = vec![b'v'; value_len];
                    entry.set_flat(parts(&value, expire_at_ms));
                    assert_eq!((entry.key(), entry.hash()), (&key[..], 9));
                    assert_eq!(entry.bytes(), value);
                    assert_eq!(entry.expire_at_ms(), expire_at_ms);
                    assert_eq!(entry.encoding(), Encoding::Embstr);
                    entry.set_expire(Some(77));
                    assert_eq!(
                        (entry.bytes(), entry.expire_at_ms()),
                        (&value[..], Some(77))
                    );
                    entry.set_expire(None);
                    assert_eq!((entry.bytes(), entry.expire_at_ms()), (&value[..], None));
                }
            }
        }
    }

    #[test]
    fn an_edit_makes_the_encoding_raw_and_spares_what_a_checkpoint_holds() {
        let mut entry = Entry::flat(1, b"k", parts(b"12", Some(5)), Access::new(0));
        assert_eq!(
            entry.edit_string(|bytes| {
                bytes.extend_from_slice(b"34");
                bytes.len()
            }),
            4
        );
        assert_eq!(
            (entry.bytes(), entry.encoding(), entry.expire_at_ms()),
            (&b"1234"[..], Encoding::Raw, Some(5))
        );
        entry.edit_string(|bytes| bytes.resize(9000, b'x'));
        assert_eq!((entry.bytes().len(), entry.expire_at_ms()), (9000, Some(5)));
        let held = entry.shared_bytes().unwrap();
        entry.edit_string(|bytes| bytes.push(b'y'));
        assert_eq!((held.len(), entry.bytes().len()), (9000, 9001));
        let renamed = entry.with_key(2, b"other", Access::new(0)).unwrap();
        assert_eq!(
            (renamed.key(), renamed.bytes().len(), renamed.expire_at_ms()),
            (&b"other"[..], 9001, Some(5))
        );
    }
}
