use proptest::prelude::*;

use super::*;
use crate::instance::tests::instance;
use crate::invoke::{Invoke, InvokeResponse};
use crate::transfer::{Create, Created, Delete, Get, InstanceResponse, Put};
use crate::xml::{Limits, decode};
use crate::{Property, Request};

const MESSAGE: &str = "uuid:7C31C1E6-0000-4000-8000-0123456789AB";

fn header() -> RequestHeader {
    RequestHeader::new("http://host:5985/wsman")
}

fn response_header() -> ResponseHeader {
    ResponseHeader {
        message_id: "uuid:2".into(),
        relates_to: Some(MESSAGE.into()),
    }
}

fn with_envelope<T>(bytes: &[u8], check: impl FnOnce(&Envelope<'_>) -> T) -> T {
    let text = decode(bytes).unwrap();
    let envelope = Envelope::parse(&text, &Limits::default()).unwrap();
    check(&envelope)
}

fn reread(bytes: &[u8]) -> Request {
    with_envelope(bytes, |envelope| Request::read(envelope, &envelope.header().unwrap()).unwrap())
}

fn service() -> Resource {
    Resource::parse("wmicimv2/Win32_Service?Name=W3SVC").unwrap()
}

#[test]
fn requests_without_a_body_read_back() {
    let mut get = Get::new(service());
    assert_eq!(reread(&get.write(&header(), MESSAGE).unwrap()), Request::Get(get.clone()));
    get.fragment = Some("State".into());
    let bytes = get.write(&header(), MESSAGE).unwrap();
    assert_eq!(reread(&bytes), Request::Get(get));
    with_envelope(&bytes, |envelope| assert!(envelope.header().unwrap().not_understood.is_empty()));
    let delete = Delete { resource: service() };
    assert_eq!(reread(&delete.write(&header(), MESSAGE).unwrap()), Request::DeleteInstance(delete));
    let invoke = Invoke::new(service(), "StartService");
    assert_eq!(invoke.action(), format!("{}/StartService", service().uri));
    assert_eq!(reread(&invoke.write(&header(), MESSAGE).unwrap()), Request::Invoke(invoke));
}

#[test]
fn a_call_reads_as_one_whether_it_has_a_body_or_not() {
    let text = format!(
        r#"<s:Envelope xmlns:s="{}" xmlns:a="{}" xmlns:w="{}"><s:Header><a:Action>{uri}/StopService</a:Action>
        <w:ResourceURI>{uri}</w:ResourceURI></s:Header><s:Body/></s:Envelope>"#,
        ns::SOAP,
        ns::ADDRESSING,
        ns::WSMAN,
        uri = service().uri,
    );
    let expected = Invoke::new(Resource::new(service().uri), "StopService");
    assert_eq!(reread(text.as_bytes()), Request::Invoke(expected));
}

#[test]
fn shells_are_opened_and_closed_as_before() {
    use crate::shell::{CreateShell, DeleteShell};
    let create = CreateShell::default();
    assert!(matches!(reread(&create.write(&header(), MESSAGE).unwrap()), Request::Create(_)));
    let delete = DeleteShell::new("x");
    assert!(matches!(reread(&delete.write(&header(), MESSAGE).unwrap()), Request::Delete(_)));
}

#[test]
fn both_ways_to_end_a_list_are_read() {
    let page = |body: &str| {
        let text = format!(
            r#"<s:Envelope xmlns:s="{}" xmlns:n="{}" xmlns:w="{}"><s:Body>{body}</s:Body></s:Envelope>"#,
            ns::SOAP,
            ns::ENUMERATION,
            ns::WSMAN
        );
        with_envelope(text.as_bytes(), |envelope| Page::read(envelope).unwrap())
    };
    let optimized = page(
        "<n:EnumerateResponse><n:EnumerationContext/><w:Items><w:XmlFragment><Name>a</Name><Date><Datetime>2013-04-09T15:42:20.4124Z</Datetime></Date></w:XmlFragment></w:Items><w:EndOfSequence/></n:EnumerateResponse>",
    );
    assert_eq!((optimized.context, optimized.end), (None, true));
    let fragment = optimized.items[0].instance.as_ref().unwrap();
    assert_eq!((fragment.name.as_str(), fragment.text("name")), (Instance::FRAGMENT, Some("a")));
    assert_eq!(
        fragment.value("Date"),
        Some(&Property::DateTime("2013-04-09T15:42:20.4124Z".into()))
    );
    let first = page("<n:EnumerateResponse><n:EnumerationContext>uuid:1</n:EnumerationContext></n:EnumerateResponse>");
    assert_eq!((first.context.as_deref(), first.end, first.items.len()), (Some("uuid:1"), false, 0));
    let last = page("<n:PullResponse><n:Items/><n:EndOfSequence/></n:PullResponse>");
    assert_eq!((last.context, last.end), (None, true));
    let windows =
        page("<n:EnumerateResponse><n:EnumerationContext>uuid:1</n:EnumerationContext><w:Items/><n:EndOfSequence/></n:EnumerateResponse>");
    assert!(windows.end);
}

fn filter() -> impl Strategy<Value = Option<Filter>> {
    let text = || "[ -~\u{e9}]{0,12}";
    let association = (
        any::<bool>(),
        proptest::option::of("[A-Z]{1,3}"),
        proptest::option::of("[a-z]{1,3}"),
    )
        .prop_map(|(associations, association_class, role)| Association {
            associations,
            object: service(),
            association_class,
            role,
            result_class: None,
            result_role: Some("r".into()),
        });
    prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Filter::Wql(text))),
        proptest::collection::vec(("[a-z]{1,3}", text()), 0..3).prop_map(|selectors| {
            let selectors = selectors.into_iter().map(|(name, value)| Selector::new(name, value));
            Some(Filter::Selectors(selectors.collect()))
        }),
        association.prop_map(|association| Some(Filter::Association(association))),
        text().prop_map(|text| {
            Some(Filter::Other {
                dialect: "http://x?a&b".into(),
                text,
            })
        }),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        instance().prop_map(|instance| Item {
            instance: Some(instance),
            reference: None
        }),
        Just(Item {
            instance: None,
            reference: Some(service())
        }),
        instance().prop_map(|instance| Item {
            instance: Some(instance),
            reference: Some(service())
        }),
    ]
}

