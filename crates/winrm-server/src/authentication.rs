//! The ways to authenticate that the service offers.

use std::fmt;
use std::str::FromStr;

use winrm_auth::{Challenge, Scheme};

/// A way to authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// User name and password in every request, RFC 7617. Over http only where clear text is allowed.
    Basic,
}

impl AuthMethod {
    /// All methods that this build can offer.
    pub const ALL: &'static [Self] = &[Self::Basic];

    /// The name as it is given on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
        }
    }

    /// What a 401 offers for it.
    pub(crate) fn challenge(self) -> Challenge {
        match self {
            Self::Basic => Challenge::basic("WSMAN"),
        }
    }

    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Self::Basic => Scheme::Basic,
        }
    }

    /// The switch's name under `Service/Auth` of the configuration.
    pub(crate) fn config_name(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AuthMethod {
    type Err = UnknownAuthMethod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|method| method.name().eq_ignore_ascii_case(text.trim()));
        known.copied().ok_or_else(|| UnknownAuthMethod(text.trim().to_owned()))
    }
}

/// A name that is no way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownAuthMethod(pub String);

impl fmt::Display for UnknownAuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is none of", self.0)?;
        for (index, method) in AuthMethod::ALL.iter().enumerate() {
            write!(f, "{} {method}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownAuthMethod {}
