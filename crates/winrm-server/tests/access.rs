//! Who gets in, over what, and what strangers are told.

mod wire;

use std::pin::Pin;

use openssl::ssl::{SslConnector, SslMethod, SslVersion};
use openssl::x509::X509;
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use winrm_server::{AuthMethod, Credentials, Identity, Server, Users};
use wire::{CREATE, Wire, builder, envelope, start};

const IDENTIFY: &str = concat!(
    r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope""#,
    r#" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"#
);

#[tokio::test]
async fn wrong_credentials_all_read_the_same() {
    let service = start(builder().authentication(vec![AuthMethod::Basic])).await;
    let mut wire = service.connect().await;
    let create = envelope(CREATE, "", "<rsp:Shell/>");
    let mut answers = Vec::new();
    for headers in [
        "",
        "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n",     // alice:wrong
        "Authorization: Basic bm9ib2R5OnNlY3JldA==\r\n", // nobody:secret
        "Authorization: Basic !!!\r\n",
        "Authorization: Basic\r\n",
        "Authorization: Digest x\r\n",
    ] {
        wire.headers = headers.to_owned();
        let reply = wire.post(&create).await;
        assert_eq!((reply.status, reply.body.as_str()), (401, ""));
        assert!(reply.head.contains("www-authenticate: Basic realm=\"WSMAN\"\r\n"), "{}", reply.head);
        answers.push(reply.head.lines().filter(|line| !line.starts_with("date")).collect::<String>());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // On the same connection, with the right ones; names are read without regard to case.
    wire.headers = "Authorization: Basic QUxJQ0U6c2VjcmV0\r\n".to_owned();
    assert_eq!(wire.post(&create).await.text("rsp:Owner"), "alice");
}

#[tokio::test]
async fn clear_text_is_refused_unless_allowed() {
    let service = start(builder().authentication(vec![AuthMethod::Basic]).allow_unencrypted(false)).await;
    let mut wire = service.connect().await;
    let reply = wire.post(&envelope(CREATE, "", "<rsp:Shell/>")).await;
    assert_eq!(reply.status, 401);
    assert!(!reply.head.contains("Basic"), "{}", reply.head);
}

#[tokio::test]
async fn other_paths_and_methods_are_not_answered() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    for (line, status) in [
        ("POST /other", 404),
        ("POST /", 404),
        ("GET /wsman", 405),
        ("PUT /wsman", 405),
        ("POST /WSMan", 401),
        ("POST /wsman/", 401),
        ("POST /wsman?PSVersion=5.1", 401),
    ] {
        wire.raw(&format!("{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!(wire.reply().await.unwrap().status, status, "{line}");
    }
    let service = start(builder().path("remote/wsman/")).await;
    let mut wire = service.connect().await;
    wire.raw("POST /remote/wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .await;
    assert_eq!(wire.reply().await.unwrap().status, 401);
}

#[tokio::test]
async fn strangers_may_ask_who_answers_and_learn_no_versions() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    wire.headers = "WSMANIDENTIFY: unauthenticated\r\n".to_owned();
    let reply = wire.post(IDENTIFY).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.text("wsmid:ProductVersion"), "OS: 0.0.0 SP: 0.0 Stack: 3.0");
    assert_eq!(
        reply.text("wsmid:ProtocolVersion"),
        "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
    );
    // It opens nothing else, and is needed.
    assert_eq!(wire.post(&envelope(CREATE, "", "<rsp:Shell/>")).await.status, 401);
    wire.headers.clear();
    assert_eq!(wire.post(IDENTIFY).await.status, 401);
    wire.headers = wire::ALICE.to_owned();
    let version = wire.post(IDENTIFY).await.text("wsmid:ProductVersion").to_owned();
    assert!(
        version.starts_with("OS: ") && version != "OS: 0.0.0 SP: 0.0 Stack: 3.0",
        "{version}"
    );
}

#[allow(clippy::unwrap_used, reason = "part of the tests")]
async fn tls(service: &wire::Service, change: impl FnOnce(&mut openssl::ssl::SslConnectorBuilder)) -> Option<Wire<SslStream<TcpStream>>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).unwrap();
    let certificate = X509::from_pem(service.certificate_pem.as_ref().unwrap().as_bytes()).unwrap();
    connector.cert_store_mut().add_cert(certificate).unwrap();
    change(&mut connector);
    let ssl = connector.build().configure().unwrap().into_ssl("localhost").unwrap();
    let tcp = TcpStream::connect(service.addresses[0]).await.unwrap();
    let mut stream = SslStream::new(ssl, tcp).unwrap();
    Pin::new(&mut stream).connect().await.ok()?;
    Some(Wire::new(stream))
}

#[tokio::test]
async fn https_needs_no_permission_and_its_certificate_is_good_for_localhost() {
    let server = Server::builder()
        .tls_listen("127.0.0.1:0".parse().unwrap())
        .users(Users::parse("alice:secret").unwrap());
    let service = start(server).await;
    let mut wire = tls(&service, |_| ()).await.unwrap();
    let shell = wire.open().await;
    assert_eq!(wire.run(&shell, "head -c 1000000 /dev/zero | wc -c").await.0.trim(), "1000000");
    assert!(
        tls(&service, |old| old.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap())
            .await
            .is_none()
    );
    // Clear text on the https port disturbs nobody.
    let mut plain = service.connect().await;
    plain.raw("POST /wsman HTTP/1.1\r\n\r\n").await;
    assert!(plain.reply().await.is_none_or(|reply| reply.status == 400));
    assert_eq!(wire.run(&shell, "echo on").await.0, "on\n");
    service.stop().await;
}

#[tokio::test]
async fn the_urls_are_those_of_the_listeners() {
    let server = builder()
        .tls_listen("127.0.0.1:0".parse().unwrap())
        .tls_identity(Identity::self_signed().unwrap())
        .user(Credentials::parse("x", "y").unwrap())
        .bind()
        .await
        .unwrap();
    let addresses = server.addresses();
    assert_eq!(
        server.urls(),
        [format!("http://{}/wsman", addresses[0]), format!("https://{}/wsman", addresses[1])]
    );
    assert!(addresses.iter().all(|address| address.port() != 0));
    let taken = builder().listen(addresses[0]).bind().await;
    assert!(taken.unwrap_err().to_string().starts_with("can't listen on 127.0.0.1:"));
    assert!(Server::builder().bind().await.is_err());
}
