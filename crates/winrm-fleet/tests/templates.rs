//! Templates come to what Ansible's own Templar makes of them. `cargo xtask test` installs it; without it the test says so and passes.

#![expect(clippy::unwrap_used, reason = "what a test runs into is its failure, and it says what it lacks")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value as Json, json};
use winrm_fleet::{Map, Origin, Templar, TemplateError, Value, Variable, Variables, Vault};

/// What the templates below may ask for.
fn variables() -> Json {
    json!({
        "inventory_hostname": "web1.corp.example",
        "a": 1,
        "s": "str",
        "path": "C:\\Users\\x\\a.txt",
        "f": 1.5,
        "big": 12345678901234567890.0,
        "yes": true,
        "no": false,
        "empty": "",
        "nothing": null,
        "list": [3, 1, 2, 1],
        "names": ["b", "a", "c"],
        "map": {"x": 1, "inner": {"y": "z"}, "t": "{{ s }}!"},
        "nested": "{{ a }}",
        "deeper": "{{ nested }}",
        "text_of": "<{{ deeper }}>",
        "users": [{"name": "alice", "age": 30}, {"name": "bob", "age": 20}],
        "quoted": "it's",
        "domain": "corp.example",
        "port_of": "{{ 5985 if no else 5986 }}",
        "group_names": ["web", "prod"],
        "groups": {"web": ["web1", "web2"], "all": ["web1", "web2", "db"]},
    })
}

