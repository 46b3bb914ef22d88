//! A client that waits for its replies.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use resp::{Frame, FrameDecoder, encode_command};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longer than any request may wait in the server before it is answered, if only with an error.
const REPLY_TIMEOUT: Duration = Duration::from_secs(20);

/// Where a server on this machine listens at a port.
pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Bytes in both directions.
trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// One connection.
pub struct Client {
    /// Plain, or TLS.
    stream: Box<dyn Stream>,
    /// The socket below.
    socket: TcpStream,
    decoder: FrameDecoder,
}

impl Client {
    /// Connects to a server on this machine.
    pub fn connect(port: u16) -> io::Result<Self> {
        Self::connect_to(local(port))
    }

    /// Connects to a server anywhere.
    pub fn connect_to(address: SocketAddr) -> io::Result<Self> {
        let socket = Self::socket(address)?;
        Ok(Self::over(socket.try_clone()?, socket))
    }

    /// Connects with TLS. Whether the server accepts the certificate shows in the first reply at the latest.
    pub fn connect_tls(port: u16, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let socket = Self::socket(local(port))?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), name);
        let connection = connection.map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket.try_clone()?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self::over(stream, socket))
    }

    fn socket(address: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(REPLY_TIMEOUT))?;
        socket.set_write_timeout(Some(REPLY_TIMEOUT))?;
        socket.set_nodelay(true)?;
        Ok(socket)
    }

    fn over(stream: impl Stream + 'static, socket: TcpStream) -> Self {
        Self {
            stream: Box::new(stream),
            socket,
            decoder: FrameDecoder::new(),
        }
    }

    /// The socket of the connection.
    pub fn stream(&self) -> &TcpStream {
        &self.socket
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, args: &[&str]) -> io::Result<Frame> {
        let mut out = BytesMut::new();
        encode_command(args, &mut out);
        self.send(&out)?;
        self.reply()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The next reply.
    pub fn reply(&mut self) -> io::Result<Frame> {
        loop {
            let frame = self
                .decoder
                .next_frame()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if let Some(frame) = frame {
                return Ok(frame);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.decoder.push(&chunk[..read]),
            }
        }
    }

    /// The reply to a command as text; of an error, its text.
    ///
    /// # Panics
    /// When the connection breaks, or the reply is not text or a number.
    pub fn text(&mut self, args: &[&str]) -> String {
        let frame = self
            .call(args)
            .unwrap_or_else(|error| panic!("{args:?}: {error}"));
        match (frame.as_str(), frame.as_integer()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(number)) => number.to_string(),
            (None, None) if frame.is_null() => "(nil)".to_owned(),
            (None, None) => panic!("{args:?}: {frame:?} is not text"),
        }
    }

    /// A field of INFO.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn info(&mut self, section: &str, field: &str) -> String {
        let text = self.text(&["INFO", section]);
        text.lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .unwrap_or_else(|| panic!("INFO {section} has no {field}: {text}"))
            .to_owned()
    }
}
