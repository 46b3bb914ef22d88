//! The flat representations that Redis had before listpacks: ziplists (until 7.0) and zipmaps (until 2.6). Only read.
//!
//! A ziplist: `u32` size, `u32` offset of the last entry, `u16` number of entries, entries, `ff`. An entry: the size of the
//! one before it (1 byte, or `fe` and 4), an encoding with the length or the number's width, the data. A zipmap: number of
//! pairs, then for each pair length, field, length, unused bytes, value, the unused; `ff`.

const END: u8 = 0xff;
const WIDE: u8 = 0xfe;
const ZIPLIST_HEADER_BYTES: usize = 10;

/// The elements of a ziplist; none unless all of it is right.
pub(super) fn ziplist(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let size = u32::from_le_bytes(*bytes.first_chunk()?);
    if size as usize != bytes.len() {
        return None;
    }
    let count = u16::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
    let mut input = bytes.get(ZIPLIST_HEADER_BYTES..)?;
    let mut elements = Vec::new();
    while *input.first()? != END {
        if *input.split_off_first()? == WIDE {
            input.split_off(..4)?;
        }
        elements.push(ziplist_element(&mut input)?);
    }
    let counted = count == u16::MAX || usize::from(count) == elements.len();
    (input.len() == 1 && counted).then_some(elements)
}

fn ziplist_element(input: &mut &[u8]) -> Option<Vec<u8>> {
    let first = *input.split_off_first()?;
    let number = match first {
        0x00..0x40 => return bytes(input, usize::from(first)),
        0x40..0x80 => {
            let low = *input.split_off_first()?;
            return bytes(input, usize::from(first & 0x3f) << 8 | usize::from(low));
        }
        0x80 => {
            let len = u32::from_be_bytes(take(input)?);
            return bytes(input, len as usize);
        }
        0xc0 => i16::from_le_bytes(take(input)?).into(),
        0xd0 => i32::from_le_bytes(take(input)?).into(),
        0xe0 => i64::from_le_bytes(take(input)?),
        0xf0 => {
            let [a, b, c] = take(input)?;
            i64::from(i32::from_le_bytes([0, a, b, c]) >> 8)
        }
        0xfe => i8::from_le_bytes(take(input)?).into(),
        0xf1..=0xfd => i64::from(first & 0x0f) - 1,
        _ => return None,
    };
    Some(itoa::Buffer::new().format(number).as_bytes().to_vec())
}

/// The fields and values of a zipmap, in turn; none unless all of it is right.
pub(super) fn zipmap(bytes_of_map: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut input = bytes_of_map;
    input.split_off_first()?;
    let mut elements = Vec::new();
    while *input.first()? != END {
        let len = zipmap_length(&mut input)?;
        elements.push(bytes(&mut input, len)?);
        let len = zipmap_length(&mut input)?;
        let unused = *input.split_off_first()?;
        elements.push(bytes(&mut input, len)?);
        input.split_off(..usize::from(unused))?;
    }
    (input.len() == 1).then_some(elements)
}

fn zipmap_length(input: &mut &[u8]) -> Option<usize> {
    match *input.split_off_first()? {
        WIDE => Some(u32::from_le_bytes(take(input)?) as usize),
        END => None,
        len => Some(usize::from(len)),
    }
}

fn bytes(input: &mut &[u8], len: usize) -> Option<Vec<u8>> {
    input.split_off(..len).map(<[u8]>::to_vec)
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    input.split_off(..N)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ziplists_of_every_encoding() {
        let entries: [(&[u8], &str); 9] = [
            (b"\x00\x02ab", "ab"),
            (b"\x04\xf1", "0"),
            (b"\x02\xfd", "12"),
            (b"\x02\xfe\xff", "-1"),
            (b"\x03\xc0\x00\x80", "-32768"),
            (b"\x04\xf0\xff\xff\x7f", "8388607"),
            (b"\x05\xd0\xff\xff\xff\x7f", "2147483647"),
            (
                b"\x06\xe0\xff\xff\xff\xff\xff\xff\xff\x7f",
                "9223372036854775807",
            ),
            (b"\xfe\x0a\x00\x00\x00\x40\x03xyz", "xyz"),
        ];
        let body: Vec<u8> = entries
            .iter()
            .flat_map(|(bytes, _)| bytes.to_vec())
            .collect();
        let size = (body.len() + 11) as u32;
        let list = [
            &size.to_le_bytes()[..],
            &[0; 4],
            &9u16.to_le_bytes(),
            &body,
            &[END],
        ]
        .concat();
        let expected: Vec<Vec<u8>> = entries.iter().map(|(_, e)| e.as_bytes().to_vec()).collect();
        assert_eq!(ziplist(&list), Some(expected));
        for cut in 0..list.len() {
            assert_eq!(ziplist(&list[..cut]), None);
        }
    }

    #[test]
    fn zipmaps() {
        let map = b"\x02\x01a\x02\x00bc\x01d\x01\x02e\0\0\xff";
        let expected = [&b"a"[..], b"bc", b"d", b"e"].map(<[u8]>::to_vec);
        assert_eq!(zipmap(map), Some(expected.to_vec()));
        for cut in 0..map.len() {
            assert_eq!(zipmap(&map[..cut]), None);
        }
    }
}
