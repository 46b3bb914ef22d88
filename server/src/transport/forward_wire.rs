//! Forwarded requests and their answers as bytes. The bulk of either goes last in its message, and is referred to, not
//! copied, in both directions.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use storage::ids::StoreId;
use storage::proto::command::{RaftCmdResponse, Request};

use super::forward::{ForwardError, ForwardResult};
use super::frame::{FrameError, Kind};
use super::outbox::Outbox;

/// Field numbers of the bulk, from command.proto; the tests hold them against prost's own encoding.
const REQUEST_COMMANDS: u32 = 3;
const RESPONSE_REPLIES: u32 = 2;

/// Room for everything of a message but its bulk.
const ENVELOPE_BYTES: usize = 96;

/// A refusal's reason is cut to this.
const REASON_MAX_BYTES: usize = 200;

const OK: u8 = 0;
const NOT_LEADER: u8 = 1;
const BUSY: u8 = 2;
const FULL: u8 = 3;
const REFUSED: u8 = 4;
const UNKNOWN: u8 = 5;
const OUT_OF_MEMORY: u8 = 6;

/// At least the payload's size.
pub(super) fn request_bytes(request: &Request) -> usize {
    ENVELOPE_BYTES + request.commands.len()
}

/// Appends a request's frame.
pub(super) fn push_request(out: &mut Outbox, id: u64, mut request: Request) {
    let commands = std::mem::take(&mut request.commands);
    let length = commands.len();
    out.push_with(Kind::ForwardRequest, commands, |head| {
        head.put_u64_le(id);
        request.encode(head).expect("a BytesMut has no end");
        put_bulk_key(head, REQUEST_COMMANDS, length);
    });
}

/// What precedes the bytes of a field in its message.
fn put_bulk_key(head: &mut BytesMut, field: u32, length: usize) {
    if length > 0 {
        head.reserve(2 * encoded_len_varint(u64::MAX));
        encode_key(field, WireType::LengthDelimited, head);
        encode_varint(length as u64, head);
    }
}

/// Splits a request's payload. The id is returned even if the rest does not decode, so that it can be refused.
pub(super) fn take_request(mut payload: Bytes) -> Result<(u64, Option<Request>), FrameError> {
    let id = payload
        .try_get_u64_le()
        .map_err(|_| FrameError::Payload(Kind::ForwardRequest))?;
    Ok((id, Request::decode(payload).ok()))
}

/// Appends an answer's frame. An answer too large for a frame becomes [`ForwardError::Unknown`]: it has been executed.
pub(super) fn push_response(out: &mut Outbox, id: u64, result: ForwardResult) {
    let result = match result {
        Ok(response) if response_bytes(&response) > Kind::ForwardResponse.max_bytes() => {
            Err(ForwardError::Unknown)
        }
        other => other,
    };
    let mut response = match result {
        Ok(response) => response,
        Err(error) => return push_error(out, id, &error),
    };
    let replies = std::mem::take(&mut response.replies);
    let length = replies.len();
    out.push_with(Kind::ForwardResponse, replies, |head| {
        head.put_u64_le(id);
        head.put_u8(OK);
        response.encode(head).expect("a BytesMut has no end");
        put_bulk_key(head, RESPONSE_REPLIES, length);
    });
}

/// At least the payload's size.
pub(super) fn response_bytes(response: &RaftCmdResponse) -> usize {
    ENVELOPE_BYTES
        + response.replies.len()
        + response
            .header
            .as_ref()
            .map_or(0, |header| header.error.len())
}

fn push_error(out: &mut Outbox, id: u64, error: &ForwardError) {
    out.push_with(Kind::ForwardResponse, Bytes::new(), |head| {
        head.put_u64_le(id);
        match error {
            ForwardError::NotLeader { leader } => {
                head.put_u8(NOT_LEADER);
                head.put_u64_le(leader.map_or(0, StoreId::get));
            }
            ForwardError::Busy => head.put_u8(BUSY),
            ForwardError::Full => head.put_u8(FULL),
            ForwardError::OutOfMemory => head.put_u8(OUT_OF_MEMORY),
            ForwardError::Refused { reason } => {
                head.put_u8(REFUSED);
                head.put_slice(&reason.as_bytes()[..reason.len().min(REASON_MAX_BYTES)]);
            }
            // The handler passed it on in vain: certainly not appended, which is what Refused says.
            ForwardError::NotSent => head.put_u8(REFUSED),
            ForwardError::Unknown => head.put_u8(UNKNOWN),
        }
    });
}

