use proptest::prelude::*;

use super::*;

/// WinRM's own, as a fresh Windows has it.
const ROOT: &str = "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)";
const SHELL: AccessMask = AccessMask(0xa000_0000);
const OPERATOR: &str = "S-1-5-21-1-2-3-1104";

fn read(text: &str) -> SecurityDescriptor {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn who(names: &[&str]) -> Vec<Trustee> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn what_is_read_is_written_letter_by_letter() {
    for text in [
        ROOT,
        "",
        "D:",
        "D:NO_ACCESS_CONTROL",
        "D:PARAI",
        "O:S-1-5-18D:P",
        "O:S-1-5-21-3-4-5D:",
        "D:(A;;0x120089;;;BA)(A;;1179785;;;BU)(A;;04400;;;S-1-1-0)(A;;GXGR;;;RM)(A;;RPWPCCDCLCSWRCWDWOGA;;;S-1-1-0)",
        "D:(OA;CIIO;RPLCLORC;;bf967aba-0de6-11d0-a285-00aa003049e2;RU)(OD;;CR;AB721A53-1e2f-11d0-9819-00aa0040529b;;DA)",
        r#"D:(XA;;FX;;;S-1-1-0;(@User.Title=="PM (acting)" && (@User.Division=="Finance" || @User.Division ==" Sales)")))"#,
        r#"S:(RA;CI;;;;S-1-1-0;("Project",TS,0,"Windows","SQL"))(ML;;NW;;;LW)(SP;;;;;S-1-17-1)(TL;;0x1;;;S-1-19-512-4096)"#,
        "D:(A;;GA;;;S-1-0x100000000000-7)",
        "D:(a;oici;ga;;;ba)(A;;GA;;;BU;)",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn parts_and_white_space_are_put_in_order() {
    assert_eq!(
        read(" S:P (AU;SA;GA;;;WD)\n D:P ( A ; ;GA;;;BA ) O:BA").to_string(),
        "O:BAD:P( A ; ;GA;;;BA )S:P(AU;SA;GA;;;WD)"
    );
    assert_eq!(
        read("D:(A;CIOI;GXGR;;;BA)").dacl.unwrap().entries[0].respelled().to_string(),
        "(A;OICI;GRGX;;;BA)"
    );
}

#[test]
fn errors_say_where_and_what_was_expected() {
    for (text, position, said) in [
        ("X", 0, "one of O:, G:, D:, S:"),
        ("O:", 2, "an account"),
        ("O:ZZ", 2, "an account"),
        ("O:S-2-5-18", 2, "an account"),
        ("O:S-1-5-", 2, "an account"),
        ("O:S-1-5-4294967296", 2, "an account"),
        ("O:BAO:BA", 4, "a second time"),
        ("D:X", 2, "flags"),
        ("D:(A;;GA;;;BA)P", 14, "an entry in parentheses"),
        ("D:(Q;;GA;;;BA)", 3, "a kind of entry"),
        ("D:(A;XX;GA;;;BA)", 5, "flags of the entry"),
        ("D:(A;; GZ;;;BA)", 7, "rights"),
        ("D:(A;;0x1ffffffff;;;BA)", 6, "rights"),
        ("D:(A;;08;;;BA)", 6, "rights"),
        ("D:(A;;GA;x;;BA)", 9, "nothing or a GUID"),
        ("D:(A;;GA;bf967aba-0de6-11d0-a285-00aa003049e2;;BA)", 9, "nothing: a GUID stands in"),
        ("D:(A;;GA;;;)", 11, "an account"),
        ("D:(A;;GA;;;BA", 13, "the ) that ends"),
        ("D:(XA;;GA;;;BA;)", 15, "in parentheses"),
        ("D:(A;;GA;;;BA;(x))", 14, "no condition"),
        ("D:(XA;;GA;;;BA)", 14, "the condition"),
        ("D:(XA;;GA;;;BA;((x))", 20, "the ) that ends"),
        ("D:(A;;GA", 8, "rights"),
        ("D:NO_ACCESS_CONTROL(A;;GA;;;BA)", 19, "no entries"),
        ("D:(A;;GA;;;Bä)", 11, "found \"Bä)\""),
        ("D:(A;;äöü;;;BA)", 6, "rights"),
    ] {
        let error = text.parse::<SecurityDescriptor>().unwrap_err();
        assert_eq!(error.position(), position, "{text}: {error}");
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    assert!("x".repeat(MAX_TEXT + 1).parse::<SecurityDescriptor>().is_err());
    assert_eq!(
        "D:(A".parse::<SecurityDescriptor>().unwrap_err().to_string().split(':').next(),
        Some("at the end, position 4")
    );
}

#[test]
fn aliases_are_the_accounts_they_stand_for() {
    let domain: Sid = "S-1-5-21-1-2-3".parse().unwrap();
    for alias in Alias::all() {
        assert_eq!(Alias::of_letters(&alias.letters().to_lowercase()), Some(alias));
        assert_eq!(alias.sid().is_some(), alias.authority() == Authority::Everywhere);
        let sid = alias.sid_in(&domain).unwrap();
        assert_eq!(
            Trustee::from(alias) == Trustee::from(sid),
            alias.authority() == Authority::Everywhere
        );
    }
    assert_eq!(Alias::of_name("builtin\\administrators").map(Alias::letters), Some("BA"));
    assert_eq!(Alias::of_name("Everyone").map(Alias::letters), Some("WD"));
    assert_eq!(Alias::of_name("CORP\\Administrators"), None);
    assert_eq!(Alias::of_name("Domain Admins"), None);
    assert_eq!(
        Alias::of_name("NT AUTHORITY\\system").map(Alias::name).as_deref(),
        Some("NT AUTHORITY\\SYSTEM")
    );
}

#[test]
fn access_is_decided_in_the_order_of_entries() {
    let winrm = GenericMapping::WINRM;
    let allows = |text: &str, names: &[&str], mask| read(text).allows(&who(names), mask, &winrm);
    assert!(allows(ROOT, &["BA"], AccessMask::GENERIC_ALL));
    assert!(allows(ROOT, &["S-1-5-32-544"], SHELL));
    assert!(allows(ROOT, &["IU"], AccessMask::GENERIC_READ));
    assert!(!allows(ROOT, &["IU"], SHELL));
    assert!(!allows(ROOT, &[OPERATOR], AccessMask::GENERIC_READ));
    // Rights from several entries add up.
    assert!(allows("D:(A;;GR;;;IU)(A;;GX;;;RM)", &["IU", "RM"], SHELL));
    assert!(!allows("D:(A;;GR;;;IU)(A;;GX;;;RM)", &["IU"], SHELL));
    // A denial wins over what stands behind it, and not over what stands before.
    assert!(!allows("D:(D;;GX;;;RM)(A;;GA;;;BA)", &["BA", "RM"], SHELL));
    assert!(allows("D:(A;;GA;;;BA)(D;;GX;;;RM)", &["BA", "RM"], SHELL));
    assert!(allows("D:(D;;GW;;;RM)(A;;GA;;;BA)", &["BA", "RM"], SHELL));
    // Only what is said of the object itself.
    assert!(!allows("D:(A;OICIIO;GA;;;BA)", &["BA"], SHELL));
    // In doubt no.
    assert!(!allows("D:(XA;;GA;;;BA;(x))", &["BA"], SHELL));
    assert!(!allows("D:(XD;;GA;;;BA;(x))(A;;GA;;;BA)", &["BA"], SHELL));
    assert!(!allows("D:(OA;;GA;bf967aba-0de6-11d0-a285-00aa003049e2;;BA)", &["BA"], SHELL));
    // No list is for everybody, an empty one for nobody.
    assert!(allows("O:BA", &[], SHELL) && allows("D:NO_ACCESS_CONTROL", &[], SHELL));
    assert!(!allows("D:", &["BA"], SHELL));
    assert!(!allows("D:(A;;GA;;;DA)", &["S-1-5-21-1-2-3-512"], SHELL));
    assert!(allows("D:(A;;GA;;;DA)", &["S-1-5-21-1-2-3-512", "DA"], SHELL));
}

#[test]
fn granting_leaves_the_rest_alone() {
    let winrm = GenericMapping::WINRM;
    for (before, after) in [
        (
            ROOT,
            "O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;IU)(A;;GRGX;;;S-1-5-21-1-2-3-1104)S:P(AU;FA;GA;;;WD)(AU;SA;GXGW;;;WD)",
        ),
        ("D:", "D:(A;;GRGX;;;S-1-5-21-1-2-3-1104)"),
        // In front of what is inherited, behind what is denied.
        (
            "D:(D;;GA;;;BG)(A;ID;GA;;;BA)",
            "D:(D;;GA;;;BG)(A;;GRGX;;;S-1-5-21-1-2-3-1104)(A;ID;GA;;;BA)",
        ),
        // Its own entry is widened.
        (
            "D:(A;;GR;;;S-1-5-21-1-2-3-1104)(A;;GA;;;BA)",
            "D:(A;;GRGX;;;S-1-5-21-1-2-3-1104)(A;;GA;;;BA)",
        ),
        (
            "D:(A;OI;GR;;;S-1-5-21-1-2-3-1104)",
            "D:(A;OI;GR;;;S-1-5-21-1-2-3-1104)(A;;GRGX;;;S-1-5-21-1-2-3-1104)",
        ),
    ] {
        let mut descriptor = read(before);
        assert_eq!(descriptor.grant(&who(&[OPERATOR]), SHELL, &winrm), Ok(true), "{before}");
        assert_eq!(descriptor.to_string(), after);
        // A second time nothing changes.
        assert_eq!(descriptor.grant(&who(&[OPERATOR]), SHELL, &winrm), Ok(false), "{before}");
        assert_eq!(descriptor.to_string(), after);
    }
    for nothing in [
        "D:(A;;GA;;;S-1-5-21-1-2-3-1104)",
        "D:(A;ID;GXGR;;;S-1-5-21-1-2-3-1104)",
        "O:BA",
        "D:NO_ACCESS_CONTROL",
    ] {
        let mut descriptor = read(nothing);
        assert_eq!(descriptor.grant(&who(&[OPERATOR]), SHELL, &winrm), Ok(false), "{nothing}");
        assert_eq!(descriptor.to_string(), nothing);
    }
    let mut denied = read("D:(D;;GX;;;S-1-5-21-1-2-3-1104)");
    assert!(matches!(
        denied.grant(&who(&[OPERATOR]), SHELL, &winrm),
        Err(ChangeError::Denied(_))
    ));
}

#[test]
fn revoking_takes_what_is_the_accounts_own() {
    let winrm = GenericMapping::WINRM;
    for (before, mask, after) in [
        (
            "D:(A;;GA;;;BA)(A;;GXGR;;;S-1-5-32-580)(A;;GR;;;IU)",
            SHELL,
            "D:(A;;GA;;;BA)(A;;GR;;;IU)",
        ),
        ("D:(A;;GA;;;RM)", AccessMask::GENERIC_EXECUTE, "D:(A;;GRGW;;;RM)"),
        (
            "D:(D;;GA;;;RM)(A;;GR;;;RM)(A;OI;GX;;;RM)",
            AccessMask::GENERIC_ALL,
            "D:(D;;GA;;;RM)",
        ),
    ] {
        let mut descriptor = read(before);
        assert_eq!(descriptor.revoke(&who(&["RM"]), mask, &winrm), Ok(true), "{before}");
        assert_eq!(descriptor.to_string(), after);
        assert_eq!(descriptor.revoke(&who(&["RM"]), mask, &winrm), Ok(false), "{before}");
    }
    let refused = |text: &str| read(text).revoke(&who(&["RM"]), SHELL, &winrm).unwrap_err();
    assert!(matches!(refused("D:(A;ID;GA;;;RM)"), ChangeError::Inherited(_)));
    assert!(matches!(refused("D:(XA;;GA;;;RM;(x))"), ChangeError::Conditional(_)));
    assert_eq!(refused("D:NO_ACCESS_CONTROL"), ChangeError::NoList);
}

#[test]
fn bytes_that_contradict_themselves_are_errors() {
    let whole = read(ROOT).to_bytes(|_| None).unwrap();
    assert_eq!(SecurityDescriptor::from_bytes(&whole).as_ref(), Ok(&read(ROOT)));
    for length in 0..whole.len() {
        assert!(SecurityDescriptor::from_bytes(&whole[..length]).is_err(), "{length}");
    }
    let conditional = read("D:(XA;;GA;;;BA;(x))").to_bytes(|_| None);
    assert!(matches!(conditional, Err(BinaryError::Kind(9, _))), "{conditional:?}");
    assert!(matches!(read("O:DA").to_bytes(|_| None), Err(BinaryError::Unresolved(_))));
    let domain: Sid = "S-1-5-21-1-2-3".parse().unwrap();
    let resolved = read("O:DA").to_bytes(|alias| alias.sid_in(&domain)).unwrap();
    assert_eq!(
        SecurityDescriptor::from_bytes(&resolved).unwrap().to_string(),
        "O:S-1-5-21-1-2-3-512"
    );
}

/// Entries of the kinds that have a binary form here.
fn entry() -> impl Strategy<Value = String> {
    const GUID: &str = "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let flags = proptest::sample::subsequence(vec!["OI", "CI", "NP", "IO", "ID", "SA", "FA"], 0..=7).prop_map(|flags| flags.concat());
    let names = vec![
        "GA", "GR", "GW", "GX", "RC", "SD", "WD", "WO", "RP", "WP", "CC", "DC", "LC", "SW", "LO", "DT", "CR", "FA", "KR",
    ];
    let rights = prop_oneof![
        proptest::sample::subsequence(names, 0..=5)
            .prop_shuffle()
            .prop_map(|names| names.concat()),
        any::<u32>().prop_map(|mask| format!("0x{mask:x}")),
        any::<u32>().prop_map(|mask| mask.to_string()),
    ];
    let plain = (
        proptest::sample::select(vec!["A", "D", "AU", "AL", "ML"]),
        Just(String::new()),
        Just(String::new()),
    );
    let guid = || prop_oneof![Just(String::new()), GUID];
    let object = (proptest::sample::select(vec!["OA", "OD", "OU", "OL"]), guid(), guid());
    (prop_oneof![plain, object], flags, rights, trustee())
        .prop_map(|((kind, object, inherited), flags, rights, who)| format!("({kind};{flags};{rights};{object};{inherited};{who})"))
}

fn trustee() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..Alias::all().count()).prop_map(|index| Alias::all().nth(index).unwrap().letters().to_owned()),
        (0u64..1 << 48, proptest::collection::vec(any::<u32>(), 0..=15))
            .prop_map(|(authority, numbers)| Sid::new(authority, numbers).unwrap().to_string()),
    ]
}

fn descriptor() -> impl Strategy<Value = String> {
    let list = || {
        let flags = proptest::sample::subsequence(vec!["P", "AR", "AI"], 0..=3).prop_map(|flags| flags.concat());
        (flags, proptest::collection::vec(entry(), 0..5)).prop_map(|(flags, entries)| flags + &entries.concat())
    };
    let part = |letter: &'static str, inner: BoxedStrategy<String>| {
        prop_oneof![Just(String::new()), inner.prop_map(move |text| format!("{letter}:{text}"))]
    };
    (
        part("O", trustee().boxed()),
        part("G", trustee().boxed()),
        part("D", list().boxed()),
        part("S", list().boxed()),
    )
        .prop_map(|(owner, group, dacl, sacl)| owner + &group + &dacl + &sacl)
}

