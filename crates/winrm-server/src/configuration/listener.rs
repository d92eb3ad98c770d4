//! `winrm/config/listener`: the service's listeners as a resource, [MS-WSMV] 2.2.4.19.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use winrm_proto::instance::{Instance, Property};
use winrm_proto::resource::Resource;

use super::settings::{namespace_of, parse_port, thumbprint, url_prefix};
use crate::dispatch::Caller;
use crate::faults::{self, Refusal};
use crate::listeners::{Configured, ListenAddress, ListenerError, ListenerSettings};
use crate::server::Service;

/// Every listener, and what it listens on.
pub(crate) fn enumerate(service: &Service) -> Vec<(Instance, Resource)> {
    let listeners = service.listeners.all();
    listeners
        .iter()
        .map(|listener| (describe(service, listener), reference(&listener.settings)))
        .collect()
}

pub(crate) fn get(service: &Service, resource: &Resource) -> Result<Instance, Refusal> {
    Ok(describe(service, &find(service, resource)?))
}

/// Creates a listener and opens it.
pub(crate) async fn create(service: &Service, resource: &Resource, instance: &Instance) -> Result<Resource, Refusal> {
    check_name(instance)?;
    let key = |name: &str| {
        resource
            .key(name)
            .or_else(|| instance.text(name))
            .ok_or_else(faults::insufficient_selectors)
    };
    let (address, tls) = (parse_address(key("Address")?)?, parse_transport(key("Transport")?)?);
    let configuration = service.configuration.current();
    let ports = configuration.default_ports;
    let mut settings = ListenerSettings {
        address,
        port: if tls { ports.https } else { ports.http },
        tls,
        hostname: String::new(),
        enabled: true,
        url_prefix: "wsman".to_owned(),
        certificate_thumbprint: String::new(),
    };
    if tls {
        settings.certificate_thumbprint.clone_from(&configuration.certificate_thumbprint);
    }
    apply(&mut settings, instance)?;
    if let (true, Some(identity)) = (tls, service.listeners.identity(&settings.certificate_thumbprint)) {
        settings.certificate_thumbprint = identity.thumbprint();
    }
    check(service, &settings)?;
    let _changing = service.listeners.changing().await;
    if service.listeners.all().iter().any(|other| is_same(&other.settings, address, tls)) {
        return Err(faults::already_exists());
    }
    service.listeners.create(settings.clone()).await.map_err(|error| refused(&error))?;
    if !settings.address.is_loopback() {
        tracing::warn!(address = %settings.address, port = settings.port, "this listener can be reached from other machines");
    }
    Ok(reference(&settings))
}

pub(crate) async fn put(service: &Service, caller: &Caller, resource: &Resource, instance: &Instance) -> Result<Instance, Refusal> {
    check_name(instance)?;
    let _changing = service.listeners.changing().await;
    let before = find(service, resource)?;
    let mut settings = before.settings.clone();
    apply(&mut settings, instance)?;
    check(service, &settings)?;
    if settings != before.settings {
        let changed = service.listeners.change(before.id, settings, caller.listener).await;
        changed.map_err(|error| refused(&error))?;
    }
    get(service, resource)
}

pub(crate) async fn delete(service: &Service, caller: &Caller, resource: &Resource) -> Result<(), Refusal> {
    let _changing = service.listeners.changing().await;
    let listener = find(service, resource)?;
    let removed = service.listeners.remove(listener.id, caller.listener);
    removed.map_err(|error| refused(&error))
}

fn find(service: &Service, resource: &Resource) -> Result<Configured, Refusal> {
    let key = |name: &str| resource.key(name).ok_or_else(faults::insufficient_selectors);
    let (address, tls) = (parse_address(key("Address")?)?, parse_transport(key("Transport")?)?);
    if resource.selectors.len() > 2 {
        return Err(faults::selectors());
    }
    let mut found = service
        .listeners
        .all()
        .into_iter()
        .filter(|other| is_same(&other.settings, address, tls));
    let listener = found.next().ok_or_else(faults::resource_not_found)?;
    // Whoever sets a service up may give it several on different ports of one address.
    match found.next() {
        Some(_) => Err(faults::ambiguous_selectors()),
        None => Ok(listener),
    }
}

fn is_same(settings: &ListenerSettings, address: ListenAddress, tls: bool) -> bool {
    settings.address == address && settings.tls == tls
}

/// Takes from the instance what it names.
fn apply(settings: &mut ListenerSettings, instance: &Instance) -> Result<(), Refusal> {
    for (name, value) in &instance.properties {
        let text = match value {
            Property::Text(text) => text.trim(),
            Property::Nil => "",
            _ => return Err(faults::setting(name, "it has no text as its value")),
        };
        match name.to_ascii_lowercase().as_str() {
            "address" if parse_address(text)? != settings.address => return Err(faults::keys_changed()),
            "transport" if parse_transport(text)? != settings.tls => return Err(faults::keys_changed()),
            "port" if text.is_empty() => {}
            "port" => settings.port = parse_port(text)?,
            "hostname" => text.clone_into(&mut settings.hostname),
            "enabled" if text.is_empty() => {}
            "enabled" => {
                settings.enabled = match text.to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(faults::setting(name, &format!("{text:?} is neither true nor false"))),
                }
            }
            "urlprefix" if text.is_empty() => {}
            "urlprefix" => settings.url_prefix = url_prefix(text)?,
            "certificatethumbprint" if settings.tls && text.is_empty() => {}
            "certificatethumbprint" => settings.certificate_thumbprint = thumbprint(text),
            // Clients send back all that they have read.
            "address" | "transport" | "listeningon" => {}
            _ => return Err(faults::setting(name, "there is no such setting")),
        }
    }
    Ok(())
}

