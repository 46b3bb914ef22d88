//! Certificates for TLS, made for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Signs certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        Self { issuer }
    }

    /// Writes `ca.crt`, and a new certificate for `localhost` as `NAME.crt` and `NAME.key`, into a directory.
    pub fn write(&self, dir: &Path, name: &str) -> Files {
        std::fs::create_dir_all(dir).expect("a directory");
        let (certificate, key) = self.sign();
        let files = Files {
            cert: dir.join(format!("{name}.crt")),
            key: dir.join(format!("{name}.key")),
            ca: dir.join("ca.crt"),
        };
        let texts = [
            (&files.cert, certificate),
            (&files.key, key),
            (&files.ca, self.issuer.pem()),
        ];
        for (path, text) in texts {
            std::fs::write(path, text).expect("written");
        }
        files
    }

    /// A new certificate and its key, in PEM.
    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer);
        (certificate.expect("signed").pem(), key.serialize_pem())
    }

    /// What a client has that trusts this authority and shows no certificate.
    pub fn stranger(&self) -> Arc<ClientConfig> {
        let builder = self.trusting();
        Arc::new(builder.with_no_client_auth())
    }

    /// What a client has that trusts this authority and shows a certificate of `signer`.
    pub fn client_of(&self, signer: &Self) -> Arc<ClientConfig> {
        let (certificate, key) = signer.sign();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let config = self
            .trusting()
            .with_client_auth_cert(vec![certificate], key);
        Arc::new(config.expect("a pair"))
    }

    fn trusting(
        &self,
    ) -> tokio_rustls::rustls::ConfigBuilder<
        ClientConfig,
        tokio_rustls::rustls::client::WantsClientCert,
    > {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
    }
}

/// Paths of what was written.
#[derive(Clone, Debug)]
pub struct Files {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority's certificate.
    pub ca: PathBuf,
}

impl Files {
    /// The options that give them to a server.
    pub fn options(&self) -> Vec<String> {
        let named = [
            ("--tls-cert-file", &self.cert),
            ("--tls-key-file", &self.key),
            ("--tls-ca-cert-file", &self.ca),
        ];
        named
            .iter()
            .flat_map(|(name, path)| [(*name).to_owned(), path.display().to_string()])
            .collect()
    }
}
