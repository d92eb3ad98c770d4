//! Which certificates are accepted, and what is said about the others.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::error::Error as _;

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use support::{Host, well};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use winrm::{CertificateCheck, Client, Error, ErrorKind, TlsProblem, TlsVersion};

struct Identity {
    certificate: X509,
    key: PKey<Private>,
}

struct Wanted<'a> {
    name: &'a str,
    issuer: Option<&'a Identity>,
    /// Days from today.
    valid: (i64, i64),
    is_authority: bool,
    names: Names<'a>,
    /// RSA of this many bits; an elliptic curve where there is nothing.
    rsa: Option<u32>,
    /// Only for clients.
    for_clients: bool,
}

/// What stands in the subjectAltName.
#[derive(Clone, Copy, Default)]
enum Names<'a> {
    /// The common name as a DNS name.
    #[default]
    Common,
    /// No subjectAltName.
    None,
    Dns(&'a str),
    Ip(&'a str),
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            name: "localhost",
            issuer: None,
            valid: (-1, 5),
            is_authority: false,
            names: Names::Common,
            rsa: None,
            for_clients: false,
        }
    }
}

fn issue(wanted: &Wanted<'_>) -> Identity {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = match wanted.rsa {
        Some(bits) => PKey::from_rsa(openssl::rsa::Rsa::generate(bits).unwrap()).unwrap(),
        None => PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap(),
    };
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", wanted.name).unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder
        .set_issuer_name(wanted.issuer.map_or(&name, |issuer| issuer.certificate.subject_name()))
        .unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let day = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    builder.set_not_before(&day(wanted.valid.0)).unwrap();
    builder.set_not_after(&day(wanted.valid.1)).unwrap();
    builder.set_pubkey(&key).unwrap();
    if wanted.is_authority {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
    } else {
        let mut names = SubjectAlternativeName::new();
        match wanted.names {
            Names::Common => names.dns(wanted.name),
            Names::None => &mut names,
            Names::Dns(name) => names.dns(name),
            Names::Ip(address) => names.ip(address),
        };
        if !matches!(wanted.names, Names::None) {
            let names = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        if wanted.for_clients {
            builder
                .append_extension(ExtendedKeyUsage::new().client_auth().build().unwrap())
                .unwrap();
        }
    }
    builder
        .sign(wanted.issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256())
        .unwrap();
    Identity {
        certificate: builder.build(),
        key,
    }
}

fn authority() -> Identity {
    issue(&Wanted {
        name: "Test Authority",
        valid: (-10, 10),
        is_authority: true,
        ..Wanted::default()
    })
}

fn leaf(name: &str, issuer: Option<&Identity>, valid: (i64, i64)) -> Identity {
    issue(&Wanted {
        name,
        issuer,
        valid,
        ..Wanted::default()
    })
}

async fn host_with(identity: &Identity) -> Host {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    // Keys of a test may be as weak as those of an old host.
    acceptor.set_security_level(0);
    acceptor.set_certificate(&identity.certificate).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    Host::listen(Some(acceptor.build()), well).await
}

async fn refused(host: &Host, check: CertificateCheck) -> Error {
    let error = host.https().certificates(check).build().unwrap().identify().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
    assert_eq!(host.seen().len(), 0, "nothing may be sent to a host that isn't trusted");
    error
}

async fn accepted(host: &Host, check: CertificateCheck) {
    let client = host.https().certificates(check).build().unwrap();
    assert_eq!(client.identify().await.unwrap().vendor, "Microsoft Corporation");
}

fn written(identity: &Identity) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), identity.certificate.to_pem().unwrap()).unwrap();
    file
}

