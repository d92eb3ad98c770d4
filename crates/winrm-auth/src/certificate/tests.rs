//! Files in every form, made by OpenSSL's own functions; the program `openssl` judges in the tests of `winrm cert`.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkcs12::Pkcs12;
use openssl::provider::Provider;
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::{X509Builder, X509NameBuilder};

use super::*;

fn rsa() -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(2_048).unwrap()).unwrap()
}

fn ec() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn named(name: &str, key: &PKey<Private>, issuer: Option<(&X509, &PKey<Private>)>) -> X509 {
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509Builder::new().unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&subject, |(issuer, _)| issuer.subject_name()))
        .unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.sign(issuer.map_or(key, |(_, key)| key), MessageDigest::sha256()).unwrap();
    builder.build()
}

fn passphrase() -> Secret {
    Secret::new("päss phrase")
}

/// The key in every form: name, bytes, whether it is encrypted.
fn forms(key: &PKey<Private>) -> Vec<(&'static str, Vec<u8>, bool)> {
    let passphrase = passphrase();
    let words = passphrase.expose().as_bytes();
    let cipher = Cipher::aes_256_cbc;
    let mut forms = vec![
        ("PKCS#8", key.private_key_to_pem_pkcs8().unwrap(), false),
        (
            "PKCS#8 encrypted",
            key.private_key_to_pem_pkcs8_passphrase(cipher(), words).unwrap(),
            true,
        ),
        (
            "PKCS#8 3DES",
            key.private_key_to_pem_pkcs8_passphrase(Cipher::des_ede3_cbc(), words).unwrap(),
            true,
        ),
        ("PKCS#8 DER", key.private_key_to_pkcs8().unwrap(), false),
        (
            "PKCS#8 DER encrypted",
            key.private_key_to_pkcs8_passphrase(cipher(), words).unwrap(),
            true,
        ),
        ("own DER", key.private_key_to_der().unwrap(), false),
    ];
    if let Ok(rsa) = key.rsa() {
        forms.push(("PKCS#1", rsa.private_key_to_pem().unwrap(), false));
        forms.push((
            "PKCS#1 encrypted",
            rsa.private_key_to_pem_passphrase(cipher(), words).unwrap(),
            true,
        ));
    }
    if let Ok(ec) = key.ec_key() {
        forms.push(("SEC 1", ec.private_key_to_pem().unwrap(), false));
        forms.push(("SEC 1 encrypted", ec.private_key_to_pem_passphrase(cipher(), words).unwrap(), true));
    }
    forms
}

#[test]
fn keys_in_every_form() {
    for key in [rsa(), ec()] {
        let certificate = named("alice", &key, None).to_pem().unwrap();
        for (form, bytes, encrypted) in forms(&key) {
            let read = |passphrase: Option<&Secret>| ClientCertificate::from_pem(&certificate, &bytes, passphrase);
            let right = read(Some(&passphrase())).unwrap_or_else(|error| panic!("{form}: {error}"));
            assert!(right.key().public_eq(&key), "{form}");
            let what = Encrypted::Key;
            match encrypted {
                true => {
                    assert_eq!(read(None).unwrap_err(), CertificateError::PassphraseNeeded { what }, "{form}");
                    for wrong in ["", "x", "päss phrase ", "p\0ss", &"long".repeat(1_000)] {
                        let error = read(Some(&Secret::new(wrong))).unwrap_err();
                        assert_eq!(error, CertificateError::WrongPassphrase { what }, "{form} {wrong}");
                    }
                }
                false => assert!(read(None).is_ok(), "{form}"),
            }
        }
    }
}

