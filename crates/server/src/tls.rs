//! TLS, with a certificate and its key from PEM files. Whatever is wrong with them shows at the start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, Result};

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those that lead to a known authority, in this order, as PEM.
    pub certificate: PathBuf,
    /// The private key of the first certificate, as PEM, without a password.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Reads both files and checks that they belong together.
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>> {
        let certificates = certificates(&self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|source| unusable(&self.key, "no private key can be read from it", source))?;
        let unusable = |source| unusable(&self.certificate, "it does not go with its key", source);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |source| unusable(path, "no certificate can be read from it", source);
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(unreadable)?
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    match certificates.is_empty() {
        true => Err(unusable(path, "there is no certificate in it", "not PEM")),
        false => Ok(certificates),
    }
}

fn unusable(
    path: &Path,
    problem: &'static str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::Tls {
        path: path.to_owned(),
        problem,
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn files_that_go_together_are_taken_and_all_others_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (certificate, key) = pem("localhost");
        let good = TlsFiles {
            certificate: write("a.pem", &certificate),
            key: write("a.key", &key),
        };
        good.load().unwrap();
        let other = write("b.key", &pem("localhost").1);
        let empty = write("empty.pem", "");
        let broken = write("broken.pem", &certificate[..certificate.len() / 2]);
        let missing = folder.path().join("missing.pem");
        for (certificate, key, named) in [
            (&good.certificate, &other, &good.certificate),
            (&good.certificate, &good.certificate, &good.certificate),
            (&good.certificate, &empty, &empty),
            (&good.certificate, &missing, &missing),
            (&missing, &good.key, &missing),
            (&empty, &good.key, &empty),
            (&broken, &good.key, &broken),
            (&good.key, &good.key, &good.key),
        ] {
            let files = TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            let error = files.load().unwrap_err();
            let named = named.display().to_string();
            assert!(error.to_string().contains(&named), "{error}");
        }
    }
}
