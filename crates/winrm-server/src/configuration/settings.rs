//! The settings as a tree of names, each with its bounds: how they are read as an instance, and changed by one.

use std::time::Duration;

use winrm_proto::instance::{Instance, Property};
use winrm_proto::ns;

use super::{Capabilities, CbtHardeningLevel, ClientSettings, Configuration, IpFilter, Ports};
use crate::authentication::AuthMethod;
use crate::faults::{self, Refusal};

/// A name in the configuration.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Section(&'static [Node]),
    /// Read alone: what it is follows from elsewhere.
    Fixed(fn(&Configuration) -> String),
    Flag {
        read: fn(&Configuration) -> bool,
        write: fn(&mut Configuration, bool, &Capabilities) -> Result<(), Refusal>,
    },
    Number {
        least: u32,
        most: u32,
        read: fn(&Configuration) -> u32,
        write: fn(&mut Configuration, u32),
    },
    Port {
        read: fn(&Configuration) -> u16,
        write: fn(&mut Configuration, u16),
    },
    Text {
        read: fn(&Configuration) -> String,
        write: fn(&mut Configuration, &str, &Capabilities) -> Result<(), Refusal>,
    },
}

/// All of `winrm/config`.
pub(super) static CONFIG: Node = Node {
    name: "Config",
    kind: Kind::Section(&[
        number(
            "MaxEnvelopeSizekb",
            32,
            u32::MAX,
            |c| c.quotas.max_envelope_size_kb,
            |c, n| {
                c.quotas.max_envelope_size_kb = n;
            },
        ),
        number(
            "MaxTimeoutms",
            500,
            u32::MAX,
            |c| millis(c.quotas.max_timeout),
            |c, n| {
                c.quotas.max_timeout = Duration::from_millis(n.into());
            },
        ),
        number(
            "MaxBatchItems",
            1,
            u32::MAX,
            |c| c.quotas.max_batch_items,
            |c, n| {
                c.quotas.max_batch_items = n;
            },
        ),
        fixed("MaxProviderRequests", |_| u32::MAX.to_string()),
        section("Client", CLIENT),
        section("Service", SERVICE),
        section("Winrs", WINRS),
    ]),
};

/// What Windows' own client goes by; the service keeps it and has no use for it.
const CLIENT: &[Node] = &[
    number(
        "NetworkDelayms",
        500,
        u32::MAX,
        |c| c.client.network_delay_ms,
        |c, n| c.client.network_delay_ms = n,
    ),
    text(
        "URLPrefix",
        |c| c.client.url_prefix.clone(),
        |c, text, _| {
            c.client.url_prefix = url_prefix(text)?;
            Ok(())
        },
    ),
    flag(
        "AllowUnencrypted",
        |c| c.client.allow_unencrypted,
        |c, value, _| {
            c.client.allow_unencrypted = value;
            Ok(())
        },
    ),
    section("Auth", CLIENT_AUTH),
    section(
        "DefaultPorts",
        &[
            port("HTTP", |c| c.client.ports.http, |c, n| c.client.ports.http = n),
            port("HTTPS", |c| c.client.ports.https, |c, n| c.client.ports.https = n),
        ],
    ),
    text(
        "TrustedHosts",
        |c| c.client.trusted_hosts.clone(),
        |c, text, _| {
            c.client.trusted_hosts = text.to_owned();
            Ok(())
        },
    ),
];

const CLIENT_AUTH: &[Node] = &[
    flag("Basic", |c| c.client.auth[0], |c, value, _| set_client_auth(c, 0, value)),
    flag("Digest", |c| c.client.auth[1], |c, value, _| set_client_auth(c, 1, value)),
    flag("Kerberos", |c| c.client.auth[2], |c, value, _| set_client_auth(c, 2, value)),
    flag("Negotiate", |c| c.client.auth[3], |c, value, _| set_client_auth(c, 3, value)),
    flag("Certificate", |c| c.client.auth[4], |c, value, _| set_client_auth(c, 4, value)),
    flag("CredSSP", |c| c.client.auth[5], |c, value, _| set_client_auth(c, 5, value)),
];

