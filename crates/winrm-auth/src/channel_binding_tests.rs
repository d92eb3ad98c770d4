//! Certificates are made by OpenSSL, and the expected hash is OpenSSL's.

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509NameBuilder};

use super::*;

fn rsa_key() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap()
}

fn certificate(key: &PKey<Private>, digest: MessageDigest) -> Vec<u8> {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, "host").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(key, digest).unwrap();
    builder.build().to_der().unwrap()
}

#[track_caller]
fn assert_hashed_with(der: &[u8], digest: MessageDigest) {
    let binding = ChannelBinding::from_certificate_der(der).unwrap();
    let expected = [b"tls-server-end-point:", &*hash(digest, der).unwrap()].concat();
    assert_eq!(binding.application_data(), expected);
}

#[test]
fn rsa_signatures() {
    let key = rsa_key();
    for (signed, hashed) in [
        (MessageDigest::md5(), MessageDigest::sha256()),
        (MessageDigest::sha1(), MessageDigest::sha256()),
        (MessageDigest::sha256(), MessageDigest::sha256()),
        (MessageDigest::sha384(), MessageDigest::sha384()),
        (MessageDigest::sha512(), MessageDigest::sha512()),
    ] {
        assert_hashed_with(&certificate(&key, signed), hashed);
    }
}

#[test]
fn ecdsa_signatures() {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    for (signed, hashed) in [
        (MessageDigest::sha1(), MessageDigest::sha256()),
        (MessageDigest::sha256(), MessageDigest::sha256()),
        (MessageDigest::sha384(), MessageDigest::sha384()),
        (MessageDigest::sha512(), MessageDigest::sha512()),
    ] {
        assert_hashed_with(&certificate(&key, signed), hashed);
    }
}

#[test]
fn ed25519_signatures() {
    let key = PKey::generate_ed25519().unwrap();
    assert_hashed_with(&certificate(&key, MessageDigest::null()), MessageDigest::sha256());
}

/// Made with `openssl req -x509 -sigopt rsa_padding_mode:pss -sha384`: the crate can't sign certificates with PSS.
#[test]
fn pss_signatures() {
    for (file, hashed) in [
        (&include_bytes!("../tests/data/pss-sha256.der")[..], MessageDigest::sha256()),
        (include_bytes!("../tests/data/pss-sha384.der"), MessageDigest::sha384()),
        (include_bytes!("../tests/data/pss-sha512.der"), MessageDigest::sha512()),
    ] {
        assert_hashed_with(file, hashed);
    }
}

#[test]
fn every_truncation_is_refused() {
    let der = include_bytes!("../tests/data/pss-sha384.der");
    for length in 0..der.len() {
        assert!(ChannelBinding::from_certificate_der(&der[..length]).is_err(), "{length}");
    }
    let longer = [&der[..], b"x"].concat();
    assert_eq!(
        ChannelBinding::from_certificate_der(&longer),
        Err(InvalidCertificate(DerError::Trailing { at: der.len() }))
    );
}

#[test]
fn the_gss_struct_has_empty_addresses_and_a_length() {
    let binding = ChannelBinding::from_application_data(b"tls-server-end-point:x".to_vec());
    let mut expected = vec![0; 16];
    expected.extend_from_slice(&[22, 0, 0, 0]);
    expected.extend_from_slice(b"tls-server-end-point:x");
    assert_eq!(binding.gss_struct(), expected);
    assert_eq!(binding.md5().as_slice(), &*hash(MessageDigest::md5(), &expected).unwrap());
}
