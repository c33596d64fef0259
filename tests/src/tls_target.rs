//! A TLS server on loopback with a certificate of its own authority.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;

/// A running server and the authority that vouches for it.
#[derive(Debug)]
pub struct TlsTarget {
    /// Where it listens.
    pub address: SocketAddr,
    /// The authority's certificate, PEM.
    pub ca_pem: String,
}

/// Starts a server on a free port of loopback for the address 127.0.0.1; it answers any HTTP request with 200
/// and runs until the process ends.
pub fn start() -> TlsTarget {
    let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "Test Authority");
    let ca =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key can be made")).expect("it signs itself");
    let key = KeyPair::generate().expect("a key can be made");
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a valid name");
    let leaf = leaf.signed_by(&key, &ca).expect("the authority signs");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .expect("key and certificate belong together");
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let session = rustls::ServerConnection::new(config).ok()?;
                let mut stream = rustls::StreamOwned::new(session, stream);
                // A TLS check ends after the handshake, and then there is nobody to answer.
                let asked = stream.read(&mut [0; 4096]).ok()?;
                (0 < asked).then_some(())?;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n").ok()
            });
        }
    });
    TlsTarget { address, ca_pem: ca.pem() }
}