const TEMPLATES: &[&str] = &[
    // Types are kept where the template is one expression.
    "{{ a }}",
    "{{ a }}{{ a }}",
    " {{ a }}",
    "{{ a }}\n",
    "{{ a }}\n\n",
    "{{ s }}\n",
    "x{{ s }}\n\n",
    "{{ 'C:\\temp\\new' }}",
    "{{ 'a\\\\b' }}",
    "{{ 'it\\'s' }}",
    "{% if 'a\\nb' | length == 3 %}three{% endif %}",
    "{{ s ~ '\\n' }}",
    "{% if yes %}{{ a }}{% endif %}",
    "{% if yes %}1{% endif %}",
    "{% if no %}1{% endif %}",
    "{{ yes }}",
    "{{ nothing }}",
    "x{{ nothing }}y",
    "x{{ yes }} {{ no }}",
    "{{ f }}",
    "x{{ f }} {{ 2.0 }} {{ big }}",
    "{{ list }}",
    "x{{ list }}",
    "x{{ map }}",
    "{{ map }}",
    "x{{ quoted }} {{ [quoted, \"a\\\"b\", 'a\nb'] }}",
    "{{ {'k': [1, none, true]} }}",
    "{{ '' }}",
    "{{ '5' }}",
    "{# nothing #}x",
    "{% raw %}{{ x }}{% endraw %}",
    "{% for n in names %}{{ n }},{% endfor %}",
    "{% for n in names %}\n{{ n }}\n{% endfor %}\nend",
    "{% set q = 3 %}{{ q + 1 }}",
    // Templates in variables.
    "{{ nested }}",
    "{{ deeper }}",
    "{{ text_of }}",
    "{{ map.t }}",
    "{{ map['inner']['y'] }}",
    "{{ port_of }}",
    "{{ groups['web'][0] }}",
    "{{ groups.all | length }}",
    "{{ 'web' in group_names }}",
    // Expressions.
    "{{ a + 1 }}",
    "{{ 7 / 2 }}",
    "{{ 7 // 2 }}",
    "{{ 7 % 3 }}",
    "{{ 2 ** 10 }}",
    "{{ a ~ s }}",
    "{{ s[0:2] }}",
    "{{ s[-1] }}",
    "{{ list[-1] }}",
    "{{ 'x' if a == 1 else 'y' }}",
    "{{ a == 1 and s == 'str' }}",
    "{{ not no }}",
    "{{ inventory_hostname.split('.')[0] }}",
    "{{ s.upper() }}",
    "{{ s.startswith('st') }}",
    "{{ s.replace('t', 'T') }}",
    "{{ map.get('nope', 'd') }}",
    "{{ map.keys() | list }}",
    "{{ inventory_hostname | regex_replace('\\..*$', '') }}",
    // Undefined.
    "{{ missing | default('d') }}",
    "{{ missing.x.y | default('d') }}",
    "{{ map.nope | default('d') }}",
    "{{ empty | default('z', true) }}",
    "{{ empty | default('z') }}",
    "{{ missing | d(a) }}",
    "{{ 'x' if missing is defined else 'y' }}",
    "{{ missing is undefined }}",
    "{{ map.nope is defined }}",
    "{{ missing }}",
    "{{ missing.x }}",
    "{{ map.nope }}",
    "{{ missing + 1 }}",
    "{% if missing %}x{% endif %}",
    "{{ missing | upper }}",
    "{{ missing | mandatory }}",
    "{{ a | mandatory }}",
    "{% for x in missing %}{% endfor %}",
    "x{{ missing ~ 'y' }}",
    // Filters.
    "{{ s | upper }}",
    "{{ 'ÄB' | lower }}",
    "{{ 'hello world' | capitalize }}",
    "{{ 'hello world' | title }}",
    "{{ '  x ' | trim }}",
    "{{ 'abc' | replace('b', 'X') }}",
    "{{ 'abc' | regex_replace('(a)(b)', '\\2\\1') }}",
    "{{ 'abc' | regex_replace('(?P<n>b)', '<\\g<n>>') }}",
    "{{ 'aBc' | regex_replace('b', 'x', ignorecase=true) }}",
    "{{ 'abc123' | regex_search('[0-9]+') }}",
    "{{ 'abc' | regex_search('[0-9]+') }}",
    "{{ 'key=value' | regex_search('(\\w+)=(\\w+)', '\\1', '\\2') }}",
    "{{ 'a1b22' | regex_findall('[0-9]+') }}",
    "{{ 'a1b22' | regex_findall('([a-z])([0-9]+)') }}",
    "{{ 'foobar' | regex_replace('foo(?=bar)', 'x') }}",
    "{{ 'a.b' | regex_escape }}",
    "{{ '5' | int }}",
    "{{ 'x' | int }}",
    "{{ 'x' | int(7) }}",
    "{{ '1f' | int(base=16) }}",
    "{{ 3.9 | int }}",
    "{{ '1.5' | float }}",
    "{{ 3 | float }}",
    "{{ 'yes' | bool }}",
    "{{ 'off' | bool }}",
    "{{ 1 | bool }}",
    "{{ 12 | string }}",
    "{{ true | string }}",
    "{{ [1, 'a'] | string }}",
    "{{ names | join('-') }}",
    "{{ list | join }}",
    "{{ [1, none, true] | join(',') }}",
    "{{ 'a,b,c' | split(',') }}",
    "{{ 'a b  c' | split }}",
    "{{ 'a,b,c' | split(',') | last }}",
    "{{ names | first }}",
    "{{ names | last }}",
    "{{ names | length }}",
    "{{ s | length }}",
    "{{ list | unique }}",
    "{{ list | sort }}",
    "{{ list | sort(reverse=true) }}",
    "{{ names | sort | join(',') }}",
    "{{ list | max }}",
    "{{ list | min }}",
    "{{ list | sum }}",
    "{{ names | reverse | list }}",
    "{{ users | map(attribute='name') | list }}",
    "{{ users | selectattr('age', 'gt', 25) | map(attribute='name') | list }}",
    "{{ names | map('upper') | list }}",
    "{{ list | select('gt', 1) | list }}",
    "{{ list | reject('equalto', 1) | list }}",
    "{{ names | select('match', '[ab]') | list }}",
    "{{ 'pässword' | b64encode }}",
    "{{ 'cMOkc3N3b3Jk' | b64decode }}",
    "{{ '/etc/a/b.txt' | basename }}",
    "{{ '/etc/a/b.txt' | dirname }}",
    "{{ path | win_basename }}",
    "{{ path | win_dirname }}",
    "{{ map | to_json }}",
    "{{ [1, 'ä', none, 1.0] | to_json }}",
    "{{ {'b': 1, 'a': [1]} | to_nice_json }}",
    "{{ '{\"a\": [1, 2.5, null]}' | from_json }}",
    "{{ \"it's\" | quote }}",
    "{{ 'plain' | quote }}",
    "{{ '' | quote }}",
    "{{ yes | ternary('on', 'off') }}",
    "{{ no | ternary('on', 'off') }}",
    "{{ map | combine({'x': 2, 'n': 3}) }}",
    "{{ {'a': {'b': 1}} | combine({'a': {'c': 2}}, recursive=true) }}",
    "{{ [1, [2, [3]]] | flatten }}",
    "{{ [1, [2, [3]]] | flatten(levels=1) }}",
    "{{ {'a': 1} | dict2items }}",
    "{{ [{'key': 'a', 'value': 1}] | items2dict }}",
    "{{ [1, 2] | union([2, 3]) }}",
    "{{ [1, 2] | intersect([2, 3]) }}",
    "{{ [1, 2] | difference([2, 3]) }}",
    "{{ 3.14159 | round(2) }}",
    "{{ -5 | abs }}",
    "{{ a | type_debug }}",
    // Tests.
    "{{ s is match('st') }}",
    "{{ s is match('tr') }}",
    "{{ s is search('tr') }}",
    "{{ s is string }}",
    "{{ a is number }}",
    "{{ list is sequence }}",
    "{{ map is mapping }}",
    "{{ 4 is even }}",
    "{{ 4 is divisibleby 2 }}",
    "{{ names is contains('a') }}",
    "{{ [1] is subset([1, 2]) }}",
    "{{ nothing is none }}",
    // Lookups.
    "{{ lookup('env', 'WINRM_TEST_LOOKUP') }}",
    "{{ lookup('env', 'WINRM_TEST_NOWHERE') }}",
    "{{ query('env', 'WINRM_TEST_LOOKUP') }}",
    "{{ lookup('file', '/etc/hostname') | length > 0 }}",
    "{{ lookup('vars', 's') }}",
    "{{ range(3) | list }}",
    "{{ dict(a=1) }}",
    // What isn't a template.
    "{{ a",
    "{% if %}",
    "{{ a | nofilter }}",
    "{{ nofunction() }}",
    "plain }} text",
];

