//! Whom a client trusts, and who it is: what `connect` of both adapters makes of a server's certificate, what it shows of its
//! own, and that a server which is not trusted hears nothing.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
};
use sansocket::{Client, Error, RedirectCause};

use crate::redirects::{ADAPTERS, Connected, header, read_head, redirect, stopped, switching};

/// An authority, and the file that has its certificate.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: File,
}

/// A certificate, or several, and the key of the first.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = File::new(&issuer.pem());
        Self { issuer, file }
    }

    fn certify(&self, name: &str) -> Identity {
        self.certify_from(name, (2000, 2100))
    }

    fn certify_from(&self, name: &str, (from, to): (i32, i32)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key }
    }

    fn file(&self) -> &Path {
        &self.file.0
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    /// The configuration of a client that trusts it.
    fn trusting(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_root_certificates(self.roots()).with_no_client_auth())
    }
}

impl Identity {
    fn key(&self) -> PrivateKeyDer<'static> {
        self.key.serialize_der().try_into().unwrap()
    }

    fn server(&self) -> Arc<ServerConfig> {
        self.server_of(&TLS13, None)
    }

    fn server_of(
        &self,
        version: &'static SupportedProtocolVersion,
        clients: Option<&Authority>,
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_protocol_versions(&[version]).unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        Arc::new(config.with_single_cert(self.chain.clone(), self.key()).unwrap())
    }
}

/// A server that shows a certificate with which something is wrong.
fn showing(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    server: &ServerConfig,
) -> Arc<ServerConfig> {
    let key = default_provider().key_provider.load_private_key(key).unwrap();
    let mut server = server.clone();
    server.cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
    Arc::new(server)
}

/// A file of its own, which goes when it is dropped.
struct File(PathBuf);

impl File {
    fn new(content: &str) -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sansocket-trust-{}-{number}.pem", process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

/// What a server has heard of a client.
#[derive(Debug, Default)]
struct Heard {
    /// The handshake of TLS came to its end.
    kind: Option<HandshakeKind>,
    head: String,
    certificates: Vec<CertificateDer<'static>>,
    alpn: Option<Vec<u8>>,
}

/// Connects a client to a server that answers one connection.
fn meet(
    connect: fn(Client) -> Connected,
    server: &Arc<ServerConfig>,
    client: impl FnOnce(&str) -> Client,
) -> (Connected, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("wss://localhost:{}/secret-path", listener.local_addr().unwrap().port());
    let server = server.clone();
    let serving = thread::spawn(move || {
        let tcp = listener.accept().unwrap().0;
        let mut stream = StreamOwned::new(ServerConnection::new(server).unwrap(), tcp);
        let head = read_head(&mut stream);
        if let Some(head) = &head {
            stream.write_all(&switching(head)).unwrap();
        }
        // With its end only, so that the client reads why before it finds that nobody listens.
        let _ = stream.sock.shutdown(Shutdown::Write);
        let _ = stream.sock.read_to_end(&mut Vec::new());
        Heard {
            kind: stream.conn.handshake_kind().filter(|_| !stream.conn.is_handshaking()),
            head: head.unwrap_or_default(),
            certificates: stream.conn.peer_certificates().map(<[_]>::to_vec).unwrap_or_default(),
            alpn: stream.conn.alpn_protocol().map(<[_]>::to_vec),
        }
    });
    let connected = connect(client(&uri));
    (connected, serving.join().unwrap())
}

fn client(uri: &str) -> Client {
    Client::new(uri).unwrap().bearer("secret").unwrap()
}

/// The server was heard, and has heard.
#[track_caller]
fn assert_met((connected, heard): (Connected, Heard)) -> Heard {
    connected.unwrap();
    assert!(heard.head.starts_with("GET /secret-path ") && heard.head.contains("Bearer secret"));
    heard
}

/// It was not trusted, for this reason, and was told nothing.
#[track_caller]
fn assert_not_met((connected, heard): (Connected, Heard), why: &str) {
    let error = connected.unwrap_err();
    let expected = format!("cannot connect: {why}");
    assert!(error.to_string().starts_with(&expected), "{error}");
    // What a program may want to look at is there as it was.
    let Error::Connect(error) = error else { panic!("{error:?}") };
    assert!(error.get_ref().unwrap().is::<rustls::Error>());
    assert_eq!(heard.head, "");
    assert_eq!(heard.kind, None);
}

const UNKNOWN: &str = "the other end's certificate is from no authority that is trusted here: if it is to be, a client \
    names the authority's certificate with Client::trust_pem, or trusts the system's with Client::trust_native: invalid \
    peer certificate: UnknownIssuer";

/// 6455-4.1-15: authorities that are named are trusted, in place of those of a list, or of a configuration, and beside each
/// other.
#[test]
fn authorities() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let server = ours.certify("localhost").server();
    for connect in ADAPTERS {
        let trust = |authority: &Authority, client: Client| client.trust_pem(authority.file()).unwrap();
        let changes: [(&dyn Fn(Client) -> Client, bool); 12] = [
            (&|client| client, false),
            (&|client| trust(&ours, client), true),
            (&|client| trust(&other, client), false),
            (&|client| trust(&ours, trust(&other, client)), true),
            (&|client| trust(&other, trust(&ours, client)), true),
            (&|client| client.trust_mozilla(), false),
            (&|client| trust(&ours, client.trust_mozilla()), true),
            (&|client| trust(&ours, client).trust_mozilla(), true),
            (&|client| trust(&ours, client.tls(other.trusting())), true),
            (&|client| trust(&ours, client).tls(other.trusting()), true),
            (&|client| trust(&other, client.tls(ours.trusting())), false),
            (&|client| trust(&other, client).tls(ours.trusting()), false),
        ];
        for (change, trusted) in changes {
            let met = meet(connect, &server, |uri| change(client(uri)));
            if trusted {
                assert_eq!(assert_met(met).alpn, None, "the server lists none");
            } else {
                assert_not_met(met, UNKNOWN);
            }
        }
        // All else of a configuration is kept.
        let mut twelve = (*other.trusting()).clone();
        twelve.alpn_protocols = vec![b"h2".to_vec()];
        let mut lists = (*server).clone();
        lists.alpn_protocols = vec![b"http/1.1".to_vec()];
        let met = meet(connect, &Arc::new(lists), |uri| trust(&ours, client(uri)).tls(Arc::new(twelve)));
        assert_eq!(assert_met(met).alpn.as_deref(), Some(&b"http/1.1"[..]));
    }
}