#[test]
fn one_file_may_hold_everything_in_any_order() {
    let (root_key, middle_key, key) = (ec(), ec(), rsa());
    let root = named("root", &root_key, None);
    let middle = named("middle", &middle_key, Some((&root, &root_key)));
    let leaf = named("alice", &key, Some((&middle, &middle_key)));
    let stranger = named("middle", &ec(), None);
    let mut text = b"Bag Attributes\r\n".to_vec();
    for certificate in [&root, &stranger, &leaf, &middle] {
        text.extend(certificate.to_pem().unwrap());
    }
    text.extend(key.private_key_to_pem_pkcs8().unwrap());
    let read = ClientCertificate::read(&text, None, None).unwrap();
    assert_eq!(name_text(read.leaf().subject_name()), "CN=alice");
    let chain: Vec<String> = read
        .chain()
        .iter()
        .map(|certificate| name_text(certificate.subject_name()))
        .collect();
    assert_eq!(chain, ["CN=middle", "CN=root"]);
    assert_eq!(read.chain()[0].to_der().unwrap(), middle.to_der().unwrap());
    assert_eq!(format!("{read:?}"), r#"ClientCertificate { subject: "CN=alice", chain: 2, .. }"#);
}

#[test]
fn certificates_in_der() {
    let key = ec();
    let certificate = named("alice", &key, None);
    let der = certificate.to_der().unwrap();
    assert!(ClientCertificate::read(&der, Some(&key.private_key_to_der().unwrap()), None).is_ok());
    assert_eq!(FileForm::of(&der), FileForm::Der);
    let swapped = ClientCertificate::from_pem(&key.private_key_to_der().unwrap(), &der, None).unwrap_err();
    assert_eq!(swapped.to_string(), "there is no certificate in it, only a private key in DER");
    let error = ClientCertificate::read(&der, None, None).unwrap_err();
    assert_eq!(error.to_string(), "there is no private key in it, only a certificate in DER");
    let error = ClientCertificate::read(&der[..der.len() - 1], Some(b"x"), None).unwrap_err();
    assert!(error.to_string().starts_with("the certificate in DER is damaged: "), "{error}");
}

#[test]
fn what_is_wrong_is_told_apart() {
    let key = ec();
    let certificate = named("alice", &key, None).to_pem().unwrap();
    let key_pem = key.private_key_to_pem_pkcs8().unwrap();
    let text = |certificates: &[u8], key: &[u8]| ClientCertificate::from_pem(certificates, key, None).unwrap_err().to_string();
    assert_eq!(text(b"", &key_pem), "there is no certificate in it");
    assert_eq!(text(&key_pem, &key_pem), "there is no certificate in it, only PRIVATE KEY");
    assert_eq!(text(&certificate, b""), "there is no private key in it");
    assert_eq!(text(&certificate, &certificate), "there is no private key in it, only CERTIFICATE");
    let other = ec().private_key_to_pem_pkcs8().unwrap();
    assert_eq!(
        text(&certificate, &other),
        "the private key does not belong to the certificate of CN=alice"
    );
    let broken = |label: &str| format!("\n-----BEGIN {label}-----\nMAMCAQU=\n-----END {label}-----\n").into_bytes();
    let damaged = text(&broken("CERTIFICATE"), &key_pem);
    assert!(damaged.starts_with("the certificate at line 2 is damaged: "), "{damaged}");
    let damaged = text(&certificate, &broken("PRIVATE KEY"));
    assert!(damaged.starts_with("the private key at line 2 is damaged: "), "{damaged}");
    let damaged = text(&certificate, &broken("ENCRYPTED PRIVATE KEY"));
    assert_eq!(damaged, "the private key at line 2 is damaged: its encryption can't be read");
    let ssh = CertificateError::NoKey {
        found: vec!["OPENSSH PRIVATE KEY".to_owned()],
    };
    assert!(ssh.hint().unwrap().contains("ssh-keygen"));
}

#[test]
fn pfx_files_both_ways() {
    let (root_key, key) = (ec(), rsa());
    let root = named("root", &root_key, None);
    let leaf = named("alice", &key, Some((&root, &root_key)));
    let whole = ClientCertificate::join(vec![leaf, root], key).unwrap();
    for encryption in [PfxEncryption::Aes256, PfxEncryption::TripleDes] {
        let pfx = whole.to_pfx("alice", &passphrase(), encryption).unwrap();
        assert_eq!(FileForm::of(&pfx), FileForm::Pfx);
        let read = ClientCertificate::read(&pfx, None, Some(&passphrase())).unwrap();
        assert!(read.key().public_eq(whole.key()));
        assert_eq!(read.chain().len(), 1);
        let what = Encrypted::Pfx;
        let error = |passphrase: Option<&str>| ClientCertificate::from_pfx(&pfx, passphrase.map(Secret::from).as_ref()).unwrap_err();
        assert_eq!(error(None), CertificateError::PassphraseNeeded { what });
        assert_eq!(error(Some("wrong")), CertificateError::WrongPassphrase { what });
        assert_eq!(error(Some("p\0")), CertificateError::WrongPassphrase { what });
        let cut = ClientCertificate::from_pfx(&pfx[..pfx.len() / 2], Some(&passphrase())).unwrap_err();
        assert!(matches!(cut, CertificateError::Damaged { what: "the PFX file", .. }), "{cut}");
        let mut changed = pfx.clone();
        changed[pfx.len() / 2] ^= 1;
        assert!(ClientCertificate::from_pfx(&changed, Some(&passphrase())).is_err());
        let key = whole.key().private_key_to_pkcs8().unwrap();
        assert_eq!(
            ClientCertificate::read(&pfx, Some(&key), None).unwrap_err(),
            CertificateError::TwoKeys
        );
    }
    assert!(matches!(
        ClientCertificate::from_pfx(b"-----BEGIN", None),
        Err(CertificateError::Damaged { .. })
    ));
    assert!(whole.to_pfx("alice", &Secret::new("a\0b"), PfxEncryption::Aes256).is_err());
}

#[test]
fn a_pfx_file_that_demands_hours_is_refused_at_once() {
    let key = ec();
    let mut builder = Pkcs12::builder();
    builder.pkey(&key).cert(&named("alice", &key, None)).key_iter(0x01_02_03);
    let mut pfx = builder.build2("x").unwrap().to_der().unwrap();
    let places: Vec<usize> = (0..pfx.len() - 5).filter(|&at| pfx[at..at + 5] == [2, 3, 1, 2, 3]).collect();
    assert!(!places.is_empty());
    for at in places {
        pfx[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
    }
    let error = ClientCertificate::from_pfx(&pfx, Some(&"x".into())).unwrap_err();
    let (what, rounds) = (Encrypted::Pfx, 0x7f_ff_ff);
    assert_eq!(error, CertificateError::TooMuchWork { what, rounds });
}

#[test]
fn a_pfx_file_without_a_passphrase_needs_none() {
    let key = ec();
    let pfx = Pkcs12::builder().pkey(&key).cert(&named("alice", &key, None)).build2("").unwrap();
    assert!(ClientCertificate::from_pfx(&pfx.to_der().unwrap(), None).is_ok());
}

#[test]
fn a_pfx_file_with_half_of_it_says_which() {
    let key = ec();
    let certificate = named("alice", &key, None);
    let mut builder = Pkcs12::builder();
    let pfx = builder.cert(&certificate).build2("x").unwrap().to_der().unwrap();
    let error = ClientCertificate::from_pfx(&pfx, Some(&"x".into())).unwrap_err();
    assert_eq!(error, CertificateError::NoKey { found: Vec::new() });
    let pfx = Pkcs12::builder().pkey(&key).build2("x").unwrap().to_der().unwrap();
    let error = ClientCertificate::from_pfx(&pfx, Some(&"x".into())).unwrap_err();
    assert_eq!(error, CertificateError::NoCertificate { found: Vec::new() });
}

#[test]
fn pfx_files_of_older_windows_versions_are_read_where_openssl_can() {
    let key = rsa();
    let Ok(legacy) = Provider::try_load(None, "legacy", true) else {
        println!("skipped: this OpenSSL has no provider legacy");
        return;
    };
    let mut builder = Pkcs12::builder();
    builder.pkey(&key).cert(&named("alice", &key, None));
    builder.key_algorithm(Nid::PBE_WITHSHA1AND3_KEY_TRIPLEDES_CBC);
    builder
        .cert_algorithm(Nid::PBE_WITHSHA1AND40BITRC2_CBC)
        .mac_md(MessageDigest::sha1());
    let pfx = builder.build2("päss phrase").unwrap().to_der().unwrap();
    drop(legacy);
    let file = Pkcs12::from_der(&pfx).unwrap();
    let error = file.parse2("päss phrase").err().expect("the provider is unloaded again");
    assert_eq!(error::unsupported_algorithm(&error).as_deref(), Some("RC2-40-CBC"));
    let read = ClientCertificate::from_pfx(&pfx, Some(&passphrase())).unwrap();
    assert!(read.key().public_eq(&key));
    assert_eq!(
        ClientCertificate::from_pfx(&pfx, Some(&"wrong".into())).unwrap_err(),
        CertificateError::WrongPassphrase { what: Encrypted::Pfx }
    );
}