#[tokio::test]
async fn self_signed_certificates_are_named_with_all_that_is_known() {
    let identity = leaf("localhost", None, (-1, 1));
    let host = host_with(&identity).await;
    let error = refused(&host, CertificateCheck::System).await;
    let text = error.to_string();
    assert!(
        text.starts_with("the certificate of localhost is self-signed, and not trusted: subject CN=localhost, issuer CN=localhost, valid "),
        "{text}"
    );
    let fingerprint = identity.certificate.digest(MessageDigest::sha256()).unwrap();
    let digits: String = fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.ends_with(&format!("SHA-256 {digits}")), "{text}");
    assert!(error.hint().unwrap().contains("pin its fingerprint"));
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_pinned_certificate_needs_no_name_and_no_authority() {
    let identity = leaf("another.example", None, (-10, -5));
    let host = host_with(&identity).await;
    let fingerprint = identity.certificate.digest(MessageDigest::sha256()).unwrap();
    let pinned = <[u8; 32]>::try_from(&*fingerprint).unwrap();
    accepted(&host, CertificateCheck::Pinned(pinned)).await;
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused() {
    let host = host_with(&leaf("localhost", None, (-1, 1))).await;
    let error = refused(&host, CertificateCheck::Pinned([7; 32])).await;
    let text = error.to_string();
    assert!(
        text.starts_with("the certificate of localhost is not the pinned one: subject CN=localhost"),
        "{text}"
    );
}

#[tokio::test]
async fn authorities_from_a_file_and_from_a_folder() {
    let authority = authority();
    let host = host_with(&leaf("localhost", Some(&authority), (-1, 1))).await;
    let file = written(&authority);
    accepted(&host, CertificateCheck::Authorities(file.path().to_owned())).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(file.path(), folder.path().join("ca.crt")).unwrap();
    std::fs::write(folder.path().join("README"), "not a certificate").unwrap();
    accepted(&host, CertificateCheck::Authorities(folder.path().to_owned())).await;
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let (other, unknown) = (leaf("other", None, (-1, 1)), authority());
    let host = host_with(&leaf("localhost", Some(&unknown), (-1, 1))).await;
    let (other, namesake) = (written(&other), written(&authority()));
    for check in [
        CertificateCheck::System,
        CertificateCheck::Authorities(other.path().to_owned()),
        CertificateCheck::Authorities(namesake.path().to_owned()),
    ] {
        let text = refused(&host, check).await.to_string();
        let sentence = "the certificate of localhost was issued by an authority that is not trusted: \
                        subject CN=localhost, issuer CN=Test Authority, valid ";
        assert!(text.starts_with(sentence), "{text}");
    }
}

#[tokio::test]
async fn wrong_dates_and_names_have_their_own_sentences() {
    let authority = authority();
    let file = written(&authority);
    for (identity, start) in [
        (
            leaf("localhost", Some(&authority), (-5, -1)),
            "the certificate of localhost has expired: subject CN=localhost",
        ),
        (
            leaf("localhost", Some(&authority), (1, 5)),
            "the certificate of localhost is not valid yet: ",
        ),
        (
            leaf("win.example", Some(&authority), (-1, 5)),
            "the certificate of localhost is for win.example: ",
        ),
    ] {
        let host = host_with(&identity).await;
        let error = refused(&host, CertificateCheck::Authorities(file.path().to_owned())).await;
        assert!(error.to_string().starts_with(start), "{error}");
        assert!(error.hint().is_some());
    }
}

/// What is told of each kind of certificate: the problem, a sentence, and what to do about it.
#[tokio::test]
async fn each_refusal_has_its_sentence_and_its_mend() {
    let authority = authority();
    let expired_authority = issue(&Wanted {
        name: "Old Authority",
        valid: (-10, -2),
        is_authority: true,
        ..Wanted::default()
    });
    let by = |wanted: Wanted<'_>| {
        issue(&Wanted {
            issuer: Some(&authority),
            ..wanted
        })
    };
    for (identity, trusted, problem, sentence, mend) in [
        (
            leaf("localhost", None, (-1, 1)),
            &authority,
            TlsProblem::SelfSigned,
            "the certificate of localhost is self-signed, and not trusted: subject CN=localhost, issuer CN=localhost, valid ",
            "pin its fingerprint",
        ),
        (
            leaf("localhost", Some(&expired_authority), (-1, 1)),
            &authority,
            TlsProblem::UnknownIssuer,
            "the certificate of localhost was issued by an authority that is not trusted: subject CN=localhost, issuer CN=Old Authority, ",
            "authority's certificate",
        ),
        (
            leaf("localhost", Some(&expired_authority), (-1, 1)),
            &expired_authority,
            TlsProblem::Expired,
            "a certificate above that of localhost has expired: subject CN=Old Authority, ",
            "clock",
        ),
        (
            by(Wanted {
                valid: (-5, -1),
                ..Wanted::default()
            }),
            &authority,
            TlsProblem::Expired,
            "the certificate of localhost has expired: subject CN=localhost, issuer CN=Test Authority, valid ",
            "clock",
        ),
        (
            by(Wanted {
                valid: (1, 5),
                ..Wanted::default()
            }),
            &authority,
            TlsProblem::NotYetValid,
            "the certificate of localhost is not valid yet: subject CN=localhost, ",
            "clocks",
        ),
        (
            by(Wanted {
                name: "web1.example",
                ..Wanted::default()
            }),
            &authority,
            TlsProblem::WrongName,
            "the certificate of localhost is for web1.example: subject CN=web1.example, ",
            "name",
        ),
        (
            by(Wanted {
                for_clients: true,
                ..Wanted::default()
            }),
            &authority,
            TlsProblem::WrongUsage,
            "the certificate of localhost was not issued for this use: subject CN=localhost, ",
            "server authentication",
        ),
        (
            by(Wanted {
                rsa: Some(768),
                ..Wanted::default()
            }),
            &authority,
            TlsProblem::WeakCertificate,
            "the certificate of localhost has a key or a signature that is too weak: subject CN=localhost, ",
            "DEFAULT@SECLEVEL=0",
        ),
    ] {
        let host = host_with(&identity).await;
        let file = written(trusted);
        let error = refused(&host, CertificateCheck::Authorities(file.path().to_owned())).await;
        let failure = error.as_tls().unwrap();
        assert_eq!(failure.problem(), problem, "{error:?}");
        assert!(error.to_string().starts_with(sentence), "{error}");
        assert!(error.hint().unwrap().contains(mend), "{error:?}");
        let digits: String = identity
            .certificate
            .digest(MessageDigest::sha256())
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(failure.certificate().unwrap().fingerprint, digits);
        // What the error says to pin is what can be pinned.
        accepted(&host, CertificateCheck::pinned(&digits).unwrap()).await;
    }
}