/// 6455-4.1-15: a certificate that is no good, though its authority is trusted, is told as what it is.
#[test]
fn certificates_that_are_no_good() {
    let ours = Authority::new("ours");
    let mut own = CertificateParams::new(["localhost".to_owned()]).unwrap();
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = own.self_signed(&key).unwrap();
    let authority = Identity { chain: vec![certificate.der().clone()], pem: certificate.pem(), key };
    let authority_file = File::new(&authority.pem);
    for connect in ADAPTERS {
        for (identity, file, why) in [
            (
                ours.certify("example.com"),
                ours.file(),
                "the server's certificate is for another name than the URI's host: invalid peer certificate: \
                 certificate not valid for name \"localhost\"; certificate is only valid for DnsName(\"example.com\")",
            ),
            (
                ours.certify_from("localhost", (2000, 2001)),
                ours.file(),
                "the other end's certificate has expired, or this machine's clock is wrong: ",
            ),
            (
                ours.certify_from("localhost", (2090, 2100)),
                ours.file(),
                "the other end's certificate is not valid yet, or this machine's clock is wrong: ",
            ),
            (
                Identity {
                    key: KeyPair::try_from(authority.key.serialize_der()).unwrap(),
                    chain: authority.chain.clone(),
                    pem: String::new(),
                },
                &authority_file.0,
                "the other end shows an authority's certificate, and not one of its own: make it with the extension \
                 basicConstraints=CA:FALSE: ",
            ),
        ] {
            let met = meet(connect, &identity.server(), |uri| client(uri).trust_pem(file).unwrap());
            assert_not_met(met, why);
            // Whoever asks for it by this name is served all the same.
            let met = meet(connect, &identity.server(), |uri| {
                client(uri).trust_pem(file).unwrap().dangerous_accept_any_certificate()
            });
            assert_met(met);
        }
    }
}