const SERVICE: &[Node] = &[
    text(
        "RootSDDL",
        |c| c.root_sddl.to_string(),
        |c, text, _| {
            c.root_sddl = text.parse().map_err(|error| faults::security_descriptor(&error))?;
            Ok(())
        },
    ),
    fixed("MaxConcurrentOperations", |_| u32::MAX.to_string()),
    number(
        "MaxConcurrentOperationsPerUser",
        1,
        u32::MAX,
        |c| c.quotas.max_concurrent_operations_per_user,
        |c, n| c.quotas.max_concurrent_operations_per_user = n,
    ),
    number(
        "EnumerationTimeoutms",
        500,
        u32::MAX,
        |c| millis(c.quotas.enumeration_timeout),
        |c, n| {
            c.quotas.enumeration_timeout = Duration::from_millis(n.into());
        },
    ),
    number(
        "MaxConnections",
        1,
        u32::MAX,
        |c| c.quotas.max_connections,
        |c, n| {
            c.quotas.max_connections = n;
        },
    ),
    number(
        "MaxPacketRetrievalTimeSeconds",
        1,
        u32::MAX,
        |c| u32::try_from(c.quotas.body_timeout.as_secs()).unwrap_or(u32::MAX),
        |c, n| c.quotas.body_timeout = Duration::from_secs(n.into()),
    ),
    flag(
        "AllowUnencrypted",
        |c| c.allow_unencrypted,
        |c, value, _| {
            c.allow_unencrypted = value;
            Ok(())
        },
    ),
    section("Auth", SERVICE_AUTH),
    section(
        "DefaultPorts",
        &[
            port("HTTP", |c| c.default_ports.http, |c, n| c.default_ports.http = n),
            port("HTTPS", |c| c.default_ports.https, |c, n| c.default_ports.https = n),
        ],
    ),
    text(
        "IPv4Filter",
        |c| c.ipv4_filter.to_string(),
        |c, text, _| {
            c.ipv4_filter = IpFilter::parse(text, true).ok_or_else(faults::ip_filter)?;
            Ok(())
        },
    ),
    text(
        "IPv6Filter",
        |c| c.ipv6_filter.to_string(),
        |c, text, _| {
            c.ipv6_filter = IpFilter::parse(text, false).ok_or_else(faults::ip_filter)?;
            Ok(())
        },
    ),
    flag("EnableCompatibilityHttpListener", |_| false, no_compatibility),
    flag("EnableCompatibilityHttpsListener", |_| false, no_compatibility),
    text(
        "CertificateThumbprint",
        |c| c.certificate_thumbprint.clone(),
        |c, text, capabilities| {
            let thumbprint = thumbprint(text);
            if !thumbprint.is_empty() && !capabilities.thumbprints.contains(&thumbprint) {
                return Err(faults::certificate_not_found());
            }
            c.certificate_thumbprint = thumbprint;
            Ok(())
        },
    ),
    fixed("AllowRemoteAccess", |_| true.to_string()),
];

const SERVICE_AUTH: &[Node] = &[
    flag(
        "Basic",
        |c| c.offers(AuthMethod::Basic),
        |c, on, has| switch(c, AuthMethod::Basic, on, has),
    ),
    flag(
        "Kerberos",
        |c| c.offers(AuthMethod::Kerberos),
        |c, on, has| switch(c, AuthMethod::Kerberos, on, has),
    ),
    flag(
        "Negotiate",
        |c| c.offers(AuthMethod::Negotiate),
        |c, on, has| {
            switch(c, AuthMethod::Negotiate, on, has)?;
            // Windows has no switch for NTLM under its own name: it goes with this one.
            switch(c, AuthMethod::Ntlm, on, has)
        },
    ),
    flag(
        "Certificate",
        |c| c.offers(AuthMethod::Certificate),
        |c, on, has| switch(c, AuthMethod::Certificate, on, has),
    ),
    flag(
        "CredSSP",
        |c| c.offers(AuthMethod::CredSsp),
        |c, on, has| switch(c, AuthMethod::CredSsp, on, has),
    ),
    text(
        "CbtHardeningLevel",
        |c| c.cbt_hardening_level.to_string(),
        |c, text, _| {
            let levels = [CbtHardeningLevel::None, CbtHardeningLevel::Relaxed, CbtHardeningLevel::Strict];
            let level = levels.into_iter().find(|level| level.to_string().eq_ignore_ascii_case(text));
            c.cbt_hardening_level = level.ok_or_else(faults::cbt_hardening_level)?;
            Ok(())
        },
    ),
];

