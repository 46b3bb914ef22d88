//! Names of protocol versions and cipher suites, as redis.conf and OpenSSL have them.

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion};

use super::material::Error;
use crate::config::tls::TlsSettings;

const TLS12_NAMES: &[(&str, CipherSuite)] = &[
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const TLS13_NAMES: &[(&str, CipherSuite)] = &[
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
];

/// The versions that `tls-protocols` names.
pub(super) fn versions(
    settings: &TlsSettings,
) -> Result<Vec<&'static SupportedProtocolVersion>, Error> {
    let words: Vec<&str> = settings.protocols.split_ascii_whitespace().collect();
    if words.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let version = |word: &&str| match word.to_ascii_lowercase().as_str() {
        "tlsv1.2" => Ok(&TLS12),
        "tlsv1.3" => Ok(&TLS13),
        _ => Err(Error::Setting(format!(
            "tls-protocols {word:?} is not known here: TLSv1.2 and TLSv1.3 are"
        ))),
    };
    words.iter().map(version).collect()
}

/// The cryptography, with the cipher suites that the settings name, in their order.
pub(super) fn provider(settings: &TlsSettings) -> Result<CryptoProvider, Error> {
    let mut provider = ring::default_provider();
    let (tls13, tls12): (Vec<_>, Vec<_>) = provider
        .cipher_suites
        .iter()
        .copied()
        .partition(|suite| suite.tls13().is_some());
    let mut suites = chosen(
        "tls-ciphersuites",
        &settings.ciphersuites,
        TLS13_NAMES,
        tls13,
    )?;
    suites.extend(chosen(
        "tls-ciphers",
        &settings.ciphers,
        TLS12_NAMES,
        tls12,
    )?);
    provider.cipher_suites = suites;
    Ok(provider)
}

fn chosen(
    directive: &str,
    list: &str,
    names: &[(&str, CipherSuite)],
    all: Vec<SupportedCipherSuite>,
) -> Result<Vec<SupportedCipherSuite>, Error> {
    if list.is_empty() {
        return Ok(all);
    }
    let find = |word: &str| {
        let (_, id) = names
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))?;
        all.iter().find(|suite| suite.suite() == *id).copied()
    };
    let words = list.split(':');
    words
        .map(|word| {
            find(word).ok_or_else(|| {
                let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                Error::Setting(format!(
                    "{directive} {word:?} is not known here; the names are {}",
                    known.join(":")
                ))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_has_a_name_and_names_choose() {
        let every = provider(&TlsSettings::default()).expect("all");
        assert_eq!(
            every.cipher_suites.len(),
            TLS12_NAMES.len() + TLS13_NAMES.len()
        );
        let some = TlsSettings {
            ciphers: "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384".to_owned(),
            ciphersuites: "TLS_CHACHA20_POLY1305_SHA256".to_owned(),
            ..TlsSettings::default()
        };
        let suites: Vec<CipherSuite> = provider(&some)
            .expect("known names")
            .cipher_suites
            .iter()
            .map(|suite| suite.suite())
            .collect();
        assert_eq!(
            suites,
            [
                CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            ]
        );
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        let wrong = TlsSettings {
            ciphers: "DEFAULT:!MEDIUM".to_owned(),
            ..TlsSettings::default()
        };
        let error = provider(&wrong).expect_err("no such name").to_string();
        assert!(error.contains("tls-ciphers \"DEFAULT\"") && error.contains("ECDHE-RSA"));
        let wrong = TlsSettings {
            protocols: "TLSv1.1 TLSv1.2".to_owned(),
            ..TlsSettings::default()
        };
        assert!(
            versions(&wrong)
                .expect_err("too old")
                .to_string()
                .contains("TLSv1.1")
        );
    }
}