/// What `openssl x509 -req` makes without a file of extensions: a certificate of version 1, and its key.
const VERSION_1: &str = "\
-----BEGIN CERTIFICATE-----
MIIBJTCBywIUVEutZojODPzbG43eNjfHTUzYukUwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEzMDA1Mjk0OFoYDzIxMjYxMTA2MDUyOTQ4
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARqcTmKEyn80kYfwcBShBMNBii/OI2UNWzQkn1KJoSuSRFq1LEJA1MdRfGOEDa5
2m5BDExk3+n2Ym+z8sXSTctMMAoGCCqGSM49BAMCA0kAMEYCIQCZi3F1x3jHO20Z
suC0YxL9vngbPO/dwFrud8GG7xG07QIhALI39xIG+P7pWQsw0E2Jrldxkz01USMl
F4FJcZ4BYjAv
-----END CERTIFICATE-----
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0SOhDWKuFxKijzwG
n3YjX4P0BRF/zlGZ9Uk5Zg3W3HahRANCAARqcTmKEyn80kYfwcBShBMNBii/OI2U
NWzQkn1KJoSuSRFq1LEJA1MdRfGOEDa52m5BDExk3+n2Ym+z8sXSTctM
-----END PRIVATE KEY-----
";

/// 6455-4.1-15: certificates that were made without care, and an authority that was made anew under the same name.
#[test]
fn certificates_of_the_workbench() {
    let (former, anew) = (Authority::new("ours"), Authority::new("ours"));
    let certificate = CertificateDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
    let first = showing(vec![certificate], key, &former.certify("localhost").server());
    for connect in ADAPTERS {
        let trusts = |uri: &str| client(uri).trust_pem(former.file()).unwrap();
        assert_met(meet(connect, &former.certify("localhost").server(), trusts));
        let met = meet(connect, &anew.certify("localhost").server(), trusts);
        assert_not_met(
            met,
            "the other end's certificate, or what it has signed, is not by the key that it should be by: was the \
             certificate made anew, and the one that is trusted is the former?: ",
        );
        let file = File::new(VERSION_1);
        let met = meet(connect, &first, |uri| client(uri).trust_pem(&file.0).unwrap());
        assert_not_met(
            met,
            "the other end's certificate is not of version 3 of X.509: make it with the extension",
        );
    }
}

/// Without verification, in whatever order that is said: but whoever shows a certificate has to have its key.
#[test]
fn any_certificate() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let identity = ours.certify("localhost");
    for connect in ADAPTERS {
        for version in [&TLS12, &TLS13] {
            let server = identity.server_of(version, None);
            for change in [
                (|client, _| client.dangerous_accept_any_certificate()) as fn(Client, &Authority) -> Client,
                |client, other| client.dangerous_accept_any_certificate().trust_pem(other.file()).unwrap(),
                |client, other| client.trust_pem(other.file()).unwrap().dangerous_accept_any_certificate(),
                |client, other| client.dangerous_accept_any_certificate().tls(other.trusting()),
                |client, other| client.tls(other.trusting()).dangerous_accept_any_certificate(),
            ] {
                assert_met(meet(connect, &server, |uri| change(client(uri), &other)));
            }
            // Of somebody else, which the server has seen and copied.
            let copied = showing(identity.chain.clone(), other.certify("localhost").key(), &server);
            let met = meet(connect, &copied, |uri| client(uri).dangerous_accept_any_certificate());
            assert_not_met(met, "the other end's certificate, or what it has signed, is not by the key that");
        }
    }
}

