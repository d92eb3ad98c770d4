//! The two letters that stand for a well-known account. [MS-DTYP] 2.5.1.1, `sid-token`, and 2.4.2.4

use super::sid::Sid;

/// An account that SDDL has two letters for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Alias {
    index: usize,
}

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authority {
    /// The same identifier on every machine: `BA` is S-1-5-32-544.
    Everywhere,
    /// An account of the machine itself; the last number is given.
    Machine(u32),
    /// An account of the machine's domain; the last number is given.
    Domain(u32),
    /// An account of the forest's first domain; the last number is given.
    Forest(u32),
}

impl Alias {
    /// The alias of these two letters, in any case.
    #[must_use]
    pub fn of_letters(letters: &str) -> Option<Self> {
        let index = TABLE.iter().position(|entry| entry.letters.eq_ignore_ascii_case(letters))?;
        Some(Self { index })
    }

    /// The alias of an account's English name: `Administrators`, `BUILTIN\Administrators`, `SYSTEM`; in any case.
    ///
    /// Accounts of a domain are not found by name: which domain is meant only the host knows.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (domain, account) = name
            .rsplit_once('\\')
            .map_or((None, name), |(domain, account)| (Some(domain), account));
        let index = TABLE.iter().position(|entry| {
            entry.place == Place::Everywhere
                && entry.name.eq_ignore_ascii_case(account)
                && domain.is_none_or(|domain| domain.eq_ignore_ascii_case(entry.domain))
        })?;
        Some(Self { index })
    }

    /// The alias of an identifier that is the same everywhere.
    #[must_use]
    pub fn of_sid(sid: &Sid) -> Option<Self> {
        Self::all().find(|alias| alias.sid().as_ref() == Some(sid))
    }

    /// Every alias there is.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..TABLE.len()).map(|index| Self { index })
    }

    /// `BA`.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        TABLE[self.index].letters
    }

    /// `BUILTIN\Administrators`; without a domain where Windows shows none, or only the host knows which.
    #[must_use]
    pub fn name(self) -> String {
        let entry = &TABLE[self.index];
        match entry.domain {
            "" => entry.name.to_owned(),
            domain => format!("{domain}\\{}", entry.name),
        }
    }

    /// Whose account it is.
    #[must_use]
    pub const fn authority(self) -> Authority {
        let number = TABLE[self.index].number;
        match TABLE[self.index].place {
            Place::Everywhere => Authority::Everywhere,
            Place::Machine => Authority::Machine(number),
            Place::Domain => Authority::Domain(number),
            Place::Forest => Authority::Forest(number),
        }
    }

    /// The identifier, if it is the same everywhere.
    #[must_use]
    pub fn sid(self) -> Option<Sid> {
        let entry = &TABLE[self.index];
        match entry.place {
            Place::Everywhere => entry.sid.parse().ok(),
            Place::Machine | Place::Domain | Place::Forest => None,
        }
    }

    /// The identifier in the domain that it is of (of the machine, for `LA` and `LG`).
    #[must_use]
    pub fn sid_in(self, domain: &Sid) -> Option<Sid> {
        match TABLE[self.index].place {
            Place::Everywhere => self.sid(),
            Place::Machine | Place::Domain | Place::Forest => domain.with(TABLE[self.index].number),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Everywhere,
    Machine,
    Domain,
    Forest,
}

struct Entry {
    letters: &'static str,
    place: Place,
    /// For [`Place::Everywhere`].
    sid: &'static str,
    /// Elsewhere: the last number.
    number: u32,
    domain: &'static str,
    name: &'static str,
}

const fn known(letters: &'static str, sid: &'static str, domain: &'static str, name: &'static str) -> Entry {
    Entry {
        letters,
        place: Place::Everywhere,
        sid,
        number: 0,
        domain,
        name,
    }
}

const fn of(place: Place, letters: &'static str, number: u32, name: &'static str) -> Entry {
    Entry {
        letters,
        place,
        sid: "",
        number,
        domain: "",
        name,
    }
}

const BUILTIN: &str = "BUILTIN";
const NT: &str = "NT AUTHORITY";
const LABEL: &str = "Mandatory Label";

const TABLE: &[Entry] = &[
    known("AA", "S-1-5-32-579", BUILTIN, "Access Control Assistance Operators"),
    known("AC", "S-1-15-2-1", "APPLICATION PACKAGE AUTHORITY", "ALL APPLICATION PACKAGES"),
    known("AN", "S-1-5-7", NT, "ANONYMOUS LOGON"),
    known("AO", "S-1-5-32-548", BUILTIN, "Account Operators"),
    of(Place::Domain, "AP", 525, "Protected Users"),
    known("AS", "S-1-18-1", "", "Authentication authority asserted identity"),
    known("AU", "S-1-5-11", NT, "Authenticated Users"),
    known("BA", "S-1-5-32-544", BUILTIN, "Administrators"),
    known("BG", "S-1-5-32-546", BUILTIN, "Guests"),
    known("BO", "S-1-5-32-551", BUILTIN, "Backup Operators"),
    known("BU", "S-1-5-32-545", BUILTIN, "Users"),
    of(Place::Domain, "CA", 517, "Cert Publishers"),
    known("CD", "S-1-5-32-574", BUILTIN, "Certificate Service DCOM Access"),
    known("CG", "S-1-3-1", "", "CREATOR GROUP"),
    of(Place::Domain, "CN", 522, "Cloneable Domain Controllers"),
    known("CO", "S-1-3-0", "", "CREATOR OWNER"),
    known("CY", "S-1-5-32-569", BUILTIN, "Cryptographic Operators"),
    of(Place::Domain, "DA", 512, "Domain Admins"),
    of(Place::Domain, "DC", 515, "Domain Computers"),
    of(Place::Domain, "DD", 516, "Domain Controllers"),
    of(Place::Domain, "DG", 514, "Domain Guests"),
    of(Place::Domain, "DU", 513, "Domain Users"),
    of(Place::Forest, "EA", 519, "Enterprise Admins"),
    known("ED", "S-1-5-9", NT, "ENTERPRISE DOMAIN CONTROLLERS"),
    of(Place::Forest, "EK", 527, "Enterprise Key Admins"),
    known("ER", "S-1-5-32-573", BUILTIN, "Event Log Readers"),
    known("ES", "S-1-5-32-576", BUILTIN, "RDS Endpoint Servers"),
    known("HA", "S-1-5-32-578", BUILTIN, "Hyper-V Administrators"),
    known("HI", "S-1-16-12288", LABEL, "High Mandatory Level"),
    known("IS", "S-1-5-32-568", BUILTIN, "IIS_IUSRS"),
    known("IU", "S-1-5-4", NT, "INTERACTIVE"),
    of(Place::Domain, "KA", 526, "Key Admins"),
    of(Place::Machine, "LA", 500, "Administrator"),
    of(Place::Machine, "LG", 501, "Guest"),
    known("LS", "S-1-5-19", NT, "LOCAL SERVICE"),
    known("LU", "S-1-5-32-559", BUILTIN, "Performance Log Users"),
    known("LW", "S-1-16-4096", LABEL, "Low Mandatory Level"),
    known("ME", "S-1-16-8192", LABEL, "Medium Mandatory Level"),
    known("MP", "S-1-16-8448", LABEL, "Medium Plus Mandatory Level"),
    known("MS", "S-1-5-32-577", BUILTIN, "RDS Management Servers"),
    known("MU", "S-1-5-32-558", BUILTIN, "Performance Monitor Users"),
    known("NO", "S-1-5-32-556", BUILTIN, "Network Configuration Operators"),
    known("NS", "S-1-5-20", NT, "NETWORK SERVICE"),
    known("NU", "S-1-5-2", NT, "NETWORK"),
    known("OW", "S-1-3-4", "", "OWNER RIGHTS"),
    of(Place::Domain, "PA", 520, "Group Policy Creator Owners"),
    known("PO", "S-1-5-32-550", BUILTIN, "Print Operators"),
    known("PS", "S-1-5-10", NT, "SELF"),
    known("PU", "S-1-5-32-547", BUILTIN, "Power Users"),
    known("RA", "S-1-5-32-575", BUILTIN, "RDS Remote Access Servers"),
    known("RC", "S-1-5-12", NT, "RESTRICTED"),
    known("RD", "S-1-5-32-555", BUILTIN, "Remote Desktop Users"),
    known("RE", "S-1-5-32-552", BUILTIN, "Replicator"),
    known("RM", "S-1-5-32-580", BUILTIN, "Remote Management Users"),
    of(Place::Forest, "RO", 498, "Enterprise Read-only Domain Controllers"),
    of(Place::Domain, "RS", 553, "RAS and IAS Servers"),
    known("RU", "S-1-5-32-554", BUILTIN, "Pre-Windows 2000 Compatible Access"),
    of(Place::Forest, "SA", 518, "Schema Admins"),
    known("SI", "S-1-16-16384", LABEL, "System Mandatory Level"),
    known("SO", "S-1-5-32-549", BUILTIN, "Server Operators"),
    known("SS", "S-1-18-2", "", "Service asserted identity"),
    known("SU", "S-1-5-6", NT, "SERVICE"),
    known("SY", "S-1-5-18", NT, "SYSTEM"),
    known("UD", "S-1-5-84-0-0-0-0-0", "", "USER MODE DRIVERS"),
    known("WD", "S-1-1-0", "", "Everyone"),
    known("WR", "S-1-5-33", NT, "WRITE RESTRICTED"),
];