/// Splits an answer's payload.
pub(super) fn take_response(mut payload: Bytes) -> Result<(u64, ForwardResult), FrameError> {
    let broken = || FrameError::Payload(Kind::ForwardResponse);
    let id = payload.try_get_u64_le().map_err(|_| broken())?;
    let result = match payload.try_get_u8().map_err(|_| broken())? {
        OK => Ok(RaftCmdResponse::decode(payload).map_err(|_| broken())?),
        NOT_LEADER => {
            let leader = payload.try_get_u64_le().map_err(|_| broken())?;
            Err(ForwardError::NotLeader {
                leader: (leader != 0).then_some(StoreId(leader)),
            })
        }
        BUSY => Err(ForwardError::Busy),
        FULL => Err(ForwardError::Full),
        OUT_OF_MEMORY => Err(ForwardError::OutOfMemory),
        REFUSED => Err(ForwardError::Refused {
            reason: String::from_utf8_lossy(&payload).into_owned(),
        }),
        UNKNOWN => Err(ForwardError::Unknown),
        _ => return Err(broken()),
    };
    Ok((id, result))
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, Bytes};
    use storage::ids::StoreId;
    use storage::proto::command::{RaftCmdResponse, Request, ResponseHeader};

    use super::{push_request, push_response, take_request, take_response};
    use crate::transport::forward::{ForwardError, ForwardResult};
    use crate::transport::frame::{FrameReader, Kind};
    use crate::transport::outbox::Outbox;

    fn payload(mut out: Outbox) -> Bytes {
        let mut reader = FrameReader::default();
        let stream = out.copy_to_bytes(out.remaining());
        reader.space().extend_from_slice(&stream);
        let accepts = [Kind::ForwardRequest, Kind::ForwardResponse];
        reader
            .next(&accepts)
            .expect("a good frame")
            .expect("a whole frame")
            .payload
    }

    #[test]
    fn requests_come_back_as_they_were() {
        for length in [0, 1, 127, 128, 100_000] {
            let request = Request {
                db: 15,
                protocol: 3,
                commands: vec![b'c'; length].into(),
                ..Request::default()
            };
            let mut out = Outbox::default();
            push_request(&mut out, 7, request.clone());
            let payload = payload(out);
            let (id, decoded) = take_request(payload.clone()).expect("an id");
            assert_eq!((id, decoded.as_ref()), (7, Some(&request)));
            if length > 0 {
                let commands = decoded.expect("decoded above").commands;
                let inside = payload.as_ptr_range().contains(&commands.as_ptr());
                assert!(inside, "a slice of what arrived, not a copy");
            }
        }
    }

    #[test]
    fn answers_come_back_as_they_were() {
        let header = ResponseHeader {
            term: 5,
            error: "e".to_owned(),
        };
        let response = |length| RaftCmdResponse {
            header: Some(header.clone()),
            replies: vec![b'r'; length].into(),
            db: 3,
            store_id: 9,
        };
        let refused = |reason: &str| ForwardError::Refused {
            reason: reason.to_owned(),
        };
        let cases: [(ForwardResult, ForwardResult); 11] = [
            (Ok(response(0)), Ok(response(0))),
            (Ok(response(100_000)), Ok(response(100_000))),
            (Err(ForwardError::Busy), Err(ForwardError::Busy)),
            (Err(ForwardError::Full), Err(ForwardError::Full)),
            (
                Err(ForwardError::OutOfMemory),
                Err(ForwardError::OutOfMemory),
            ),
            (Err(ForwardError::Unknown), Err(ForwardError::Unknown)),
            (Err(ForwardError::NotSent), Err(refused(""))),
            (Err(refused("why")), Err(refused("why"))),
            (
                Err(refused(&"x".repeat(1000))),
                Err(refused(&"x".repeat(200))),
            ),
            (
                Err(ForwardError::NotLeader { leader: None }),
                Err(ForwardError::NotLeader { leader: None }),
            ),
            (
                Err(ForwardError::NotLeader {
                    leader: Some(StoreId(3)),
                }),
                Err(ForwardError::NotLeader {
                    leader: Some(StoreId(3)),
                }),
            ),
        ];
        for (sent, expected) in cases {
            let mut out = Outbox::default();
            push_response(&mut out, 8, sent);
            assert_eq!(take_response(payload(out)), Ok((8, expected)));
        }
    }

    #[test]
    fn broken_payloads_are_errors() {
        assert!(take_request(Bytes::from_static(&[1, 2, 3])).is_err());
        let id_only = Bytes::from_static(&[4, 0, 0, 0, 0, 0, 0, 0]);
        assert!(take_response(id_only).is_err());
        let undecodable = Bytes::from_static(&[4, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]);
        assert_eq!(take_request(undecodable.clone()), Ok((4, None)));
        assert!(take_response(undecodable).is_err(), "an unknown status");
    }
}