proptest! {
    #[test]
    fn enumerations_read_back(filter in filter(), mode in 0..3_usize, shallow in 0..4_usize, optimize: bool, max_elements in proptest::option::of(1..9_u32)) {
        let enumerate = Enumerate {
            filter,
            mode: [Mode::Object, Mode::Epr, Mode::ObjectAndEpr][mode],
            optimize,
            max_elements,
            polymorphism: [None, Some(Polymorphism::Exclude), Some(Polymorphism::None), Some(Polymorphism::Include)][shallow],
            ..Enumerate::new(service())
        };
        prop_assert_eq!(reread(&enumerate.write(&header(), MESSAGE).unwrap()), Request::Enumerate(enumerate));
        let pull = Pull { resource: service(), context: "uuid:<1>".into(), max_elements };
        prop_assert_eq!(reread(&pull.write(&header(), MESSAGE).unwrap()), Request::Pull(pull));
        let release = Release { resource: service(), context: "uuid:<1>".into() };
        prop_assert_eq!(reread(&release.write(&header(), MESSAGE).unwrap()), Request::Release(release));
    }

    #[test]
    fn pages_read_back(items in proptest::collection::vec(item(), 0..3), end: bool) {
        let page = Page { context: (!end).then(|| "uuid:<1>".to_owned()), items, end };
        for bytes in [page.write_to_enumerate(&response_header()), page.write_to_pull(&response_header())] {
            let again = with_envelope(&bytes.unwrap(), |envelope| Page::read(envelope).unwrap());
            prop_assert_eq!(&again, &page);
        }
    }

    #[test]
    fn requests_and_answers_with_an_instance_read_back(instance in instance(), fragment in proptest::option::of("[A-Za-z/()]{1,8}")) {
        let put = Put { resource: service(), fragment: fragment.clone(), instance: instance.clone() };
        prop_assert_eq!(reread(&put.write(&header(), MESSAGE).unwrap()), Request::Put(put));
        let create = Create { resource: service(), instance: instance.clone() };
        prop_assert_eq!(reread(&create.write(&header(), MESSAGE).unwrap()), Request::CreateInstance(create));
        let invoke = Invoke { input: instance.clone(), ..Invoke::new(service(), "Change") };
        let action = invoke.action();
        prop_assert_eq!(reread(&invoke.write(&header(), MESSAGE).unwrap()), Request::Invoke(invoke));
        let answer = InvokeResponse { output: instance.clone() };
        let bytes = answer.write(&response_header(), &action).unwrap();
        prop_assert_eq!(with_envelope(&bytes, |envelope| InvokeResponse::read(envelope).unwrap()), answer);
        let answer = InstanceResponse { fragment, ..InstanceResponse::new(instance) };
        for bytes in [answer.write_to_get(&response_header()), answer.write_to_put(&response_header())] {
            let again = with_envelope(&bytes.unwrap(), |envelope| InstanceResponse::read(envelope).unwrap());
            prop_assert_eq!(&again, &answer);
        }
        let created = Created { resource: service(), address: "http://host/wsman?a&b".into() };
        let bytes = created.write(&response_header()).unwrap();
        prop_assert_eq!(with_envelope(&bytes, |envelope| Created::read(envelope).unwrap()), created);
    }
}
