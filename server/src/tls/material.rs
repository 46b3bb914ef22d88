//! From the files and settings to what rustls needs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error as ThisError;
use tokio_rustls::rustls;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::sessions::Sessions;
use super::suites;
use super::verify::AnyName;
use crate::config::tls::{AuthClients, TlsSettings};

/// How an encrypted private key begins.
const ENCRYPTED: &str = "ENCRYPTED";

/// Why TLS cannot be used. Says which file, and what to do.
#[derive(Debug, ThisError)]
pub enum Error {
    /// A file is not there, or not what it should be.
    #[error("{directive} {}: {reason}", path.display())]
    File {
        /// Who names it.
        directive: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A value that is not understood.
    #[error("{0}")]
    Setting(String),
    /// The values do not go together.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Everything that connections begin with.
#[derive(Debug)]
pub(super) struct Material {
    /// For the port for clients.
    pub(super) clients: Arc<ServerConfig>,
    /// For links to other nodes, where there are authorities.
    pub(super) links: Option<Links>,
    /// Links without TLS are refused.
    pub(super) links_must: bool,
}

/// Both sides of a link.
#[derive(Debug)]
pub(super) struct Links {
    pub(super) accept: Arc<ServerConfig>,
    pub(super) dial: Arc<ClientConfig>,
}

impl Material {
    /// Reads the files; none without a certificate.
    pub(super) fn load(settings: &TlsSettings) -> Result<Option<Self>, Error> {
        if settings.cert_file.is_empty() {
            return Ok(None);
        }
        let base = Base {
            provider: Arc::new(suites::provider(settings)?),
            versions: suites::versions(settings)?,
            own: Own::read(
                ("tls-cert-file", &settings.cert_file),
                ("tls-key-file", &settings.key_file),
            )?,
        };
        let roots = roots(settings)?;
        let links = roots.clone().map(|roots| base.links(settings, roots));
        Ok(Some(Self {
            clients: Arc::new(base.clients(settings, roots)?),
            links: links.transpose()?,
            links_must: settings.links(),
        }))
    }
}

/// What both kinds of connections have.
struct Base {
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    own: Own,
}

impl Base {
    fn clients(
        &self,
        settings: &TlsSettings,
        roots: Option<Arc<RootCertStore>>,
    ) -> Result<ServerConfig, Error> {
        let verifier = match (settings.auth_clients, roots) {
            (AuthClients::No, _) | (_, None) => WebPkiClientVerifier::no_client_auth(),
            (AuthClients::Yes, Some(roots)) => self.client_verifier(roots, false)?,
            (AuthClients::Optional, Some(roots)) => self.client_verifier(roots, true)?,
        };
        let mut config = self.server(verifier)?;
        config.ignore_client_order = settings.prefer_server_ciphers;
        if settings.session_caching {
            config.session_storage = Arc::new(Sessions::new(
                settings.session_cache_size as usize,
                Duration::from_secs(settings.session_cache_timeout_seconds),
            ));
        } else {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(config)
    }

    fn links(&self, settings: &TlsSettings, roots: Arc<RootCertStore>) -> Result<Links, Error> {
        let accept = self.server(self.client_verifier(Arc::clone(&roots), false)?)?;
        let provider = Arc::clone(&self.provider);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let verifier = verifier.build().map_err(unusable_authorities)?;
        let shown = if settings.client_cert_file.is_empty() {
            self.own.clone()
        } else {
            Own::read(
                ("tls-client-cert-file", &settings.client_cert_file),
                ("tls-client-key-file", &settings.client_key_file),
            )?
        };
        let dial = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
            .with_client_auth_cert(shown.chain.clone(), shown.key.clone_key())
            .map_err(|error| shown.mismatch(&error))?;
        Ok(Links {
            accept: Arc::new(accept),
            dial: Arc::new(dial),
        })
    }

    fn client_verifier(
        &self,
        roots: Arc<RootCertStore>,
        optional: bool,
    ) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let provider = Arc::clone(&self.provider);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let builder = if optional {
            builder.allow_unauthenticated()
        } else {
            builder
        };
        builder.build().map_err(unusable_authorities)
    }

    fn server(&self, verifier: Arc<dyn ClientCertVerifier>) -> Result<ServerConfig, Error> {
        ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.own.chain.clone(), self.own.key.clone_key())
            .map_err(|error| self.own.mismatch(&error))
    }
}

fn unusable_authorities(error: rustls::server::VerifierBuilderError) -> Error {
    Error::Setting(format!(
        "the certificates of tls-ca-cert-file and tls-ca-cert-dir cannot be used: {error}"
    ))
}

/// A certificate with its chain, and its key.
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    directive: &'static str,
    path: PathBuf,
}

