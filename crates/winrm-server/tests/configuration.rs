//! `winrm/config` as a client reads and changes it, and that a change is in effect.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod wire;

use tokio::net::TcpStream;
use winrm_server::{CbtHardeningLevel, Credentials, Identity, Quotas};
use wire::{ALICE, BOB, CREATE, DELETE, GET, Reply, Service, Wire, builder, envelope, envelope_for, start};

const CONFIG: &str = "http://schemas.microsoft.com/wbem/wsman/1/config";
const PUT: &str = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put";
const ENUMERATE: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";
const SCHEMA: u32 = 0x8033_8041;

fn uri(part: &str) -> String {
    if part.is_empty() {
        CONFIG.to_owned()
    } else {
        format!("{CONFIG}/{part}")
    }
}

fn selectors(keys: &[(&str, &str)]) -> String {
    let keys: String = keys
        .iter()
        .map(|(name, value)| format!(r#"<w:Selector Name="{name}">{value}</w:Selector>"#))
        .collect();
    format!("<w:SelectorSet>{keys}</w:SelectorSet>")
}

async fn get(wire: &mut Wire<TcpStream>, part: &str) -> Reply {
    wire.post(&envelope_for(&uri(part), GET, "", "")).await
}

/// Puts what is inside of the section's element.
async fn put(wire: &mut Wire<TcpStream>, part: &str, inner: &str) -> Reply {
    let name = match part.rsplit('/').next().unwrap() {
        "" => "Config".to_owned(),
        name => format!("{}{}", name[..1].to_uppercase(), &name[1..]),
    };
    // As Windows' own winrm writes it.
    let inner = inner.replace("</", "</p:").replace('<', "<p:").replace("<p:/p:", "</p:");
    let body = format!(r#"<p:{name} xmlns:p="{}.xsd">{inner}</p:{name}>"#, uri(part));
    wire.post(&envelope_for(&uri(part), PUT, "", &body)).await
}

async fn service() -> (Service, Wire<TcpStream>) {
    let service = start(builder()).await;
    let wire = service.connect().await;
    (service, wire)
}

#[tokio::test]
async fn every_part_is_read_with_windows_defaults() {
    let (_service, mut wire) = service().await;
    let whole = get(&mut wire, "").await;
    for (tag, value) in [
        ("cfg:MaxBatchItems", "32000"),
        ("cfg:NetworkDelayms", "5000"),
        (
            "cfg:RootSDDL",
            "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)",
        ),
        ("cfg:EnumerationTimeoutms", "240000"),
        ("cfg:CbtHardeningLevel", "Relaxed"),
        ("cfg:IPv4Filter", "*"),
        ("cfg:AllowRemoteAccess", "true"),
        ("cfg:AllowRemoteShellAccess", "true"),
        ("cfg:IdleTimeout", "7200000"),
    ] {
        assert_eq!(whole.text(tag), value, "{tag}");
    }
    for (part, tag, value) in [
        ("service", "cfg:MaxConnections", "300"),
        ("Service/Auth", "cfg:Negotiate", "true"),
        ("service/defaultports", "cfg:HTTPS", "5986"),
        ("client", "cfg:TrustedHosts", ""),
        ("client/auth", "cfg:Digest", "true"),
        ("client/defaultports", "cfg:HTTP", "5985"),
        ("winrs/", "cfg:MaxShellsPerUser", "2147483647"),
    ] {
        let reply = get(&mut wire, part).await;
        assert_eq!(reply.status, 200, "{part}: {}", reply.body);
        assert_eq!(reply.text(tag), value, "{part}");
        assert!(
            reply
                .body
                .contains(&format!("xmlns:cfg=\"{}\"", uri(part.trim_end_matches('/')).to_lowercase())),
            "{}",
            reply.body
        );
    }
    get(&mut wire, "nonsense").await.fault(0x8033_803B, "a:DestinationUnreachable");
    get(&mut wire, "service/maxconnections")
        .await
        .fault(0x8033_803B, "a:DestinationUnreachable");
    let keys = selectors(&[("A", "b")]);
    let reply = wire.post(&envelope_for(CONFIG, GET, &keys, "")).await;
    reply.fault(0x8033_805B, "w:InvalidSelectors");
}

#[tokio::test]
async fn what_is_wrong_is_refused_in_windows_words_and_changes_nothing() {
    let (_service, mut wire) = service().await;
    for (part, inner, number, subcode) in [
        ("winrs", "<IdleTimeout>59999</IdleTimeout>", SCHEMA, "w:SchemaValidationError"),
        ("winrs", "<IdleTimeout>4294967295</IdleTimeout>", SCHEMA, "w:SchemaValidationError"),
        ("winrs", "<IdleTimeout>soon</IdleTimeout>", SCHEMA, "w:SchemaValidationError"),
        ("winrs", "<Nonsense>1</Nonsense>", SCHEMA, "w:SchemaValidationError"),
        ("winrs", "<MaxShellRunTime>5</MaxShellRunTime>", 0x8033_813F, "w:InvalidParameter"),
        (
            "service",
            "<MaxConcurrentOperations>5</MaxConcurrentOperations>",
            0x8033_813F,
            "w:InvalidParameter",
        ),
        (
            "service",
            "<AllowRemoteAccess>false</AllowRemoteAccess>",
            0x8033_813F,
            "w:InvalidParameter",
        ),
        (
            "service",
            "<AllowUnencrypted>perhaps</AllowUnencrypted>",
            SCHEMA,
            "w:SchemaValidationError",
        ),
        ("service", "<RootSDDL>nonsense</RootSDDL>", 0x8033_815C, "w:InvalidParameter"),
        ("service", "<IPv4Filter>10.0.0.1</IPv4Filter>", 0x8033_80EC, "w:InvalidParameter"),
        (
            "service",
            "<CertificateThumbprint>AB</CertificateThumbprint>",
            0x8033_8082,
            "w:InvalidParameter",
        ),
        ("service", "<Auth>true</Auth>", SCHEMA, "w:SchemaValidationError"),
        (
            "service",
            "<MaxConnections><HTTP>1</HTTP></MaxConnections>",
            SCHEMA,
            "w:SchemaValidationError",
        ),
        (
            "service",
            "<EnableCompatibilityHttpListener>true</EnableCompatibilityHttpListener>",
            0x8033_8042,
            "w:UnsupportedFeature",
        ),
        (
            "service/auth",
            "<CbtHardeningLevel>Lax</CbtHardeningLevel>",
            0x8033_81B8,
            "w:InvalidParameter",
        ),
        ("service/auth", "<Kerberos>true</Kerberos>", 0x8033_8042, "w:UnsupportedFeature"),
        (
            "service/auth",
            "<Certificate>true</Certificate>",
            0x8033_8042,
            "w:UnsupportedFeature",
        ),
        ("service/defaultPorts", "<HTTP>0</HTTP>", 0x8033_80DC, "w:InvalidParameter"),
        ("service/defaultPorts", "<HTTP>65536</HTTP>", 0x8033_80DC, "w:InvalidParameter"),
        ("", "<MaxEnvelopeSizekb>31</MaxEnvelopeSizekb>", SCHEMA, "w:SchemaValidationError"),
        // What stands in front of the mistake isn't done either.
        (
            "",
            "<MaxTimeoutms>1000</MaxTimeoutms><MaxEnvelopeSizekb>31</MaxEnvelopeSizekb>",
            SCHEMA,
            "w:SchemaValidationError",
        ),
    ] {
        put(&mut wire, part, inner).await.fault(number, subcode);
    }
    let body = r#"<p:Winrs xmlns:p="http://example.test/"><p:IdleTimeout>60000</p:IdleTimeout></p:Winrs>"#;
    let reply = wire.post(&envelope_for(&uri("winrs"), PUT, "", body)).await;
    reply.fault(0x8033_8058, "x:InvalidRepresentation");
    let body = format!(
        r#"<p:Service xmlns:p="{}"><p:IdleTimeout>60000</p:IdleTimeout></p:Service>"#,
        uri("winrs")
    );
    let reply = wire.post(&envelope_for(&uri("winrs"), PUT, "", &body)).await;
    reply.fault(0x8033_8015, "x:InvalidRepresentation");
    let whole = get(&mut wire, "").await;
    assert_eq!(
        (whole.text("cfg:IdleTimeout"), whole.text("cfg:MaxTimeoutms")),
        ("7200000", "60000")
    );
}

#[tokio::test]
async fn what_was_read_may_be_sent_back() {
    let limits = {
        let mut limits = Quotas::default();
        // Less than a client could set.
        limits.idle_timeout = std::time::Duration::from_secs(5);
        limits
    };
    let service = start(builder().quotas(limits)).await;
    let mut wire = service.connect().await;
    let whole = get(&mut wire, "").await;
    let body = &whole.body[whole.body.find("<cfg:Config").unwrap()..whole.body.find("</s:Body>").unwrap()];
    let body = body.replace("<cfg:MaxConnections>300<", "<cfg:MaxConnections>299<");
    let reply = wire.post(&envelope_for(CONFIG, PUT, "", &body)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.text("cfg:MaxConnections"), "299");
    assert_eq!(reply.text("cfg:IdleTimeout"), "5000");
}

#[tokio::test]
async fn quotas_are_in_effect_for_the_next_request() {
    let (service, mut wire) = service().await;
    wire.open().await;
    put(&mut wire, "winrs", "<MaxShellsPerUser>1</MaxShellsPerUser>").await;
    let another = wire.post(&envelope(CREATE, "", "<rsp:Shell/>")).await;
    another.fault(0x8033_81A5, "w:QuotaLimit");
    put(
        &mut wire,
        "winrs",
        "<MaxShellsPerUser>0</MaxShellsPerUser><MaxConcurrentUsers>1</MaxConcurrentUsers>",
    )
    .await;
    wire.open().await;
    let mut bob = service.connect().await;
    BOB.clone_into(&mut bob.headers);
    let theirs = bob.post(&envelope(CREATE, "", "<rsp:Shell/>")).await;
    theirs.fault(0x8033_81AB, "w:QuotaLimit");

    put(&mut wire, "winrs", "<AllowRemoteShellAccess>false</AllowRemoteShellAccess>").await;
    let refused = wire.post(&envelope(CREATE, "", "<rsp:Shell/>")).await;
    refused.fault(0x8033_81AC, "w:AccessDenied");

    put(&mut wire, "", "<MaxEnvelopeSizekb>32</MaxEnvelopeSizekb>").await;
    let long = envelope_for(CONFIG, GET, &format!("<x>{}</x>", "x".repeat(40_000)), "");
    let mut other = service.connect().await;
    other.post(&long).await.fault(0x8033_8035, "w:EncodingLimit");

    put(&mut wire, "service", "<MaxConnections>1</MaxConnections>").await;
    drop(other);
    drop(bob);
    let mut third = service.connect().await;
    // Until the service has seen that the others are gone, this is the same.
    assert_eq!(third.reply().await.map(|reply| reply.status), Some(503));
}

#[tokio::test]
async fn switches_of_authentication_are_in_effect_for_the_next_connection() {
    let (service, mut wire) = service().await;
    let offers = |reply: &Reply| -> Vec<String> {
        let challenges = reply
            .head
            .lines()
            .filter_map(|line| line.to_lowercase().strip_prefix("www-authenticate: ").map(str::to_owned));
        challenges.map(|offer| offer.split(' ').next().unwrap().to_owned()).collect()
    };
    let mut stranger = service.connect().await;
    stranger.headers.clear();
    assert_eq!(offers(&get(&mut stranger, "").await), ["negotiate", "ntlm", "credssp", "basic"]);
    let reply = put(&mut wire, "service/auth", "<Negotiate>false</Negotiate><CredSSP>false</CredSSP>").await;
    assert_eq!((reply.text("cfg:Negotiate"), reply.text("cfg:Basic")), ("false", "true"));
    assert_eq!(offers(&get(&mut stranger, "").await), ["basic"]);
    put(&mut wire, "service/auth", "<Negotiate>true</Negotiate>").await;
    assert_eq!(offers(&get(&mut stranger, "").await), ["negotiate", "ntlm", "basic"]);
    put(&mut wire, "service/auth", "<Basic>false</Basic>").await;
    assert_eq!(get(&mut wire, "").await.status, 401);
}

#[tokio::test]
async fn clear_text_ends_with_its_switch() {
    let (_service, mut wire) = service().await;
    let reply = put(&mut wire, "service", "<AllowUnencrypted>false</AllowUnencrypted>").await;
    assert_eq!(reply.text("cfg:AllowUnencrypted"), "false");
    assert_eq!(get(&mut wire, "").await.status, 401);
}

#[tokio::test]
async fn the_filter_of_addresses_decides_who_is_answered() {
    let (service, mut wire) = service().await;
    put(&mut wire, "service", "<IPv4Filter>10.0.0.1-10.0.0.9</IPv4Filter>").await;
    let mut refused = service.connect().await;
    refused.send(envelope_for(CONFIG, GET, "", "").as_bytes()).await;
    assert!(refused.reply().await.is_none());
    assert_eq!(
        put(&mut wire, "service", "<IPv4Filter>127.0.0.1-127.0.0.1</IPv4Filter>")
            .await
            .status,
        200
    );
    assert_eq!(get(&mut service.connect().await, "").await.status, 200);
}

#[tokio::test]
async fn an_operator_may_do_what_the_descriptor_says_from_the_next_request_on() {
    let service = start(builder().operator("BOB")).await;
    let (mut alice, mut bob) = (service.connect().await, service.connect().await);
    BOB.clone_into(&mut bob.headers);
    let open = envelope(CREATE, "", "<rsp:Shell/>");
    bob.post(&open).await.fault(5, "w:AccessDenied");
    let list = r#"<n:Enumerate xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"/>"#;
    let shells = envelope_for("http://schemas.microsoft.com/wbem/wsman/1/windows/shell", ENUMERATE, "", list);
    bob.post(&shells).await.fault(5, "w:AccessDenied");

    let sddl = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GXGR;;;RM)";
    let reply = put(&mut alice, "service", &format!("<RootSDDL>{sddl}</RootSDDL>")).await;
    assert_eq!(reply.text("cfg:RootSDDL"), sddl);
    assert_eq!(bob.post(&open).await.status, 200);
    assert_eq!(bob.post(&shells).await.status, 200);
    // The configuration stays the administrators'.
    get(&mut bob, "").await.fault(5, "w:AccessDenied");
    put(&mut bob, "winrs", "<IdleTimeout>60000</IdleTimeout>")
        .await
        .fault(5, "w:AccessDenied");

    put(&mut alice, "service", "<RootSDDL>D:(A;;GR;;;WD)(A;;GW;;;BA)</RootSDDL>").await;
    bob.post(&open).await.fault(5, "w:AccessDenied");
    alice.post(&open).await.fault(5, "w:AccessDenied");
    assert_eq!(
        put(&mut alice, "service", &format!("<RootSDDL>{sddl}</RootSDDL>")).await.status,
        200
    );
    assert_eq!(alice.post(&open).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_meant_does_not_start() {
    let failed = |error: Result<winrm_server::Server, winrm_server::ServeError>| error.err().unwrap().to_string();
    assert_eq!(
        failed(builder().operator("carol").bind().await),
        r#""carol" is to be an operator, and is no account of this service"#
    );
    assert!(failed(builder().root_sddl("D:(X)").bind().await).starts_with("the security descriptor can't be read: "));
}

/// The keys of a listener.
fn listener(address: &str, transport: &str) -> String {
    selectors(&[("Address", address), ("Transport", transport)])
}

async fn listeners(wire: &mut Wire<TcpStream>) -> String {
    let body = concat!(
        r#"<n:Enumerate xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"><w:OptimizeEnumeration/>"#,
        "<w:MaxElements>100</w:MaxElements><w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode></n:Enumerate>"
    );
    let reply = wire.post(&envelope_for(&uri("listener"), ENUMERATE, "", body)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.body.contains("<w:EndOfSequence/>"), "{}", reply.body);
    reply.body
}

fn with_listener(inner: &str) -> String {
    format!(
        r#"<p:Listener xmlns:p="{}">{inner}</p:Listener>"#,
        "http://schemas.microsoft.com/wbem/wsman/1/config/listener.xsd"
    )
}

/// A port that is free now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn listeners_are_created_changed_and_deleted() {
    let (service, mut wire) = service().await;
    let own = service.addresses[0];
    let all = listeners(&mut wire).await;
    assert!(all.contains("<cfg:Address>IP:127.0.0.1</cfg:Address>"), "{all}");
    assert!(all.contains(&format!("<cfg:Port>{}</cfg:Port>", own.port())), "{all}");
    assert!(all.contains("<cfg:ListeningOn>127.0.0.1</cfg:ListeningOn>"), "{all}");
    assert!(all.contains(r#"<w:Selector Name="Transport">HTTP</w:Selector>"#), "{all}");

    let port = free_port();
    let keys = listener("IP:127.0.0.2", "HTTP");
    let body = with_listener(&format!("<p:Port>{port}</p:Port><p:URLPrefix>other</p:URLPrefix>"));
    let created = wire.post(&envelope_for(&uri("listener"), CREATE, &keys, &body)).await;
    assert_eq!(created.status, 200, "{}", created.body);
    assert!(created.body.contains("<x:ResourceCreated>"), "{}", created.body);
    let again = wire.post(&envelope_for(&uri("listener"), CREATE, &keys, &body)).await;
    again.fault(0x8033_8033, "w:AlreadyExists");

    let through_new = |path: &'static str| async move {
        let mut wire = Wire::new(TcpStream::connect(("127.0.0.2", port)).await.ok()?);
        let body = envelope_for(CONFIG, GET, "", "");
        wire.raw(&format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{ALICE}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        Some(wire.reply().await?.status)
    };
    assert_eq!(through_new("/other").await, Some(200));
    assert_eq!(through_new("/wsman").await, Some(404));
    let change = with_listener("<p:URLPrefix>wsman</p:URLPrefix><p:Hostname>h</p:Hostname>");
    let changed = wire.post(&envelope_for(&uri("listener"), PUT, &keys, &change)).await;
    assert_eq!(changed.text("cfg:Hostname"), "h");
    assert_eq!(through_new("/wsman").await, Some(200));

    let off = with_listener("<p:Enabled>false</p:Enabled>");
    let changed = wire.post(&envelope_for(&uri("listener"), PUT, &keys, &off)).await;
    assert_eq!(changed.text("cfg:Enabled"), "false");
    // The socket goes with the task that had it.
    while through_new("/wsman").await.is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let on = with_listener("<p:Enabled>true</p:Enabled>");
    assert_eq!(wire.post(&envelope_for(&uri("listener"), PUT, &keys, &on)).await.status, 200);
    assert_eq!(through_new("/wsman").await, Some(200));

    let deleted = wire.post(&envelope_for(&uri("listener"), DELETE, &keys, "")).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    while through_new("/wsman").await.is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let gone = wire.post(&envelope_for(&uri("listener"), GET, &keys, "")).await;
    gone.fault(0x8033_8000, "a:DestinationUnreachable");
    service.stop().await;
}

#[tokio::test]
async fn wrong_listeners_and_ones_own_are_refused() {
    let identity = Identity::self_signed().unwrap();
    let service = start(builder().tls_identity(identity)).await;
    let mut wire = service.connect().await;
    let own = listener("IP:127.0.0.1", "HTTP");
    wire.post(&envelope_for(&uri("listener"), DELETE, &own, ""))
        .await
        .fault(0x8033_8032, "w:Concurrency");
    for body in ["<p:Enabled>false</p:Enabled>", "<p:Port>1</p:Port>", "<p:URLPrefix>x</p:URLPrefix>"] {
        let reply = wire.post(&envelope_for(&uri("listener"), PUT, &own, &with_listener(body))).await;
        reply.fault(0x8033_8032, "w:Concurrency");
    }
    let keep = wire
        .post(&envelope_for(
            &uri("listener"),
            PUT,
            &own,
            &with_listener("<p:Address>*</p:Address>"),
        ))
        .await;
    keep.fault(0x8033_80ED, "w:InvalidParameter");
    let other = |address: &str, transport: &str, inner: &str| {
        envelope_for(&uri("listener"), CREATE, &listener(address, transport), &with_listener(inner))
    };
    let used = format!("<p:Port>{}</p:Port>", service.addresses[0].port());
    for (request, number, subcode) in [
        (other("MAC:00-11-22-33-44-55", "HTTP", ""), 0x8033_8089, "w:InvalidParameter"),
        (
            other("IP:192.0.2.77", "HTTP", "<p:Port>9</p:Port>"),
            0x8033_8089,
            "w:InvalidParameter",
        ),
        (other("*", "FTP", ""), 0x8033_805D, "w:InvalidSelectors"),
        (other("*", "HTTP", "<p:Port>99999</p:Port>"), 0x8033_80DC, "w:InvalidParameter"),
        (
            other("*", "HTTP", "<p:CertificateThumbprint>AB</p:CertificateThumbprint>"),
            0x8033_80EB,
            "w:InvalidParameter",
        ),
        (
            other("*", "HTTPS", "<p:CertificateThumbprint>AB</p:CertificateThumbprint>"),
            0x8033_8082,
            "w:InvalidParameter",
        ),
        (
            other("*", "HTTPS", "<p:Hostname>other.test</p:Hostname>"),
            0x8033_80E9,
            "w:InvalidParameter",
        ),
        (other("*", "HTTP", "<p:Colour>red</p:Colour>"), SCHEMA, "w:SchemaValidationError"),
        (other("*", "HTTP", &used), 32, "w:InternalError"),
        (
            envelope_for(&uri("listener"), CREATE, "", &with_listener("<p:Transport>HTTP</p:Transport>")),
            0x8033_805A,
            "w:InvalidSelectors",
        ),
        (
            envelope_for(&uri("listener"), GET, &selectors(&[("Address", "*")]), ""),
            0x8033_805A,
            "w:InvalidSelectors",
        ),
    ] {
        wire.post(&request).await.fault(number, subcode);
    }
    assert_eq!(get(&mut service.connect().await, "").await.status, 200);
}

#[tokio::test]
async fn of_the_same_listeners_at_once_one_is_made() {
    let (service, mut own) = service().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut wire = service.connect().await;
        tasks.spawn(async move {
            let body = with_listener(&format!("<p:Port>{}</p:Port>", free_port()));
            let keys = listener("IP:127.0.0.4", "HTTP");
            wire.post(&envelope_for(&uri("listener"), CREATE, &keys, &body)).await.status
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 500, 500, 500, 500, 500, 500, 500]);
    assert_eq!(listeners(&mut own).await.matches("IP:127.0.0.4</cfg:Address>").count(), 1);
}

/// The thumbprint of a certificate, as Windows writes it.
fn thumbprint(certificate: &openssl::x509::X509Ref) -> String {
    let digest = certificate.digest(openssl::hash::MessageDigest::sha1()).unwrap();
    digest.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[tokio::test]
async fn an_https_listener_takes_the_certificate_that_is_named() {
    let (first, second) = (Identity::self_signed().unwrap(), Identity::self_signed().unwrap());
    let other = start(builder().tls_listen("127.0.0.1:0".parse().unwrap()).tls_identity(second.clone())).await;
    let other = openssl::x509::X509::from_pem(other.certificate_pem.unwrap().as_bytes()).unwrap();
    let service = start(builder().tls_identity(first).tls_identity(second)).await;
    let mut wire = service.connect().await;
    let port = free_port();
    let body = with_listener(&format!("<p:Port>{port}</p:Port><p:Hostname>localhost</p:Hostname>"));
    let keys = listener("IP:127.0.0.1", "HTTPS");
    let created = wire.post(&envelope_for(&uri("listener"), CREATE, &keys, &body)).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let shown = move || {
        let mut connector = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
        connector.set_verify(openssl::ssl::SslVerifyMode::NONE);
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let stream = connector.build().connect("localhost", stream).unwrap();
        thumbprint(&stream.ssl().peer_certificate().unwrap())
    };
    let read = wire.post(&envelope_for(&uri("listener"), GET, &keys, "")).await;
    let before = tokio::task::spawn_blocking(shown).await.unwrap();
    assert_eq!(read.text("cfg:CertificateThumbprint"), before);
    assert_ne!(before, thumbprint(&other));

    // With the spaces that a certificate's window has.
    let spaced = thumbprint(&other)
        .to_lowercase()
        .chars()
        .fold(String::new(), |text, digit| format!("{text}{digit} "));
    let body = with_listener(&format!("<p:CertificateThumbprint>{spaced}</p:CertificateThumbprint>"));
    let changed = wire.post(&envelope_for(&uri("listener"), PUT, &keys, &body)).await;
    assert_eq!(changed.text("cfg:CertificateThumbprint"), thumbprint(&other));
    assert_eq!(tokio::task::spawn_blocking(shown).await.unwrap(), thumbprint(&other));

    let setting = format!("<CertificateThumbprint>{}</CertificateThumbprint>", thumbprint(&other));
    put(&mut wire, "service", &setting).await;
    let body = with_listener(&format!("<p:Port>{}</p:Port>", free_port()));
    let keys = listener("IP:127.0.0.5", "HTTPS");
    wire.post(&envelope_for(&uri("listener"), CREATE, &keys, &body)).await;
    let read = wire.post(&envelope_for(&uri("listener"), GET, &keys, "")).await;
    assert_eq!(read.text("cfg:CertificateThumbprint"), thumbprint(&other));
    service.stop().await;
}

#[tokio::test]
async fn changes_at_once_are_all_made() {
    let (service, _wire) = service().await;
    let changes = [
        ("", "<MaxBatchItems>7</MaxBatchItems>"),
        ("service", "<MaxConnections>77</MaxConnections>"),
        ("winrs", "<MaxProcessesPerShell>777</MaxProcessesPerShell>"),
        ("client", "<TrustedHosts>h</TrustedHosts>"),
        ("service/auth", "<CbtHardeningLevel>Strict</CbtHardeningLevel>"),
        ("service/defaultPorts", "<HTTP>7777</HTTP>"),
    ];
    let mut tasks = tokio::task::JoinSet::new();
    for (part, inner) in changes {
        let mut wire = service.connect().await;
        tasks.spawn(async move {
            for _ in 0..20 {
                assert_eq!(put(&mut wire, part, inner).await.status, 200);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let whole = get(&mut service.connect().await, "").await;
    for (tag, value) in [
        ("cfg:MaxBatchItems", "7"),
        ("cfg:MaxConnections", "77"),
        ("cfg:MaxProcessesPerShell", "777"),
        ("cfg:TrustedHosts", "h"),
        ("cfg:CbtHardeningLevel", "Strict"),
        ("cfg:HTTP>7777", ""),
    ] {
        if value.is_empty() {
            assert!(whole.body.contains(tag), "{}", whole.body);
        } else {
            assert_eq!(whole.text(tag), value);
        }
    }
}

#[tokio::test]
async fn parts_of_a_part_are_read_and_written_as_fragments() {
    let (_service, mut wire) = service().await;
    let header = |path: &str| format!(r#"<w:FragmentTransfer s:mustUnderstand="true">{path}</w:FragmentTransfer>"#);
    let read = wire.post(&envelope_for(&uri("service"), GET, &header("Auth/Basic"), "")).await;
    assert!(read.body.contains("<w:XmlFragment"), "{}", read.body);
    assert_eq!(read.text("Basic"), "true");
    let body = "<w:XmlFragment><MaxConnections>50</MaxConnections></w:XmlFragment>";
    let written = wire
        .post(&envelope_for(&uri("service"), PUT, &header("MaxConnections"), body))
        .await;
    assert_eq!(written.status, 200, "{}", written.body);
    let body = "<w:XmlFragment><CbtHardeningLevel>None</CbtHardeningLevel></w:XmlFragment>";
    let written = wire
        .post(&envelope_for(&uri("service"), PUT, &header("Auth/CbtHardeningLevel"), body))
        .await;
    assert_eq!(written.text("CbtHardeningLevel"), CbtHardeningLevel::None.to_string());
    let whole = get(&mut wire, "").await;
    assert_eq!(
        (whole.text("cfg:MaxConnections"), whole.text("cfg:CbtHardeningLevel")),
        ("50", "None")
    );
    let wrong = wire.post(&envelope_for(&uri("service"), GET, &header("Nonsense"), "")).await;
    wrong.fault(0x8033_8093, "w:UnsupportedFeature");
}

#[tokio::test]
async fn certificate_mappings_need_an_authority_that_is_believed() {
    let (_service, mut wire) = service().await;
    let thumbprint = "A".repeat(40);
    let keys = selectors(&[("Subject", "alice@localhost"), ("URI", "*"), ("Issuer", &thumbprint)]);
    let body = concat!(
        r#"<p:CertMapping xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/config/service/certmapping.xsd">"#,
        "<p:UserName>alice</p:UserName><p:Password>secret</p:Password></p:CertMapping>"
    );
    let refused = wire.post(&envelope_for(&uri("service/certmapping"), CREATE, &keys, body)).await;
    refused.fault(0x8033_8162, "w:InvalidParameter");
    let keys = selectors(&[("Subject", "a*b"), ("URI", "*"), ("Issuer", &thumbprint)]);
    let refused = wire.post(&envelope_for(&uri("service/certmapping"), CREATE, &keys, body)).await;
    refused.fault(0x8033_8161, "w:InvalidParameter");
}

#[tokio::test]
async fn accounts_are_found_by_their_identifiers() {
    let service = start(builder().user(Credentials::parse(r"CORP\dave", "x").unwrap())).await;
    let mut wire = service.connect().await;
    let body = concat!(
        r#"<n:Enumerate xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration"><w:OptimizeEnumeration/><w:MaxElements>10</w:MaxElements>"#,
        r#"<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">SELECT SID FROM Win32_UserAccount WHERE Name='dave'</w:Filter>"#,
        "</n:Enumerate>"
    );
    let resource = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/*";
    let reply = wire.post(&envelope_for(resource, ENUMERATE, "", body)).await;
    assert!(reply.text("SID").starts_with("S-1-5-21-"), "{}", reply.body);
    assert!(reply.text("SID").ends_with("-1002"), "{}", reply.body);
}
