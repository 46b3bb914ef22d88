//! The four frames that open a link, on both sides.
//!
//! Reads are of exact length into arrays on the stack: whoever has not proved the secret makes this Store allocate nothing.

use std::io;

use storage::ids::StoreId;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Duration, timeout};

use super::auth::{self, HELLO_BYTES, Hello, Nonce, PROTOCOL_VERSION, Purpose, Refusal, Role};
use super::frame::{FrameError, HEADER_BYTES, Header, Kind, header};

/// How long a refused connection may linger so that the reason arrives, and how much of its talk is swallowed meanwhile
/// (closing with unread bytes would reset the connection and lose the reason).
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: usize = 64 * 1024;

/// What a client of another protocol gets: readable in redis-cli, telnet and a browser alike.
const FOREIGN_REPLY: &[u8] =
    b"-ERR this port is for TinyKV peers only, clients use the node's own port\r\n";

/// What a handshake is done over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire for S {}

/// What this Store says about itself.
pub(super) struct Identity {
    pub(super) store_id: StoreId,
    pub(super) cluster_id: [u8; 16],
    pub(super) secret: Vec<u8>,
}

/// Why a handshake ended without a link.
#[derive(Debug, Error)]
pub(super) enum HandshakeError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The other side turned this Store away.
    #[error("refused: {reason}")]
    RefusedByPeer {
        /// Of its [`Refusal`].
        code: u8,
        /// Its advice.
        reason: String,
    },
    /// The TLS handshake before failed, on either side.
    #[error("no TLS connection: {0}")]
    Tls(io::Error),
    /// This side turned the other one away.
    #[error("{}", .0.advice())]
    Refused(Refusal),
    /// A node that knows the secret, of another cluster, takes this Store for a member of that.
    #[error("{}", Refusal::ClusterId.advice())]
    Mistaken {
        /// Who.
        by: StoreId,
        /// For whom.
        taken_for: StoreId,
    },
    /// The acceptor could not prove the secret.
    #[error(
        "the node there does not know the cluster secret: check cluster-secret, and the address in cluster-peers"
    )]
    FalseAcceptor,
    /// This Store was removed, and speaks to no other.
    #[error("this node was removed from the cluster")]
    Left,
    /// The first byte was not a hello's.
    #[error("{0}, not a TinyKV peer: clients connect to the node's own port, not to its peer port")]
    Foreign(&'static str),
    #[error("no complete handshake in time")]
    TimedOut,
}

impl HandshakeError {
    /// Trying again soon cannot help: someone must change a configuration first.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::RefusedByPeer { .. } | Self::FalseAcceptor)
    }

    /// The other side wants TLS.
    pub(super) fn is_for_tls(&self) -> bool {
        matches!(self, Self::RefusedByPeer { code, .. } if *code == Refusal::Plain.code())
    }

    /// The other side knows that this Store is no member.
    pub(super) fn is_expulsion(&self) -> bool {
        matches!(self, Self::RefusedByPeer { code, .. } if *code == Refusal::UnknownStore.code())
    }
}

fn nonce() -> Result<Nonce, HandshakeError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(nonce)
}

async fn write_frame<S: Wire>(stream: &mut S, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let mut bytes = [0; HEADER_BYTES + 256];
    let whole = HEADER_BYTES + payload.len();
    bytes[..HEADER_BYTES].copy_from_slice(&header(kind, &[payload]));
    bytes[HEADER_BYTES..whole].copy_from_slice(payload);
    stream.write_all(&bytes[..whole]).await?;
    // TLS may hold it back.
    stream.flush().await
}

