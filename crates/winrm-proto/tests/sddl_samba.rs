//! Security descriptors against Samba's reading and writing of them, both ways (`tests/peers/sddl_samba.py`).

#![expect(clippy::unwrap_used, reason = "a test fails by a panic, also in what it calls")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use winrm_proto::sddl::{Ace, Acl, Alias, SecurityDescriptor, Sid, Trustee};

/// How many descriptors each side makes.
const MANY: usize = 400;

/// Debian's Python: the module comes with its package python3-samba.
const PYTHON: &str = "/usr/bin/python3";

/// What Samba answers, an object for each line; `None` where there is no Samba.
fn samba(arguments: &[&str], input: String) -> Option<Vec<Value>> {
    let there = Command::new(PYTHON)
        .args(["-c", "import samba.dcerpc.security"])
        .stderr(Stdio::null())
        .status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: {PYTHON} has no module samba; install the package python3-samba");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/sddl_samba.py");
    let mut child = Command::new(PYTHON)
        .arg(script)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The domain of the script.
fn domain() -> Sid {
    "S-1-5-21-1-2-3".parse().unwrap()
}

fn sid(trustee: &Trustee) -> String {
    match trustee {
        Trustee::Alias(alias) => alias.sid_in(&domain()).unwrap().to_string(),
        Trustee::Sid(sid) => sid.to_string(),
    }
}

/// Compares our reading with what Samba tells, field by field.
fn compare(ours: &SecurityDescriptor, theirs: &Value, text: &str) {
    let name = |trustee: &Option<Trustee>| trustee.as_ref().map_or(Value::Null, |trustee| sid(trustee).into());
    assert_eq!(name(&ours.owner), theirs["owner"], "{text}");
    assert_eq!(name(&ours.group), theirs["group"], "{text}");
    let control = theirs["control"].as_u64().unwrap();
    for (ours, theirs, shift) in [(&ours.dacl, &theirs["dacl"], 0), (&ours.sacl, &theirs["sacl"], 1)] {
        let Some(acl) = ours else {
            assert_eq!(theirs, &Value::Null, "{text}");
            continue;
        };
        let flags = [0x1000, 0x0100, 0x0400].map(|bit| control & bit << shift != 0);
        assert_eq!(
            [acl.flags.protected, acl.flags.inherit_required, acl.flags.inherited],
            flags,
            "{text}"
        );
        compare_entries(acl, theirs.as_array().unwrap(), text);
    }
}

fn compare_entries(acl: &Acl, theirs: &[Value], text: &str) {
    assert_eq!(acl.entries.len(), theirs.len(), "{text}");
    for (ours, theirs) in acl.entries.iter().zip(theirs) {
        let kinds = ["A", "D", "AU", "AL", "", "OA", "OD", "OU", "OL"];
        let kind = usize::try_from(theirs["type"].as_u64().unwrap()).unwrap();
        assert_eq!(ours.kind().letters(), kinds[kind], "{text}");
        assert_eq!(u64::from(ours.flags().0), theirs["flags"], "{text}");
        assert_eq!(u64::from(ours.mask().0), theirs["mask"], "{text}");
        assert_eq!(sid(ours.trustee()), theirs["sid"], "{text}");
        for (ours, theirs) in [(ours.object(), &theirs["object"]), (ours.inherited_object(), &theirs["inherited"])] {
            assert_eq!(ours.map(str::to_lowercase).as_deref(), theirs.as_str(), "{text}");
        }
    }
}

