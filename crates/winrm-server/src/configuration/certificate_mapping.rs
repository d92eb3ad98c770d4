//! Which account a client's certificate means: `winrm/config/service/certmapping`, [MS-WSMV] 2.2.4.3.

use winrm_auth::certificate::Upn;

/// One mapping; the first three fields are its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateMapping {
    /// The resources it is for: a URI, or the beginning of one with `*` behind it.
    pub(crate) uri: String,
    /// The user principal name; a `*` at the beginning or the end stands for anything.
    pub(crate) subject: String,
    /// The thumbprint of an authority in the certificate's chain.
    pub(crate) issuer: String,
    /// The account, by its own name.
    pub(crate) user: String,
    pub(crate) enabled: bool,
}

impl CertificateMapping {
    /// Whether two mappings have the same keys.
    pub(crate) fn is(&self, uri: &str, subject: &str, issuer: &str) -> bool {
        self.uri.eq_ignore_ascii_case(uri) && self.subject.eq_ignore_ascii_case(subject) && self.issuer.eq_ignore_ascii_case(issuer)
    }

    /// Whether it speaks of certificates with this name below one of these authorities.
    pub(crate) fn is_for(&self, upn: &Upn, issuers: &[String]) -> bool {
        self.enabled
            && issuers.iter().any(|issuer| issuer.eq_ignore_ascii_case(&self.issuer))
            && matches_pattern(&self.subject, upn.as_str())
    }

    /// Whether it lets somebody at this resource.
    pub(crate) fn covers(&self, resource: &str) -> bool {
        matches_pattern(&self.uri, resource)
    }
}

/// Compares without regard to the case of A to Z; everything else exactly, since Unicode's lower case makes one of two names.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    match (pattern.strip_prefix(b"*"), pattern.strip_suffix(b"*")) {
        (Some([]), _) => true,
        (_, Some(begin)) => text.get(..begin.len()).is_some_and(|head| head.eq_ignore_ascii_case(begin)),
        (Some(end), _) => {
            let from = text.len().checked_sub(end.len());
            from.is_some_and(|from| text[from..].eq_ignore_ascii_case(end))
        }
        _ => pattern.eq_ignore_ascii_case(text),
    }
}

/// Whether a subject can be one: at least one character, at most one `*`, which is the first or the last, at most 1,023 characters.
pub(crate) fn is_subject(subject: &str) -> bool {
    let inner = subject.strip_prefix('*').or_else(|| subject.strip_suffix('*')).unwrap_or(subject);
    !subject.is_empty() && subject.chars().count() <= 1_023 && !inner.contains('*')
}

/// Whether a URI can be one: no white space, no `?`, a `*` only as the last character, at most 1,023 characters.
pub(crate) fn is_uri(uri: &str) -> bool {
    let inner = uri.strip_suffix('*').unwrap_or(uri);
    !uri.is_empty()
        && uri.chars().count() <= 1_023
        && !inner
            .chars()
            .any(|character| matches!(character, '*' | '?') || character.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_have_one_star() {
        for (pattern, text, matches) in [
            ("*", "alice@localhost", true),
            ("alice@*", "ALICE@localhost", true),
            ("*@localhost", "alice@LOCALHOST", true),
            ("*@localhost", "localhost", false),
            ("alice@localhost", "Alice@Localhost", true),
            ("alice@localhost", "alice@localhost.test", false),
            ("*", "", true),
            // The Kelvin sign is no K.
            ("k@x", "\u{212A}@x", false),
            ("é*", "é@x", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), matches, "{pattern} {text}");
        }
        assert!(is_subject("*") && is_subject("*@x") && is_subject("a*"));
        assert!(!is_subject("") && !is_subject("a*b") && !is_subject("**") && !is_subject(&"a".repeat(1_024)));
        assert!(is_uri("*") && is_uri("http://schemas.microsoft.com/*"));
        assert!(!is_uri("") && !is_uri("*x") && !is_uri("a b") && !is_uri("a?b"));
    }
}