/// A server that asks who its client is learns it, whatever else the client was told, and in whatever order; and a client
/// that shows nothing is told what to do.
#[test]
fn identities() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let (first, second) = (clients.certify("first"), clients.certify("second"));
    let files = |identity: &Identity| (File::new(&identity.pem), File::new(&identity.key.serialize_pem()));
    let both = File::new(&format!("{}\n{}", second.key.serialize_pem(), second.pem));
    let (first_pem, first_key) = files(&first);
    for connect in ADAPTERS {
        for version in [&TLS12, &TLS13] {
            let server = ours.certify("localhost").server_of(version, Some(&clients));
            let is_first = |client: Client| client.identity_pem(&first_pem.0, &first_key.0).unwrap();
            let is_second = |client: Client| client.identity_pem(&both.0, &both.0).unwrap();
            let trusts = |client: Client| client.trust_pem(ours.file()).unwrap();
            let changes: [(&dyn Fn(Client) -> Client, &Identity); 6] = [
                (&|client| is_first(trusts(client)), &first),
                (&|client| trusts(is_second(client)), &second),
                (&|client| is_second(trusts(is_first(client))), &second),
                (&|client| is_first(client.tls(ours.trusting())), &first),
                (&|client| is_first(client).tls(ours.trusting()), &first),
                (&|client| is_first(client).dangerous_accept_any_certificate(), &first),
            ];
            for (change, identity) in changes {
                let heard = assert_met(meet(connect, &server, |uri| change(client(uri))));
                assert_eq!(heard.certificates, identity.chain);
            }

            let (connected, heard) = meet(connect, &server, |uri| trusts(client(uri)));
            let error = connected.unwrap_err().to_string();
            assert!(
                error.contains("the server asks for a client's certificate, which Client::identity_pem"),
                "{error}"
            );
            assert_eq!(heard.head, "");
        }
        // Of an authority that the server does not trust; and a server that does not ask is shown none.
        let server = ours.certify("localhost").server_of(&TLS13, Some(&ours));
        let met = meet(connect, &server, |uri| {
            client(uri).trust_pem(ours.file()).unwrap().identity_pem(&both.0, &both.0).unwrap()
        });
        let error = met.0.unwrap_err().to_string();
        assert!(
            error.contains("the other end trusts no authority of the certificate that it was shown"),
            "{error}"
        );
        assert_eq!(met.1.head, "");
        let server = ours.certify("localhost").server();
        let met = meet(connect, &server, |uri| {
            client(uri).trust_pem(ours.file()).unwrap().identity_pem(&both.0, &both.0).unwrap()
        });
        assert_eq!(assert_met(met).certificates, []);
    }
}

/// A client that is kept, and its clones, resume their sessions; one that is made anew, or told more, does not.
#[test]
fn sessions_are_resumed() {
    let ours = Authority::new("ours");
    let server = ours.certify("localhost").server();
    for connect in ADAPTERS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let server = server.clone();
        let serving = thread::spawn(move || {
            let mut kinds = Vec::new();
            while kinds.len() < 5 {
                let tcp = listener.accept().unwrap().0;
                let mut stream = StreamOwned::new(ServerConnection::new(server.clone()).unwrap(), tcp);
                let head = read_head(&mut stream).unwrap();
                stream.write_all(&switching(&head)).unwrap();
                kinds.push(stream.conn.handshake_kind().unwrap());
            }
            kinds
        });
        let client = client(&uri).trust_pem(ours.file()).unwrap();
        let changes: [fn(Client) -> Client; 4] = [
            |client| client,
            |client| client.bearer("another").unwrap(),
            |client| client.trust_mozilla(),
            |client| client,
        ];
        for change in changes {
            connect(change(client.clone())).unwrap();
        }
        connect(Client::new(&uri).unwrap().trust_pem(ours.file()).unwrap()).unwrap();
        let resumed = serving.join().unwrap().into_iter().map(|kind| kind == HandshakeKind::Resumed);
        assert_eq!(resumed.collect::<Vec<_>>(), [false, true, false, true, false]);
    }
}

/// RFC 7301: a server that speaks something else is told of, whatever the configuration is made of.
#[test]
fn another_protocol() {
    let ours = Authority::new("ours");
    let mut server = (*ours.certify("localhost").server()).clone();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let server = Arc::new(server);
    for connect in ADAPTERS {
        let met = meet(connect, &server, |uri| client(uri).trust_pem(ours.file()).unwrap());
        assert_not_met(met, "by ALPN the server did not choose what it was offered, ");
        let met = meet(connect, &server, |uri| client(uri).dangerous_accept_any_certificate());
        assert_not_met(met, "by ALPN the server did not choose what it was offered, ");
    }
}

