//! TLS for probes. How the server's certificate is judged is the user's choice; that is all that this
//! module adds to the library.

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::TlsConnector;

use super::Reason;
use super::dial::{Connection, plain};

/// How the certificate of a server is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// By the authorities that this host trusts.
    Trusted,
    /// By these authorities alone, in PEM. A server may also show one of these certificates itself,
    /// as servers with a certificate of their own making do.
    Authorities(Arc<[u8]>),
    /// Not at all.
    Insecure,
}

/// Speaks TLS over a connection. The name is the one that the certificate has to be for.
pub(super) async fn secure(
    stream: Box<dyn Connection>,
    name: &str,
    verification: &Verification,
) -> Result<Box<dyn Connection>, Reason> {
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_invalid| Reason::Tls(format!("`{name}` cannot be the name in a certificate")))?;
    let config = configuration(verification)?;
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error)
            if error
                .get_ref()
                .is_some_and(|inner| inner.is::<rustls::Error>()) =>
        {
            Err(Reason::Tls(format!("tls: {}", plain(&error))))
        }
        Err(error) => Err(Reason::broken(&error)),
    }
}

fn configuration(verification: &Verification) -> Result<Arc<ClientConfig>, Reason> {
    // The certificates of a system take milliseconds to be read.
    static TRUSTED: LazyLock<Result<Arc<ClientConfig>, String>> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        by_authorities(roots)
    });
    let made = match verification {
        Verification::Trusted => TRUSTED.clone(),
        Verification::Authorities(pem) => {
            by_own_authorities(CertificateDer::pem_slice_iter(pem).flatten().collect())
        }
        Verification::Insecure => by_verifier(Own {
            provider: Arc::new(ring::default_provider()),
            certificates: Vec::new(),
            verifier: None,
        }),
    };
    made.map_err(Reason::Tls)
}

fn by_own_authorities(
    certificates: Vec<CertificateDer<'static>>,
) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    by_verifier(Own {
        provider,
        certificates,
        verifier: Some(verifier),
    })
}

fn by_verifier(verifier: Own) -> Result<Arc<ClientConfig>, String> {
    let builder = builder()?.dangerous();
    let builder = builder.with_custom_certificate_verifier(Arc::new(verifier));
    Ok(Arc::new(builder.with_no_client_auth()))
}

fn by_authorities(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    Ok(Arc::new(
        builder()?
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())
}

/// Judges by certificates of the user's, or takes every certificate. That whoever shows one has its
/// key is asked for in either case.
#[derive(Debug)]
struct Own {
    provider: Arc<CryptoProvider>,
    /// Certificates that a server may show itself.
    certificates: Vec<CertificateDer<'static>>,
    /// Judges by them as authorities; `None` takes everything.
    verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(verifier) = &self.verifier else {
            return Ok(ServerCertVerified::assertion());
        };
        // A certificate that has signed itself is that of an authority, which the library takes for no
        // server's. The user has named this one.
        if self.certificates.contains(end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