#[tokio::test]
async fn addresses_are_found_in_every_place_that_windows_tools_write_them_to() {
    let authority = authority();
    let file = written(&authority);
    for (name, names, is_for) in [
        ("web1", Names::Ip("127.0.0.1"), true),
        ("web1", Names::Ip("127.0.0.2"), false),
        ("web1", Names::Dns("127.0.0.1"), true),
        ("web1", Names::Dns("127.0.0.11"), false),
        ("127.0.0.1", Names::None, true),
        ("127.0.0.2", Names::None, false),
        // Where there is a subjectAltName, the common name counts for nothing.
        ("127.0.0.1", Names::Dns("web1"), false),
    ] {
        let identity = issue(&Wanted {
            name,
            names,
            issuer: Some(&authority),
            ..Wanted::default()
        });
        let host = host_with(&identity).await;
        let check = CertificateCheck::Authorities(file.path().to_owned());
        let client = Client::builder(&format!("https://{}", host.address))
            .certificates(check)
            .build()
            .unwrap();
        let outcome = client.identify().await;
        assert_eq!(outcome.is_ok(), is_for, "{name}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.as_tls().unwrap().problem(), TlsProblem::WrongName);
        }
    }
}

#[tokio::test]
async fn names_are_told_to_the_server_and_addresses_are_not() {
    let identity = leaf("localhost", None, (-1, 1));
    let named = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&identity.certificate).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    let seen = std::sync::Arc::clone(&named);
    acceptor.set_servername_callback(move |ssl, _| {
        let name = ssl.servername(openssl::ssl::NameType::HOST_NAME).map(str::to_owned);
        seen.lock().unwrap().push(name);
        Ok(())
    });
    let host = Host::listen(Some(acceptor.build()), well).await;
    let ask = |name: &str| {
        let address = format!("https://{name}:{}", host.address.port());
        Client::builder(&address).certificates(CertificateCheck::Ignore)
    };
    ask("127.0.0.1").build().unwrap().identify().await.unwrap();
    ask("localhost").build().unwrap().identify().await.unwrap();
    ask("127.0.0.1")
        .server_name("web1.example.")
        .build()
        .unwrap()
        .identify()
        .await
        .unwrap();
    let expected = [None, Some("localhost".to_owned()), Some("web1.example".to_owned())];
    assert_eq!(*named.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_common_name_without_alternatives_is_a_name_too() {
    let authority = authority();
    let file = written(&authority);
    let identity = issue(&Wanted {
        names: Names::None,
        issuer: Some(&authority),
        ..Wanted::default()
    });
    accepted(&host_with(&identity).await, CertificateCheck::Authorities(file.path().to_owned())).await;
}

#[tokio::test]
async fn an_old_key_is_taken_where_it_is_allowed() {
    let identity = issue(&Wanted {
        rsa: Some(768),
        ..Wanted::default()
    });
    let file = written(&identity);
    let host = host_with(&identity).await;
    let check = CertificateCheck::Authorities(file.path().to_owned());
    let client = host.https().certificates(check).ciphers("DEFAULT@SECLEVEL=0").build().unwrap();
    assert!(client.identify().await.is_ok());
}

#[tokio::test]
async fn a_version_that_is_not_allowed_is_told() {
    let identity = leaf("localhost", None, (-1, 1));
    let file = written(&identity);
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&identity.certificate).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    acceptor.set_max_proto_version(Some(openssl::ssl::SslVersion::TLS1_2)).unwrap();
    let host = Host::listen(Some(acceptor.build()), well).await;
    let builder = || host.https().certificates(CertificateCheck::Authorities(file.path().to_owned()));
    let client = builder().tls_minimum(TlsVersion::Tls1_3).build().unwrap();
    let error = client.identify().await.unwrap_err();
    assert_eq!(error.as_tls().unwrap().problem(), TlsProblem::Version, "{error:?}");
    assert_eq!(error.to_string(), "TLS with localhost has failed: it speaks no TLS from 1.3 on");
    let client = builder().ciphers("AES128-SHA").tls_maximum(TlsVersion::Tls1_2).build().unwrap();
    let error = client.identify().await.unwrap_err();
    assert_eq!(error.as_tls().unwrap().problem(), TlsProblem::NoCommonCipher, "{error:?}");
    assert_eq!(error.to_string(), "TLS with localhost has failed: no cipher in common");
    assert!(builder().tls_maximum(TlsVersion::Tls1_2).build().unwrap().identify().await.is_ok());
}

#[tokio::test]
async fn the_expected_name_can_be_another_than_the_address() {
    let authority = authority();
    let host = host_with(&leaf("win.example", Some(&authority), (-1, 5))).await;
    let file = written(&authority);
    let builder = host.https().certificates(CertificateCheck::Authorities(file.path().to_owned()));
    let client = builder.server_name("win.example").build().unwrap();
    assert!(client.identify().await.is_ok());
}

#[tokio::test]
async fn ignoring_takes_anything() {
    let host = host_with(&leaf("another.example", None, (-10, -5))).await;
    accepted(&host, CertificateCheck::Ignore).await;
}

#[tokio::test]
async fn a_port_without_tls_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        std::future::pending::<()>().await;
    });
    let client = Client::builder(&format!("https://localhost:{port}")).build().unwrap();
    let error = client.identify().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Tls, "TLS with localhost has failed")
    );
    assert_eq!(
        error.hint(),
        Some("what listens there does not speak TLS: is it the port for http?")
    );
}
