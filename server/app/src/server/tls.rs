//! TLS with a certificate from files, which are read again when they change. Connections that are open keep what they were made with.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
    server::TlsStream,
};

use crate::{Error, config::Config};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The certificate in force.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    files: Files,
    current: Arc<Current>,
    provider: Arc<CryptoProvider>,
}

#[derive(Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What tells whether a file has changed.
type Seen = [Option<(SystemTime, u64)>; 2];

struct Current(ArcSwap<CertifiedKey>);

impl fmt::Debug for Current {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// Reads the files that are configured; none if there are none.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, Error> {
        let files = match (&config.tls_cert, &config.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => Files { certificate: certificate.clone(), key: key.clone() },
            _ => return Err(Error::Configuration("`tls_cert` and `tls_key` go together".to_owned())),
        };
        // The one that the rest of the binary uses; what a dependency may have made the default of the process is not asked.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let current = Arc::new(Current(ArcSwap::new(Arc::new(files.read(&provider).map_err(Error::Configuration)?))));
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = versions.map_err(|error| Error::Internal(error.to_string()))?.with_no_client_auth();
        let mut server = builder.with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(server)), files, current, provider }))
    }

    /// Shakes hands.
    pub(super) async fn accept<I: AsyncRead + AsyncWrite + Unpin>(&self, stream: I) -> io::Result<TlsStream<I>> {
        self.acceptor.accept(stream).await
    }

    /// Takes over files that have changed, until the task is dropped. What cannot be used changes nothing.
    pub(super) async fn follow(self) {
        let mut seen = self.files.seen();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = self.files.seen();
            if found == seen {
                continue;
            }
            // Certificate and key are two files: while only one of them is new they do not fit, and the next look finds the other.
            match self.files.read(&self.provider) {
                Ok(certified) => {
                    self.current.0.store(Arc::new(certified));
                    tracing::info!("the TLS certificate has changed and is in force");
                }
                Err(error) => tracing::warn!(error, "the TLS files cannot be used, what was in force before stays"),
            }
            seen = found;
        }
    }
}

impl Files {
    fn seen(&self) -> Seen {
        [&self.certificate, &self.key].map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
        let wrong = |name: &str, path: &Path, error: &dyn fmt::Display| format!("`{name}`: {}: {error}", path.display());
        let of_certificate = |error: &dyn fmt::Display| wrong("tls_cert", &self.certificate, error);
        let of_key = |error: &dyn fmt::Display| wrong("tls_key", &self.key, error);
        let chain = CertificateDer::pem_file_iter(&self.certificate).map_err(|error| of_certificate(&error))?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(|error| of_certificate(&error))?;
        if chain.is_empty() {
            return Err(of_certificate(&"there is no certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| of_key(&error))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| of_key(&format_args!("it does not fit `tls_cert`: {error}")))
    }
}