impl Clone for Own {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            directive: self.directive,
            path: self.path.clone(),
        }
    }
}

impl Own {
    fn read(cert: (&'static str, &str), key: (&'static str, &str)) -> Result<Self, Error> {
        Ok(Self {
            chain: certificates(cert.0, Path::new(cert.1))?,
            key: private_key(key.0, Path::new(key.1))?,
            directive: cert.0,
            path: cert.1.into(),
        })
    }

    fn mismatch(&self, error: &rustls::Error) -> Error {
        let reason = match error {
            rustls::Error::InconsistentKeys(_) => {
                "the private key is of another certificate".to_owned()
            }
            error => format!("{error} (a certificate of X.509 version 3 is needed)"),
        };
        Error::File {
            directive: self.directive,
            path: self.path.clone(),
            reason,
        }
    }
}

fn wrong(directive: &'static str, path: &Path, reason: impl ToString) -> Error {
    Error::File {
        directive,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn certificates(
    directive: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = std::fs::read(path).map_err(|error| wrong(directive, path, error))?;
    let list: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let list = list.map_err(|error| wrong(directive, path, error))?;
    if list.is_empty() {
        return Err(wrong(
            directive,
            path,
            "there is no certificate in PEM in it",
        ));
    }
    Ok(list)
}

fn private_key(directive: &'static str, path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = std::fs::read(path).map_err(|error| wrong(directive, path, error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound if String::from_utf8_lossy(&text).contains(ENCRYPTED) => wrong(
            directive,
            path,
            "an encrypted key cannot be read: write it without a password (openssl pkey -in FILE -out FILE), and protect the \
             file by its permissions",
        ),
        pem::Error::NoItemsFound => wrong(directive, path, "there is no private key in PEM in it"),
        error => wrong(directive, path, error),
    })
}

/// The authorities; none without a directive.
fn roots(settings: &TlsSettings) -> Result<Option<Arc<RootCertStore>>, Error> {
    let mut roots = RootCertStore::empty();
    for (directive, path) in authority_files(settings)? {
        for certificate in certificates(directive, &path)? {
            roots
                .add(certificate)
                .map_err(|error| wrong(directive, &path, error))?;
        }
    }
    let given = !settings.ca_cert_file.is_empty() || !settings.ca_cert_dir.is_empty();
    Ok(given.then(|| Arc::new(roots)))
}

fn authority_files(settings: &TlsSettings) -> Result<Vec<(&'static str, PathBuf)>, Error> {
    let mut files = Vec::new();
    if !settings.ca_cert_file.is_empty() {
        files.push(("tls-ca-cert-file", PathBuf::from(&settings.ca_cert_file)));
    }
    if !settings.ca_cert_dir.is_empty() {
        let dir = Path::new(&settings.ca_cert_dir);
        let found = list(dir).map_err(|error| wrong("tls-ca-cert-dir", dir, error))?;
        if found.is_empty() {
            let reason = "no file in it ends in .pem, .crt or .cer";
            return Err(wrong("tls-ca-cert-dir", dir, reason));
        }
        files.extend(found.into_iter().map(|path| ("tls-ca-cert-dir", path)));
    }
    Ok(files)
}

/// The files of a directory that may be certificates, in order of name.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|end| end.to_str());
        // OpenSSL's rehash makes links named by a hash and a number.
        let is_number = |end: &str| end.parse::<u32>().is_ok();
        if extension.is_some_and(|end| ["pem", "crt", "cer"].contains(&end) || is_number(end)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Every file that [`Material::load`] reads.
pub(super) fn files(settings: &TlsSettings) -> Vec<PathBuf> {
    let named = [
        &settings.cert_file,
        &settings.key_file,
        &settings.client_cert_file,
        &settings.client_key_file,
    ];
    let mut files: Vec<PathBuf> = named
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        .collect();
    // A directory that cannot be read is noticed when it is.
    files.extend(
        authority_files(settings)
            .unwrap_or_default()
            .into_iter()
            .map(|(_, path)| path),
    );
    files
}

#[cfg(test)]
mod tests;