/// Reads a frame of exactly `N` bytes, or the refusal that may come in its place.
async fn read_frame<S: Wire, const N: usize>(
    stream: &mut S,
    kind: Kind,
) -> Result<[u8; N], HandshakeError> {
    let mut head = [0; HEADER_BYTES];
    stream.read_exact(&mut head).await?;
    let head = Header::parse(&head, &[kind, Kind::Refused])?;
    if head.kind == Kind::Refused {
        let mut text = [0; Kind::Refused.max_bytes()];
        let text = &mut text[..head.length];
        stream.read_exact(text).await?;
        head.verify(text)?;
        let reason = String::from_utf8_lossy(text.get(1..).unwrap_or_default()).into_owned();
        let code = text.first().copied().unwrap_or_default();
        return Err(HandshakeError::RefusedByPeer { code, reason });
    }
    if head.length != N {
        return Err(FrameError::Payload(kind).into());
    }
    let mut payload = [0; N];
    stream.read_exact(&mut payload).await?;
    head.verify(&payload)?;
    Ok(payload)
}

/// The dialer's side. `Ok` means that the acceptor is `to` and knows the secret, and has accepted us.
pub(super) async fn dial<S: Wire>(
    stream: &mut S,
    identity: &Identity,
    to: StoreId,
    purpose: Purpose,
    limit: Duration,
) -> Result<(), HandshakeError> {
    timeout(limit, dial_unbounded(stream, identity, to, purpose))
        .await
        .unwrap_or(Err(HandshakeError::TimedOut))
}

async fn dial_unbounded<S: Wire>(
    stream: &mut S,
    identity: &Identity,
    to: StoreId,
    purpose: Purpose,
) -> Result<(), HandshakeError> {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        purpose,
        cluster_id: identity.cluster_id,
        from: identity.store_id,
        to,
        nonce: nonce()?,
    }
    .encode();
    write_frame(stream, Kind::Hello, &hello).await?;
    let acceptor_nonce: Nonce = read_frame(stream, Kind::Challenge).await?;
    let proof = auth::prove(&identity.secret, Role::Dialer, &hello, &acceptor_nonce);
    write_frame(stream, Kind::Proof, &proof).await?;
    let welcome = read_frame(stream, Kind::Welcome).await?;
    if !auth::verify(
        &identity.secret,
        Role::Acceptor,
        &hello,
        &acceptor_nonce,
        &welcome,
    ) {
        return Err(HandshakeError::FalseAcceptor);
    }
    Ok(())
}

/// The acceptor's side: who it is and what for. A connection that is turned away has been told why when this returns.
pub(super) async fn accept<S: Wire>(
    stream: &mut S,
    identity: &Identity,
    is_peer: impl Fn(StoreId) -> bool,
    may_be_plain: bool,
    limit: Duration,
) -> Result<(StoreId, Purpose), HandshakeError> {
    let result = timeout(
        limit,
        accept_unbounded(stream, identity, is_peer, may_be_plain),
    )
    .await;
    let error = match result.unwrap_or(Err(HandshakeError::TimedOut)) {
        Ok(accepted) => return Ok(accepted),
        Err(error) => error,
    };
    match &error {
        HandshakeError::Foreign(_) => linger(stream, FOREIGN_REPLY).await,
        HandshakeError::Refused(refusal) => linger(stream, &refused_frame(*refusal)).await,
        HandshakeError::Mistaken { .. } => {
            linger(stream, &refused_frame(Refusal::ClusterId)).await;
        }
        HandshakeError::Frame(_) => linger(stream, &refused_frame(Refusal::Malformed)).await,
        _ => {}
    }
    Err(error)
}

