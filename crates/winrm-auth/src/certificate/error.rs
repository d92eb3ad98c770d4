//! Why a certificate or key can't be read.

use std::fmt;

use openssl::error::ErrorStack;

/// What of a client certificate may be encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encrypted {
    /// A private key, in PEM or DER.
    Key,
    /// A whole PFX file.
    Pfx,
}

impl fmt::Display for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the private key",
            Self::Pfx => "the PFX file",
        })
    }
}

/// Why a certificate or key can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// It is encrypted, and there was no passphrase.
    #[error("{what} is encrypted, and there is no passphrase for it")]
    PassphraseNeeded {
        /// What is encrypted.
        what: Encrypted,
    },
    /// It can't be decrypted with this passphrase.
    #[error("the passphrase of {what} is wrong")]
    WrongPassphrase {
        /// What is encrypted.
        what: Encrypted,
    },
    /// No certificate where one should be.
    #[error("there is no certificate in it{}", instead(found))]
    NoCertificate {
        /// What there is instead.
        found: Vec<String>,
    },
    /// No private key where one should be.
    #[error("there is no private key in it{}", instead(found))]
    NoKey {
        /// What there is instead.
        found: Vec<String>,
    },
    /// The key is that of another certificate.
    #[error("the private key does not belong to the certificate of {subject}")]
    KeyMismatch {
        /// The subject of the first certificate.
        subject: String,
    },
    /// A key beside a PFX file, which has its own.
    #[error("a PFX file holds its own private key, and takes no other")]
    TwoKeys,
    /// It isn't what it says it is.
    #[error("{what} {at} is damaged: {reason}")]
    Damaged {
        /// What is damaged.
        what: &'static str,
        /// Where it begins.
        at: String,
        /// What is wrong.
        reason: String,
    },
    /// Making a key of the passphrase would take too long.
    #[error("{what} demands {rounds} rounds to make a key of the passphrase: nobody writes such files")]
    TooMuchWork {
        /// What demands it.
        what: Encrypted,
        /// How many rounds.
        rounds: u64,
    },
    /// It is encrypted in a way that this OpenSSL doesn't know.
    #[error("{what} is encrypted by an algorithm that this OpenSSL does not offer: {algorithm}")]
    Unsupported {
        /// What is encrypted.
        what: Encrypted,
        /// OpenSSL's name for the algorithm.
        algorithm: String,
    },
}

impl CertificateError {
    /// What to do about it, for people.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::KeyMismatch { .. } => Some("give the key that was made together with the certificate"),
            Self::TwoKeys => Some("leave the key away, or give the certificate in PEM"),
            Self::Damaged { .. } => Some("copy the file again from where it was made"),
            Self::Unsupported { what: Encrypted::Pfx, .. } => Some(
                "install OpenSSL's provider \"legacy\", or export the file anew with AES: Export-PfxCertificate -CryptoAlgorithmOption AES256_SHA256",
            ),
            Self::Unsupported { .. } => {
                Some("encrypt the key anew: openssl pkcs8 -topk8 -provider legacy -provider default -in OLD -out NEW")
            }
            Self::NoCertificate { found } if found.iter().any(|found| found == "PFX") => {
                Some("that is a PFX file: winrm cert convert FILE --to OUT.pem takes it apart")
            }
            Self::NoKey { found } if found.iter().any(|found| found == "OPENSSH PRIVATE KEY") => {
                Some("that is a key of OpenSSH: ssh-keygen -p -m PKCS8 -f KEY turns it into PEM")
            }
            _ => None,
        }
    }

    /// Whether another passphrase could help.
    #[must_use]
    pub fn is_passphrase(&self) -> bool {
        matches!(self, Self::PassphraseNeeded { .. } | Self::WrongPassphrase { .. })
    }

    pub(super) fn damaged(what: &'static str, at: &str, error: &ErrorStack) -> Self {
        Self::Damaged {
            what,
            at: at.to_owned(),
            reason: reason(error),
        }
    }
}

fn instead(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!(", only {}", found.join(", "))
    }
}

/// The first of OpenSSL's reasons, without its numbers and file names.
pub(super) fn reason(error: &ErrorStack) -> String {
    let reason = error.errors().iter().find_map(|error| error.reason());
    reason.unwrap_or("OpenSSL does not say why").to_owned()
}

/// The algorithm that OpenSSL was asked for and doesn't offer.
pub(super) fn unsupported_algorithm(error: &ErrorStack) -> Option<String> {
    error.errors().iter().find_map(|error| {
        let envelope = error.library().is_some_and(|library| library.contains("envelope"));
        let reason = error.reason()?;
        if !envelope || !(reason.starts_with("unsupported") || reason.starts_with("unknown")) {
            return None;
        }
        // "Global default library context, Algorithm (RC2-40-CBC : 0), Properties ()"
        let data = error.data().unwrap_or_default();
        let name = data.split_once("Algorithm (").and_then(|(_, rest)| rest.split([' ', ')']).next());
        Some(name.unwrap_or(reason).to_owned())
    })
}