fn bytes(theirs: &Value) -> Vec<u8> {
    let text = theirs["binary"].as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Samba's text reader gives every list revision 4; 2 is what a list without object types has ([MS-DTYP] 2.4.5).
fn without_revisions(mut bytes: Vec<u8>) -> Vec<u8> {
    for place in [12, 16] {
        match u32::from_le_bytes(bytes[place..place + 4].try_into().unwrap()) as usize {
            0 => {}
            list => bytes[list] = 0,
        }
    }
    bytes
}

/// A text of what Samba 4.17 can read: it knows no conditions, of numbers only hexadecimal ones, and behind flags without entries it
/// takes the letter of the next part for a flag.
fn descriptor() -> impl Strategy<Value = String> {
    let sid = || {
        prop_oneof![
            (0..Alias::all().count()).prop_map(|index| Alias::all().nth(index).unwrap().letters().to_owned()),
            (0u64..=u64::from(u32::MAX), proptest::collection::vec(any::<u32>(), 1..=15)).prop_map(|(authority, numbers)| Sid::new(
                authority, numbers
            )
            .unwrap()
            .to_string()),
        ]
    };
    let names = vec![
        "GA", "GR", "GW", "GX", "RC", "SD", "WD", "WO", "RP", "WP", "CC", "DC", "LC", "SW", "LO", "DT", "CR",
    ];
    let rights = move || {
        prop_oneof![
            proptest::sample::subsequence(names.clone(), 0..=17)
                .prop_shuffle()
                .prop_map(|names| names.concat()),
            proptest::sample::select(vec!["FR", "FW", "FX"]).prop_map(str::to_owned),
            any::<u32>().prop_map(|mask| format!("0x{mask:x}")),
        ]
    };
    let flags = || proptest::sample::subsequence(vec!["OI", "CI", "NP", "IO", "ID", "SA", "FA"], 0..=7).prop_map(|flags| flags.concat());
    let guid = || prop_oneof![Just(String::new()), "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"];
    let list = move |plain: &'static [&'static str], object: &'static [&'static str], least: usize| {
        let kind = prop_oneof![
            (proptest::sample::select(plain), Just(String::new()), Just(String::new())),
            (proptest::sample::select(object), guid(), guid()),
        ];
        let entry = (kind, flags(), rights(), sid())
            .prop_map(|((kind, object, inherited), flags, rights, who)| format!("({kind};{flags};{rights};{object};{inherited};{who})"));
        let flags = proptest::sample::subsequence(vec!["P", "AR", "AI"], 0..=3).prop_map(|flags| flags.concat());
        (flags, proptest::collection::vec(entry, least..6)).prop_map(|(flags, entries)| flags + &entries.concat())
    };
    let dacl = list(&["A", "D"], &["OA", "OD"], 1).prop_map(|list| format!("D:{list}"));
    let sacl = list(&["AU", "AL"], &["OU", "OL"], 0).prop_map(|list| format!("S:{list}"));
    let owner = sid().prop_map(|sid| format!("O:{sid}"));
    let group = sid().prop_map(|sid| format!("G:{sid}"));
    let maybe = |part: BoxedStrategy<String>| prop_oneof![1 => Just(String::new()), 4 => part];
    (maybe(owner.boxed()), maybe(group.boxed()), maybe(dacl.boxed()), maybe(sacl.boxed()))
        .prop_map(|(owner, group, dacl, sacl)| owner + &group + &dacl + &sacl)
}

#[test]
fn samba_reads_what_is_written_here() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let texts: Vec<String> = (0..MANY).map(|_| descriptor().new_tree(&mut runner).unwrap().current()).collect();
    let Some(answers) = samba(&["read"], texts.join("\n") + "\n") else {
        return;
    };
    assert_eq!(answers.len(), texts.len());
    for (text, theirs) in texts.iter().zip(&answers) {
        assert_eq!(theirs["error"], Value::Null, "{text}");
        let ours: SecurityDescriptor = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        compare(&ours, theirs, text);
        assert_eq!(&ours.to_string(), text);
        let again: SecurityDescriptor = theirs["sddl"].as_str().unwrap().parse().unwrap();
        compare(&again, theirs, text);
        let ours = ours.to_bytes(|alias| alias.sid_in(&domain())).unwrap();
        assert_eq!(without_revisions(ours), without_revisions(bytes(theirs)), "{text}");
    }
}

#[test]
fn what_samba_writes_is_read_here() {
    let Some(theirs) = samba(&["generate", &MANY.to_string(), "descriptors"], String::new()) else {
        return;
    };
    assert_eq!(theirs.len(), MANY);
    let mut rewritten = String::new();
    for theirs in &theirs {
        let text = theirs["sddl"].as_str().unwrap();
        let mut ours: SecurityDescriptor = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        compare(&ours, theirs, text);
        assert_eq!(ours.to_string(), text);
        compare(&SecurityDescriptor::from_bytes(&bytes(theirs)).unwrap(), theirs, text);
        for acl in [&mut ours.dacl, &mut ours.sacl].into_iter().flatten() {
            acl.entries = acl.entries.iter().map(Ace::respelled).collect();
        }
        rewritten += &format!("{ours}\n");
    }
    // In our own words it is still the same to Samba.
    let again = samba(&["read"], rewritten).unwrap();
    for (theirs, again) in theirs.iter().zip(&again) {
        for field in ["owner", "group", "dacl", "sacl", "sddl"] {
            assert_eq!(theirs[field], again[field], "{again}");
        }
    }
}

#[test]
fn samba_refuses_what_is_refused_here() {
    let bad = [
        "X",
        "O:ZZ",
        "D:(Q;;GA;;;BA)",
        "D:(A;XX;GA;;;BA)",
        "D:(A;;GZ;;;BA)",
        "D:(A;;GA;;;)",
        "D:(A;;GA;;;BA",
        "D:(A;;GA;x;;BA)",
        "D:(A;;GA",
    ];
    let Some(answers) = samba(&["read"], bad.join("\n") + "\n") else {
        return;
    };
    for (text, theirs) in bad.iter().zip(&answers) {
        assert!(theirs["error"].is_string(), "{text}: {theirs}");
        assert!(text.parse::<SecurityDescriptor>().is_err(), "{text}");
    }
}