/// A redirect leads to TLS, at the same port too, and never away from it.
#[test]
fn redirects() {
    let ours = Authority::new("ours");
    let server = ours.certify("localhost").server();
    for connect in ADAPTERS {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = server.clone();
        let serving = thread::spawn(move || {
            let mut plain = listener.accept().unwrap().0;
            let heads = [read_head(&mut plain).unwrap()];
            let location = format!("https://localhost:{port}/secure");
            plain.write_all(&redirect("301 Moved Permanently", location.as_bytes())).unwrap();
            let [mut open, mut away] = [(), ()].map(|()| {
                let tcp = listener.accept().unwrap().0;
                let mut stream = StreamOwned::new(ServerConnection::new(server.clone()).unwrap(), tcp);
                let head = read_head(&mut stream).unwrap();
                let location = format!("http://localhost:{port}/plain");
                let answer = if head.starts_with("GET /secure ") {
                    switching(&head)
                } else {
                    redirect("307 Temporary Redirect", location.as_bytes())
                };
                stream.write_all(&answer).unwrap();
                (stream, head)
            });
            for (stream, _) in [&mut open, &mut away] {
                let _ = stream.read_to_end(&mut Vec::new());
            }
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "nobody asks in the clear");
            heads.into_iter().chain([open.1, away.1]).collect::<Vec<_>>()
        });
        let client = |uri: String| client(&uri).trust_pem(ours.file()).unwrap().redirects(9);
        let led_to = connect(client(format!("ws://localhost:{port}/"))).unwrap();
        assert_eq!(led_to.unwrap().to_string(), format!("wss://localhost:{port}/secure"));
        let error = stopped(connect(client(format!("wss://localhost:{port}/away"))));
        assert_eq!(error.cause(), &RedirectCause::Insecure);
        assert_eq!(
            error.to_string(),
            format!(
                "localhost:{port} redirects with status 307, from wss to what is not secure: name the ws:// URI itself, \
                 if it is to be used"
            )
        );
        let heads = serving.join().unwrap();
        let borne = heads.iter().map(|head| header(head, "Authorization")).collect::<Vec<_>>();
        assert_eq!(borne, [Some("Bearer secret"), None, Some("Bearer secret")]);
    }
}

/// A file that is wrong is told of, with the line where that begins.
#[test]
fn files_that_are_wrong() {
    let ours = Authority::new("ours");
    let (one, other) = (ours.certify("one"), ours.certify("other"));
    let (pem, key) = (&one.pem, one.key.serialize_pem());
    let cut = &pem[..pem.len() / 2];
    let broken = pem.replacen("\nMI", "\n!!", 1);
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let new = || Client::new("wss://localhost/").unwrap();
    for (content, line, what) in [
        (String::new(), None, "there is no certificate in it"),
        ("words".to_owned(), None, "there is no certificate in it"),
        (key.clone(), None, "there is no certificate in it, but a private key: are the two files exchanged?"),
        (format!("words\n{cut}"), Some(2), "what begins here has no END: the file may be cut short"),
        (format!("\n\n{broken}"), Some(3), "the CERTIFICATE that begins here: "),
        (format!("{pem}{no_certificate}"), Some(pem.lines().count() + 1), "invalid peer certificate: "),
    ] {
        let file = File::new(&content);
        let error = new().trust_pem(&file.0).unwrap_err();
        let place = line.map_or(String::new(), |line| format!(", line {line}"));
        let expected = format!("{}{place}: {what}", file.0.display());
        assert!(error.to_string().starts_with(&expected), "{error}, not {expected}");
        let Error::Certificate(wrong) = error else { panic!("{error}") };
        assert_eq!((wrong.file(), wrong.line()), (Some(&*file.0), line));
    }
    let (pem, key, other) = (File::new(pem), File::new(&key), File::new(&other.pem));
    for (chain, key, what) in [
        (&key.0, &pem.0, "there is no certificate in it, but a private key: are the two files exchanged?"),
        (&pem.0, &pem.0, "there is no private key in it, but a certificate: are the two files exchanged?"),
        (&other.0, &key.0, "line 1: the key is not the one of the first certificate in the other file"),
        (&PathBuf::from("no/such/file"), &key.0, "no/such/file: it cannot be read: "),
    ] {
        let error = new().identity_pem(chain, key).unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(
        new().trust_pem("no/such/file").unwrap_err().to_string().starts_with("no/such/file: it cannot be")
    );
}

/// `Debug` is for logs: neither who the client is, nor how it proves that.
#[test]
fn debug_shows_no_secrets() {
    let ours = Authority::new("ours");
    let one = ours.certify("one");
    let both = File::new(&format!("{}{}", one.pem, one.key.serialize_pem()));
    let client = Client::new("wss://localhost/").unwrap().basic("me", "secret").unwrap();
    let client = client.header("Cookie", "a=secret").unwrap();
    let client = client.identity_pem(&both.0, &both.0).unwrap().trust_pem(ours.file()).unwrap();
    let shown = format!("{client:?}");
    let key = format!("{:?}", one.key.serialize_der());
    for secret in ["secret", "bWU6", &key[1..40]] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("Authorization"), "{shown}");
}

