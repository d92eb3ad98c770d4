//! What to do about TLS that has failed, in the program's own flags.

use winrm::{TlsFailure, TlsProblem};

/// The mend, where a flag is one.
pub(crate) fn tls_hint(failure: &TlsFailure) -> Option<String> {
    let pin = failure
        .certificate()
        .map(|certificate| format!("--fingerprint {}", certificate.fingerprint))
        .unwrap_or_default();
    let compared = "after comparing the fingerprint with what the host itself shows";
    Some(match failure.problem() {
        TlsProblem::SelfSigned => format!("trust it, {compared}: {pin}, or --ca FILE with the certificate"),
        TlsProblem::UnknownIssuer => format!("give the authority's certificate: --ca FILE; or, {compared}: {pin}"),
        TlsProblem::Expired => format!("renew it on the host, and check this machine's clock; until then, {compared}: {pin}"),
        TlsProblem::NotYetValid => format!("check the clocks of both machines; or, {compared}: {pin}"),
        TlsProblem::WrongName => {
            let name = failure.certificate().and_then(|certificate| certificate.names.first());
            match name {
                Some(name) if !name.starts_with('*') => {
                    format!("use a name that the certificate holds, or have it expected: --hostname-override {name}; or, {compared}: {pin}")
                }
                _ => format!("use a name that the certificate holds, or --hostname-override NAME; or, {compared}: {pin}"),
            }
        }
        TlsProblem::WrongUsage | TlsProblem::Certificate => format!("correct the certificate on the host; or, {compared}: {pin}"),
        TlsProblem::WeakCertificate => {
            format!("renew it with RSA of 2048 bits or more and SHA-256; or --ciphers DEFAULT@SECLEVEL=0; or, {compared}: {pin}")
        }
        TlsProblem::NotPinned => format!("if the host has a new certificate, {compared}: {pin}"),
        TlsProblem::NoCommonCipher => {
            "old hosts have ciphers that are off by default: --ciphers DEFAULT@SECLEVEL=0, or --tls-min 1.0 as well; a host that wants a \
             client certificate may say so too: --cert FILE"
                .to_owned()
        }
        TlsProblem::WeakKeyExchange => "give the host stronger keys, or allow these: --ciphers DEFAULT@SECLEVEL=0".to_owned(),
        TlsProblem::NotTls => "what listens there does not speak TLS: is it the port for http (--scheme http)?".to_owned(),
        TlsProblem::ClientCertificateWanted => "give one: --cert FILE, with its key in it or by --cert-key FILE".to_owned(),
        _ => return None,
    })
}