const WINRS: &[Node] = &[
    flag(
        "AllowRemoteShellAccess",
        |c| c.allow_remote_shell_access,
        |c, value, _| {
            c.allow_remote_shell_access = value;
            Ok(())
        },
    ),
    number(
        "IdleTimeout",
        60_000,
        MAX_SIGNED,
        |c| millis(c.quotas.idle_timeout),
        |c, n| {
            c.quotas.idle_timeout = Duration::from_millis(n.into());
        },
    ),
    number(
        "MaxConcurrentUsers",
        1,
        MAX_SIGNED,
        |c| c.quotas.max_concurrent_users,
        |c, n| {
            c.quotas.max_concurrent_users = n;
        },
    ),
    fixed("MaxShellRunTime", |_| MAX_SIGNED.to_string()),
    number(
        "MaxProcessesPerShell",
        0,
        MAX_SIGNED,
        |c| c.quotas.max_processes_per_shell,
        |c, n| {
            c.quotas.max_processes_per_shell = or_no_limit(n);
        },
    ),
    number(
        "MaxMemoryPerShellMB",
        0,
        MAX_SIGNED,
        |c| c.max_memory_per_shell_mb,
        |c, n| {
            c.max_memory_per_shell_mb = or_no_limit(n);
        },
    ),
    number(
        "MaxShellsPerUser",
        0,
        MAX_SIGNED,
        |c| c.quotas.max_shells_per_user,
        |c, n| {
            c.quotas.max_shells_per_user = or_no_limit(n);
        },
    ),
];

const MAX_SIGNED: u32 = i32::MAX.cast_unsigned();

const fn section(name: &'static str, nodes: &'static [Node]) -> Node {
    let kind = Kind::Section(nodes);
    Node { name, kind }
}

const fn fixed(name: &'static str, read: fn(&Configuration) -> String) -> Node {
    let kind = Kind::Fixed(read);
    Node { name, kind }
}

const fn flag(
    name: &'static str,
    read: fn(&Configuration) -> bool,
    write: fn(&mut Configuration, bool, &Capabilities) -> Result<(), Refusal>,
) -> Node {
    let kind = Kind::Flag { read, write };
    Node { name, kind }
}

const fn number(name: &'static str, least: u32, most: u32, read: fn(&Configuration) -> u32, write: fn(&mut Configuration, u32)) -> Node {
    let kind = Kind::Number { least, most, read, write };
    Node { name, kind }
}

const fn text(
    name: &'static str,
    read: fn(&Configuration) -> String,
    write: fn(&mut Configuration, &str, &Capabilities) -> Result<(), Refusal>,
) -> Node {
    let kind = Kind::Text { read, write };
    Node { name, kind }
}

const fn port(name: &'static str, read: fn(&Configuration) -> u16, write: fn(&mut Configuration, u16)) -> Node {
    let kind = Kind::Port { read, write };
    Node { name, kind }
}

impl Node {
    /// The section of this path below this one, as `service/auth`; names are compared without regard to case.
    pub(super) fn find(&self, path: &str) -> Option<&Self> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Some(self);
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let Kind::Section(nodes) = &self.kind else { return None };
        let inner = nodes.iter().find(|node| node.name.eq_ignore_ascii_case(first))?;
        matches!(inner.kind, Kind::Section(_)).then(|| inner.find(rest)).flatten()
    }

    /// What the section says now.
    pub(super) fn read(&self, configuration: &Configuration, namespace: &str) -> Instance {
        let mut instance = Instance::new(namespace, self.name);
        let Kind::Section(nodes) = &self.kind else { return instance };
        for node in *nodes {
            let value = match &node.kind {
                Kind::Section(_) => Property::Instance(node.read(configuration, namespace)),
                Kind::Fixed(read) | Kind::Text { read, .. } => read(configuration).into(),
                Kind::Flag { read, .. } => read(configuration).into(),
                Kind::Number { read, .. } => read(configuration).into(),
                Kind::Port { read, .. } => u32::from(read(configuration)).into(),
            };
            instance.push(node.name, value);
        }
        instance
    }

    /// Changes what the instance names; the rest stays.
    pub(super) fn write(&self, instance: &Instance, configuration: &mut Configuration, has: &Capabilities) -> Result<(), Refusal> {
        let Kind::Section(nodes) = &self.kind else {
            return Err(faults::setting(self.name, "it holds no settings"));
        };
        for (name, value) in &instance.properties {
            let node = nodes.iter().find(|node| node.name.eq_ignore_ascii_case(name));
            let node = node.ok_or_else(|| faults::setting(name, "there is no such setting"))?;
            node.write_value(value, configuration, has)?;
        }
        Ok(())
    }

    fn write_value(&self, value: &Property, configuration: &mut Configuration, has: &Capabilities) -> Result<(), Refusal> {
        if let (Kind::Section(_), Property::Instance(inner)) = (&self.kind, value) {
            return self.write(inner, configuration, has);
        }
        let text = match value {
            Property::Text(text) => text.trim(),
            Property::Nil => "",
            _ => return Err(faults::setting(self.name, "it has no text as its value")),
        };
        match &self.kind {
            // A section without content changes nothing.
            Kind::Section(_) if text.is_empty() => Ok(()),
            Kind::Section(_) => Err(faults::setting(self.name, "it is no single setting")),
            // Clients send back all that they have read.
            Kind::Fixed(read) if read(configuration).eq_ignore_ascii_case(text) => Ok(()),
            Kind::Fixed(_) => Err(faults::read_only_setting(self.name)),
            Kind::Flag { read, write } => {
                let value = match text.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(faults::setting(self.name, &format!("{text:?} is neither true nor false"))),
                };
                if read(configuration) == value {
                    return Ok(());
                }
                write(configuration, value, has)
            }
            Kind::Number { least, most, read, write } => {
                let number: u32 = text
                    .parse()
                    .map_err(|_| faults::setting(self.name, &format!("{text:?} is no number from {least} to {most}")))?;
                // What is there already may be beyond the bounds: whoever set the service up is not kept to them.
                if number != read(configuration) {
                    if !(*least..=*most).contains(&number) {
                        return Err(faults::setting(self.name, &format!("{number} is not from {least} to {most}")));
                    }
                    write(configuration, number);
                }
                Ok(())
            }
            Kind::Port { read, write } => {
                if text != read(configuration).to_string() {
                    write(configuration, parse_port(text)?);
                }
                Ok(())
            }
            Kind::Text { read, write } => {
                if read(configuration) == text {
                    return Ok(());
                }
                write(configuration, text, has)
            }
        }
    }
}

