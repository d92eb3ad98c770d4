//! Inventories that are wrong: each error says where, shows the line, and what to do.

#![expect(clippy::unwrap_used, reason = "what helpers run into is the test's failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use winrm_fleet::inventory::InventoryError;
use winrm_fleet::{Inventory, LoadOptions, Source};

/// The error, its snippet and its hint, as people see them.
fn shown(error: &InventoryError) -> String {
    let mut text = error.to_string();
    if let Some(snippet) = error.snippet() {
        text = format!("{text}\n{snippet}");
    }
    match error.hint() {
        Some(hint) => format!("{text}\nhint: {hint}"),
        None => text,
    }
}

fn refused(name: &str, text: &str) -> String {
    shown(&Inventory::from_text(Path::new(name), text, &LoadOptions::default()).unwrap_err())
}

#[test]
fn each_error_says_where_and_what() {
    let mut wrong = Vec::new();
    for (name, text, expected) in [
        (
            "a.ini",
            "[web]\nweb1 port 5\n",
            "a.ini, line 2, column 6: behind a host stand NAME=VALUE pairs, and this has no =\n  |\n2 | web1 port 5\n  |      ^\n\
             hint: values with spaces need quotes around them: name=\"a b\"",
        ),
        (
            "a.ini",
            "[web]\n  web1 a='x\n",
            "a.ini, line 2, column 3: a quote ' is not closed\n  |\n2 |   web1 a='x\n  |   ^",
        ),
        (
            "a.ini",
            "[web:hosst]\n",
            "a.ini, line 1, column 6: a section is [web], [web:children] or [web:vars], not :hosst\n  |\n1 | [web:hosst]\n  |      ^",
        ),
        (
            "a.ini",
            "[web servers]\n",
            "a.ini, line 1, column 1: this is no section: [group], [group:children] or [group:vars], without spaces\n  |\n1 | [web servers]\n  | ^",
        ),
        (
            "a.ini",
            "[web:vars]\nx\n",
            "a.ini, line 2, column 1: in [group:vars] stand NAME=VALUE lines, and this has no =\n  |\n2 | x\n  | ^",
        ),
        (
            "a.ini",
            "h\n[prod:children]\nweb\n",
            "a.ini, line 3, column 1: [prod:children] names the group \"web\", which isn't there\n  |\n3 | web\n  | ^\n\
             hint: declare it with a line [web]",
        ),
        (
            "a.ini",
            "[web:vars]\nx=1\n",
            "a.ini, line 1, column 1: [web:vars] speaks of the group \"web\", which isn't there\n  |\n1 | [web:vars]\n  | ^\n\
             hint: declare it with a line [web]",
        ),
        (
            "a.ini",
            "[a:children]\nb\n[b:children]\nc\n[c:children]\na\n",
            "a.ini, line 6, column 1: groups in a loop: a > b > c > a\n  |\n6 | a\n  | ^",
        ),
        (
            "a.ini",
            "web[1:3\n",
            "a.ini, line 1, column 1: the range [1:3 is not closed by ]\n  |\n1 | web[1:3\n  | ^",
        ),
        (
            "a.ini",
            "web[1:9999999999]\n",
            "a.ini, line 1, column 1: it names more than 1,000,000 hosts\n  |\n1 | web[1:9999999999]\n  | ^",
        ),
        (
            "a.ini",
            "\"\"\n",
            "a.ini, line 1, column 1: the name of the host is empty\n  |\n1 | \"\"\n  | ^",
        ),
        (
            "a.ini",
            "web1 ansible_password=topsecret oops\n",
            "a.ini, line 1, column 33: behind a host stand NAME=VALUE pairs, and this has no =\n  |\n1 | web1 ansible_password=…\n\
             hint: values with spaces need quotes around them: name=\"a b\"",
        ),
        (
            "a.yml",
            "all:\n\thosts:\n",
            "a.yml, line 2, column 2: this is no YAML: tabs disallowed within this context (block indentation)\n  |\n2 | \thosts:\n  | \t^\n\
             hint: YAML is indented with spaces, never with tabs",
        ),
        (
            "a.yml",
            "all:\n  hosts:\n    h:\n      a: {{ x }}\n",
            "a.yml, line 4, column 11: this is no YAML: a list or map can't be a key; a value that begins with { needs quotes around it\n  |\n\
             4 |       a: {{ x }}\n  |           ^\nhint: a value that begins with {{ needs quotes around it: \"{{ name }}\"",
        ),
        (
            "a.yml",
            "all:\n  hosts:\n    - web1\n",
            "a.yml, line 3, column 5: hosts of the group \"all\" is a map, and this is a list\n  |\n3 |     - web1\n  |     ^\n\
             hint: a name of its own stands as NAME: without a dash",
        ),
        (
            "a.yml",
            "all:\n  hosts:\n    web1: 5\n",
            "a.yml, line 3, column 11: the host \"web1\" holds a map of variables, and this is a number\n  |\n3 |     web1: 5\n  |           ^\n\
             hint: variables stand as NAME: VALUE, each on its line, below the host and indented",
        ),
        (
            "a.yml",
            "all:\n  hosts:\n    10:\n",
            "a.yml, line 3, column 5: a host's name is a text, and \"10\" is none\n  |\n3 |     10:\n  |     ^\n\
             hint: put quotes around it: \"10\"",
        ),
        (
            "a.yml",
            "a:\n  children:\n    b:\n      children:\n        a:\n",
            "a.yml, line 3, column 5: groups in a loop: b > a > b\n  |\n3 |     b:\n  |     ^",
        ),
        (
            "a.yml",
            "plugin: amazon.aws.aws_ec2\n",
            "a.yml: this is for Ansible's inventory plugin \"amazon.aws.aws_ec2\", which is a Python program\n\
             hint: let Ansible write what it makes of it: ansible-inventory -i a.yml --list --output hosts.json",
        ),
    ] {
        let shown = refused(name, text);
        if shown != expected {
            wrong.push(format!("{text}--- is\n{shown}\n--- and not\n{expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn sources_that_are_no_inventories_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str| Inventory::load(&[Source::Path(folder.path().join(name))], &LoadOptions::default());
    let refused = |name: &str| shown(&load(name).unwrap_err()).replace(folder.path().to_str().unwrap(), "");

    assert!(refused("none").starts_with("there is no inventory at /none\nhint: give a file, a folder"));

    fs::write(folder.path().join("latin1"), b"web1\nw\xe9b2\n").unwrap();
    assert_eq!(
        refused("latin1"),
        "/latin1, line 2: the file is not in UTF-8\nhint: convert it: iconv -f WINDOWS-1252 -t UTF-8"
    );

    fs::write(folder.path().join("hosts.toml"), "[web.hosts]\n").unwrap();
    assert!(refused("hosts.toml").starts_with("/hosts.toml: inventories in TOML are not read"));

    fs::write(folder.path().join("vaulted"), "$ANSIBLE_VAULT;1.1;AES256\n6162\n").unwrap();
    assert!(!refused("vaulted").contains("6162"));
    assert!(load("vaulted").is_err());
}

#[test]
fn programs_that_fail_say_how() {
    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str, text: &str, limit: Duration| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut options = LoadOptions::default();
        options.program_timeout = limit;
        let error = Inventory::load(&[Source::Path(path)], &options).unwrap_err();
        shown(&error).replace(folder.path().to_str().unwrap(), "")
    };
    let patient = Duration::from_secs(60);
    assert_eq!(
        program("exit", "#!/bin/sh\necho no credentials >&2\nexit 3\n", patient),
        "the inventory program /exit ended with exit code 3\nhint: it wrote to standard error: no credentials"
    );
    assert_eq!(
        program("rubbish", "#!/bin/sh\necho '{\"web\": '\n", patient),
        "the inventory program /rubbish wrote what is no JSON: EOF while parsing a value at line 2 column 0\n\
         hint: try it by hand: /rubbish --list"
    );
    assert_eq!(
        program("shape", "#!/bin/sh\necho '{\"web\": {\"hosts\": \"web1\"}}'\n", patient),
        "the inventory program /shape wrote hosts of the group \"web\" that are no list of names\nhint: try it by hand: /shape --list"
    );
    assert_eq!(
        program(
            "loop",
            "#!/bin/sh\necho '{\"a\": {\"children\": [\"b\"]}, \"b\": {\"children\": [\"a\"]}}'\n",
            patient
        ),
        "the inventory program /loop wrote what can't be: groups in a loop: a > b > a\nhint: try it by hand: /loop --list"
    );
    assert!(program("hang", "#!/bin/sh\nexec sleep 600\n", Duration::from_millis(300)).contains("took longer than 0.3 s, and was stopped"));
    assert!(program("flood", "#!/bin/sh\nexec cat /dev/zero\n", patient).contains("wrote more than 256 MiB"));
}

#[test]
fn a_file_of_variables_is_the_trouble_of_its_hosts_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hosts"), "good\nbad\n").unwrap();
    fs::create_dir(folder.path().join("host_vars")).unwrap();
    fs::write(folder.path().join("host_vars/bad.yml"), "- a\n").unwrap();
    let inventory = Inventory::load(&[Source::Path(folder.path().join("hosts"))], &LoadOptions::default()).unwrap();
    assert!(inventory.variables(inventory.host("good").unwrap()).unwrap().is_empty());
    let error = inventory.variables(inventory.host("bad").unwrap()).unwrap_err();
    let shown = shown(&error).replace(folder.path().to_str().unwrap(), "");
    assert_eq!(
        shown,
        "/host_vars/bad.yml, line 1, column 1: a file of variables is a map, and this is a list\n  |\n1 | - a\n  | ^\n\
         hint: variables stand as NAME: VALUE, each on its line"
    );
}