/// The system's authorities are those in the file or the folder that the environment names, and then no others. The
/// environment is that of a process of its own: this test again.
#[cfg(feature = "rustls-native-certs")]
#[test]
fn native_authorities() {
    const ALONE: &str = "SANSOCKET_TRUSTS_NATIVE";

    if let Some(way) = std::env::var_os(ALONE) {
        let error = Client::new("wss://localhost/").unwrap().trust_native().map(drop).err();
        if let Some(expected) = way.to_str().and_then(|way| way.strip_prefix("fails: ")) {
            let error = error.unwrap();
            assert!(error.to_string().starts_with(expected), "{error}");
            let Error::Certificate(wrong) = error else { panic!("{error}") };
            let file = expected.split_once(": ").map(|(file, _)| Path::new(file));
            assert_eq!((wrong.file(), wrong.line()), (file, None));
            return;
        }
        assert!(error.is_none(), "{error:?}");
        let pem = fs::read_to_string(Path::new(&way)).unwrap();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = KeyPair::try_from(key.secret_der()).unwrap();
        let server = Identity { chain: vec![certificate], pem, key }.server();
        let other = Authority::new("other");
        for connect in ADAPTERS {
            assert_met(meet(connect, &server, |uri| client(uri).trust_native().unwrap()));
            let both = |uri: &str| client(uri).trust_pem(other.file()).unwrap().trust_native().unwrap();
            assert_met(meet(connect, &server, both));
            // Without the call, the environment changes nothing.
            assert_not_met(meet(connect, &server, client), UNKNOWN);
            assert_not_met(meet(connect, &server, |uri| client(uri).trust_mozilla()), UNKNOWN);
        }
        return;
    }
    let ours = Authority::new("ours");
    let identity = ours.certify("localhost");
    let server = File::new(&format!("{}{}", identity.pem, identity.key.serialize_pem()));
    let folder = std::env::temp_dir().join(format!("sansocket-trust-{}-folder", process::id()));
    fs::create_dir(&folder).unwrap();
    fs::copy(ours.file(), folder.join("ca.pem")).unwrap();
    let (words, works) = (File::new("words"), &*server.0);
    let (none, nowhere) =
        (Path::new("fails: no certificate of an authority was found, "), Path::new("no/such/file"));
    let unreadable = Path::new("fails: no/such/file: it cannot be read: ");
    for (way, file, folder) in [
        (works, Some(ours.file()), None),
        (works, None, Some(&*folder)),
        (works, Some(&words.0), Some(&folder)),
        (none, Some(&words.0), None),
        (none, None, Some(nowhere)),
        (none, Some(Path::new("")), None),
        (unreadable, Some(nowhere), None),
        (unreadable, Some(nowhere), Some(&folder)),
    ] {
        let mut alone = process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "trust::native_authorities"]).env(ALONE, way);
        for (variable, value) in [("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)] {
            alone.env_remove(variable);
            if let Some(value) = value {
                alone.env(variable, value);
            }
        }
        let output = alone.output().unwrap();
        assert!(output.status.success(), "{way:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
    fs::remove_dir_all(folder).unwrap();
}
