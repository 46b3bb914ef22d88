//! Who is at the other end: the hello, the proofs of the cluster secret, and the refusals.
//!
//! A proof is HMAC-SHA256 under the cluster secret over a label that names the role, the whole hello (protocol version,
//! purpose, cluster id, both store ids, the dialer's nonce) and the acceptor's nonce. So it is worth nothing on another
//! connection (nonces), for another purpose or between other Stores, or sent back to whoever made it (role and ids).

use bytes::{Buf, BufMut};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use storage::ids::StoreId;

/// Version of everything on the peer link. Another one is refused.
pub(super) const PROTOCOL_VERSION: u16 = 1;

const MAGIC: &[u8; 6] = b"TINYKV";
const DIALER_LABEL: &[u8] = b"tinykv peer link, proof of the dialer\0";
const ACCEPTOR_LABEL: &[u8] = b"tinykv peer link, proof of the acceptor\0";

/// Length of a hello's payload.
pub(super) const HELLO_BYTES: usize = 6 + 2 + 1 + 16 + 8 + 8 + 32;

/// Fresh randomness of one side.
pub(super) type Nonce = [u8; 32];

/// HMAC-SHA256's output.
pub(super) type Proof = [u8; 32];

/// What a connection is for. One connection carries one thing, so that bulk never delays a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    Raft,
    Forward,
    Snapshot,
}

impl Purpose {
    const fn byte(self) -> u8 {
        match self {
            Self::Raft => 1,
            Self::Forward => 2,
            Self::Snapshot => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Raft),
            2 => Some(Self::Forward),
            3 => Some(Self::Snapshot),
            _ => None,
        }
    }

    /// For the log and as a metrics label.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Raft => "raft",
            Self::Forward => "forward",
            Self::Snapshot => "snapshot",
        }
    }
}

/// The dialer's first words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) version: u16,
    pub(super) purpose: Purpose,
    pub(super) cluster_id: [u8; 16],
    /// Who dials.
    pub(super) from: StoreId,
    /// Whom it believes to reach.
    pub(super) to: StoreId,
    pub(super) nonce: Nonce,
}

impl Hello {
    pub(super) fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        let mut out = &mut bytes[..];
        out.put_slice(MAGIC);
        out.put_u16_le(self.version);
        out.put_u8(self.purpose.byte());
        out.put_slice(&self.cluster_id);
        out.put_u64_le(self.from.get());
        out.put_u64_le(self.to.get());
        out.put_slice(&self.nonce);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Self, Refusal> {
        let mut rest = &bytes[..];
        let mut magic = [0; 6];
        rest.copy_to_slice(&mut magic);
        if &magic != MAGIC {
            return Err(Refusal::Malformed);
        }
        let version = rest.get_u16_le();
        if version != PROTOCOL_VERSION {
            return Err(Refusal::Version);
        }
        let purpose = Purpose::from_byte(rest.get_u8()).ok_or(Refusal::Version)?;
        let mut cluster_id = [0; 16];
        rest.copy_to_slice(&mut cluster_id);
        let from = StoreId(rest.get_u64_le());
        let to = StoreId(rest.get_u64_le());
        let mut nonce = [0; 32];
        rest.copy_to_slice(&mut nonce);
        Ok(Self {
            version,
            purpose,
            cluster_id,
            from,
            to,
            nonce,
        })
    }
}

/// Which side proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Dialer,
    Acceptor,
}

fn mac(
    secret: &[u8],
    role: Role,
    hello: &[u8; HELLO_BYTES],
    acceptor_nonce: &Nonce,
) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(match role {
        Role::Dialer => DIALER_LABEL,
        Role::Acceptor => ACCEPTOR_LABEL,
    });
    mac.update(hello);
    mac.update(acceptor_nonce);
    mac
}

/// Proof that `role` knows the secret.
pub(super) fn prove(
    secret: &[u8],
    role: Role,
    hello: &[u8; HELLO_BYTES],
    acceptor_nonce: &Nonce,
) -> Proof {
    mac(secret, role, hello, acceptor_nonce)
        .finalize()
        .into_bytes()
        .into()
}

/// Whether `proof` is `role`'s. Compares in constant time.
pub(super) fn verify(
    secret: &[u8],
    role: Role,
    hello: &[u8; HELLO_BYTES],
    acceptor_nonce: &Nonce,
    proof: &Proof,
) -> bool {
    mac(secret, role, hello, acceptor_nonce)
        .verify_slice(proof)
        .is_ok()
}