fn origin() -> Origin {
    Origin::File {
        path: Path::new("vars.yml").into(),
        line: 1,
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap()),
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(map) => Value::Map(map.iter().map(|(name, item)| (name.as_str().into(), value(item))).collect::<Map>()),
    }
}

fn json_of(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::String(text) | Value::Unsafe(text) | Value::Vaulted(text) => json!(&**text),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(map) => Json::Object(map.iter().map(|(name, item)| (name.to_string(), json_of(item))).collect()),
        _ => panic!("an unknown kind"),
    }
}

fn templar() -> Templar {
    let Json::Object(all) = variables() else { panic!("no map") };
    let all: Variables = all
        .iter()
        .map(|(name, json)| {
            let variable = Variable {
                value: value(json),
                origin: origin(),
            };
            (Arc::from(name.as_str()), variable)
        })
        .collect();
    Templar::new(all, Vault::new())
}

fn render(templar: &Templar, template: &str) -> Result<Value, TemplateError> {
    templar.value(&Variable {
        value: Value::String(template.into()),
        origin: origin(),
    })
}

#[test]
fn templates_come_to_what_ansible_makes_of_them() {
    let Some(python) = std::env::var_os("WINRM_TEST_PYTHON").filter(|python| !python.is_empty()) else {
        println!("Ansible's Templar is left out: WINRM_TEST_PYTHON is not set (cargo xtask test sets it)");
        return;
    };
    if std::env::var_os("WINRM_TEST_LOOKUP").is_none() {
        // With an environment of its own, since this process's can't be changed safely.
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "templates_come_to_what_ansible_makes_of_them", "--nocapture"])
            .env("WINRM_TEST_LOOKUP", "looked up")
            .env_remove("WINRM_TEST_NOWHERE")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers/templates.py");
    let mut peer = Command::new(python)
        .arg(script)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!({"variables": variables(), "templates": TEMPLATES});
    peer.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let answer = peer.wait_with_output().unwrap();
    let expected: Vec<Json> = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(expected.len(), TEMPLATES.len());
    let templar = templar();
    let mut wrong = Vec::new();
    for (template, expected) in TEMPLATES.iter().zip(&expected) {
        let rendered = render(&templar, template);
        let same = match (&rendered, expected.get("value")) {
            (Ok(value), Some(expected)) => json_of(value) == *expected,
            (Err(_), None) => true,
            _ => false,
        };
        if !same {
            let ours = rendered.map(|value| json_of(&value).to_string()).map_err(|error| error.to_string());
            wrong.push(format!("{template:?}\n   ours    {ours:?}\n   ansible {expected}"));
        }
    }
    println!("{} templates compared with Ansible's", TEMPLATES.len());
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        TEMPLATES.len(),
        wrong.join("\n")
    );
}
