//! Clocks: Kerberos and certificates go by them.

use std::time::Duration;

use super::check::{Check, Verdict};
use super::examination::{Examination, KerberosIs};

/// What Kerberos allows, in seconds: Windows' own limit, and MIT's.
pub(super) const FAR_APART: u64 = 300;

/// What is not worth a word, in seconds.
const NEAR: u64 = 60;

const MEND: &str = "synchronise this machine with the domain's time: chrony or systemd-timesyncd, with a domain controller as its server";

/// What the distance from another clock means.
pub(super) fn check(examination: &Examination, id: &'static str, whose: &str, ahead: i64) -> Check {
    let distance = ahead.unsigned_abs();
    let told = humantime::format_duration(Duration::from_secs(distance));
    if distance <= NEAR {
        return Check::ok(id, format!("this machine's clock and {whose} agree")).evidence(format!("they are {told} apart"));
    }
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let summary = format!("this machine's clock is {told} {side} {whose}");
    let verdict = match examination.kerberos_is {
        KerberosIs::Needed if distance > FAR_APART => Verdict::Problem,
        _ => Verdict::Warning,
    };
    let check = Check::new(id, verdict, summary);
    let check = if distance > FAR_APART {
        check.evidence("Kerberos takes five minutes at most; NTLM and certificates go by the time as well")
    } else {
        check.evidence("Kerberos takes five minutes at most")
    };
    check.mend(MEND)
}

/// Makes the host's clock the problem that stands behind another one.
pub(super) fn blame(examination: &mut Examination, why: &str) {
    if let Some(check) = examination.checks.iter_mut().find(|check| check.id == "clock.host") {
        check.verdict = Verdict::Problem;
        check.evidence.push(why.to_owned());
    }
}