impl Configuration {
    fn offers(&self, method: AuthMethod) -> bool {
        self.methods.contains(&method)
    }
}

/// Turns a way to authenticate on or off.
fn switch(configuration: &mut Configuration, method: AuthMethod, on: bool, has: &Capabilities) -> Result<(), Refusal> {
    if !on {
        configuration.methods.retain(|other| *other != method);
        return Ok(());
    }
    match method {
        AuthMethod::Kerberos if !has.kerberos => return Err(faults::impossible("this service has no key table for Kerberos")),
        AuthMethod::Certificate if !has.certificates => {
            return Err(faults::impossible(
                "this service has no authorities whose client certificates it believes",
            ));
        }
        _ => {}
    }
    if !configuration.offers(method) {
        configuration.methods.push(method);
        // The best first, as they are offered.
        configuration
            .methods
            .sort_by_key(|method| AuthMethod::ALL.iter().position(|other| other == method));
    }
    Ok(())
}

fn no_compatibility(_: &mut Configuration, on: bool, _: &Capabilities) -> Result<(), Refusal> {
    if on {
        return Err(faults::impossible(
            "this service opens no compatibility listeners on ports 80 and 443: create a listener with that port",
        ));
    }
    Ok(())
}

fn set_client_auth(configuration: &mut Configuration, index: usize, value: bool) -> Result<(), Refusal> {
    configuration.client.auth[index] = value;
    Ok(())
}

/// 0 stands for no limit.
fn or_no_limit(number: u32) -> u32 {
    if number == 0 { MAX_SIGNED } else { number }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// A thumbprint as the service writes it, of one that may hold spaces and marks that a certificate's window gave it.
pub(super) fn thumbprint(text: &str) -> String {
    let digits = text.chars().filter(char::is_ascii_hexdigit);
    digits.map(|digit| digit.to_ascii_uppercase()).collect()
}

/// A URL's path without the slashes around it.
pub(super) fn url_prefix(text: &str) -> Result<String, Refusal> {
    let prefix = text.trim().trim_matches('/');
    let is_path = |character: char| character.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@%".contains(character);
    if prefix.is_empty() || prefix.len() > 255 || !prefix.chars().all(is_path) {
        return Err(faults::setting("URLPrefix", &format!("{text:?} is no path of a URL")));
    }
    Ok(prefix.to_owned())
}

/// A port that a listener can have.
pub(super) fn parse_port(text: &str) -> Result<u16, Refusal> {
    let port = text.trim().parse::<u16>().ok().filter(|port| *port != 0);
    port.ok_or_else(faults::port)
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            network_delay_ms: 5_000,
            url_prefix: "wsman".to_owned(),
            allow_unencrypted: false,
            auth: [true, true, true, true, true, false],
            ports: Ports::default(),
            trusted_hosts: String::new(),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self { http: 5_985, https: 5_986 }
    }
}

/// The namespace of a part of the configuration: its resource URI.
pub(super) fn namespace_of(path: &str) -> String {
    let path = path.trim_matches('/').to_ascii_lowercase();
    if path.is_empty() {
        ns::CONFIG.to_owned()
    } else {
        format!("{}/{path}", ns::CONFIG)
    }
}
