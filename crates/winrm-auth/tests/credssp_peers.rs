//! CredSSP against pyspnego, token by token: versions, inner mechanisms, TLS versions and suites, in both directions.

#![expect(clippy::unwrap_used, reason = "what goes wrong ends the test")]

#[path = "../../winrm-gssapi/tests/kdc/mod.rs"]
mod kdc;
#[allow(dead_code, reason = "the tests of NTLM use the rest")]
mod support;

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use support::{Failure, PASSWORD, Peer, USER, accept, acceptor, initiate, initiator};
use winrm_auth::credssp::{AcceptorTls, CredSspAcceptor, CredSspError, CredSspInitiator, InitiatorTls, InnerTlsVersion, NtStatus};
use winrm_auth::kerberos::{KerberosInitiator, KerberosService, KerberosTarget, Tickets};
use winrm_auth::sealed_body::{Protocol, open, seal};
use winrm_auth::spnego::{SpnegoAcceptor, SpnegoInitiator};
use winrm_auth::{ChannelBindingPolicy, Credentials, Error, Mechanism, Sealer, SecurityContext};

const SOAP: &str = "application/soap+xml;charset=UTF-8";

/// A conversation.
#[derive(Clone, Copy, Debug)]
struct Case<'a> {
    inner: &'a str,
    version: u32,
    minimum: u32,
    tls: &'a str,
    ciphers: &'a str,
    key: &'a str,
    user: &'a str,
    password: &'a str,
}

const PLAIN: Case<'static> = Case {
    inner: "auto",
    version: 6,
    minimum: 2,
    tls: "any",
    ciphers: "-",
    key: "rsa",
    user: USER,
    password: PASSWORD,
};

impl Case<'_> {
    fn peer(&self, role: &str) -> Option<Peer> {
        let (version, minimum) = (self.version.to_string(), self.minimum.to_string());
        let args = [
            role,
            self.inner,
            &version,
            &minimum,
            self.tls,
            self.ciphers,
            self.key,
            self.user,
            self.password,
            "localhost",
        ];
        Peer::run("credssp_peer.py", &args, &format!("{self:?}"))
    }

    fn version_of_tls(&self) -> InnerTlsVersion {
        if self.tls == "1.0" {
            InnerTlsVersion::Tls10
        } else {
            InnerTlsVersion::Tls12
        }
    }

    fn client(&self, inner: SpnegoInitiator) -> CredSspInitiator {
        let credentials = Credentials::parse(self.user, self.password).unwrap();
        CredSspInitiator::new(InitiatorTls::new(self.version_of_tls()).unwrap(), inner, credentials, [7; 32])
    }

    /// Our initiator to the peer's acceptor.
    fn initiate(&self) -> Option<(SecurityContext, Peer)> {
        let mut peer = self.peer("accept")?;
        let ntlm = initiator(self.user, self.password, None);
        let mut ours = self.client(SpnegoInitiator::new(vec![Box::new(ntlm)]));
        let context = initiate(&mut ours, &mut peer).unwrap_or_else(|failure| panic!("{self:?}: {failure:?}"));
        assert_eq!(ours.version(), Some(self.version), "{self:?}");
        assert_eq!(peer.tell("agreed"), self.version.to_string(), "{self:?}");
        Some((context, peer))
    }

    /// The peer's initiator to our acceptor.
    fn accept(&self) -> Option<(SecurityContext, Peer)> {
        let mut peer = self.peer("initiate")?;
        let mut ours = self.server();
        let context = accept(&mut ours, &mut peer).unwrap_or_else(|failure| panic!("{self:?}: {failure:?}"));
        assert_eq!(ours.version(), Some(self.version), "{self:?}");
        Some((context, peer))
    }

    fn server(&self) -> CredSspAcceptor {
        let inner = SpnegoAcceptor::new(vec![Box::new(acceptor(ChannelBindingPolicy::Ignore))]);
        CredSspAcceptor::new(&server_tls(self.version_of_tls()), inner).unwrap()
    }
}

