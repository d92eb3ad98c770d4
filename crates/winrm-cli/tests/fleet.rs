//! `winrm run`, `ping` and `report` on fleets: good hosts, and every kind of bad one, in one inventory.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what the support modules run into is the test's failure, and what they print is the test's output"
)]

#[path = "support/site.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod site;
#[expect(dead_code, reason = "other tests use all of it")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use site::{Ended, Site, bad_host, each, ended, port, silent_host, statuses, sub};
use support::peer;
use support::service::{self, PASSWORD, Service, USER};

#[test]
fn each_host_has_its_block_and_a_last_line_counts() {
    let mut site = Site::new("blocks").with_good(1);
    site.add("wrong", &format!("ansible_port={} ansible_password=no", port(&site.service.url)));
    site.add("dead", "ansible_port=1");
    let run = site.run(&["all", "--", "printf 'a\\r\\nb'; echo e >&2; exit 3"]).with_status(4);
    assert!(run.stdout.contains("web1 | FAILED | rc=3 >>\na\nb\ne\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("dead | UNREACHABLE! >>\n127.0.0.1 refuses connections"),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("wrong | UNREACHABLE! >>\n"), "{}", run.stdout);
    assert_eq!(run.counts(), "3 hosts: 0 ok, 1 failed, 2 unreachable");
    assert!(!run.stdout.contains(PASSWORD) && !run.stderr.contains('\x1b') && !run.stdout.contains('\x1b'));
}

#[test]
fn the_exit_status_tells_the_worst() {
    let mut site = Site::new("status").with_good(2);
    site.add("dead", "ansible_port=1");
    assert_eq!(
        site.run(&["web*", "--", "true"]).with_status(0).counts(),
        "2 hosts: 2 ok, 0 failed, 0 unreachable"
    );
    site.run(&["web*", "--", "exit 5"]).with_status(2);
    site.run(&["all", "--", "exit 5"]).with_status(4);
    site.run(&["all", "--", "true"]).with_status(4);
    site.run(&["web*", "--ok-codes", "0,5", "--", "exit 5"]).with_status(0);
    site.run(&["web*", "--ok-codes", "0,5", "--", "exit 6"]).with_status(2);
    site.run(&["web*", "--timeout", "0.3", "--", "sleep 30"]).with_status(2);
}

#[test]
fn mistakes_get_sentences() {
    let site = Site::new("mistakes").with_good(1);
    for (args, expected) in [
        (&["nosuch", "--", "true"][..], "matches no host"),
        (&["all", "-f", "0", "--", "true"], "it is no number from 1 on"),
        (&["all", "--batch", "0", "--", "true"], "one host at the least"),
        (&["all", "--max-fail", "101%", "--", "true"], "0% to 100%"),
        (&["all", "--shard", "4/3", "--", "true"], "K from 1 to N"),
        (&["all", "--shard", "0/3", "--", "true"], "K from 1 to N"),
        (&["all", "--ok-codes", "x", "--", "true"], "it is no exit code"),
        (&["all", "--max-output", "1T", "--", "true"], "it is no number of bytes"),
        (&["all", "--rerun", "failed", "--", "true"], "there is no record of a last run"),
        (
            &["all", "--record", "/nonexistent/x", "--", "true"],
            "the record /nonexistent/x can't be written",
        ),
        (&["all", "--tree", "/dev/null/x", "--", "true"], "for --tree can't be made"),
    ] {
        let run = site.run(args).with_status(1);
        assert!(run.stderr.contains(expected), "{args:?}: {}", run.stderr);
        assert_eq!(run.stdout, "", "{args:?}");
    }
    let run = ended(site.bare().args(["report", "/nonexistent"])).with_status(1);
    assert!(run.stderr.contains("/nonexistent can't be read"), "{}", run.stderr);
    let bad = site.folder.join("bad.jsonl");
    fs::write(&bad, "{\"host\":\"a\",\"status\":\"ok\"}\nhello\n").unwrap();
    let run = ended(site.bare().arg("report").arg(&bad)).with_status(1);
    assert!(run.stderr.contains("bad.jsonl:2 is no line of a record"), "{}", run.stderr);
}

#[test]
fn too_few_files_are_an_error_with_a_way_out() {
    let site = Site::new("files").with_good(60);
    let inventory = site.inventory();
    let program = env!("CARGO_BIN_EXE_winrm");
    let run = |forks: &str| {
        let script = format!("ulimit -n 300; exec {program} run -i {inventory} all -f {forks} --no-stdin -- true");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("XDG_STATE_HOME", site.folder.join("state"));
        ended(&mut command)
    };
    let refused = run("100").with_status(1);
    assert!(
        refused
            .stderr
            .contains("60 hosts at once may need 364 open files, and this process may have 300"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("or take --forks 47"), "{}", refused.stderr);
    run("47").with_status(0);
}

#[test]
fn one_hosts_trouble_is_not_anothers() {
    let mut site = Site::new("trouble").with_good(2);
    let doomed_folder = sub(&site.folder, "doomed");
    fs::write(doomed_folder.join("doomed"), "").unwrap();
    let doomed = Service::start(&doomed_folder, &[]);
    let endless_folder = sub(&site.folder, "endless");
    fs::write(endless_folder.join("endless"), "").unwrap();
    let endless = Service::start(&endless_folder, &[]);
    let good = port(&site.service.url).to_owned();
    site.add("doomed", &format!("ansible_port={}", port(&doomed.url)));
    site.add("endless", &format!("ansible_port={}", port(&endless.url)));
    site.add("wrong", &format!("ansible_port={good} ansible_password=no"));
    site.add("refused", "ansible_port=1");
    site.add("silent", &format!("ansible_port={}", silent_host()));
    let rubbish = bad_host(|mut stream| {
        drop(stream.read(&mut [0; 4096]));
        drop(stream.write_all(b"220 mail.example ESMTP\r\n\xFF\xFE\x00"));
    });
    site.add("rubbish", &format!("ansible_port={rubbish}"));
    site.add("undefined", "ansible_host=\"{{ nowhere }}\"");
    site.add("transport", &format!("ansible_port={good} ansible_winrm_transport=carrier_pigeon"));
    let command = "if [ -e doomed ]; then echo first; sleep 0.5; kill -9 $PPID; fi; if [ -e endless ]; then exec yes; fi; echo fine";
    let run = site
        .run(&["all", "--max-output", "1M", "--format", "jsonl", "--", command])
        .with_status(4);
    let hosts = run.hosts();
    assert_eq!(
        statuses(&hosts),
        [
            ("doomed", "unreachable"),
            ("endless", "failed"),
            ("refused", "unreachable"),
            ("rubbish", "unreachable"),
            ("silent", "unreachable"),
            ("transport", "failed"),
            ("undefined", "failed"),
            ("web1", "ok"),
            ("web2", "ok"),
            ("wrong", "unreachable"),
        ]
    );
    assert_eq!(hosts["web1"]["stdout"], "fine\n");
    // What came before the end is kept, and that it had begun is said.
    assert_eq!(
        (&hosts["doomed"]["stdout"], &hosts["doomed"]["may_have_run"]),
        (&"first\n".into(), &"yes".into())
    );
    let written = hosts["endless"]["stdout"].as_str().unwrap();
    assert!(written.len() > 1 << 20 && written.starts_with("y\ny\n"), "{}", written.len());
    assert!(hosts["endless"]["error"].as_str().unwrap().contains("more than 1048576 bytes"));
    assert!(hosts["silent"]["error"].as_str().unwrap().contains("did not answer") || hosts["silent"]["hint"].is_string());
    assert!(
        hosts["undefined"]["error"].as_str().unwrap().contains("hosts.ini:"),
        "{}",
        hosts["undefined"]
    );
    assert!(
        hosts["transport"]["error"].as_str().unwrap().contains("carrier_pigeon"),
        "{}",
        hosts["transport"]
    );
    assert_eq!(run.counts(), "10 hosts: 2 ok, 3 failed, 5 unreachable");
    drop(doomed);
}

#[test]
fn one_line_is_one_line() {
    let site = Site::new("line").with_good(2);
    let run = site.run(&["all", "-o", "--", "printf 'a\\nb\\n'; echo e >&2"]).with_status(0);
    let mut lines: Vec<&str> = run.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["web1 | rc=0 | (stdout) a\\nb (stderr) e", "web2 | rc=0 | (stdout) a\\nb (stderr) e"]
    );
}

#[test]
fn json_stands_in_the_inventorys_order() {
    let mut site = Site::new("json");
    // The first one ends last.
    site.add("slow", &format!("ansible_port={}", silent_host()));
    let site = site.with_good(3);
    let run = site
        .run(&["all", "--format", "json", "--", "printf '\\377'; pwd >&2"])
        .with_status(4);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let hosts = document["hosts"].as_array().unwrap();
    let names: Vec<_> = hosts.iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert_eq!(names, ["slow", "web1", "web2", "web3"]);
    let web1 = &hosts[1];
    assert_eq!(
        (&web1["rc"], &web1["stdout"], &web1["stdout_base64"]),
        (&0.into(), &"\u{fffd}".into(), &"/w==".into())
    );
    assert_eq!(
        (&web1["user"], &web1["transport"], &web1["index"]),
        (&USER.into(), &"ntlm".into(), &1.into())
    );
    assert_eq!(web1["endpoint"], site.service.url.trim_end_matches('/'));
    assert_eq!(document["summary"]["ok"], 3);
    assert_eq!(document["summary"]["unreachable"], 1);
}

#[test]
fn junit_is_read_by_those_who_show_it() {
    let mut site = Site::new("junit").with_good(2);
    site.add("dead", "ansible_port=1");
    let run = site.run(&[
        "all",
        "--format",
        "junit",
        "--max-fail",
        "100%",
        "--",
        "printf '<a&b>\\033]]>\\n'; exit 1",
    ]);
    let file = site.folder.join("report.xml");
    fs::write(&file, &run.with_status(4).stdout).unwrap();
    let Some(python) = peer::variable("junitparser", "WINRM_TEST_PYTHON") else {
        return;
    };
    let mut judge = peer::script(python, "fleet_junit.py");
    judge.arg(&file);
    peer::judge("junitparser", judge, 8, String::new);
}

#[test]
fn identical_hosts_are_told_once() {
    let mut site = Site::new("group").with_good(3);
    let other_folder = sub(&site.folder, "other");
    fs::write(other_folder.join("other"), "").unwrap();
    let other = Service::start(&other_folder, &[]);
    site.add("odd", &format!("ansible_port={}", port(&other.url)));
    let run = site.run(&[
        "all",
        "--group-identical",
        "--",
        "if [ -e other ]; then echo different; else echo same; fi",
    ]);
    assert_eq!(
        run.with_status(0).stdout,
        "web1,web2,web3 (3 hosts) | rc=0 >>\nsame\nodd | rc=0 >>\ndifferent\n"
    );
}

#[test]
fn a_tree_has_a_file_for_each_host() {
    let mut site = Site::new("tree").with_good(1);
    site.add("dead", "ansible_port=1");
    site.run(&["all", "--tree", "tree/deep", "--", "seq 100000"]).with_status(4);
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(site.folder.join("tree/deep").join(name)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(read("web1")["stdout"].as_str().unwrap(), expected);
    assert_eq!(read("dead")["status"], "unreachable");
}

#[test]
fn the_failed_are_run_again() {
    let mut site = Site::new("rerun").with_good(3);
    site.add("dead", "ansible_port=1");
    // Fails once for each host that is not marked, and marks nothing: one of three fails by its number of commands.
    site.run(&["all", "--max-fail", "100%", "--", "mkdir first 2>/dev/null && exit 1 || true"])
        .with_status(4);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(site.record()).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "a record is private");
    let failed = site.run(&["all", "--rerun", "failed", "--list-hosts", "--", "true"]).with_status(0);
    let names: Vec<&str> = failed.stdout.lines().collect();
    assert_eq!((names.len(), names[1]), (2, "dead"), "{failed:?}");
    let ok = site.run(&["all", "--rerun", "ok", "--list-hosts", "--", "true"]).with_status(0);
    assert_eq!(ok.stdout.lines().count(), 2);
    // Looking is no run: what failed stays failed.
    ended(site.command("ping").args(["all", "-o"])).with_status(4);
    let again = site.run(&["all", "--rerun", "failed", "--", "true"]).with_status(4);
    assert_eq!(again.counts(), "2 hosts: 1 ok, 0 failed, 1 unreachable");
    let again = site.run(&["all", "--rerun", "failed", "--", "true"]).with_status(4);
    assert_eq!(again.counts(), "1 host: 0 ok, 0 failed, 1 unreachable");
    site.run(&["web*", "--", "true"]).with_status(0);
    let nothing = site.run(&["all", "--rerun", "failed", "--", "true"]).with_status(0);
    assert!(nothing.stderr.contains("nothing to do: the last run"), "{}", nothing.stderr);
}

#[test]
fn joined_shards_are_the_whole() {
    let mut site = Site::new("shards").with_good(9);
    site.add("dead", "ansible_port=1");
    let without_times = |text: &str| -> Value {
        let mut document: Value = serde_json::from_str(text).unwrap();
        for host in document["hosts"].as_array_mut().unwrap() {
            let host = host.as_object_mut().unwrap();
            host.remove("seconds");
            host.remove("started");
        }
        document["summary"].as_object_mut().unwrap().remove("seconds");
        document
    };
    let command = ["--", "echo hello; exit 1"];
    let whole = site.run(&[&["all", "--format", "json"], &command[..]].concat()).with_status(4);
    for shard in ["1/3", "2/3", "3/3"] {
        let file = format!("{}.jsonl", &shard[..1]);
        let args = ["all", "--shard", shard, "--record", &file, "--format", "jsonl"];
        let run = site.run(&[&args, &command[..]].concat());
        fs::write(site.folder.join(format!("out{}.jsonl", &shard[..1])), run.stdout).unwrap();
    }
    let report = |args: &[&str]| ended(site.bare().arg("report").args(args));
    let joined = report(&["--format", "json", "3.jsonl", "1.jsonl", "2.jsonl"]).with_status(4);
    assert_eq!(without_times(&joined.stdout), without_times(&whole.stdout));
    // What was printed serves as well as the record.
    let joined = report(&["--format", "json", "out1.jsonl", "out2.jsonl", "out3.jsonl"]).with_status(4);
    assert_eq!(without_times(&joined.stdout), without_times(&whole.stdout));
    let text = report(&["1.jsonl", "2.jsonl", "3.jsonl"]).with_status(4);
    assert_eq!(text.counts(), whole.counts());
    assert_eq!(text.stdout.matches("| FAILED | rc=1 >>\nhello\n").count(), 9);
    let partial = report(&["1.jsonl", "3.jsonl"]);
    assert!(
        partial.stderr.contains("there is no record of shard 2/3") && partial.status != 0,
        "{partial:?}"
    );
    // A run that was killed: its last line is cut, and the hosts that it did not get to are known.
    let record = fs::read_to_string(site.folder.join("1.jsonl")).unwrap();
    let cut = record.lines().next().unwrap().len() + 20;
    fs::write(site.folder.join("1.jsonl"), &record[..cut]).unwrap();
    let partial = report(&["1.jsonl", "2.jsonl", "3.jsonl"]);
    assert!(
        partial.stderr.contains("the line is cut off") && partial.counts().contains("not started"),
        "{partial:?}"
    );
}

#[test]
fn a_shard_without_hosts_is_no_failure() {
    let site = Site::new("empty-shard").with_good(1);
    let runs: Vec<Ended> = ["1/2", "2/2"]
        .iter()
        .map(|shard| site.run(&["all", "--shard", shard, "--", "true"]).with_status(0))
        .collect();
    let empty = runs
        .iter()
        .filter(|run| run.stderr.contains("none of 1 host belongs to shard"))
        .count();
    assert_eq!(empty, 1, "{runs:?}");
}

#[test]
fn batches_follow_each_other_and_failures_end_the_run() {
    let site = Site::new("batch").with_good(6);
    let log = site.folder.join("log");
    let command = format!("echo begin >> {0}; sleep 0.2; echo end >> {0}", log.display());
    site.run(&["all", "--batch", "34%", "--", &command]).with_status(0);
    let log = fs::read_to_string(&log).unwrap();
    let mut running = 0_i32;
    let counts: Vec<i32> = log
        .lines()
        .map(|line| {
            running += if line == "begin" { 1 } else { -1 };
            running
        })
        .collect();
    assert_eq!(
        (counts.iter().max(), counts.iter().filter(|count| **count == 0).count()),
        (Some(&2), 3),
        "{log}"
    );
    let run = site
        .run(&["all", "-f", "1", "--max-fail", "1", "--format", "jsonl", "--", "exit 1"])
        .with_status(2);
    assert_eq!(run.counts(), "6 hosts: 0 ok, 2 failed, 0 unreachable, 4 not started");
    assert_eq!(run.hosts().len(), 6);
    let failed = site.run(&["all", "--rerun", "failed", "--list-hosts", "--", "true"]);
    assert_eq!(failed.stdout.lines().count(), 6, "what was not begun is not done");
}

#[test]
fn input_is_given_to_each() {
    let site = Site::new("input").with_good(2);
    let input = site.folder.join("input");
    fs::write(&input, "first\nsecond\n").unwrap();
    let run = |args: &[&str]| {
        ended(
            site.command("run")
                .args(args)
                .args(["-o", "all", "--", "sort -r"])
                .stdin(fs::File::open(&input).unwrap()),
        )
    };
    assert_eq!(run(&[]).with_status(0).stdout.matches("| (stdout) second\\nfirst\n").count(), 2);
    assert_eq!(run(&["-n"]).with_status(0).stdout.matches("| (stdout) \n").count(), 2);
}

#[test]
fn nothing_is_done_by_lists_and_dry_runs() {
    let site = Site::new("dry").with_good(2);
    let mark = site.folder.join("mark");
    let command = format!("touch {}", mark.display());
    let list = site.run(&["all", "--list-hosts", "--", &command]).with_status(0);
    assert_eq!((list.stdout.as_str(), list.stderr.as_str()), ("web1\nweb2\n", "2 hosts\n"));
    let connections = TcpListener::bind("127.0.0.1:0").unwrap();
    connections.set_nonblocking(true).unwrap();
    let mut site = site;
    site.add("watched", &format!("ansible_port={}", connections.local_addr().unwrap().port()));
    site.add("broken", "ansible_winrm_transport=nothing");
    let dry = site.run(&["all", "--dry-run", "--", &command]).with_status(2);
    let line = format!("web1 | {} as {USER} by ntlm | {command}\n", site.service.url.trim_end_matches('/'));
    assert!(dry.stdout.starts_with(&line), "{}", dry.stdout);
    assert!(dry.stdout.contains("broken | FAILED | "), "{}", dry.stdout);
    assert!(!mark.exists() && connections.accept().is_err());
    assert!(!site.folder.join("state").exists(), "what did nothing leaves no record");
}

#[test]
fn one_host_by_its_name_is_as_with_ssh() {
    let site = Site::new("one").with_good(2);
    let run = site.run(&["web1", "--", "printf 'a\\r\\n'; echo e >&2; exit 7"]).with_status(7);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("a\r\n", "e\n"));
    // Whatever else names it gives a block: what scripts read doesn't change with an inventory that grows.
    let run = site.run(&["*1", "--", "exit 7"]).with_status(2);
    assert_eq!(run.stdout, "web1 | FAILED | rc=7 >>\n");
}

#[test]
fn ansibles_own_settings_count() {
    let site = Site::new("settings").with_good(4);
    let log = site.folder.join("log");
    let inventory = site.inventory();
    let settings = "[defaults]\nforks=1\nremote_user=nobody\ninventory=hosts.ini\n";
    fs::write(site.folder.join("ansible.cfg"), settings).unwrap();
    // Without -i, --limit alone says that the target is a pattern of the inventory that the configuration names.
    let mut command = site.bare();
    let line = format!("echo begin >> {0}; sleep 0.1; echo end >> {0}", log.display());
    command.args(["run", "--limit", "web1:web2:web3:!web2", "all", "--", &line]);
    let run = ended(&mut command).with_status(0);
    assert_eq!(run.counts(), "2 hosts: 2 ok, 0 failed, 0 unreachable");
    assert_eq!(fs::read_to_string(&log).unwrap(), "begin\nend\nbegin\nend\n", "one fork");
    // A user of the configuration is for hosts of which nobody says one.
    let text = fs::read_to_string(&inventory)
        .unwrap()
        .replace(&format!("ansible_user={USER}\n"), "");
    fs::write(&inventory, text).unwrap();
    let dry = ended(site.bare().args(["run", "--dry-run", "-i", &inventory, "all", "--", "true"])).with_status(0);
    assert_eq!(dry.stdout.matches(" as nobody by ntlm | true\n").count(), 4, "{dry:?}");
    let dry = ended(
        site.bare()
            .args(["run", "-u", "me", "--dry-run", "-i", &inventory, "all", "--", "true"]),
    )
    .with_status(0);
    assert_eq!(dry.stdout.matches(" as me by ntlm | true\n").count(), 4, "{dry:?}");
}

#[test]
fn templates_and_extra_variables_say_where_hosts_are() {
    let mut site = Site::new("templates").with_good(1);
    let port = port(&site.service.url).to_owned();
    site.add("other", "ansible_port=\"{{ hostvars['web1'].ansible_port }}\"");
    site.add("extra", "ansible_port=\"{{ chosen }}\"");
    let run = site
        .run(&["all", "-o", "-e", &format!("chosen={port}"), "--", "echo hi"])
        .with_status(0);
    assert_eq!(run.stdout.matches("| rc=0 | (stdout) hi\n").count(), 3, "{run:?}");
    // They go over flags.
    site.run(&["all", "--port", &port, "-e", "ansible_port=1", "--", "echo hi"])
        .with_status(4);
}

#[test]
fn a_fleet_out_of_a_vault() {
    let Some(ansible) = peer::variable("ansible-vault", "WINRM_TEST_ANSIBLE") else {
        return;
    };
    let site = Site::new("vault").with_good(4);
    let inventory = site.inventory();
    let hosts = fs::read_to_string(&inventory).unwrap();
    let (plain, secret): (Vec<&str>, Vec<&str>) = hosts.lines().partition(|line| !line.starts_with("ansible_password="));
    fs::write(&inventory, plain.join("\n")).unwrap();
    let password = secret[0].strip_prefix("ansible_password=").unwrap();
    fs::write(site.folder.join("vp"), "open\n").unwrap();
    fs::create_dir_all(site.folder.join("group_vars")).unwrap();
    let file = site.folder.join("group_vars/fleet.yml");
    fs::write(&file, format!("ansible_password: {password}\n")).unwrap();
    let status = Command::new(Path::new(&ansible).join("ansible-vault"))
        .args(["encrypt", "--vault-password-file", "vp", "group_vars/fleet.yml"])
        .current_dir(&site.folder)
        .env("ANSIBLE_HOME", site.folder.join("ansible-home"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() && fs::read_to_string(&file).unwrap().starts_with("$ANSIBLE_VAULT;"));
    let run = |args: &[&str]| {
        let mut command = site.bare();
        command.args(["run", "-i", &inventory, "web*:!web3", "-f", "200", "--format", "jsonl"]);
        ended(command.args(args).args(["--", "hostname"]))
    };
    let opened = run(&["--vault-password-file", "vp"]).with_status(0);
    assert_eq!(statuses(&opened.hosts()), [("web1", "ok"), ("web2", "ok"), ("web4", "ok")]);
    // Without the password each host says why; with another one too.
    fs::write(site.folder.join("wrong"), "shut\n").unwrap();
    for args in [&[][..], &["--vault-password-file", "wrong"]] {
        let closed = run(args).with_status(2);
        for error in each(&closed.hosts(), "error") {
            assert!(error.1.as_str().unwrap().contains("fleet.yml"), "{error:?}");
        }
    }
}

#[test]
fn hosts_with_commas_need_no_inventory() {
    let site = Site::new("commas").with_good(1);
    let target = format!("{USER}@127.0.0.1:{0},{USER}@localhost:{0}", port(&site.service.url));
    let mut command = site.bare();
    command.args(["run", "--scheme", "http", "--transport", "ntlm", "--connection-password-file"]);
    command
        .arg(service::password_file(&site.folder))
        .args(["-o", &target, "--", "echo hi"]);
    let run = ended(&mut command).with_status(0);
    assert_eq!(run.stdout.matches("| rc=0 | (stdout) hi\n").count(), 2, "{run:?}");
}

#[test]
fn ping_tells_who_answers() {
    let mut site = Site::new("ping").with_good(2);
    site.add("dead", "ansible_port=1");
    let ping = ended(site.command("ping").args(["all", "-o"])).with_status(4);
    assert_eq!(ping.stdout.matches(&format!(" ms, ntlm as {USER}, ")).count(), 2, "{}", ping.stdout);
    let ping = ended(site.command("ping").args(["web*", "--format", "json"])).with_status(0);
    let document: Value = serde_json::from_str(&ping.stdout).unwrap();
    assert!(document["hosts"][0]["ping"]["round_trip_ms"].is_number(), "{document}");
}

#[test]
fn ansible_comes_to_the_same() {
    let Some(ansible) = peer::variable("ansible", "WINRM_TEST_ANSIBLE") else {
        return;
    };
    let mut site = Site::new("ansible");
    let folder = sub(&site.folder, "powershell");
    let service = Service::start(&folder, &["--allow-unencrypted"]);
    if !service::has_powershell() {
        peer::skip("ansible", "its raw module needs a PowerShell behind the service");
        return;
    }
    let port = port(&service.url).to_owned();
    for host in ["web1", "web2"] {
        site.add(host, &format!("ansible_port={port}"));
    }
    site.add("wrong", &format!("ansible_port={port} ansible_password=no"));
    site.add("dead", "ansible_port=1");
    let settings = site.folder.join("ansible.cfg");
    fs::write(&settings, "").unwrap();
    for (pattern, script) in [
        ("web*", "exit 0"),
        ("web*", "exit 3"),
        ("all", "exit 0"),
        ("all", "exit 3"),
        ("all:!dead", "exit 0"),
    ] {
        let mut judge = Command::new(Path::new(&ansible).join("ansible"));
        judge
            .args([pattern, "-i", &site.inventory(), "-m", "raw", "-a", script, "-o"])
            .env("ANSIBLE_HOME", site.folder.join("ansible-home"))
            .env("ANSIBLE_CONFIG", &settings)
            .env("ANSIBLE_NOCOLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        let theirs = ended(&mut judge);
        let command = format!("powershell -NoProfile -Command \"{script}\"");
        let ours = site.run(&[pattern, "-o", "--", &command]);
        assert_eq!(ours.status, theirs.status, "{pattern} {script}: {ours:#?} {theirs:#?}");
        assert_eq!(
            outcomes(&ours.stdout),
            outcomes(&theirs.stdout),
            "{pattern} {script}: {ours:#?} {theirs:#?}"
        );
    }
    println!("ansible: 5 cases agree");
}

/// Hosts with their exit codes, or without if they were not reached, of lines `host | … | rc=0 | …` and `host | FAILED! => {…}`.
fn outcomes(lines: &str) -> BTreeMap<String, Option<String>> {
    let parts = lines.lines().filter_map(|line| line.split_once(" | "));
    parts
        .map(|(host, rest)| {
            let code = rest.split(" | ").find_map(|part| part.strip_prefix("rc=").map(str::to_owned));
            // How Ansible's one line tells a command that has failed.
            let told = rest.strip_prefix("FAILED! => ").map(|result| {
                let result: Value = serde_json::from_str(result).unwrap();
                result["rc"].to_string()
            });
            (host.to_owned(), code.or(told))
        })
        .collect()
}
