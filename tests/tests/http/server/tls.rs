//! HTTPS with a certificate from files.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::{Certificate, Client, Version};
use tests::{Options, Raw, Server, eventually, run};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// A server with certificate files in a folder of its own.
struct Https {
    folder: tempfile::TempDir,
    server: Server,
}

/// Writes a new certificate and its key. Returns a client that believes in nothing else.
fn certify(folder: &Path) -> Client {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    // The key first: what does not fit for a moment changes nothing.
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).expect("the key is written");
    fs::write(folder.join("cert.pem"), cert.pem()).expect("the certificate is written");
    trusting(&cert.pem())
}

fn trusting(certificate: &str) -> Client {
    let root = Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    Client::builder().no_proxy().tls_certs_only([root]).build().expect("a client")
}

fn start(folder: tempfile::TempDir) -> Https {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let arguments = ["--data-dir", &path("data"), "--listen", "127.0.0.1:0", "--database", "mem://"].map(str::to_owned);
    let environment =
        [("IRONRULE_TLS_CERT", path("cert.pem")), ("IRONRULE_TLS_KEY", path("key.pem"))].map(|(name, value)| (name.to_owned(), value));
    let server = Server::start(&arguments, &environment, &folder.path().join("server.log"));
    Https { folder, server }
}

#[tokio::test]
async fn both_versions_of_http_over_tls() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let client = certify(folder.path());
    let https = start(folder);
    assert!(https.server.address().starts_with("https://"), "{}", https.server.address());
    let answer = client.get(format!("{}/readyz", https.server.address())).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_11));
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    let document = client.get(format!("{}/openapi.json", https.server.address())).send().await.expect("an answer");
    let document: serde_json::Value = serde_json::from_str(&document.text().await.expect("a document")).expect("JSON");
    assert_eq!(document["servers"][0]["url"], https.server.address());

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(https.folder.path().join("cert.pem")).expect("a certificate")).expect("a root");
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(https.server.address().trim_start_matches("https://")).await.expect("a connection");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("a beginning");
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "the first frame of HTTP/2 has the settings: {head:?}");
}

#[tokio::test]
async fn plain_http_and_half_a_handshake_get_nothing() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let client = certify(folder.path());
    let https = start(folder);
    let host = https.server.address().trim_start_matches("https://").to_owned();
    let mut plain = Raw::connect(&host).await.expect("a connection");
    plain.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let said = plain.closed().await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    let foreign = Client::builder().no_proxy().build().expect("a client");
    assert!(foreign.get(format!("{}/livez", https.server.address())).send().await.is_err(), "nobody else believes in this certificate");
    assert!(client.get(format!("{}/livez", https.server.address())).send().await.is_ok());
}

#[tokio::test]
async fn a_new_certificate_is_taken_without_dropping_anybody_and_a_broken_one_is_not() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let before = certify(folder.path());
    let https = start(folder);
    let url = format!("{}/livez", https.server.address());
    before.get(&url).send().await.expect("an answer");
    let after = certify(https.folder.path());
    eventually("the new certificate is in force", async || after.get(&url).send().await.ok()).await;
    // The old client believes in the old certificate only: it can only use the connection that it has.
    before.get(&url).send().await.expect("the connection from before is still good");

    fs::write(https.folder.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----\nnonsense\n").expect("written");
    eventually("the log says so", async || https.server.output().contains("the TLS files cannot be used").then_some(())).await;
    // Another key that does not fit.
    let other = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    fs::write(https.folder.path().join("cert.pem"), other.cert.pem()).expect("written");
    eventually("the log names it", async || https.server.output().contains("does not fit `tls_cert`").then_some(())).await;
    after.get(&url).send().await.expect("what was in force stays");
}

#[test]
fn wrong_files_are_explained_at_the_start() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    certify(folder.path());
    let key = path("key.pem");
    fs::write(path("empty.pem"), "").expect("written");
    let other = generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
    fs::write(path("other.pem"), other.cert.pem()).expect("written");
    let cases = [
        (path("nowhere.pem"), key.clone(), "tls_cert"),
        (path("empty.pem"), key.clone(), "tls_cert"),
        (path("cert.pem"), path("nowhere.pem"), "tls_key"),
        (path("cert.pem"), path("cert.pem"), "tls_key"),
        (path("other.pem"), key, "tls_key"),
    ];
    for (certificate, key, named) in cases {
        let file = folder.path().join("ironrule.toml");
        fs::write(&file, format!("tls_cert = {certificate:?}\ntls_key = {key:?}\n")).expect("written");
        explained(&file, named);
    }
    let file = folder.path().join("ironrule.toml");
    fs::write(&file, format!("tls_cert = {:?}\n", path("cert.pem"))).expect("written");
    explained(&file, "tls_key");
    fs::write(&file, "trusted_proxies = [\"everybody\"]\n").expect("written");
    explained(&file, "trusted_proxies");
    fs::write(&file, "proxy_header = \"X-Real-IP\"\n").expect("written");
    explained(&file, "proxy_header");
}

/// The server does not start with this file and names the setting.
fn explained(file: &Path, named: &str) {
    let data = file.with_file_name("data").display().to_string();
    let output =
        run(["--config", &file.display().to_string(), "serve", "--data-dir", &data, "--listen", "127.0.0.1:0", "--database", "mem://"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(named), "{named}: {said}");
    assert!(!said.contains("PRIVATE KEY"), "{said}");
}

#[tokio::test]
async fn browsers_are_told_to_stay_where_a_proxy_speaks_tls() {
    let environment = vec![("IRONRULE_PUBLIC_URL".to_owned(), "https://api.example.com".to_owned())];
    let app = tests::TestApp::start_with(Options { environment, ..Options::default() }).await;
    let answer = app.anonymous().get("/livez").await.expect(200);
    assert_eq!(answer.expect_header("strict-transport-security"), "max-age=31536000");
    let plain = tests::TestApp::start().await;
    assert_eq!(plain.anonymous().get("/livez").await.header("strict-transport-security"), None);
}
