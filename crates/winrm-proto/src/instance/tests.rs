use proptest::prelude::*;

use super::*;

const SERVICE: &str = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service";

fn service() -> Instance {
    Instance::parse(format!(
        r#"<?xml version="1.0"?>
        <q:Win32_Service xmlns:q="{SERVICE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="q:Win32_Service_Type"
            xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"
            xmlns:wsman="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd">
          <q:Name>W3SVC</q:Name>
          <q:Description xsi:nil="true"/>
          <q:Roles>a</q:Roles><q:Roles>b</q:Roles>
          <q:InstallDate><cim:Datetime>2014-04-03T14:45:50.46875+08:00</cim:Datetime></q:InstallDate>
          <q:Wait><cim:Interval>P0DT0H1M40S</cim:Interval></q:Wait>
          <q:Path></q:Path>
          <q:Startup xsi:type="z:Win32_Startup_Type" xmlns:z="http://z"><z:X>1</z:X></q:Startup>
          <q:Antecedent>
            <wsa:Address>http://host/wsman</wsa:Address>
            <wsa:ReferenceParameters><wsman:ResourceURI>{SERVICE}</wsman:ResourceURI>
              <wsman:SelectorSet><wsman:Selector Name="Name">RPCSS</wsman:Selector></wsman:SelectorSet></wsa:ReferenceParameters>
          </q:Antecedent>
        </q:Win32_Service>"#
    ))
    .unwrap()
}

#[test]
fn properties_are_found_whatever_the_case_and_the_prefix() {
    let service = service();
    assert_eq!((service.name.as_str(), service.namespace.as_str()), ("Win32_Service", SERVICE));
    assert_eq!(service.text("name"), Some("W3SVC"));
    assert_eq!(service.value("Description"), Some(&Property::Nil));
    assert_eq!(service.text("Description"), None);
    assert_eq!(service.all("Roles").filter_map(Property::text).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        service.value("InstallDate"),
        Some(&Property::DateTime("2014-04-03T14:45:50.46875+08:00".into()))
    );
    assert_eq!(service.text("Wait"), Some("P0DT0H1M40S"));
    assert_eq!(service.value("Path"), Some(&Property::Text(String::new())));
    let startup = service.instance("Startup").unwrap();
    assert_eq!((startup.name.as_str(), startup.namespace.as_str()), ("Win32_Startup", "http://z"));
    assert_eq!(startup.text("X"), Some("1"));
    let Some(Property::Reference(antecedent)) = service.value("Antecedent") else {
        panic!("no reference");
    };
    assert_eq!(antecedent.to_string(), "wmicimv2/Win32_Service?Name=RPCSS");
    assert_eq!(service.value("Nothing"), None);
    assert_eq!(Instance::parse(service.to_xml().unwrap()), Ok(service));
}

#[test]
fn what_a_group_policy_has_set_is_known_as_such() {
    let config = Instance::parse(
        r#"<cfg:Service xmlns:cfg="http://schemas.microsoft.com/wbem/wsman/1/config" Source="GPO"><cfg:AllowUnencrypted Source="GPO">false</cfg:AllowUnencrypted>
        <cfg:Auth><cfg:Basic Source="GPO">true</cfg:Basic><cfg:Kerberos>true</cfg:Kerberos></cfg:Auth></cfg:Service>"#,
    )
    .unwrap();
    assert_eq!(config.source.as_deref(), Some("GPO"));
    assert_eq!(config.source_of("allowunencrypted"), Some("GPO"));
    let auth = config.instance("Auth").unwrap();
    assert_eq!((auth.source_of("Basic"), auth.source_of("Kerberos")), (Some("GPO"), None));
    assert_eq!(auth.name, "Auth");
    assert_eq!(Instance::parse(config.to_xml().unwrap()), Ok(config));
}

#[test]
fn a_value_takes_the_place_of_all_before_it() {
    let mut instance = Instance::new("x", "X").with("A", "1").with("B", "2").with("a", "3").with("C", "4");
    instance.set("a", "5");
    assert_eq!(
        instance.properties,
        [("A".into(), "5".into()), ("B".into(), "2".into()), ("C".into(), "4".into())]
    );
    instance.set("D", true);
    assert_eq!(instance.text("d"), Some("true"));
}

#[test]
fn names_that_no_element_can_have_are_refused() {
    for name in ["", "a b", "1a", "a>b", "x:y", "a/b"] {
        assert!(Instance::new("x", "X").with(name, "1").to_xml().is_err(), "{name}");
        assert!(Instance::new("x", name).to_xml().is_err(), "{name}");
    }
    let error = Instance::new("x", "X").with("a b", "1").to_xml().unwrap_err();
    assert_eq!((error.position, error.code_point), (1, 0x20));
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    "[ -~\\r\\n\\t\u{e9}\u{4e16}]{0,12}"
}

fn resource() -> impl Strategy<Value = Resource> {
    (
        "http://[a-z]{1,4}/[a-zA-Z_]{1,4}",
        proptest::collection::vec(("[A-Za-z]{1,3}", text()), 0..3),
    )
        .prop_map(|(uri, selectors)| {
            selectors
                .into_iter()
                .fold(Resource::new(uri), |resource, (name, value)| resource.selector(name, value))
        })
}

fn date() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("2024-05-01T10:00:00Z".to_owned()),
        Just("P1DT2H".to_owned()),
        Just("2024-05-01".to_owned()),
        Just("10:00:00".to_owned()),
        Just("20240501100000.000000+000".to_owned()),
    ]
}

pub(crate) fn instance() -> impl Strategy<Value = Instance> {
    let leaf = prop_oneof![
        Just(Property::Nil),
        text().prop_map(Property::Text),
        date().prop_map(Property::DateTime),
        resource().prop_map(Property::Reference),
    ];
    let named = |property: BoxedStrategy<Property>| {
        (
            prop_oneof![Just(String::new()), "http://[a-z&]{1,3}".boxed()],
            "[A-Za-z_][A-Za-z0-9_.-]{0,5}",
            proptest::collection::vec(("[A-Z_][A-Za-z0-9_]{0,5}\u{e9}?", property), 1..4),
            proptest::option::of("[A-Z]{3}"),
        )
            .prop_map(|(namespace, name, properties, source)| Instance {
                namespace,
                name,
                properties,
                source,
                sources: Vec::new(),
            })
    };
    let property = leaf.prop_recursive(3, 12, 4, move |inner| {
        named(inner)
            // A lone date in an instance without a namespace is a date.
            .prop_filter("a date", |instance| {
                instance.properties.len() > 1 || !DATE_TAGS.contains(&instance.properties[0].0.as_str())
            })
            .prop_map(Property::Instance)
    });
    named(property.boxed())
}

proptest! {
    #[test]
    fn an_instance_reads_back(instance in instance()) {
        let xml = instance.to_xml().unwrap();
        prop_assert_eq!(Instance::parse(&xml), Ok(instance), "{}", xml);
    }
}
