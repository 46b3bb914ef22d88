//! Files that can and cannot be used.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{Material, files};
use crate::config::tls::{AuthClients, TlsSettings};

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// Writes `ca.pem`, `node.pem` and `node.key` into `dir`.
fn write(dir: &Path) -> TlsSettings {
    let authority = authority();
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["node".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority).expect("a certificate");
    let put = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    TlsSettings {
        cert_file: put("node.pem", certificate.pem()),
        key_file: put("node.key", key.serialize_pem()),
        ca_cert_file: put("ca.pem", authority.pem()),
        ..TlsSettings::default()
    }
}

fn refusal(settings: &TlsSettings) -> String {
    match Material::load(settings) {
        Ok(_) => panic!("{settings:?} is accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn good_files_serve_clients_and_links() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = write(dir.path());
    let material = Material::load(&settings)
        .expect("good files")
        .expect("some");
    assert!(material.links.is_some() && !material.links_must);
    let no_authority = TlsSettings {
        ca_cert_file: String::new(),
        auth_clients: AuthClients::No,
        ..settings.clone()
    };
    let material = Material::load(&no_authority)
        .expect("good files")
        .expect("some");
    assert!(material.links.is_none());
    let by_directory = TlsSettings {
        ca_cert_file: String::new(),
        ca_cert_dir: dir.path().display().to_string(),
        ..settings.clone()
    };
    assert!(Material::load(&by_directory).expect("good files").is_some());
    assert_eq!(files(&settings).len(), 3);
    assert!(
        Material::load(&TlsSettings::default())
            .expect("nothing to do")
            .is_none()
    );
}

#[test]
fn bad_files_are_named_with_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let other_dir = tempfile::tempdir().expect("a directory");
    let settings = write(dir.path());
    let other = write(other_dir.path());
    let with_key = |key_file: &str| TlsSettings {
        key_file: key_file.to_owned(),
        ..settings.clone()
    };
    assert!(
        refusal(&with_key(&other.key_file)).contains("the private key is of another certificate")
    );
    assert!(refusal(&with_key("/nowhere")).starts_with("tls-key-file /nowhere: No such file"));
    assert!(refusal(&with_key(&settings.cert_file)).contains("there is no private key"));
    let encrypted = dir.path().join("encrypted.key");
    let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(&encrypted, text).expect("written");
    assert!(refusal(&with_key(&encrypted.display().to_string())).contains("openssl pkey"));
    let no_certificate = TlsSettings {
        cert_file: settings.key_file.clone(),
        ..settings.clone()
    };
    assert!(refusal(&no_certificate).contains("there is no certificate"));
}
