//! Classes of WMI: lists, queries, instances and methods; and lists page by page.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod wire;

use std::time::Duration;

use tokio::net::TcpStream;
use winrm_server::{CimCaller, CimClass, CimError, CommandLine, Host, HostError, Instance, Process, Property, Quotas, ShellContext};
use wire::{BOB, CREATE, GET, Reply, Wire, builder, envelope, envelope_for, start};

const WMI: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2";
const SHELLS: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell";
const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
const CONTEXT: u32 = 0x8033_801B;

fn class(name: &str) -> String {
    format!("{WMI}/{name}")
}

fn selector(name: &str, value: &str) -> String {
    format!(r#"<w:SelectorSet><w:Selector Name="{name}">{value}</w:Selector></w:SelectorSet>"#)
}

async fn enumerate(wire: &mut Wire<TcpStream>, resource: &str, headers: &str, inner: &str) -> Reply {
    let body = format!(r#"<n:Enumerate xmlns:n="{ENUMERATION}">{inner}</n:Enumerate>"#);
    wire.post(&envelope_for(resource, &format!("{ENUMERATION}/Enumerate"), headers, &body))
        .await
}

async fn pull(wire: &mut Wire<TcpStream>, resource: &str, headers: &str, context: &str, inner: &str) -> Reply {
    let body = format!(r#"<n:Pull xmlns:n="{ENUMERATION}"><n:EnumerationContext>{context}</n:EnumerationContext>{inner}</n:Pull>"#);
    wire.post(&envelope_for(resource, &format!("{ENUMERATION}/Pull"), headers, &body))
        .await
}

async fn release(wire: &mut Wire<TcpStream>, resource: &str, context: &str) -> Reply {
    let body = format!(r#"<n:Release xmlns:n="{ENUMERATION}"><n:EnumerationContext>{context}</n:EnumerationContext></n:Release>"#);
    wire.post(&envelope_for(resource, &format!("{ENUMERATION}/Release"), "", &body))
        .await
}

const ALL_AT_ONCE: &str = "<w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>";

fn wql(query: &str) -> String {
    let query = query.replace('<', "&lt;");
    format!(r#"{ALL_AT_ONCE}<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">{query}</w:Filter>"#)
}

/// What a query finds.
async fn query(wire: &mut Wire<TcpStream>, query: &str) -> Reply {
    enumerate(wire, &class("*"), "", &wql(query)).await
}

/// The names of the lamps in an answer.
fn lamps(reply: &Reply) -> Vec<&str> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let begin = reply.body.split("<p:Name>").skip(1);
    begin.map(|rest| &rest[..rest.find('<').unwrap()]).collect()
}

/// A class of the test's own.
struct Lamps(usize);

impl CimClass for Lamps {
    fn name(&self) -> &str {
        "Test_Lamp"
    }

    fn keys(&self) -> &[&str] {
        &["Name"]
    }

    async fn instances(&self, caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        if caller.user == "bob" {
            return Err(CimError::AccessDenied);
        }
        let lamp = |number: usize| {
            Instance::default()
                .with("Name", format!("lamp{number}"))
                .with("Watts", u32::try_from(number).unwrap())
                .with("Lit", number.is_multiple_of(2))
                .with("Room", if number == 3 { Property::Nil } else { "hall".into() })
                .with("Made", Property::DateTime("2020-01-01T00:00:00Z".to_owned()))
        };
        Ok((0..self.0).map(lamp).collect())
    }

    async fn invoke(&self, caller: &CimCaller, instance: Option<&Instance>, method: &str, input: &Instance) -> Result<Instance, CimError> {
        match (method, instance) {
            ("Switch", Some(lamp)) => {
                let to = input.text("To").ok_or(CimError::Parameters)?;
                let said = format!("{} {} by {}", lamp.text("Name").unwrap_or_default(), to, caller.user);
                Ok(Instance::default().with("ReturnValue", 0_u32).with("Said", said))
            }
            ("Explode", None) => Err(CimError::Failed {
                code: 0x8004_1001,
                message: "Generic failure ".to_owned(),
            }),
            _ => Err(CimError::NoMethod),
        }
    }
}

#[tokio::test]
async fn the_machine_is_described() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    // There is one, and it needs no selectors.
    let system = wire.post(&envelope_for(&class("win32_operatingsystem"), GET, "", "")).await;
    assert!(!system.text("p:Caption").is_empty());
    assert_eq!(system.text("p:CSName"), rustix::system::uname().nodename().to_str().unwrap());
    assert!(
        system.body.contains(&format!("xmlns:p=\"{}\"", class("Win32_OperatingSystem"))),
        "{}",
        system.body
    );
    let now = system.text("c:Datetime").to_owned();
    assert!(now.ends_with('Z') && now.contains('T'), "{now}");

    let own = std::process::id().to_string();
    let process = wire
        .post(&envelope_for(&class("Win32_Process"), GET, &selector("Handle", &own), ""))
        .await;
    assert_eq!(process.text("p:ProcessId"), own);
    assert!(process.text("p:CommandLine").contains("classes"), "{}", process.body);
    let parent = std::os::unix::process::parent_id().to_string();
    assert_eq!(process.text("p:ParentProcessId"), parent);

    let found = query(
        &mut wire,
        &format!("SELECT Name, ProcessId FROM Win32_Process WHERE ProcessId = {own}"),
    )
    .await;
    assert!(found.body.contains("<w:XmlFragment"), "{}", found.body);
    assert_eq!(found.text("ProcessId"), own);
    assert!(!found.body.contains("CommandLine"), "{}", found.body);
    // Whether there is a systemd or not.
    assert_eq!(enumerate(&mut wire, &class("Win32_Service"), "", ALL_AT_ONCE).await.status, 200);
}

#[tokio::test]
async fn processes_are_created_and_terminated() {
    let service = start(builder()).await;
    let mut wire = service.connect().await;
    let uri = class("Win32_Process");
    let create = |line: &str| {
        let body = format!(r#"<p:Create_INPUT xmlns:p="{WMI}/Win32_Process"><p:CommandLine>{line}</p:CommandLine></p:Create_INPUT>"#);
        envelope_for(&uri, &format!("{uri}/Create"), "", &body)
    };
    let created = wire.post(&create("sleep 1000")).await;
    assert!(created.body.contains("<p:Create_OUTPUT"), "{}", created.body);
    assert!(created.body.contains("Win32_Process/CreateResponse</a:Action>"), "{}", created.body);
    assert_eq!(created.text("p:ReturnValue"), "0");
    let id: i32 = created.text("p:ProcessId").parse().unwrap();
    assert!(!wire::is_gone(id));
    let keys = selector("Handle", &id.to_string());
    let read = wire.post(&envelope_for(&uri, GET, &keys, "")).await;
    assert_eq!(read.text("p:CommandLine"), "sleep 1000");
    let ended = wire.post(&envelope_for(&uri, &format!("{uri}/Terminate"), &keys, "")).await;
    assert_eq!(ended.text("p:ReturnValue"), "0");
    wire::until_gone(id).await;
    assert_eq!(wire.post(&create("/nowhere/nothing")).await.text("p:ReturnValue"), "9");
    assert_eq!(wire.post(&create(" ")).await.text("p:ReturnValue"), "21");
    let first = wire
        .post(&envelope_for(&uri, &format!("{uri}/Terminate"), &selector("Handle", "1"), ""))
        .await;
    assert_eq!(first.text("p:ReturnValue"), "2");
    let body = format!(r#"<p:Create_INPUT xmlns:p="{uri}"><p:Nonsense>1</p:Nonsense></p:Create_INPUT>"#);
    let wrong = wire.post(&envelope_for(&uri, &format!("{uri}/Create"), "", &body)).await;
    wrong.fault(0x8004_102F, "w:InternalError");

    // What is still running goes with the service.
    let created = wire.post(&create("sleep 1000")).await;
    let id: i32 = created.text("p:ProcessId").parse().unwrap();
    drop(wire);
    service.stop().await;
    wire::until_gone(id).await;
}

/// A host that runs nothing.
struct Nothing;

impl Host for Nothing {
    async fn start(&self, shell: &ShellContext, line: CommandLine) -> Result<Process, HostError> {
        assert_eq!((shell.user.as_str(), line.skip_cmd_shell), ("alice", true));
        Ok(Process::from_fn(|_, _, _| std::future::pending()))
    }
}

#[tokio::test]
async fn a_host_of_its_own_starts_what_create_asks_for() {
    let service = start(builder().host(Nothing)).await;
    let mut wire = service.connect().await;
    let uri = class("Win32_Process");
    let body = format!(r#"<p:Create_INPUT xmlns:p="{uri}"><p:CommandLine>calc.exe /x</p:CommandLine></p:Create_INPUT>"#);
    let created = wire.post(&envelope_for(&uri, &format!("{uri}/Create"), "", &body)).await;
    let id = created.text("p:ProcessId").to_owned();
    let keys = selector("Handle", &id);
    let read = wire.post(&envelope_for(&uri, GET, &keys, "")).await;
    assert_eq!((read.text("p:CommandLine"), read.text("p:Name")), ("calc.exe /x", "calc.exe"));
    wire.post(&envelope_for(&uri, &format!("{uri}/Terminate"), &keys, "")).await;
    let gone = wire.post(&envelope_for(&uri, GET, &keys, "")).await;
    gone.fault(0x8033_8000, "a:DestinationUnreachable");
}

#[tokio::test]
async fn classes_of_ones_own_are_queried_and_called() {
    let service = start(builder().class(Lamps(7))).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Lamp");
    assert_eq!(lamps(&enumerate(&mut wire, &uri, "", ALL_AT_ONCE).await).len(), 7);
    assert_eq!(
        lamps(&query(&mut wire, "SELECT * FROM test_lamp WHERE Watts > 4").await),
        ["lamp5", "lamp6"]
    );
    assert_eq!(
        lamps(&query(&mut wire, "select * from Test_Lamp where Room is null").await),
        ["lamp3"]
    );
    assert_eq!(
        lamps(&query(&mut wire, "SELECT * FROM Test_Lamp WHERE Lit = TRUE AND NOT Name LIKE '%[02]'").await),
        ["lamp4", "lamp6"]
    );
    // The class itself may be named as well, if it is the query's.
    assert_eq!(
        lamps(&enumerate(&mut wire, &uri, "", &wql("SELECT * FROM Test_Lamp WHERE Watts = 1")).await),
        ["lamp1"]
    );
    let by_key = format!(
        r#"{ALL_AT_ONCE}<w:Filter Dialect="http://schemas.dmtf.org/wbem/wsman/1/wsman/SelectorFilter"><w:SelectorSet><w:Selector Name="Name">LAMP2</w:Selector></w:SelectorSet></w:Filter>"#
    );
    assert_eq!(lamps(&enumerate(&mut wire, &uri, "", &by_key).await), ["lamp2"]);

    let references = format!("{ALL_AT_ONCE}<w:EnumerationMode>EnumerateEPR</w:EnumerationMode>");
    let reply = enumerate(&mut wire, &uri, "", &references).await;
    assert!(
        reply.body.contains(r#"<w:Selector Name="Name">lamp6</w:Selector>"#),
        "{}",
        reply.body
    );
    assert!(
        reply.body.contains(r#"<w:Selector Name="__cimnamespace">root/cimv2</w:Selector>"#),
        "{}",
        reply.body
    );
    assert!(!reply.body.contains("<p:Watts>"), "{}", reply.body);
    let both = format!("{ALL_AT_ONCE}<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>");
    let reply = enumerate(&mut wire, &uri, "", &both).await;
    assert!(reply.body.contains("<w:Item><p:Test_Lamp"), "{}", reply.body);

    let lamp = wire.post(&envelope_for(&uri, GET, &selector("Name", "lamp3"), "")).await;
    assert_eq!((lamp.text("p:Watts"), lamp.text("c:Datetime")), ("3", "2020-01-01T00:00:00Z"));
    assert!(lamp.body.contains(r#"<p:Room xsi:nil="true"/>"#), "{}", lamp.body);
    // The CIM schema's own URIs name it too.
    let dmtf = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/Test_Lamp";
    assert_eq!(
        wire.post(&envelope_for(dmtf, GET, &selector("Name", "lamp3"), ""))
            .await
            .text("p:Watts"),
        "3"
    );

    let body = format!(r#"<p:Switch_INPUT xmlns:p="{uri}"><p:To>on</p:To></p:Switch_INPUT>"#);
    let called = wire
        .post(&envelope_for(&uri, &format!("{uri}/Switch"), &selector("Name", "lamp1"), &body))
        .await;
    assert_eq!(called.text("p:Said"), "lamp1 on by alice");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_for_a_class_is_said_as_wmi_says_it() {
    let service = start(builder().class(Lamps(3))).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Lamp");
    let get = |resource: &str, keys: &str| envelope_for(resource, GET, keys, "");
    let elsewhere = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/nowhere/X";
    for (request, number, subcode) in [
        (get(&class("Win32_Nothing"), ""), 0x8004_1010, "w:InternalError"),
        (get(elsewhere, ""), 0x8004_100E, "w:InternalError"),
        (get("http://example.test/x", ""), 0x8033_803B, "a:DestinationUnreachable"),
        (get(&uri, ""), 0x8033_805A, "w:InvalidSelectors"),
        (get(&uri, &selector("Watts", "1")), 0x8033_805B, "w:InvalidSelectors"),
        (get(&uri, &selector("Name", "lamp9")), 0x8033_8000, "a:DestinationUnreachable"),
        (envelope_for(&uri, &format!("{uri}/Dance"), "", ""), 0x8004_102E, "w:InternalError"),
        (
            envelope_for(&uri, &format!("{uri}/Explode"), "", ""),
            0x8004_1001,
            "w:InternalError",
        ),
        (
            envelope_for(&uri, &format!("{uri}/Switch"), &selector("Name", "lamp1"), ""),
            0x8004_102F,
            "w:InternalError",
        ),
        (
            envelope_for(&uri, "http://schemas.xmlsoap.org/ws/2004/09/transfer/Put", "", r#"<x xmlns="y"/>"#),
            0x8004_1024,
            "w:InternalError",
        ),
    ] {
        let reply = wire.post(&request).await;
        reply.fault(number, subcode);
    }
    for (text, said) in [
        ("SELEKT", "a query begins with SELECT"),
        ("SELECT Colour FROM Test_Lamp", "Test_Lamp has no property Colour"),
        ("SELECT * FROM Test_Lamp WHERE Colour = 1", "Test_Lamp has no property Colour"),
        (&format!("SELECT * FROM Test_Lamp WHERE {}", "(".repeat(500)), "deeper than 32"),
        (&"x".repeat(10_000), "longer than 8192"),
    ] {
        let reply = query(&mut wire, text).await;
        reply.fault(0x8033_801A, "n:CannotProcessFilter");
        assert!(reply.body.contains(said), "{said}: {}", reply.body);
        assert!(reply.body.contains("<m:error_Code>2147749911</m:error_Code>"), "{}", reply.body);
    }
    enumerate(&mut wire, &class("*"), "", ALL_AT_ONCE)
        .await
        .fault(0x8033_8070, "w:UnsupportedFeature");
    let xpath = format!(r#"{ALL_AT_ONCE}<w:Filter Dialect="http://www.w3.org/TR/1999/REC-xpath-19991116">/a</w:Filter>"#);
    enumerate(&mut wire, &uri, "", &xpath)
        .await
        .fault(0x8033_8019, "n:FilterDialectRequestedUnavailable");
    let mode = "<w:EnumerationMode>EnumerateNothing</w:EnumerationMode>";
    enumerate(&mut wire, &uri, "", mode)
        .await
        .fault(0x8033_8041, "w:SchemaValidationError");
    BOB.clone_into(&mut wire.headers);
    enumerate(&mut wire, &uri, "", "").await.fault(5, "w:AccessDenied");
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let service = start(builder().class(Lamps(7))).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Lamp");
    // Not optimized: the answer has a context and nothing else.
    let begun = enumerate(&mut wire, &uri, "", "").await;
    assert_eq!(lamps(&begun), Vec::<&str>::new());
    let context = begun.text("n:EnumerationContext").to_owned();
    // One is what is meant without a number.
    let one = pull(&mut wire, &uri, "", &context, "").await;
    assert_eq!(lamps(&one), ["lamp0"]);
    let three = pull(
        &mut wire,
        &uri,
        "",
        one.text("n:EnumerationContext"),
        "<n:MaxElements>3</n:MaxElements>",
    )
    .await;
    assert_eq!(lamps(&three), ["lamp1", "lamp2", "lamp3"]);
    assert!(!three.body.contains("EndOfSequence"), "{}", three.body);
    let rest = pull(
        &mut wire,
        &uri,
        "",
        three.text("n:EnumerationContext"),
        "<n:MaxElements>30</n:MaxElements>",
    )
    .await;
    assert_eq!(lamps(&rest), ["lamp4", "lamp5", "lamp6"]);
    assert!(
        rest.body.contains("<n:EndOfSequence/>") && !rest.body.contains("EnumerationContext"),
        "{}",
        rest.body
    );
    pull(&mut wire, &uri, "", &context, "")
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");

    let begun = enumerate(&mut wire, &uri, "", "<w:OptimizeEnumeration/><w:MaxElements>2</w:MaxElements>").await;
    assert_eq!(lamps(&begun), ["lamp0", "lamp1"]);
    let context = begun.text("n:EnumerationContext").to_owned();
    // It is nobody else's, and no list of anything else.
    let mut bob = service.connect().await;
    BOB.clone_into(&mut bob.headers);
    pull(&mut bob, &uri, "", &context, "")
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
    release(&mut bob, &uri, &context)
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
    pull(&mut wire, &class("Win32_Process"), "", &context, "")
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
    let released = release(&mut wire, &uri, &context).await;
    assert_eq!(released.status, 200, "{}", released.body);
    release(&mut wire, &uri, &context)
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
    pull(&mut wire, &uri, "", &context, "")
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
    pull(&mut wire, &uri, "", "nonsense", "")
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
}

#[tokio::test]
async fn a_page_is_no_larger_than_the_envelope() {
    let service = start(builder().class(Lamps(500))).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Lamp");
    let size = "<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>";
    let mut page = enumerate(&mut wire, &uri, size, ALL_AT_ONCE).await;
    let mut found: Vec<String> = Vec::new();
    let mut pages = 1;
    loop {
        assert!(page.bytes.len() <= 8_192, "{}", page.bytes.len());
        assert!(!lamps(&page).is_empty());
        found.extend(lamps(&page).into_iter().map(str::to_owned));
        if page.body.contains("EndOfSequence") {
            break;
        }
        let context = page.text("n:EnumerationContext").to_owned();
        page = pull(&mut wire, &uri, size, &context, "<n:MaxElements>32000</n:MaxElements>").await;
        pages += 1;
    }
    assert_eq!(found, (0..500).map(|number| format!("lamp{number}")).collect::<Vec<_>>());
    assert!(pages > 10, "{pages}");
}

/// One instance that fits into no small envelope.
struct Whale;

impl CimClass for Whale {
    fn name(&self) -> &str {
        "Test_Whale"
    }

    fn keys(&self) -> &[&str] {
        &[]
    }

    async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
        Ok(vec![Instance::default().with("Blubber", "x".repeat(20_000))])
    }

    async fn invoke(
        &self,
        _caller: &CimCaller,
        _instance: Option<&Instance>,
        method: &str,
        _input: &Instance,
    ) -> Result<Instance, CimError> {
        match method {
            "Sing" => Ok(Instance::default().with("Song", "u".repeat(20_000))),
            _ => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn an_instance_that_fits_into_no_envelope_waits_for_a_larger_one() {
    let service = start(builder().class(Whale)).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Whale");
    let small = "<w:MaxEnvelopeSize>8192</w:MaxEnvelopeSize>";
    enumerate(&mut wire, &uri, small, ALL_AT_ONCE)
        .await
        .fault(0x8033_8048, "w:EncodingLimit");
    let begun = enumerate(&mut wire, &uri, small, "").await;
    let context = begun.text("n:EnumerationContext").to_owned();
    pull(&mut wire, &uri, small, &context, "")
        .await
        .fault(0x8033_8048, "w:EncodingLimit");
    let page = pull(&mut wire, &uri, "", &context, "").await;
    assert_eq!(page.text("p:Blubber").len(), 20_000);
    let got = wire.post(&envelope_for(&uri, GET, small, "")).await;
    got.fault(0x8033_8048, "w:EncodingLimit");
    assert_eq!(wire.post(&envelope_for(&uri, GET, "", "")).await.status, 200);
    let called = wire.post(&envelope_for(&uri, &format!("{uri}/Sing"), small, "")).await;
    called.fault(0x8033_804D, "w:EncodingLimit");
}

#[tokio::test]
async fn a_class_that_takes_too_long_is_a_timeout() {
    let service = start(builder().class(Whale)).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Whale");
    let short = "<w:OperationTimeout>PT0.1S</w:OperationTimeout>";
    let called = wire.post(&envelope_for(&uri, &format!("{uri}/Sleep"), short, "")).await;
    called.fault(0x8033_8029, "w:TimedOut");
}

#[tokio::test]
async fn lists_expire_and_count_as_operations() {
    let mut limits = Quotas::default();
    limits.enumeration_timeout = Duration::from_millis(500);
    limits.max_concurrent_operations_per_user = 3;
    limits.max_batch_items = 2;
    let service = start(builder().class(Lamps(7)).quotas(limits)).await;
    let mut wire = service.connect().await;
    let uri = class("Test_Lamp");
    let mut contexts = Vec::new();
    for _ in 0..3 {
        let page = enumerate(&mut wire, &uri, "", ALL_AT_ONCE).await;
        assert_eq!(lamps(&page).len(), 2, "MaxBatchItems");
        contexts.push(page.text("n:EnumerationContext").to_owned());
    }
    enumerate(&mut wire, &uri, "", ALL_AT_ONCE).await.fault(0x8033_81A6, "w:QuotaLimit");
    assert_eq!(release(&mut wire, &uri, &contexts[0]).await.status, 200);
    let page = enumerate(&mut wire, &uri, "", ALL_AT_ONCE).await;
    assert_eq!(page.status, 200, "{}", page.body);
    // Nobody pulls: all of them end, and give their places back.
    while enumerate(&mut wire, &uri, "", "").await.status != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    pull(&mut wire, &uri, "", &contexts[1], "")
        .await
        .fault(CONTEXT, "n:InvalidEnumerationContext");
}

#[tokio::test]
async fn shells_are_listed_read_and_deleted_by_their_user() {
    let service = start(builder()).await;
    let (mut wire, mut bob) = (service.connect().await, service.connect().await);
    BOB.clone_into(&mut bob.headers);
    let shell = "<rsp:Shell><rsp:WorkingDirectory>/tmp</rsp:WorkingDirectory></rsp:Shell>";
    let first = wire.post(&envelope(CREATE, "", shell)).await.text("rsp:ShellId").to_owned();
    let second = wire.open().await;
    bob.open().await;
    wire.command(&second, "sleep 1000").await;

    let listed = enumerate(&mut wire, SHELLS, "", ALL_AT_ONCE).await;
    assert_eq!(listed.body.matches("<rsp:Shell ").count(), 2, "{}", listed.body);
    assert_eq!((listed.text("rsp:ShellId"), listed.text("rsp:Owner")), (first.as_str(), "alice"));
    assert_eq!((listed.text("rsp:ClientIP"), listed.text("rsp:State")), ("127.0.0.1", "Connected"));
    assert!(listed.text("rsp:ShellRunTime").starts_with("P0DT0H0M"), "{}", listed.body);
    assert!(listed.text("rsp:ShellInactivity").starts_with("P0DT0H0M"), "{}", listed.body);
    assert_eq!(listed.text("rsp:WorkingDirectory"), "/tmp");
    assert!(
        listed.body.contains("<rsp:ChildProcesses>1</rsp:ChildProcesses>"),
        "{}",
        listed.body
    );

    let read = wire.post(&envelope_for(SHELLS, GET, &wire::selector(&first), "")).await;
    assert_eq!(read.text("rsp:IdleTimeOut"), "PT7200.000S");
    bob.post(&envelope_for(SHELLS, GET, &wire::selector(&first), ""))
        .await
        .fault(0x8033_805B, "w:InvalidSelectors");
    let deleted = wire.post(&envelope_for(SHELLS, wire::DELETE, &wire::selector(&first), "")).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let listed = enumerate(&mut wire, SHELLS, "", ALL_AT_ONCE).await;
    assert_eq!(listed.text("rsp:ShellId"), second);
}
