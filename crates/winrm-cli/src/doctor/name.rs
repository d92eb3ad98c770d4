//! What the host is called, and what its name stands for.

use std::net::IpAddr;

use super::check::{Check, Verdict};
use super::dns;
use super::examination::{Examination, KerberosIs};

pub(super) async fn look(examination: &mut Examination) {
    let host = examination.endpoint().host().to_owned();
    let address: Option<IpAddr> = host.parse().ok();
    let check = kind(examination, &host, address);
    examination.add(check);
    match address {
        Some(address) => {
            examination.add(Check::skipped("dns.forward", format!("{host} is an address")));
            examination.add(Check::skipped("dns.canonical", format!("{host} is an address")));
            let check = match dns::reverse(address).await {
                Some(name) => Check::ok("dns.reverse", format!("{host} is {name}")),
                None => Check::skipped("dns.reverse", format!("{host} has no name")),
            };
            examination.add(check);
        }
        None => look_up(examination, &host).await,
    }
}

/// Whether Kerberos is told another name than the one that was typed.
fn is_overridden(examination: &Examination, host: &str) -> bool {
    examination.kerberos.host_name(host) != host
}

fn kind(examination: &Examination, host: &str, address: Option<IpAddr>) -> Check {
    let kerberos = examination.kerberos_is;
    let ticket = examination.kerberos.target(host).principal();
    if is_overridden(examination, host) {
        let kind = if address.is_some() { "an address" } else { "a name" };
        return Check::ok("name.kind", format!("{host} is {kind}, and Kerberos is told another name"))
            .evidence(format!("tickets are for {ticket}"));
    }
    if address.is_some() {
        if kerberos == KerberosIs::Unused {
            return Check::ok("name.kind", format!("{host} is an address, which does without Kerberos"));
        }
        return Check::new(
            "name.kind",
            examination.kerberos_verdict(),
            format!("{host} is an address: Kerberos knows hosts by their names"),
        )
        .evidence(format!(
            "the ticket would be for {ticket}, which a domain does not have unless somebody has registered it"
        ))
        .mend("give the host's full name (FQDN) as TARGET, or --hostname-override NAME; or --transport ntlm, which needs no name");
    }
    if host.contains('.') {
        return Check::ok("name.kind", format!("{host} is a full name (FQDN)"));
    }
    if kerberos == KerberosIs::Unused || host.eq_ignore_ascii_case("localhost") {
        return Check::ok("name.kind", format!("{host} is a name without a domain"));
    }
    Check::warning(
        "name.kind",
        format!("{host} is a name without a domain: whether Kerberos finds the host by it depends on DNS"),
    )
    .evidence(format!("the ticket is for {ticket}"))
    .mend("give the host's full name (FQDN): that is what its principal, its certificate and [domain_realm] go by")
}

async fn look_up(examination: &mut Examination, host: &str) {
    let resolved = match dns::forward(host.to_owned()).await {
        Ok(resolved) if !resolved.addresses.is_empty() => resolved,
        outcome => {
            let reason = outcome.err().unwrap_or_else(|| "no address".to_owned());
            if examination.settings.proxy().is_some() {
                // The proxy may know it.
                examination.add(Check::skipped(
                    "dns.forward",
                    format!("{host} has no address here ({reason}); the proxy looks it up"),
                ));
            } else {
                let check = Check::problem("dns.forward", format!("the name {host} has no address"))
                    .evidence(format!("the system's resolver: {reason}"))
                    .mend("is the name written correctly, and does this machine's resolver (/etc/resolv.conf) know the domain?");
                examination.add(check);
            }
            examination.add(Check::because("dns.canonical", "dns.forward"));
            examination.add(Check::because("dns.reverse", "dns.forward"));
            return;
        }
    };
    let addresses: Vec<String> = resolved.addresses.iter().map(ToString::to_string).collect();
    examination.add(Check::ok("dns.forward", format!("{host} is {}", addresses.join(", "))));
    let check = canonical(examination, host, resolved.canonical.as_deref());
    examination.add(check);
    let check = reverse(examination, host, &resolved).await;
    examination.add(check);
}

fn canonical(examination: &Examination, host: &str, canonical: Option<&str>) -> Check {
    let Some(canonical) = canonical else {
        return Check::ok("dns.canonical", format!("{host} is no alias"));
    };
    if examination.kerberos_is == KerberosIs::Unused || is_overridden(examination, host) {
        return Check::ok(
            "dns.canonical",
            format!("{host} is an alias of {canonical}, which does not matter without Kerberos"),
        );
    }
    let is_longer = canonical
        .to_ascii_lowercase()
        .starts_with(&format!("{}.", host.to_ascii_lowercase()));
    let summary = if is_longer {
        format!("the full name of {host} is {canonical}")
    } else {
        format!("{host} is an alias of {canonical}: the principal and the certificate are usually those of {canonical}")
    };
    Check::warning("dns.canonical", summary)
        .evidence(format!(
            "DNS gives {canonical} for {host}; Kerberos goes by it unless dns_canonicalize_hostname is off"
        ))
        .mend(format!("use {canonical} as TARGET, or --hostname-override {canonical}"))
}

async fn reverse(examination: &Examination, host: &str, resolved: &dns::Resolved) -> Check {
    let mut evidence = Vec::new();
    let (mut agreeing, mut others) = (0, Vec::new());
    for address in resolved.addresses.iter().take(8) {
        match dns::reverse(*address).await {
            None => evidence.push(format!("{address} has no name")),
            Some(name) => {
                evidence.push(format!("{address} is {name}"));
                let same = |one: &str| one.eq_ignore_ascii_case(&name);
                if same(host.trim_end_matches('.')) || resolved.canonical.as_deref().is_some_and(same) {
                    agreeing += 1;
                } else {
                    others.push(name);
                }
            }
        }
    }
    let agrees = agreeing > 0 && others.is_empty();
    let matters = examination.kerberos_is != KerberosIs::Unused;
    let mut check = match others.first() {
        _ if agrees => Check::ok("dns.reverse", format!("the address leads back to {host}")),
        None => Check::new(
            "dns.reverse",
            if matters { Verdict::Warning } else { Verdict::Ok },
            format!("the address of {host} has no name"),
        ),
        Some(other) => Check::new(
            "dns.reverse",
            if matters { Verdict::Warning } else { Verdict::Ok },
            format!("the address of {host} leads to another name, {other}"),
        ),
    };
    check.evidence = evidence;
    if check.verdict == Verdict::Warning {
        check.mend = Some(
            "correct the host's PTR record, so that both directions agree; or set rdns = false in [libdefaults] of krb5.conf, so that \
             Kerberos doesn't look"
                .to_owned(),
        );
    }
    check
}
