//! Requests as a client sends them.

use crate::writer::push_header;
use bytes::BytesMut;

/// Appends a request with these arguments (the command's name first) to `out`.
///
/// Written directly and not through `redis-protocol`'s encoder, which wants a tree of frames and can fail; property tests hold the two together.
pub fn encode_command(args: &[impl AsRef<[u8]>], out: &mut BytesMut) {
    push_header(out, b'*', args.len());
    for arg in args {
        let arg = arg.as_ref();
        push_header(out, b'$', arg.len());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
