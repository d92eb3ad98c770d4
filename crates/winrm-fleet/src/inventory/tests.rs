use super::*;

fn inventory(files: &[(&str, &str)], sources: &[&str]) -> (tempfile::TempDir, Inventory) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let sources: Vec<Source> = sources.iter().map(|name| Source::Path(folder.path().join(name))).collect();
    let inventory = Inventory::load(&sources, &LoadOptions::default()).unwrap();
    (folder, inventory)
}

fn names(hosts: Vec<&Host>) -> Vec<&str> {
    hosts.into_iter().map(Host::name).collect()
}

#[test]
fn variables_know_where_they_were_said() {
    let (folder, inventory) = inventory(
        &[
            ("hosts.ini", "[web]\nweb1 a=1 b=2\n[web:vars]\na=0\nc=3\n"),
            ("group_vars/web.yml", "c: 4\nd:\n  e: [1, yes]\n"),
            ("host_vars/web1", "b: 5\n"),
        ],
        &["hosts.ini"],
    );
    let variables = inventory.variables(inventory.host("web1").unwrap()).unwrap();
    let shown: Vec<String> = variables
        .iter()
        .map(|(name, variable)| {
            let origin = variable.origin.to_string();
            let place = origin.strip_prefix(folder.path().to_str().unwrap()).unwrap().to_owned();
            format!("{name}={:?} {place}", variable.value)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "a=Int(1) /hosts.ini:2",
            "c=Int(4) /group_vars/web.yml:1",
            "d=Map({\"e\": List([Int(1), Bool(true)])}) /group_vars/web.yml:2",
            "b=Int(5) /host_vars/web1:1",
        ]
    );
}

#[test]
fn patterns_select() {
    let (_folder, inventory) = inventory(&[("hosts", "[web]\nweb[1:3]\n[db]\ndb1\nweb3\n")], &["hosts"]);
    let select = |pattern: &str| names(inventory.select(pattern, &[]).unwrap());
    assert_eq!(select("all"), ["web1", "web2", "web3", "db1"]);
    assert_eq!(select("web:!web2"), ["web1", "web3"]);
    assert_eq!(select("web:&db"), ["web3"]);
    assert_eq!(select("web[-1]"), ["web3"]);
    assert_eq!(select("~(web|db)1"), ["web1", "db1"]);
    assert_eq!(select("localhost"), ["localhost"]);
    let error = inventory.select("wbe1", &[]).unwrap_err();
    assert_eq!(error.hint().as_deref(), Some("did you mean web1?"));
    assert!(matches!(
        inventory.select("web[9]", &[]),
        Err(PatternError::Subscript { count: 3, .. })
    ));
}
