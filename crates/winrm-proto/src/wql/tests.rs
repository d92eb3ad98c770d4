use proptest::prelude::*;

use super::*;
use crate::instance::Property;

fn service(name: &str, state: &str, process: Option<u32>) -> Instance {
    let mut instance = Instance::new(
        "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_Service",
        "Win32_Service",
    );
    instance.set("Name", name);
    instance.set("State", state);
    instance.set("Started", if state == "Running" { "true" } else { "false" });
    match process {
        Some(process) => instance.set("ProcessId", process.to_string()),
        None => instance.set("ProcessId", Property::Nil),
    }
    instance
}

fn found(condition: &str) -> Vec<&'static str> {
    let query = Query::parse(&format!("SELECT * FROM Win32_Service WHERE {condition}")).unwrap();
    let services = [
        ("W3SVC", service("W3SVC", "Running", Some(900))),
        ("WinRM", service("WinRM", "Running", Some(1_200))),
        ("Spooler", service("Spooler", "Stopped", None)),
    ];
    services
        .into_iter()
        .filter(|(_, instance)| query.matches(instance))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn finds_what_is_asked_for() {
    assert_eq!(found("State='Running'"), ["W3SVC", "WinRM"]);
    assert_eq!(found("state = \"running\" and not Name = 'winrm'"), ["W3SVC"]);
    assert_eq!(
        found("Name <> 'W3SVC' AND (State='Stopped' OR ProcessId > 1000)"),
        ["WinRM", "Spooler"]
    );
    assert_eq!(found("State='Stopped' OR Name='W3SVC' AND State='Running'"), ["W3SVC", "Spooler"]);
    assert_eq!(found("ProcessId < 1200"), ["W3SVC"]);
    assert_eq!(found("1200 <= ProcessId"), ["WinRM"]);
    assert_eq!(found("ProcessId = '900'"), ["W3SVC"]);
    assert_eq!(found("ProcessId IS NULL"), ["Spooler"]);
    assert_eq!(found("ProcessId IS NOT NULL"), ["W3SVC", "WinRM"]);
    assert_eq!(found("ProcessId = NULL"), ["Spooler"]);
    assert_eq!(found("Started = TRUE"), ["W3SVC", "WinRM"]);
    assert_eq!(found("Started = 0"), ["Spooler"]);
    assert_eq!(found("Name LIKE 'w%'"), ["W3SVC", "WinRM"]);
    assert_eq!(found("Name NOT LIKE 'w%'"), ["Spooler"]);
    assert_eq!(found("Name LIKE 'W[0-9]S__'"), ["W3SVC"]);
    assert_eq!(found("Name LIKE 'W[^0-9]%'"), ["WinRM"]);
    assert_eq!(found("NoSuch = 'x'"), Vec::<&str>::new());
}

#[test]
fn patterns_of_many_stars_end() {
    assert!(!like(&"%a".repeat(1_000), &"b".repeat(2_000)));
    assert!(like("%a%b%", "xxaxxbxx") && like("", "") && like("%", "") && !like("", "x") && !like("_", ""));
    assert!(like("50[%] [a]", "50% a") && like("[", "["));
}

