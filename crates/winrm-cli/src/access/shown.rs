//! Descriptors as people read them, and as JSON.

use serde_json::{Value, json};
use winrm::sddl::{Ace, AceFlags, AceKind, SecurityDescriptor, Trustee};

use super::accounts::Accounts;
use super::guard::{Guard, Place};
use crate::printer;

/// What an entry does, in a word.
fn verb(entry: &Ace) -> &'static str {
    match entry.kind() {
        AceKind::Allow | AceKind::ObjectAllow | AceKind::ConditionalAllow | AceKind::ConditionalObjectAllow => "allow",
        AceKind::Deny | AceKind::ObjectDeny | AceKind::ConditionalDeny => "deny",
        AceKind::Audit | AceKind::ObjectAudit | AceKind::ConditionalAudit => "audit",
        AceKind::Alarm | AceKind::ObjectAlarm => "alarm",
        _ => "label",
    }
}

/// What else is to be said of an entry.
fn remarks(entry: &Ace) -> Vec<String> {
    let flags = entry.flags();
    let mut remarks = Vec::new();
    for (flag, remark) in [
        (AceFlags::SUCCESS, "when it succeeds"),
        (AceFlags::FAILURE, "when it fails"),
        (AceFlags::INHERITED, "inherited"),
        (AceFlags::INHERIT_ONLY, "below only"),
    ] {
        if flags.contains(flag) {
            remarks.push(remark.to_owned());
        }
    }
    let below = flags.contains(AceFlags::CONTAINER_INHERIT) || flags.contains(AceFlags::OBJECT_INHERIT);
    if below && !flags.contains(AceFlags::INHERIT_ONLY) {
        remarks.push("and below".to_owned());
    }
    if let Some(object) = entry.object() {
        remarks.push(format!("for {object}"));
    }
    if let Some(condition) = entry.condition() {
        remarks.push(format!("if {}", printer::plain(condition)));
    }
    remarks
}

/// An account with its identifier.
pub(crate) fn account(trustee: &Trustee, accounts: &Accounts) -> String {
    let sid = accounts.sid(trustee).map(|sid| sid.to_string());
    match (accounts.name(trustee).as_deref().map(printer::plain), sid) {
        (Some(name), Some(sid)) => format!("{name} ({sid})"),
        (Some(name), None) => format!("{name} ({trustee})"),
        (None, Some(sid)) => sid,
        (None, None) => trustee.to_string(),
    }
}

fn line(entry: &Ace, place: &Place, accounts: &Accounts) -> String {
    let words = match place.words(entry.mask()) {
        words if words.is_empty() => "nothing".to_owned(),
        words => words.join(", "),
    };
    let remarks = match remarks(entry) {
        remarks if remarks.is_empty() => String::new(),
        remarks => format!("; {}", remarks.join(", ")),
    };
    format!("{:<6} {}: {words}{remarks}", verb(entry), account(entry.trustee(), accounts))
}

/// Prints a descriptor for people.
pub(crate) fn text(guard: &Guard, accounts: &Accounts) {
    let SecurityDescriptor {
        owner,
        group: _,
        dacl,
        sacl,
    } = &guard.descriptor;
    printer::line(&printer::plain(&guard.place.title()));
    match dacl {
        None => printer::line("  everybody may do everything: it has no list of entries"),
        Some(acl) if acl.flags.absent => printer::line("  everybody may do everything: it has no list of entries"),
        Some(acl) if acl.entries.is_empty() => printer::line("  nobody may do anything: its list of entries is empty"),
        Some(acl) => {
            for entry in &acl.entries {
                printer::line(&format!("  {}", line(entry, &guard.place, accounts)));
            }
        }
    }
    for entry in sacl.iter().flat_map(|acl| &acl.entries) {
        printer::line(&format!("  {}", line(entry, &guard.place, accounts)));
    }
    if let Some(owner) = owner {
        printer::line(&format!("  owner  {}", account(owner, accounts)));
    }
}

/// The same for machines.
pub(crate) fn document(guard: &Guard, accounts: &Accounts) -> Value {
    let entries = |acl: &Option<winrm::sddl::Acl>| -> Vec<Value> {
        let entries = acl.iter().flat_map(|acl| &acl.entries);
        entries.map(|entry| entry_document(entry, &guard.place, accounts)).collect()
    };
    let descriptor = &guard.descriptor;
    let everybody = descriptor.dacl.as_ref().is_none_or(|acl| acl.flags.absent);
    json!({
        "on": guard.place.name(),
        "sddl": guard.text.clone().unwrap_or_else(|| descriptor.to_string()),
        "owner": descriptor.owner.as_ref().map(|owner| account(owner, accounts)),
        "everybody": everybody,
        "entries": entries(&descriptor.dacl),
        "audit": entries(&descriptor.sacl),
    })
}

fn entry_document(entry: &Ace, place: &Place, accounts: &Accounts) -> Value {
    json!({
        "does": verb(entry),
        "account": accounts.name(entry.trustee()),
        "sid": accounts.sid(entry.trustee()).map(|sid| sid.to_string()),
        "rights": place.words(entry.mask()),
        "mask": entry.mask().0,
        "inherited": entry.is_inherited(),
        "flags": entry.flags().to_string(),
        "object": entry.object(),
        "condition": entry.condition(),
        "sddl": entry.to_string(),
    })
}

/// What has become of a list: lines with `-` and `+` for entries that went and came.
pub(crate) fn difference(before: &SecurityDescriptor, after: &SecurityDescriptor, place: &Place, accounts: &Accounts) -> Vec<String> {
    let entries = |descriptor: &SecurityDescriptor| descriptor.dacl.clone().unwrap_or_default().entries;
    let (old, new) = (entries(before), entries(after));
    let gone = old.iter().filter(|entry| !new.contains(entry)).map(|entry| ('-', entry));
    let come = new.iter().filter(|entry| !old.contains(entry)).map(|entry| ('+', entry));
    gone.chain(come)
        .map(|(sign, entry)| format!("  {sign} {}", line(entry, place, accounts)))
        .collect()
}