async fn accept_unbounded<S: Wire>(
    stream: &mut S,
    identity: &Identity,
    is_peer: impl Fn(StoreId) -> bool,
    may_be_plain: bool,
) -> Result<(StoreId, Purpose), HandshakeError> {
    let bytes = read_hello(stream).await?;
    let hello = Hello::decode(&bytes).map_err(HandshakeError::Refused)?;
    if !may_be_plain {
        return Err(HandshakeError::Refused(Refusal::Plain));
    }
    let is_mistaken = hello.cluster_id != identity.cluster_id;
    if !is_mistaken {
        check(&hello, identity, is_peer).map_err(HandshakeError::Refused)?;
    }
    let acceptor_nonce = nonce()?;
    write_frame(stream, Kind::Challenge, &acceptor_nonce).await?;
    let proof = read_frame(stream, Kind::Proof).await?;
    if !auth::verify(
        &identity.secret,
        Role::Dialer,
        &bytes,
        &acceptor_nonce,
        &proof,
    ) {
        return Err(HandshakeError::Refused(Refusal::Secret));
    }
    if is_mistaken {
        return Err(HandshakeError::Mistaken {
            by: hello.from,
            taken_for: hello.to,
        });
    }
    let welcome = auth::prove(&identity.secret, Role::Acceptor, &bytes, &acceptor_nonce);
    write_frame(stream, Kind::Welcome, &welcome).await?;
    Ok((hello.from, hello.purpose))
}

/// What can be told before the proof, to a node of this cluster. None of it is a secret, and naming it saves an operator's evening.
fn check(
    hello: &Hello,
    identity: &Identity,
    is_peer: impl Fn(StoreId) -> bool,
) -> Result<(), Refusal> {
    if hello.from == identity.store_id {
        return Err(Refusal::OwnId);
    }
    if hello.to != identity.store_id {
        return Err(Refusal::WrongStore);
    }
    if !is_peer(hello.from) {
        return Err(Refusal::UnknownStore);
    }
    Ok(())
}

/// Reads the hello. The first read may take as much as the whole frame: the dialer sends nothing more before the challenge.
async fn read_hello<S: Wire>(stream: &mut S) -> Result<[u8; HELLO_BYTES], HandshakeError> {
    const WHOLE: usize = HEADER_BYTES + HELLO_BYTES;
    let mut frame = [0; WHOLE];
    let mut filled = 0;
    while filled < WHOLE {
        let count = stream.read(&mut frame[filled..]).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        filled += count;
        if frame[0] != Kind::Hello as u8 {
            return Err(HandshakeError::Foreign(looks_like(&frame[..filled])));
        }
        if let Some(head) = frame[..filled].first_chunk::<HEADER_BYTES>()
            && Header::parse(head, &[Kind::Hello])?.length != HELLO_BYTES
        {
            return Err(FrameError::Payload(Kind::Hello).into());
        }
    }
    let (head, payload) = frame.split_at(HEADER_BYTES);
    let head = head.first_chunk().expect("split at its length");
    Header::parse(head, &[Kind::Hello])?.verify(payload)?;
    Ok(*payload.first_chunk().expect("split at its length"))
}

/// Names a foreign protocol by its first bytes, for the log.
fn looks_like(bytes: &[u8]) -> &'static str {
    const HTTP: [&[u8]; 6] = [
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIONS ",
        b"CONNECT ",
    ];
    if bytes.starts_with(b"*") {
        "a Redis client"
    } else if HTTP.iter().any(|method| bytes.starts_with(method)) {
        "an HTTP client"
    } else if bytes.starts_with(&[0x16, 0x03]) {
        "a TLS client"
    } else if bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        "a Redis or other text client"
    } else {
        "an unknown protocol"
    }
}

fn refused_frame(refusal: Refusal) -> Vec<u8> {
    let payload = [&[refusal.code()], refusal.advice().as_bytes()].concat();
    [&header(Kind::Refused, &[&payload])[..], &payload].concat()
}

/// Says the last word and waits, within bounds, until it is heard.
async fn linger<S: Wire>(stream: &mut S, last_word: &[u8]) {
    let talk = async {
        stream.write_all(last_word).await?;
        stream.shutdown().await?;
        let mut swallowed = 0;
        let mut scratch = [0; 1024];
        while swallowed < LINGER_BYTES {
            match stream.read(&mut scratch).await? {
                0 => break,
                count => swallowed += count,
            }
        }
        io::Result::Ok(())
    };
    // The connection is given up whatever happens here.
    let _ = timeout(LINGER, talk).await;
}
