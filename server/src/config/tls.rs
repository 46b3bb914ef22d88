//! The directives of TLS, for clients and for the links between nodes. What becomes of the files is in [`crate::tls`].

use super::directives::Directive;
use super::kind::{Choice, Kind};
use super::settings::Settings;

/// The values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented by its row in ROWS")]
pub struct TlsSettings {
    /// 0: no TLS port.
    pub port: u16,
    /// Empty: none.
    pub cert_file: String,
    pub key_file: String,
    /// Empty: as `cert_file`.
    pub client_cert_file: String,
    pub client_key_file: String,
    /// Empty: none.
    pub ca_cert_file: String,
    pub ca_cert_dir: String,
    pub auth_clients: AuthClients,
    pub cluster: bool,
    pub replication: bool,
    /// As given; empty: all. The same holds for the suites.
    pub protocols: String,
    pub ciphers: String,
    pub ciphersuites: String,
    pub prefer_server_ciphers: bool,
    pub session_caching: bool,
    pub session_cache_size: u64,
    pub session_cache_timeout_seconds: u64,
}

impl TlsSettings {
    /// Whether the links between nodes are encrypted. Redis has a directive for each of its two kinds of links; here one link
    /// carries both.
    pub fn links(&self) -> bool {
        self.cluster || self.replication
    }

    /// Whether anything here is to be encrypted.
    pub fn is_used(&self) -> bool {
        self.port != 0 || self.links()
    }

    /// Values that contradict each other. The text says what to do.
    pub(super) fn check(&self) -> Result<(), String> {
        let pair = |cert: &str, key: &str| cert.is_empty() != key.is_empty();
        if pair(&self.cert_file, &self.key_file) {
            return Err("tls-cert-file and tls-key-file belong together: give both".to_owned());
        }
        if pair(&self.client_cert_file, &self.client_key_file) {
            return Err(
                "tls-client-cert-file and tls-client-key-file belong together: give both"
                    .to_owned(),
            );
        }
        if self.is_used() && self.cert_file.is_empty() {
            return Err("TLS needs a certificate: give tls-cert-file and tls-key-file".to_owned());
        }
        let verifies = self.links() || (self.port != 0 && self.auth_clients != AuthClients::No);
        if verifies && self.ca_cert_file.is_empty() && self.ca_cert_dir.is_empty() {
            return Err(
                "tls-ca-cert-file or tls-ca-cert-dir is needed to check the certificates of clients and nodes; with \
                 tls-auth-clients no, clients need none"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthClients {
    /// They are not asked for one.
    No,
    /// They must.
    #[default]
    Yes,
    /// They may; one that is shown must be good.
    Optional,
}

impl Choice for AuthClients {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("no", Self::No),
        ("yes", Self::Yes),
        ("optional", Self::Optional),
    ];
}

macro_rules! text_of {
    ($field:ident) => {
        Kind::Text {
            get: |s: &Settings| s.tls.$field.clone(),
            set: |s: &mut Settings, value| {
                value.clone_into(&mut s.tls.$field);
                Ok(())
            },
        }
    };
}

macro_rules! bool_of {
    ($field:ident) => {
        Kind::Bool {
            get: |s: &Settings| s.tls.$field,
            set: |s: &mut Settings, value| s.tls.$field = value,
        }
    };
}

macro_rules! int_of {
    ($field:ident, $min:expr, $max:expr) => {
        Kind::Int {
            min: $min,
            max: $max,
            get: |s: &Settings| s.tls.$field as u64,
            set: |s: &mut Settings, value| s.tls.$field = value as _,
        }
    };
}

/// The rows.
pub const ROWS: &[Directive] = &[
    Directive::new(
        "tls-port",
        "0",
        int_of!(port, 0, 65535),
        "The TCP port for clients that use TLS; 0: none. With port 0 clients without TLS are not served.",
    ),
    Directive::new(
        "tls-cert-file",
        "\"\"",
        text_of!(cert_file),
        "The certificate that this node shows, in PEM, with those of intermediate authorities after it. All files of this \
         section are read again when they change; new connections use them.",
    )
    .run_time(),
    Directive::new(
        "tls-key-file",
        "\"\"",
        text_of!(key_file),
        "Its private key, in PEM and not encrypted: protect the file by its permissions.",
    )
    .run_time(),
    Directive::new(
        "tls-client-cert-file",
        "\"\"",
        text_of!(client_cert_file),
        "The certificate that this node shows when it connects to another node; empty: that of tls-cert-file.",
    )
    .run_time(),
    Directive::new("tls-client-key-file", "\"\"", text_of!(client_key_file), "Its private key.").run_time(),
    Directive::new(
        "tls-ca-cert-file",
        "\"\"",
        text_of!(ca_cert_file),
        "Certificates of the authorities, in PEM, that those of clients and of other nodes must come from.",
    )
    .run_time(),
    Directive::new(
        "tls-ca-cert-dir",
        "\"\"",
        text_of!(ca_cert_dir),
        "A directory with such certificates: every file in it that ends in .pem, .crt or .cer, and every one named as OpenSSL's \
         rehash does.",
    )
    .run_time(),
    Directive::new(
        "tls-auth-clients",
        "yes",
        Kind::Text {
            get: |s: &Settings| s.tls.auth_clients.name().to_owned(),
            set: |s: &mut Settings, value| {
                s.tls.auth_clients = AuthClients::parse(value)?;
                Ok(())
            },
        },
        "Whether clients at tls-port must show a certificate: yes, no, or optional, where one that is shown must be good.",
    )
    .run_time(),
    Directive::new(
        "tls-cluster",
        "no",
        bool_of!(cluster),
        "Whether the links between nodes use TLS, where both sides show a certificate of the authority. A node with no and with \
         certificates accepts TLS from others and uses it where it is asked to, so that nodes can be changed to yes one by one.",
    ),
    Directive::new(
        "tls-replication",
        "no",
        bool_of!(replication),
        "The same as tls-cluster: one link carries both here.",
    ),
    Directive::new(
        "tls-protocols",
        "\"\"",
        text_of!(protocols),
        "Versions of TLS: TLSv1.2, TLSv1.3, or both in quotes; empty: both.",
    )
    .run_time(),
    Directive::new(
        "tls-ciphers",
        "\"\"",
        text_of!(ciphers),
        "Cipher suites for TLS 1.2 by OpenSSL's names, with colons between them; empty: all that are safe.",
    )
    .run_time(),
    Directive::new(
        "tls-ciphersuites",
        "\"\"",
        text_of!(ciphersuites),
        "Cipher suites for TLS 1.3, with colons between them; empty: all.",
    )
    .run_time(),
    Directive::new(
        "tls-prefer-server-ciphers",
        "no",
        bool_of!(prefer_server_ciphers),
        "Whether this node's order of cipher suites counts, and not the client's.",
    )
    .run_time(),
    Directive::new(
        "tls-session-caching",
        "yes",
        bool_of!(session_caching),
        "Whether clients may resume a session, which spares them most of the handshake.",
    )
    .run_time(),
    Directive::new(
        "tls-session-cache-size",
        "20480",
        int_of!(session_cache_size, 1, 1 << 24),
        "How many sessions are kept for that.",
    )
    .run_time(),
    Directive::new(
        "tls-session-cache-timeout",
        "300",
        int_of!(session_cache_timeout_seconds, 1, i32::MAX as u64),
        "For so many seconds.",
    )
    .run_time(),
];