proptest! {
    #[test]
    fn what_is_written_reads_back(text in descriptor()) {
        let descriptor: SecurityDescriptor = text.parse().unwrap();
        prop_assert_eq!(descriptor.to_string(), text);
        // In other words, the same.
        let mut respelled = descriptor.clone();
        for acl in [&mut respelled.dacl, &mut respelled.sacl].into_iter().flatten() {
            acl.entries = acl.entries.iter().map(Ace::respelled).collect();
        }
        prop_assert_eq!(read(&respelled.to_string()), descriptor.clone());
        // In bytes, the same with identifiers in place of a domain's aliases.
        let domain: Sid = "S-1-5-21-1-2-3".parse().unwrap();
        let bytes = descriptor.to_bytes(|alias| alias.sid_in(&domain)).unwrap();
        let again = SecurityDescriptor::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again.to_bytes(|_| None).unwrap(), bytes);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[OGDSPARI:();0xBAé\"]{0,60}") {
        if let Ok(descriptor) = text.parse::<SecurityDescriptor>() {
            prop_assert_eq!(descriptor.to_string().parse::<SecurityDescriptor>(), Ok(descriptor));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = SecurityDescriptor::from_bytes(&bytes);
    }

    #[test]
    fn bytes_with_mistakes_are_refused_or_read_back(text in descriptor(), mistakes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4)) {
        let domain: Sid = "S-1-5-21-1-2-3".parse().unwrap();
        let mut bytes = text.parse::<SecurityDescriptor>().unwrap().to_bytes(|alias| alias.sid_in(&domain)).unwrap();
        for (place, byte) in mistakes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(descriptor) = SecurityDescriptor::from_bytes(&bytes) {
            let written = descriptor.to_bytes(|_| None).unwrap();
            prop_assert_eq!(SecurityDescriptor::from_bytes(&written), Ok(descriptor));
        }
    }

    #[test]
    fn what_was_granted_is_allowed_and_what_was_revoked_is_not(text in descriptor(), mask in 1u32..16) {
        let (account, mask) = (who(&[OPERATOR]), AccessMask(mask << 28));
        let before: SecurityDescriptor = text.parse().unwrap();
        let mut after = before.clone();
        after.grant(&account, mask, &GenericMapping::WINRM).unwrap();
        prop_assert!(after.allows(&account, mask, &GenericMapping::WINRM));
        if after != before {
            after.revoke(&account, mask, &GenericMapping::WINRM).unwrap();
            prop_assert_eq!(after.to_string(), before.to_string());
        }
    }
}