fn server_tls(version: InnerTlsVersion) -> AcceptorTls {
    static NEW: OnceLock<AcceptorTls> = OnceLock::new();
    static OLD: OnceLock<AcceptorTls> = OnceLock::new();
    let made = match version {
        InnerTlsVersion::Tls12 => &NEW,
        InnerTlsVersion::Tls10 => &OLD,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    made.get_or_init(|| AcceptorTls::self_signed("server", now, version).unwrap())
        .clone()
}

/// Records and bodies of many lengths, both ways.
fn assert_seals(context: &mut SecurityContext, peer: &mut Peer, case: &Case<'_>) {
    for length in [1, 2, 15, 16, 17, 100, 1_000, 16_383, 16_384] {
        let plain: Vec<u8> = (0..length).map(|n| (n * 31) as u8).collect();
        let Sealer::CredSsp(sealer) = &mut context.sealer else {
            panic!("{case:?}")
        };
        let mut record = Vec::new();
        let trailer = sealer.seal_record(&plain, &mut record).unwrap();
        // pyspnego puts header and data together again, as WinRM's body has them.
        let (header, data) = record.split_at(trailer);
        assert!(peer.unwrap(header, data).unwrap() == plain, "{case:?}: {length} bytes to the peer");

        let (header, data) = peer.wrap(&plain);
        let mut message = [&header[..], &data].concat();
        let range = context.sealer.unseal_in_place(header.len(), &mut message).unwrap();
        assert!(message[range] == plain, "{case:?}: {length} bytes from the peer");
    }
    for length in [10, 16_384, 16_385, 70_000, 1_000_000] {
        // XML, because pypsrp looks for the boundary instead of counting.
        let plain = format!("<s:Envelope>{}</s:Envelope>", "é".repeat(length / 2)).into_bytes();
        let (content_type, mut body) = peer.seal_body(&plain);
        let opened = open(&mut context.sealer, &content_type, &mut body, plain.len()).unwrap();
        assert_eq!((opened.protocol, opened.original_type.as_str()), (Protocol::CredSsp, SOAP));
        assert_eq!(content_type, Protocol::CredSsp.content_type_for(plain.len()), "as pypsrp has it");
        assert!(body[opened.plain] == plain, "{case:?}: a body of {length} bytes from pypsrp");

        let body = seal(&mut context.sealer, Protocol::CredSsp, SOAP, &plain).unwrap();
        assert!(
            peer.open_body(&body).unwrap() == plain,
            "{case:?}: a body of {length} bytes to pypsrp"
        );
    }
}

#[test]
fn we_initiate_with_every_version() {
    for version in [2, 3, 4, 5, 6] {
        let case = Case { version, ..PLAIN };
        let Some((mut context, mut peer)) = case.initiate() else { return };
        assert_eq!(context.mechanism, Mechanism::Ntlm);
        assert_eq!(peer.name(), USER);
        assert_eq!(peer.tell("credentials"), format!("DOMAIN alice {PASSWORD}"));
        assert_seals(&mut context, &mut peer, &case);
    }
}

#[test]
fn we_accept_every_version() {
    for inner in ["auto", "ntlm"] {
        for version in [2, 3, 4, 5, 6] {
            let case = Case { inner, version, ..PLAIN };
            let Some((mut context, mut peer)) = case.accept() else { return };
            assert_eq!(context.peer.as_ref().unwrap().to_string(), USER, "{case:?}");
            let delegated = context.delegated_credentials.as_deref();
            assert_eq!(delegated, Some(&Credentials::parse(USER, PASSWORD).unwrap()), "{case:?}");
            assert_seals(&mut context, &mut peer, &case);
        }
    }
}

/// Suites of Windows from Server 2008 on: the version of TLS, OpenSSL's name, the key.
const SUITES: [(&str, &str, &str); 9] = [
    ("1.2", "AES128-SHA", "rsa"),
    ("1.2", "AES256-SHA256", "rsa"),
    ("1.2", "AES256-GCM-SHA384", "rsa"),
    ("1.2", "ECDHE-RSA-AES256-SHA", "rsa"),
    ("1.2", "ECDHE-RSA-AES128-SHA256", "rsa"),
    ("1.2", "ECDHE-RSA-AES256-SHA384", "rsa"),
    ("1.2", "ECDHE-RSA-AES128-GCM-SHA256", "rsa"),
    ("1.0", "AES128-SHA", "rsa"),
    ("1.0", "ECDHE-RSA-AES256-SHA", "rsa"),
];

fn suite(case: &Case<'_>) -> String {
    let version = if case.tls == "1.0" { "TLSv1" } else { "TLSv1.2" };
    format!("{version} {}", case.ciphers.trim_end_matches(":@SECLEVEL=0"))
}

#[test]
fn we_initiate_with_every_suite() {
    let elliptic = [
        ("1.2", "ECDHE-ECDSA-AES256-GCM-SHA384", "ec"),
        ("1.2", "ECDHE-ECDSA-AES128-SHA256", "ec"),
        ("1.2", "ECDHE-ECDSA-AES256-SHA", "ec"),
    ];
    for (tls, ciphers, key) in SUITES.into_iter().chain(elliptic) {
        let ciphers = &format!("{ciphers}:@SECLEVEL=0");
        for version in [2, 6] {
            let case = Case {
                tls,
                ciphers,
                key,
                version,
                ..PLAIN
            };
            let Some((mut context, mut peer)) = case.initiate() else { return };
            assert_eq!(peer.tell("suite"), suite(&case));
            if version == 6 {
                assert_seals(&mut context, &mut peer, &case);
            }
        }
    }
}

#[test]
fn we_accept_with_every_suite() {
    for (tls, ciphers, key) in SUITES {
        let ciphers = &format!("{ciphers}:@SECLEVEL=0");
        let case = Case {
            tls,
            ciphers,
            key,
            ..PLAIN
        };
        let Some((mut context, mut peer)) = case.accept() else { return };
        assert_eq!(peer.tell("suite"), suite(&case));
        assert_seals(&mut context, &mut peer, &case);
    }
}

#[test]
fn tls_1_3_is_never_chosen() {
    let case = PLAIN;
    let Some((_, mut peer)) = case.initiate() else { return };
    assert!(peer.tell("suite").starts_with("TLSv1.2 "));
    let Some((_, mut peer)) = case.accept() else { return };
    assert!(peer.tell("suite").starts_with("TLSv1.2 "));
}

#[test]
fn minimum_versions_hold_on_both_sides() {
    for (version, minimum, possible) in [(4, 5, false), (5, 5, true), (5, 6, false), (2, 3, false)] {
        let case = Case { version, ..PLAIN };
        let Some(mut peer) = case.peer("accept") else { return };
        let ntlm = initiator(USER, PASSWORD, None);
        let mut ours = case.client(SpnegoInitiator::new(vec![Box::new(ntlm)])).minimum_version(minimum);
        let outcome = initiate(&mut ours, &mut peer).map(drop);
        let old = CredSspError::VersionTooOld { peer: version, minimum };
        match outcome {
            Ok(()) => assert!(possible, "{version}, at least {minimum}"),
            Err(Failure::Ours(error)) => assert_eq!((error, possible), (Error::CredSsp(old.clone()), false)),
            Err(other) => panic!("{other:?}"),
        }
        let mut peer = case.peer("initiate").unwrap();
        match accept(&mut case.server().minimum_version(minimum), &mut peer) {
            Ok(_) => assert!(possible, "{version}, at least {minimum}"),
            Err(Failure::Ours(error)) => assert_eq!((error, possible), (Error::CredSsp(old), false)),
            Err(other) => panic!("{other:?}"),
        }
    }
    // And theirs holds against ours, whose version is 6.
    let strict = Case { minimum: 6, ..PLAIN };
    assert!(strict.initiate().is_some() && strict.accept().is_some());
}

#[test]
fn a_wrong_password_is_told_in_both_directions() {
    for version in [2, 3, 5, 6] {
        let case = Case { version, ..PLAIN };
        let Some(mut peer) = case.peer("accept") else { return };
        let ntlm = initiator(USER, "wrong", None);
        let mut ours = case.client(SpnegoInitiator::new(vec![Box::new(ntlm)]));
        let failure = initiate(&mut ours, &mut peer).unwrap_err();
        match (version, failure) {
            // Versions without a field for the reason end in silence; pyspnego says no status but its own.
            (3 | 6, Failure::Ours(Error::CredSsp(CredSspError::Refused(_)))) => {}
            (2 | 5, Failure::Ours(Error::CredSsp(CredSspError::Closed))) => {}
            (_, failure) => panic!("{version}: {failure:?}"),
        }

        let case = Case { password: "wrong", ..case };
        let mut peer = case.peer("initiate").unwrap();
        let mut ours = case.server();
        let failure = accept(&mut ours, &mut peer).unwrap_err();
        assert!(matches!(failure, Failure::Ours(Error::Ntlm(_))), "{version}: {failure:?}");
        let farewell = winrm_auth::TokenMachine::farewell(&mut ours);
        assert_eq!(farewell.is_some(), matches!(version, 3 | 6), "{version}");
        if let Some(farewell) = farewell {
            let heard = peer.step(&farewell).unwrap_err();
            let status = NtStatus::LOGON_FAILURE.0.cast_signed();
            assert!(
                heard.contains("Received NTStatus") || heard.contains(&status.to_string()),
                "{heard}"
            );
        }
    }
}

#[test]
fn credssp_with_a_kdc() {
    let Some(kdc) = kdc::Kdc::start("CREDSSP.TEST") else { return };
    if std::env::var_os("WINRM_TEST_PYTHON").is_some() {
        kdc.run("kerberos_", &[]);
    }
}

#[test]
#[ignore = "run by `credssp_with_a_kdc`"]
fn kerberos_inside_both_ways() {
    kdc::kinit("user", "cc", &[]); // the default one: KRB5CCNAME of the script, where the peer looks
    let tickets = || Tickets::Ccache(kdc::kinit("user", "ours", &[]));
    for version in [2, 5, 6] {
        for tls in ["1.2", "1.0"] {
            for inner in ["auto", "kerberos"] {
                let case = Case {
                    inner,
                    version,
                    tls,
                    user: "user@CREDSSP.TEST",
                    password: kdc::PASSWORD,
                    ..PLAIN
                };
                let mut peer = case.peer("initiate").unwrap();
                let kerberos = KerberosService::open(Some(&kdc::keytab())).unwrap();
                let inner = SpnegoAcceptor::new(vec![
                    Box::new(kerberos.acceptor(ChannelBindingPolicy::Ignore)),
                    Box::new(acceptor(ChannelBindingPolicy::Ignore)),
                ]);
                let mut ours = CredSspAcceptor::new(&server_tls(case.version_of_tls()), inner).unwrap();
                let mut context = accept(&mut ours, &mut peer).unwrap_or_else(|failure| panic!("{case:?}: {failure:?}"));
                assert_eq!((context.mechanism, ours.version()), (Mechanism::Kerberos, Some(version)));
                assert_eq!(context.peer.as_ref().unwrap().to_string(), r"CREDSSP.TEST\user");
                let delegated = context.delegated_credentials.as_deref();
                assert_eq!(delegated, Some(&Credentials::parse(case.user, case.password).unwrap()));
                assert_seals(&mut context, &mut peer, &case);
            }
            let case = Case {
                version,
                tls,
                user: "user@CREDSSP.TEST",
                password: kdc::PASSWORD,
                ..PLAIN
            };
            for with_ntlm in [false, true] {
                let mut peer = case.peer("accept").unwrap();
                let kerberos = KerberosInitiator::new(KerberosTarget::new("localhost"), tickets());
                let mut machines: Vec<Box<dyn winrm_auth::TokenMachine>> = vec![Box::new(kerberos)];
                if with_ntlm {
                    machines.push(Box::new(initiator(case.user, case.password, None)));
                }
                let mut ours = case.client(SpnegoInitiator::new(machines));
                let mut context = initiate(&mut ours, &mut peer).unwrap_or_else(|failure| panic!("{case:?}: {failure:?}"));
                assert_eq!((context.mechanism, ours.version()), (Mechanism::Kerberos, Some(version)));
                assert_eq!(peer.name(), "user@CREDSSP.TEST");
                assert_eq!(peer.tell("credentials"), format!("- user@CREDSSP.TEST {}", kdc::PASSWORD));
                assert_seals(&mut context, &mut peer, &case);
            }
        }
    }
}