#[test]
fn texts_have_escapes() {
    let query = Query::parse(r#"SELECT Name, State FROM X WHERE Path = "C:\\Program Files\\\"x\"" AND N = 'it''s'"#).unwrap();
    assert_eq!(query.select.as_deref().unwrap(), ["Name", "State"]);
    let Some(Condition::And(parts)) = query.condition else { panic!() };
    assert!(matches!(&parts[0], Condition::Compare { value: Literal::Text(text), .. } if text == r#"C:\Program Files\"x""#));
    assert!(matches!(&parts[1], Condition::Compare { value: Literal::Text(text), .. } if text == "it's"));
}

#[test]
fn says_what_it_does_not_know_and_where() {
    for (query, said) in [
        ("", "at character 1: a query begins with SELECT"),
        ("SELECT", "at character 7: the name of a property, or * is missing"),
        ("SELECT * FROM", "at character 14: the name of a class is missing"),
        ("SELECT * FROM X WHERE", "at character 22: the name of a property is missing"),
        (
            "SELECT * FROM X WHERE a",
            "at character 24: an operator is missing: =, <>, <, <=, >, >=, LIKE or IS",
        ),
        (
            "SELECT * FROM X WHERE a = ",
            "at character 27: a value is missing: a text in quotes, a number, TRUE, FALSE or NULL",
        ),
        (
            "SELECT * FROM X WHERE a = 'b",
            "at character 27: the text that begins with ' has no end",
        ),
        ("SELECT * FROM X WHERE (a = 1", "at character 29: a parenthesis is not closed"),
        ("SELECT * FROM X WHERE a = 1 )", "at character 29: the query goes on behind its end"),
        (
            "SELECT * FROM X WHERE a ISA 'Y'",
            "at character 25: ISA is not known to this service",
        ),
        ("SELECT * FROM X ORDER BY a", "at character 17: WQL has no ORDER BY"),
        ("SELECT * FROM X; DROP", "at character 16: ; means nothing in WQL"),
        (
            "SELECT * FROM X WITHIN 1",
            "at character 17: WITHIN belongs to event queries, which this service doesn't have",
        ),
        ("ASSOCIATORS OF {X.a=1}", "at character 16: { means nothing in WQL"),
        (
            "REFERENCES OF X",
            "at character 1: REFERENCES queries are not known to this service, only SELECT",
        ),
        (
            "SELECT a.b FROM X",
            "at character 8: a.b: properties of embedded objects are not known to this service",
        ),
        (
            "SELECT * FROM X WHERE a LIKE 5",
            "at character 31: LIKE compares with a text in quotes",
        ),
        ("SELECT * FROM X WHERE a = 0xZZ", "at character 27: 0xZZ is no number"),
    ] {
        assert_eq!(Query::parse(query).unwrap_err().to_string(), said, "{query}");
    }
}

#[test]
fn hostile_queries_are_refused() {
    let deep = format!("SELECT * FROM X WHERE {}a = 1{}", "(".repeat(3_000), ")".repeat(3_000));
    assert!(Query::parse(&deep).unwrap_err().reason.contains("deeper than 32"));
    let nots = format!("SELECT * FROM X WHERE {} a = 1", "NOT ".repeat(1_000));
    assert!(Query::parse(&nots).unwrap_err().reason.contains("deeper than 32"));
    let many = format!("SELECT * FROM X WHERE a=1{}", " OR a=1".repeat(900));
    assert!(Query::parse(&many).unwrap_err().reason.contains("more than 256"));
    let long = format!("SELECT * FROM X WHERE a = '{}'", "x".repeat(9_000));
    assert!(Query::parse(&long).unwrap_err().reason.contains("longer than 8192"));
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        "[ -~é]{0,12}".prop_map(Literal::Text),
        any::<i32>().prop_map(|number| Literal::Number(number.into())),
        (-1e6..1e6).prop_map(Literal::Number),
        any::<bool>().prop_map(Literal::Flag),
        Just(Literal::Null),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let operator = prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    let leaf = prop_oneof![
        ("p_[A-Za-z0-9_]{0,6}", operator, literal()).prop_map(|(property, operator, value)| Condition::Compare {
            property,
            operator,
            value
        }),
        ("p_[A-Z]{0,6}", "[ -~]{0,8}").prop_map(|(property, pattern)| Condition::Compare {
            property,
            operator: Operator::Like,
            value: Literal::Text(pattern)
        }),
        ("p_[A-Z]{0,6}", any::<bool>()).prop_map(|(property, negated)| Condition::IsNull { property, negated }),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner, 2..4).prop_map(Condition::Or),
        ]
    })
}

proptest! {
    #[test]
    fn a_query_reads_back(
        select in prop::option::of(prop::collection::vec("p_[A-Za-z]{1,6}", 1..4)),
        class in "Win32_[A-Z]{1,6}",
        condition in prop::option::of(condition()),
    ) {
        let query = Query { select, class, condition };
        prop_assert_eq!(Query::parse(&query.to_string()), Ok(query));
    }

    #[test]
    fn any_text_is_a_query_or_an_error(text in "(SELECT \\* FROM X WHERE )?.{0,60}") {
        let _ = Query::parse(&text);
    }

    #[test]
    fn a_pattern_of_plain_characters_is_the_text(text in "[a-z é^-]{0,10}") {
        let (loud, within) = (text.to_uppercase(), ["x", &text, "y"].concat());
        prop_assert!(like(&text, &loud) && like(&["%", &text, "%"].concat(), &within));
    }
}
