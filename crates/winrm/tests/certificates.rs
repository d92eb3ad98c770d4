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
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use support::{Host, well};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use winrm::{CertificateCheck, Client, Error, ErrorKind};

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
}

fn issue(wanted: &Wanted<'_>) -> Identity {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
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
        let names = SubjectAlternativeName::new()
            .dns(wanted.name)
            .build(&builder.x509v3_context(None, None))
            .unwrap();
        builder.append_extension(names).unwrap();
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
        issuer: None,
        valid: (-10, 10),
        is_authority: true,
    })
}

fn leaf(name: &str, issuer: Option<&Identity>, valid: (i64, i64)) -> Identity {
    issue(&Wanted {
        name,
        issuer,
        valid,
        is_authority: false,
    })
}

async fn host_with(identity: &Identity) -> Host {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
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
