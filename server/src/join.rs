//! A Store with an empty directory asks a cluster to become a member of it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use resp::{Frame, FrameDecoder, encode_command};
use storage::ids::StoreId;
use storage::proto::store::StoreAddress;

use crate::config::Settings;
use crate::config::peers;
use crate::tls::Tls;

/// How long a cluster is asked: long enough for an election there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// One connection attempt, and one wait for a reply.
const IO_TIMEOUT: Duration = Duration::from_secs(10);

/// What the cluster answered.
pub(super) struct Joined {
    /// The id that it gave this Store.
    pub(super) store: StoreId,
    /// The cluster's id.
    pub(super) cluster_id: [u8; 16],
    /// Where the members are.
    pub(super) members: Vec<StoreAddress>,
}

/// Why an attempt failed.
enum Failed {
    /// Trying again may help.
    Now(anyhow::Error),
    /// It cannot: someone must change something first.
    ForGood(anyhow::Error),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Now(error.into())
    }
}

/// Asks the addresses of `join` by turns until one answers. Safe to repeat after a crash: the cluster gives the same id to a
/// Store at the same address while that has received nothing.
pub(super) fn ask(settings: &Settings, tls: &Tls) -> anyhow::Result<Joined> {
    if settings.cluster_secret.is_empty() {
        anyhow::bail!("join needs the cluster's cluster-secret");
    }
    let deadline = Instant::now() + PATIENCE;
    for address in settings.join.iter().cycle() {
        tracing::info!("asking {address} to let this node join");
        let error = match ask_one(settings, tls, address) {
            Ok(joined) => return Ok(joined),
            Err(Failed::ForGood(error)) => return Err(error.context(refused(address))),
            Err(Failed::Now(error)) => error,
        };
        if Instant::now() >= deadline {
            return Err(error.context(refused(address)));
        }
        tracing::warn!("{address} did not let this node join yet: {error}; trying again");
        std::thread::sleep(RETRY_INTERVAL);
    }
    anyhow::bail!("join names no address: write --join host:port")
}

fn refused(address: &str) -> String {
    format!("cannot join the cluster through {address}")
}

fn ask_one(settings: &Settings, tls: &Tls, address: &str) -> Result<Joined, Failed> {
    // A plain connection could tell the password to anyone, so it is never tried in the place of TLS.
    let encrypted = settings.tls.port != 0 && settings.tls.links();
    let mut member = Member::connect(address, encrypted.then_some(tls))?;
    if !settings.requirepass.is_empty() {
        member.call(&["AUTH", settings.requirepass.expose()])?;
    }
    let own = own_address(settings, member.local_ip)?;
    let id = settings.node_id.to_string();
    let reply = member.call(&["RAFT.NODE", "ADD", &id, &own])?;
    parse(&reply).map_err(Failed::ForGood)
}

/// `host:port@bus-port`. Where nothing says it, the address from which this Store reaches the member.
fn own_address(settings: &Settings, local_ip: IpAddr) -> Result<String, Failed> {
    let advertised = settings.advertised(StoreId(settings.node_id));
    let (host, port, bus_port) = match advertised {
        Some(own) => (own.host, own.port, own.bus_port),
        None => {
            let bus = settings
                .announced_bus_port()
                .context("there is no port for the peer link: set cluster-port");
            let bus = bus.map_err(Failed::ForGood)?;
            (
                local_ip.to_string(),
                settings.announced_port().into(),
                bus.into(),
            )
        }
    };
    let port = u16::try_from(port).unwrap_or(0);
    Ok(format!("{}@{bus_port}", peers::host_port(&host, port)))
}

/// The reply to RAFT.NODE ADD: the id, the cluster's id, the members as `cluster-peers` writes them.
fn parse(reply: &Frame) -> anyhow::Result<Joined> {
    let unexpected = || format!("unexpected answer {reply:?}: is a TinyKV server there?");
    let parts = reply.as_slice().with_context(unexpected)?;
    let [id, cluster, members] = parts else {
        anyhow::bail!(unexpected());
    };
    let id = id.as_integer().and_then(|id| u64::try_from(id).ok());
    let cluster = cluster.as_str().with_context(unexpected)?;
    let texts = members.as_slice().with_context(unexpected)?;
    let texts: Option<Vec<String>> = texts
        .iter()
        .map(|text| text.as_str().map(str::to_owned))
        .collect();
    let members = peers::parse(&texts.with_context(unexpected)?).map_err(anyhow::Error::msg)?;
    Ok(Joined {
        store: StoreId(id.with_context(unexpected)?),
        cluster_id: hex::<16>(cluster).with_context(unexpected)?,
        members: members.iter().map(Into::into).collect(),
    })
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// Plain, or TLS.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// A connection to a member, as a client.
struct Member {
    stream: Box<dyn Stream>,
    /// From which this Store reaches it.
    local_ip: IpAddr,
    decoder: FrameDecoder,
}

impl Member {
    fn connect(address: &str, tls: Option<&Tls>) -> Result<Self, Failed> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        for address in address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, IO_TIMEOUT) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(IO_TIMEOUT))?;
                    stream.set_write_timeout(Some(IO_TIMEOUT))?;
                    let local_ip = stream.local_addr()?.ip();
                    let stream: Box<dyn Stream> = match tls {
                        Some(tls) => Box::new(tls.dial_blocking(host, stream)?),
                        None => Box::new(stream),
                    };
                    return Ok(Self {
                        stream,
                        local_ip,
                        decoder: FrameDecoder::new(),
                    });
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    /// Sends a command and waits for its reply; an error reply is a failure, and one for good unless the cluster is busy with
    /// an election or another change.
    fn call(&mut self, args: &[&str]) -> Result<Frame, Failed> {
        let mut out = BytesMut::new();
        encode_command(args, &mut out);
        self.stream.write_all(&out)?;
        self.stream.flush()?;
        loop {
            let frame = self.decoder.next_frame();
            let frame = frame.map_err(|error| Failed::ForGood(error.into()))?;
            if let Some(frame) = frame {
                if !frame.is_error() {
                    return Ok(frame);
                }
                let text = frame.as_str().unwrap_or_default().to_owned();
                let error = anyhow::anyhow!("{text}");
                return Err(if is_passing(&text) {
                    Failed::Now(error)
                } else {
                    Failed::ForGood(error)
                });
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => self.decoder.push(&chunk[..read]),
            }
        }
    }
}

fn is_passing(text: &str) -> bool {
    let codes = ["CLUSTERDOWN", "TRYAGAIN", "UNCERTAIN", "LOADING"];
    codes.iter().any(|code| text.starts_with(code)) || text.contains("try again")
}

#[cfg(test)]
mod tests {
    use super::hex;

    #[test]
    fn ids_are_read_whole_or_not_at_all() {
        assert_eq!(hex::<2>("00ff"), Some([0, 255]));
        assert_eq!(hex::<2>("00f"), None);
        assert_eq!(hex::<2>("00fg"), None);
        assert_eq!(hex::<2>("00ff0"), None);
    }
}
