//! TLS for clients (`tls-port`) and for the links between nodes (`tls-cluster`), by rustls.
//!
//! The files that the directives name are read at the start, when CONFIG SET changes a directive, and when they change
//! (`watch`). What they make is one immutable `Material`; connections begin with the one in force, and keep it. Files that
//! cannot be used are told in the log and leave the last good ones in force.
//!
//! A link between nodes proves itself twice: by a certificate of the authority, on both sides, and inside by the cluster secret
//! ([`crate::transport`]). Names in nodes' certificates are not compared: nodes are known by their ids, and move.
//!
//! | file | what it holds |
//! |---|---|
//! | `material` | from files and settings to what rustls needs |
//! | `suites` | names of protocol versions and cipher suites |
//! | `sessions` | sessions that clients may resume |
//! | `verify` | the check of another node's certificate |
//! | `watch` | files that change |

mod material;
mod sessions;
mod suites;
mod verify;
mod watch;

use std::io;
use std::net::TcpStream as BlockingStream;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, StreamOwned};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use crate::config::tls::TlsSettings;
pub use material::Error;
use material::Material;
pub use watch::keep_current;

/// First byte of a TLS connection: the type of its handshake's records.
pub const FIRST_BYTE: u8 = 0x16;

/// A connection of this node, as a client, to another one.
pub type BlockingTls = StreamOwned<ClientConnection, BlockingStream>;

/// What TLS connections begin with, now.
#[derive(Debug, Default)]
pub struct Tls {
    current: ArcSwapOption<Material>,
}

impl Tls {
    /// Reads the files.
    pub fn open(settings: &TlsSettings) -> Result<Self, Error> {
        let tls = Self::default();
        tls.replace(settings)?;
        Ok(tls)
    }

    /// Reads them again. After an error what was in force stays.
    pub fn replace(&self, settings: &TlsSettings) -> Result<(), Error> {
        self.current.store(Material::load(settings)?.map(Arc::new));
        Ok(())
    }

    /// Whether there is a certificate, so that clients can be served.
    pub fn is_on(&self) -> bool {
        self.current.load().is_some()
    }

    /// Whether links must use it.
    pub fn links_must(&self) -> bool {
        let current = self.current.load();
        current.as_ref().is_some_and(|material| material.links_must)
    }

    /// Whether links can use it: there are a certificate and authorities.
    pub fn links_can(&self) -> bool {
        let current = self.current.load();
        let links = current
            .as_ref()
            .and_then(|material| material.links.as_ref());
        links.is_some()
    }

    /// The server's side of a client's handshake.
    pub async fn accept_client(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let current = self.current.load_full().ok_or_else(off)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&current.clients));
        Ok(acceptor.accept(stream).await?.into())
    }

    /// The accepting side of a link's handshake.
    pub async fn accept_link(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let current = self.current.load_full().ok_or_else(off)?;
        let links = current.links.as_ref().ok_or_else(off)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&links.accept));
        Ok(acceptor.accept(stream).await?.into())
    }

    /// The dialing side of a link's handshake; `host` is where it was dialed.
    pub async fn dial_link(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let current = self.current.load_full().ok_or_else(off)?;
        let links = current.links.as_ref().ok_or_else(off)?;
        let connector = TlsConnector::from(Arc::clone(&links.dial));
        Ok(connector.connect(server_name(host), stream).await?.into())
    }

    /// Makes a connection to another node's port for clients one of TLS. The handshake is done by the first bytes.
    pub fn dial_blocking(&self, host: &str, stream: BlockingStream) -> io::Result<BlockingTls> {
        let current = self.current.load_full().ok_or_else(off)?;
        let links = current.links.as_ref().ok_or_else(off)?;
        let connection = ClientConnection::new(Arc::clone(&links.dial), server_name(host))
            .map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}

/// The name that is asked for, which a node behind a proxy may be chosen by. It is not compared.
fn server_name(host: &str) -> ServerName<'static> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let fallback = || ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| fallback())
}

fn off() -> io::Error {
    io::Error::other("TLS is not configured here")
}