/// What a listener can't be, whatever the machine says.
fn check(service: &Service, settings: &ListenerSettings) -> Result<(), Refusal> {
    if !settings.tls && !settings.certificate_thumbprint.is_empty() {
        return Err(faults::thumbprint_without_tls());
    }
    if settings.tls {
        let identity = service.listeners.identity(&settings.certificate_thumbprint);
        let identity = identity.ok_or_else(faults::certificate_not_found)?;
        if !settings.hostname.is_empty() && !identity.is_for(&settings.hostname) {
            return Err(faults::certificate_of_another_host());
        }
    }
    Ok(())
}

fn check_name(instance: &Instance) -> Result<(), Refusal> {
    if instance.name.eq_ignore_ascii_case("Listener") || instance.name == Instance::FRAGMENT {
        Ok(())
    } else {
        Err(faults::representation())
    }
}

fn refused(error: &ListenerError) -> Refusal {
    match error {
        ListenerError::NoCertificate => faults::certificate_not_found(),
        ListenerError::InUse => faults::in_use(),
        ListenerError::Gone => faults::resource_not_found(),
        ListenerError::Bind(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => faults::listener_address(),
        ListenerError::Bind(error) => faults::cannot_listen(error),
        ListenerError::Tls(error) => faults::impossible(&error.to_string()),
    }
}

fn parse_address(text: &str) -> Result<ListenAddress, Refusal> {
    let text = text.trim();
    if text == "*" {
        return Ok(ListenAddress::Any);
    }
    let ip = text.get(..3).filter(|scheme| scheme.eq_ignore_ascii_case("IP:"));
    let address = ip.and_then(|_| text[3..].parse::<IpAddr>().ok());
    address.map(ListenAddress::of).ok_or_else(faults::listener_address)
}

fn parse_transport(text: &str) -> Result<bool, Refusal> {
    match text.trim().to_ascii_uppercase().as_str() {
        "HTTP" => Ok(false),
        "HTTPS" => Ok(true),
        _ => Err(faults::selector_value()),
    }
}

fn reference(settings: &ListenerSettings) -> Resource {
    Resource::new(namespace_of("listener"))
        .selector("Address", settings.address.to_string())
        .selector("Transport", transport(settings))
}

fn transport(settings: &ListenerSettings) -> &'static str {
    if settings.tls { "HTTPS" } else { "HTTP" }
}

fn describe(service: &Service, listener: &Configured) -> Instance {
    let settings = &listener.settings;
    let mut instance = Instance::new(namespace_of("listener"), "Listener")
        .with("Address", settings.address.to_string())
        .with("Transport", transport(settings))
        .with("Port", u32::from(settings.port))
        .with("Hostname", settings.hostname.as_str())
        .with("Enabled", settings.enabled)
        .with("URLPrefix", settings.url_prefix.as_str())
        .with("CertificateThumbprint", settings.certificate_thumbprint.as_str());
    let configuration = service.configuration.current();
    for address in listening_on(listener) {
        let filter = if address.is_ipv4() {
            &configuration.ipv4_filter
        } else {
            &configuration.ipv6_filter
        };
        if filter.allows(address) {
            instance.push("ListeningOn", address.to_string());
        }
    }
    instance
}

/// The addresses that a listener really listens on.
fn listening_on(listener: &Configured) -> Vec<IpAddr> {
    match listener.listening_on.map(|address| address.ip()) {
        None => Vec::new(),
        Some(address) if !address.is_unspecified() => vec![address],
        Some(address) => {
            let all = machine_addresses();
            let own = all.into_iter().filter(|other| address.is_ipv6() || other.is_ipv4());
            own.collect()
        }
    }
}

/// The machine's own addresses, as Linux lists them; none elsewhere.
fn machine_addresses() -> Vec<IpAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut addresses = local_ipv4(&read("/proc/net/fib_trie"));
    addresses.extend(local_ipv6(&read("/proc/net/if_inet6")));
    addresses
}

/// The addresses that the routing table marks as the machine's own: a line with the address, then one with `host LOCAL`.
fn local_ipv4(table: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in table.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.trim().parse().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = last
            && !addresses.contains(&IpAddr::V4(address))
        {
            addresses.push(address.into());
        }
    }
    addresses
}

/// Each line begins with the address in hex.
fn local_ipv6(table: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let digits = line.split_whitespace().next()?;
        u128::from_str_radix(digits, 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into())
    };
    table.lines().filter_map(address).collect()
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Ip(address) => write!(f, "IP:{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_stars_or_ips() {
        assert_eq!(parse_address("*").unwrap(), ListenAddress::Any);
        assert_eq!(parse_address("ip:10.0.0.1").unwrap().to_string(), "IP:10.0.0.1");
        assert_eq!(parse_address("IP:fe80::1").unwrap().to_string(), "IP:fe80::1");
        for bad in ["", "10.0.0.1", "MAC:00-11-22-33-44-55", "IP:x", "é"] {
            assert_eq!(parse_address(bad).unwrap_err().number(), Some(0x8033_8089), "{bad}");
        }
    }

    #[test]
    fn the_machines_addresses_are_read_from_the_kernels_tables() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 127.255.255.255\n        /32 link BROADCAST\n     |-- 10.0.0.7\n        /32 host LOCAL\nLocal:\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        let addresses: Vec<String> = local_ipv4(trie).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1", "10.0.0.7"]);
        let table = "00000000000000000000000000000001 01 80 10 80       lo\nfe800000000000000000000000000001 02 40 20 80     eth0\n";
        let addresses: Vec<String> = local_ipv6(table).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["::1", "fe80::1"]);
    }
}
