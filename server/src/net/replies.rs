//! Encoded replies, one after the other: where each ends.

/// The replies in `encoded`, which this process or another Store has written. What is cut short is one reply.
pub(super) fn iter(encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = encoded;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (reply, next) = rest.split_at(first_len(rest).unwrap_or(rest.len()));
        rest = next;
        Some(reply)
    })
}

/// Length of the first reply, with everything nested in it. Without recursion: nesting costs nothing.
fn first_len(encoded: &[u8]) -> Option<usize> {
    let (mut at, mut frames) = (0, 1_usize);
    while frames > 0 {
        let line = encoded.get(at..)?;
        // The lines of errors and simple strings have no line end within.
        let end = line.iter().position(|byte| *byte == b'\n')? + 1;
        let (kind, number) = (*line.first()?, line.get(1..end.checked_sub(2)?)?);
        at += end;
        frames -= 1;
        match kind {
            b'$' | b'=' | b'!' => {
                at = length(number).map_or(at, |bytes| at.saturating_add(bytes).saturating_add(2))
            }
            b'*' | b'~' | b'>' => frames += length(number).unwrap_or(0),
            b'%' => frames += length(number).unwrap_or(0).checked_mul(2)?,
            // Attributes stand before the reply that they belong to.
            b'|' => frames += length(number).unwrap_or(0).checked_mul(2)? + 1,
            _ => {}
        }
    }
    (at <= encoded.len()).then_some(at)
}

/// A length; none for RESP2's -1, which is null.
fn length(digits: &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for digit in digits {
        let value = digit.checked_sub(b'0').filter(|value| *value <= 9)?;
        length = usize::checked_mul(length, 10)?.checked_add(value.into())?;
    }
    (!digits.is_empty()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::iter;
    use bytes::BytesMut;
    use resp::{Protocol, Writer};

    #[test]
    fn every_kind_ends_where_it_ends() {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let kinds: [fn(&mut Writer<'_>); 12] = [
                |out| out.ok(),
                |out| out.error("ERR no"),
                |out| out.integer(-12),
                |out| out.bulk(b"-ERR\r\n$1\r\n"),
                |out| out.bulk(b""),
                |out| out.null(),
                |out| out.double(1.5),
                |out| out.boolean(true),
                |out| out.verbatim("txt", b"a\r\nb"),
                |out| out.array(0),
                |out| {
                    out.map(1);
                    out.array(2);
                    out.bulk(b"x");
                    out.null();
                    out.set(1);
                    out.error("ERR nested");
                },
                |out| {
                    if out.attribute(1) {
                        out.bulk(b"a");
                        out.integer(1);
                    }
                    out.ok();
                },
            ];
            let (mut all, mut each) = (BytesMut::new(), Vec::new());
            for kind in kinds {
                let start = all.len();
                kind(&mut Writer::new(&mut all, protocol));
                each.push(all[start..].to_vec());
            }
            let found: Vec<_> = iter(&all).map(<[u8]>::to_vec).collect();
            assert_eq!(found, each);
        }
    }

    #[test]
    fn what_is_cut_short_is_one_reply() {
        for cut in [
            "+O",
            "$3\r\nab",
            "*2\r\n+a\r\n",
            "x",
            "$99999999999999999999\r\n",
        ] {
            assert_eq!(iter(cut.as_bytes()).collect::<Vec<_>>(), [cut.as_bytes()]);
        }
    }
}