/// Why an acceptor turns a connection away. The byte goes first in a Refused frame, the text after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    Version,
    ClusterId,
    UnknownStore,
    OwnId,
    WrongStore,
    Secret,
    Plain,
}

impl Refusal {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Malformed => 1,
            Self::Version => 2,
            Self::ClusterId => 3,
            Self::UnknownStore => 4,
            Self::OwnId => 5,
            Self::WrongStore => 6,
            Self::Secret => 7,
            Self::Plain => 8,
        }
    }

    /// Says what to check; for the frame and for both logs.
    pub(super) const fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "malformed handshake: is this a TinyKV peer?",
            Self::Version => {
                "another version of the peer protocol: run the same tinykv-server on all nodes"
            }
            Self::ClusterId => {
                "another cluster id: check that cluster-peers names this cluster's nodes, and that the data directory is not another cluster's"
            }
            Self::UnknownStore => {
                "this node id is no member: it was removed, or never added. To add the node, empty its dir and start it with --join"
            }
            Self::OwnId => {
                "the caller has this node's own id: check that every node has its own node-id"
            }
            Self::WrongStore => {
                "another node id is expected at this address: check node-id here and cluster-peers there"
            }
            Self::Secret => {
                "wrong cluster secret: check that cluster-secret is the same on all nodes"
            }
            Self::Plain => {
                "links between nodes use TLS here: give tls-cert-file, tls-key-file, tls-ca-cert-file and tls-cluster yes"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use storage::ids::StoreId;

    use super::{Hello, PROTOCOL_VERSION, Purpose, Refusal, Role, prove, verify};
    use crate::transport::frame::Kind;

    fn hello() -> Hello {
        Hello {
            version: PROTOCOL_VERSION,
            purpose: Purpose::Raft,
            cluster_id: [9; 16],
            from: StoreId(1),
            to: StoreId(2),
            nonce: [7; 32],
        }
    }

    #[test]
    fn a_hello_comes_back_as_it_was() {
        for purpose in [Purpose::Raft, Purpose::Forward, Purpose::Snapshot] {
            let hello = Hello { purpose, ..hello() };
            assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }
        let other = Hello {
            version: PROTOCOL_VERSION + 1,
            ..hello()
        };
        assert_eq!(Hello::decode(&other.encode()), Err(Refusal::Version));
    }

    /// Each case changes one thing that the proof must bind.
    #[test]
    fn a_proof_is_good_for_one_handshake_only() {
        let (secret, nonce) = (b"secret".as_slice(), [3; 32]);
        let proof = prove(secret, Role::Dialer, &hello().encode(), &nonce);
        assert!(verify(
            secret,
            Role::Dialer,
            &hello().encode(),
            &nonce,
            &proof
        ));
        assert!(!verify(
            b"Secret",
            Role::Dialer,
            &hello().encode(),
            &nonce,
            &proof
        ));
        assert!(!verify(
            secret,
            Role::Acceptor,
            &hello().encode(),
            &nonce,
            &proof
        ));
        assert!(!verify(
            secret,
            Role::Dialer,
            &hello().encode(),
            &[4; 32],
            &proof
        ));
        let others = [
            Hello {
                purpose: Purpose::Forward,
                ..hello()
            },
            Hello {
                cluster_id: [8; 16],
                ..hello()
            },
            Hello {
                from: StoreId(3),
                ..hello()
            },
            Hello {
                to: StoreId(3),
                ..hello()
            },
            Hello {
                from: StoreId(2),
                to: StoreId(1),
                ..hello()
            },
            Hello {
                nonce: [6; 32],
                ..hello()
            },
        ];
        for other in others {
            assert!(
                !verify(secret, Role::Dialer, &other.encode(), &nonce, &proof),
                "{other:?}"
            );
        }
    }

    #[test]
    fn every_advice_fits_its_frame() {
        let all = [
            Refusal::Malformed,
            Refusal::Version,
            Refusal::ClusterId,
            Refusal::UnknownStore,
            Refusal::OwnId,
            Refusal::WrongStore,
            Refusal::Secret,
        ];
        for refusal in all {
            assert!(
                refusal.advice().len() < Kind::Refused.max_bytes(),
                "{refusal:?}"
            );
        }
    }
}
