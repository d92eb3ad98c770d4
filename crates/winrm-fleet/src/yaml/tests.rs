use super::*;

fn value(text: &str) -> Value {
    parse(text, &mut Interner::default()).unwrap().into_value()
}

#[test]
fn scalars_are_typed_as_yaml_1_1() {
    for (text, shown) in [
        ("yes", "Bool(true)"),
        ("Off", "Bool(false)"),
        ("y", "String(\"y\")"),
        ("~", "Null"),
        ("0644", "Int(420)"),
        ("0o644", "String(\"0o644\")"),
        ("1_000", "Int(1000)"),
        ("1:30", "Int(90)"),
        ("1e3", "String(\"1e3\")"),
        ("1.0e+3", "Float(1000.0)"),
        ("1.5", "Float(1.5)"),
        ("08", "String(\"08\")"),
        ("-.inf", "Float(-inf)"),
        ("2001-12-14", "String(\"2001-12-14\")"),
        ("2001-12-14 21:59:43.10 -5", "String(\"2001-12-14T21:59:43.100000-05:00\")"),
        ("'yes'", "String(\"yes\")"),
        ("!!str 5", "String(\"5\")"),
        ("!unsafe '{{ x }}'", "Unsafe(\"{{ x }}\")"),
        ("!vault |\n  $ANSIBLE_VAULT;1.1\n  61", "Vaulted(\"$ANSIBLE_VAULT;1.1\\n61\")"),
        ("0x1F", "Int(31)"),
        ("0b11", "Int(3)"),
        ("10.0.0.1", "String(\"10.0.0.1\")"),
        ("", "Null"),
    ] {
        assert_eq!(format!("{:?}", value(text)), shown, "{text}");
    }
}

#[test]
fn aliases_are_bounded() {
    let mut bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(",");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    let error = parse(&bomb, &mut Interner::default()).unwrap_err();
    assert!(error.what.contains("more than a million"), "{error:?}");
    assert!(parse("&a [*a]", &mut Interner::default()).unwrap_err().what.contains("never end"));
    assert!(parse(&"[".repeat(10_000), &mut Interner::default()).is_err());
    assert!(
        parse("a: b\n---\nc: d\n", &mut Interner::default())
            .unwrap_err()
            .what
            .contains("second document")
    );
}

#[test]
fn merges_give_way() {
    assert_eq!(
        format!(
            "{:?}",
            value("base: &b {x: 1, y: 2}\nown: {y: 3, <<: *b}\nmore: {<<: [{x: 5}, *b]}")
        ),
        "Map({\"base\": Map({\"x\": Int(1), \"y\": Int(2)}), \"own\": Map({\"x\": Int(1), \"y\": Int(3)}), \
         \"more\": Map({\"x\": Int(5), \"y\": Int(2)})})"
    );
}

#[test]
fn json_is_read_by_its_own_rules() {
    assert_eq!(
        format!(
            "{:?}",
            value("{\"a\": 1e3, \"b\": \"\\ud83d\\ude00\", \"c\": [null, true, \"yes\"]}")
        ),
        "Map({\"a\": Float(1000.0), \"b\": String(\"😀\"), \"c\": List([Null, Bool(true), String(\"yes\")])})"
    );
    assert_eq!(
        format!("{:?}", value("{\"a\": {\"__ansible_vault\": \"x\"}}")),
        "Map({\"a\": Vaulted(\"x\")})"
    );
}
