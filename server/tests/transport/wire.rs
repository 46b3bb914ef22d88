//! The wire by hand, from the contract page alone: none of the transport's own code.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::nodes::{CLUSTER, SECRET, bounded};

pub(crate) const HELLO: u8 = 0xA1;
pub(crate) const CHALLENGE: u8 = 0xA2;
pub(crate) const PROOF: u8 = 0xA3;
pub(crate) const WELCOME: u8 = 0xA4;
pub(crate) const REFUSED: u8 = 0xA5;
pub(crate) const PING: u8 = 0xB1;
pub(crate) const PONG: u8 = 0xB2;
pub(crate) const RAFT: u8 = 0xC1;
pub(crate) const FORWARD_REQUEST: u8 = 0xD1;
pub(crate) const FORWARD_RESPONSE: u8 = 0xD2;
pub(crate) const SNAPSHOT_BEGIN: u8 = 0xE1;
pub(crate) const SNAPSHOT_CHUNK: u8 = 0xE2;
pub(crate) const SNAPSHOT_END: u8 = 0xE3;

pub(crate) const FOR_RAFT: u8 = 1;
pub(crate) const FOR_FORWARDING: u8 = 2;
pub(crate) const FOR_SNAPSHOT: u8 = 3;

/// Bytes of a hello's frame, and where its purpose is.
pub(crate) const HELLO_FRAME_BYTES: usize = 9 + 73;
pub(crate) const PURPOSE_OFFSET: usize = 9 + 6 + 2;

pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let crc = crc32fast::hash(&[&[kind], &length[..], payload].concat());
    [&[kind], &length[..], &crc.to_le_bytes(), payload].concat()
}

/// What a hello says; the default is the truth of Store 1 dialing Store 2.
#[derive(Clone)]
pub(crate) struct Hello {
    pub(crate) magic: [u8; 6],
    pub(crate) version: u16,
    pub(crate) purpose: u8,
    pub(crate) cluster: [u8; 16],
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) nonce: [u8; 32],
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            magic: *b"TINYKV",
            version: 1,
            purpose: FOR_RAFT,
            cluster: CLUSTER,
            from: 1,
            to: 2,
            nonce: [42; 32],
        }
    }
}

impl Hello {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [
            &self.magic[..],
            &self.version.to_le_bytes(),
            &[self.purpose],
            &self.cluster,
            &self.from.to_le_bytes(),
            &self.to.to_le_bytes(),
            &self.nonce,
        ]
        .concat()
    }
}

pub(crate) fn proof(secret: &[u8], role: &str, hello: &[u8], acceptor_nonce: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
    mac.update(format!("tinykv peer link, proof of the {role}\0").as_bytes());
    mac.update(hello);
    mac.update(acceptor_nonce);
    mac.finalize().into_bytes().to_vec()
}

/// A connection driven by hand.
pub(crate) struct Raw {
    pub(crate) stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(address: &str) -> Self {
        Self {
            stream: TcpStream::connect(address).await.expect("a connection"),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("written");
    }

    /// The next frame; `None` when the other side has closed.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        bounded("a frame or the end", async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            assert_eq!(head[5..], frame(head[0], &payload)[5..9], "checksum");
            Some((head[0], payload))
        })
        .await
    }

    /// Everything up to the close.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A reset is a close, too.
        let _ = bounded("the end", self.stream.read_to_end(&mut rest)).await;
        rest
    }

    /// The whole handshake with the right secret.
    pub(crate) async fn authenticated(address: &str, hello: &Hello) -> Self {
        let mut raw = Self::connect(address).await;
        let hello = hello.bytes();
        raw.write(&frame(HELLO, &hello)).await;
        let (kind, nonce) = raw.frame().await.expect("a challenge");
        assert_eq!(kind, CHALLENGE);
        raw.write(&frame(PROOF, &proof(SECRET, "dialer", &hello, &nonce)))
            .await;
        let welcome = raw.frame().await.expect("a welcome");
        assert_eq!(
            welcome,
            (WELCOME, proof(SECRET, "acceptor", &hello, &nonce))
        );
        raw
    }
}
