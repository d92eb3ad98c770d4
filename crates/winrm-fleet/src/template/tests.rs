use std::path::Path;

use super::*;

fn variables(values: &[(&str, Value)]) -> Variables {
    let variable = |(line, (name, value)): (usize, &(&str, Value))| {
        let origin = Origin::File {
            path: Path::new("vars.yml").into(),
            line: line as u32 + 1,
        };
        let value = value.clone();
        ((*name).into(), Variable { value, origin })
    };
    values.iter().enumerate().map(variable).collect()
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

#[track_caller]
fn refused(values: &[(&str, Value)], name: &str) -> TemplateError {
    let templar = Templar::new(variables(values), Vault::new());
    templar.value(&templar.variables()[name]).unwrap_err()
}

#[test]
fn what_is_undefined_is_named_with_its_template_and_place() {
    let error = refused(&[("a", text("{{ b }}")), ("b", text("x{{ nope.x }}"))], "a");
    assert_eq!(
        error.to_string(),
        "nope is undefined, which \"x{{ nope.x }}\" (vars.yml:2) asks for"
    );
    assert!(error.hint().unwrap().contains("-e nope=VALUE"));
}

#[test]
fn rings_are_told_with_their_members() {
    let ring = [("a", text("{{ b }}")), ("b", text("{{ c }}!")), ("c", text("{{ [a] }}"))];
    assert_eq!(refused(&ring, "a").to_string(), "the value refers to itself: a -> b -> c -> a");
    assert_eq!(
        refused(&[("a", text("{{ a | default(1) }}"))], "a").to_string(),
        "the value refers to itself: a -> a"
    );
    let inside = Value::Map([("x".into(), text("{{ m.x }}"))].into_iter().collect());
    assert!(matches!(refused(&[("m", inside)], "m"), TemplateError::Cycle { .. }));
}

#[test]
fn nothing_takes_without_end() {
    let names: Vec<String> = (0..40).map(|index| format!("v{index}")).collect();
    let wide: Vec<(&str, Value)> = (0..39)
        .map(|index| {
            (
                names[index].as_str(),
                text(&format!("{{{{ {0} }}}}{{{{ {0} }}}}", names[index + 1])),
            )
        })
        .chain([("v39", text("x"))])
        .collect();
    assert!(matches!(refused(&wide, "v0"), TemplateError::Limit { .. }));
    assert!(matches!(refused(&wide[10..], "v10"), TemplateError::Limit { .. }));
    for endless in [
        "{% for i in range(90000) %}{% for j in range(90000) %}x{% endfor %}{% endfor %}",
        "{% for i in range(90000) %}0123456789012345678901234567890123456789012345678901234567890123456789{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ ('x' * 1000000) * 1000000 }}",
    ] {
        let error = refused(&[("a", text(endless))], "a");
        assert!(
            matches!(error, TemplateError::Limit { .. } | TemplateError::Failed { .. }),
            "{error}"
        );
    }
}

#[test]
fn what_is_unsafe_stays_and_what_was_rendered_is_not_rendered_again() {
    let raw = Value::Unsafe("{{ nope }}".into());
    let templar = Templar::new(
        variables(&[("raw", raw.clone()), ("a", text("{{ raw }}")), ("b", text("<{{ raw }}>"))]),
        Vault::new(),
    );
    let value = |name: &str| templar.value(&templar.variables()[name]).unwrap();
    assert_eq!(value("raw"), raw);
    assert_eq!(value("a"), raw);
    assert_eq!(value("b"), Value::Unsafe("<{{ nope }}>".into()));
}

#[test]
fn omit_leaves_a_value_out() {
    let list = text("{{ [1, omit, 2] }}");
    let templar = Templar::new(variables(&[("a", text("{{ nope | default(omit) }}")), ("l", list)]), Vault::new());
    let value = |name: &str| templar.value(&templar.variables()[name]).unwrap();
    assert_eq!(value("a"), Value::Null);
    assert_eq!(value("l"), Value::List(vec![Value::Int(1), Value::Int(2)]));
}

#[test]
fn other_hosts_are_rendered_with_their_own_variables() {
    struct Two;
    impl Surroundings for Two {
        fn variables_of(&self, host: &str) -> Option<Arc<Variables>> {
            let of = |name| {
                variables(&[
                    ("me", text(name)),
                    ("greeting", text("I am {{ me }}")),
                    ("ring", text("{{ hostvars['web1'].ring }}")),
                ])
            };
            matches!(host, "web1" | "web2").then(|| Arc::new(of(if host == "web1" { "one" } else { "two" })))
        }
        fn hosts(&self) -> Vec<Arc<str>> {
            vec!["web1".into(), "web2".into()]
        }
        fn magic(&self, host: &str, name: &str) -> Option<Value> {
            (name == "inventory_hostname").then(|| text(host))
        }
    }
    let own = variables(&[
        ("me", text("zero")),
        ("a", text("{{ hostvars['web2'].greeting }}, {{ me }}")),
        ("b", text("{{ hostvars | list | join(' ') }}")),
        ("c", text("{{ inventory_hostname }} {{ hostvars.web2.inventory_hostname }}")),
        ("ring", text("{{ hostvars['web1'].ring }}")),
    ]);
    let templar = Templar::new(own, Vault::new()).surroundings(Arc::new(Two), "web1");
    let value = |name: &str| templar.value(&templar.variables()[name]);
    assert_eq!(value("a").unwrap(), text("I am two, zero"));
    assert_eq!(value("b").unwrap(), text("web1 web2"));
    assert_eq!(value("c").unwrap(), text("web1 web2"));
    assert!(matches!(value("ring"), Err(TemplateError::Limit { .. })));
}

#[test]
fn passwords_are_followed_to_their_vault() {
    let templar = Templar::new(
        variables(&[
            ("ansible_password", text("{{ pw }}")),
            ("pw", text("hunter2")),
            ("number", Value::Int(12)),
            ("made", text("{{ pw | upper }}")),
            ("locked", Value::Vaulted("$ANSIBLE_VAULT;1.1;AES256\n00".into())),
        ]),
        Vault::new(),
    );
    let secret = |name: &str| templar.secret(&templar.variables()[name]);
    assert_eq!(secret("ansible_password").unwrap().unwrap().expose(), "hunter2");
    assert_eq!(secret("number").unwrap().unwrap().expose(), "12");
    assert_eq!(secret("made").unwrap().unwrap().expose(), "HUNTER2");
    assert!(matches!(secret("locked"), Err(TemplateError::Vault(_))));
    let error = templar.value(&templar.variables()["locked"]).unwrap_err();
    assert!(error.to_string().contains("vars.yml:5"), "{error}");
}
