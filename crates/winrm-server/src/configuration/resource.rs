//! `winrm/config` and what is below it, as resources of WS-Transfer and WS-Enumeration.

use winrm_auth::{Credentials, Secret};
use winrm_proto::instance::{Instance, Property};
use winrm_proto::ns;
use winrm_proto::resource::Resource;

use super::certificate_mapping::{CertificateMapping, is_subject, is_uri};
use super::settings::{CONFIG, namespace_of, thumbprint};
use super::{Configuration, listener};
use crate::dispatch::Caller;
use crate::faults::{self, Refusal};
use crate::server::Service;

/// A part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Settings, all or those of a section: its path.
    Settings(String),
    Listener,
    CertificateMapping,
    Plugin,
}

impl Part {
    /// The part that a resource URI names, if it names one.
    pub(crate) fn of(uri: &str) -> Option<Self> {
        let uri = uri.trim_end_matches('/');
        let path = uri.get(..ns::CONFIG.len()).filter(|base| base.eq_ignore_ascii_case(ns::CONFIG));
        let path = path.map(|base| &uri[base.len()..])?;
        if !path.is_empty() && !path.starts_with('/') {
            return None;
        }
        let path = path.trim_matches('/').to_ascii_lowercase();
        Some(match path.as_str() {
            "listener" => Self::Listener,
            "service/certmapping" => Self::CertificateMapping,
            "plugin" => Self::Plugin,
            _ => {
                CONFIG.find(&path)?;
                Self::Settings(path)
            }
        })
    }

    pub(crate) fn get(&self, service: &Service, resource: &Resource) -> Result<Instance, Refusal> {
        match self {
            Self::Settings(path) => {
                no_selectors(resource)?;
                let section = CONFIG.find(path).ok_or_else(faults::resource_not_found)?;
                Ok(section.read(&service.configuration.current(), &namespace_of(path)))
            }
            Self::Listener => listener::get(service, resource),
            Self::CertificateMapping => {
                let configuration = service.configuration.current();
                let found = find_mapping(&configuration, resource)?;
                Ok(describe(&configuration.certificate_mappings[found]))
            }
            Self::Plugin => {
                let name = resource.key("Name").ok_or_else(faults::insufficient_selectors)?;
                let plugin = plugins().into_iter().find(|(plugin, _)| {
                    let known = plugin.text("Name").unwrap_or_default();
                    known.eq_ignore_ascii_case(name)
                });
                plugin.map(|(plugin, _)| plugin).ok_or_else(faults::resource_not_found)
            }
        }
    }

    pub(crate) fn enumerate(&self, service: &Service) -> Result<Vec<(Instance, Resource)>, Refusal> {
        match self {
            Self::Settings(_) => Err(faults::unknown_action()),
            Self::Listener => Ok(listener::enumerate(service)),
            Self::CertificateMapping => {
                let configuration = service.configuration.current();
                let mappings = configuration.certificate_mappings.iter();
                Ok(mappings.map(|mapping| (describe(mapping), reference(mapping))).collect())
            }
            Self::Plugin => Ok(plugins()),
        }
    }

    pub(crate) async fn put(
        &self,
        service: &Service,
        caller: &Caller,
        resource: &Resource,
        instance: &Instance,
    ) -> Result<Instance, Refusal> {
        match self {
            Self::Settings(path) => {
                no_selectors(resource)?;
                let section = CONFIG.find(path).ok_or_else(faults::resource_not_found)?;
                if instance.name != Instance::FRAGMENT {
                    if !in_configuration(&instance.namespace) {
                        return Err(faults::xml_namespace());
                    }
                    if !instance.name.eq_ignore_ascii_case(section.name) {
                        return Err(faults::representation());
                    }
                }
                let capabilities = service.capabilities();
                let changed = service.configuration.change(|configuration| {
                    section.write(instance, configuration, &capabilities)?;
                    Ok::<_, Refusal>(section.read(configuration, &namespace_of(path)))
                })?;
                tracing::info!(user = caller.user, path, "configuration changed");
                Ok(changed)
            }
            Self::Listener => {
                let changed = listener::put(service, caller, resource, instance).await?;
                tracing::info!(user = caller.user, resource = %resource, "listener changed");
                Ok(changed)
            }
            Self::CertificateMapping => {
                let changed = service.configuration.change(|configuration| {
                    let found = find_mapping(configuration, resource)?;
                    let mut mapping = configuration.certificate_mappings[found].clone();
                    apply(&mut mapping, instance, service)?;
                    configuration.certificate_mappings[found] = mapping.clone();
                    Ok::<_, Refusal>(describe(&mapping))
                })?;
                tracing::info!(user = caller.user, resource = %resource, "certificate mapping changed");
                Ok(changed)
            }
            Self::Plugin => Err(faults::read_only_setting("Plugin")),
        }
    }

    pub(crate) async fn create(
        &self,
        service: &Service,
        caller: &Caller,
        resource: &Resource,
        instance: &Instance,
    ) -> Result<Resource, Refusal> {
        let created = match self {
            Self::Listener => listener::create(service, resource, instance).await?,
            Self::CertificateMapping => create_mapping(service, resource, instance)?,
            Self::Settings(_) | Self::Plugin => return Err(faults::unknown_action()),
        };
        tracing::info!(user = caller.user, resource = %created, "created");
        Ok(created)
    }

    pub(crate) async fn delete(&self, service: &Service, caller: &Caller, resource: &Resource) -> Result<(), Refusal> {
        match self {
            Self::Listener => listener::delete(service, caller, resource).await?,
            Self::CertificateMapping => service.configuration.change(|configuration| {
                let found = find_mapping(configuration, resource)?;
                configuration.certificate_mappings.remove(found);
                Ok::<_, Refusal>(())
            })?,
            Self::Settings(_) | Self::Plugin => return Err(faults::unknown_action()),
        }
        tracing::info!(user = caller.user, resource = %resource, "deleted");
        Ok(())
    }
}

/// The most mappings there can be.
const MAX_MAPPINGS: usize = 10_000;

fn create_mapping(service: &Service, resource: &Resource, instance: &Instance) -> Result<Resource, Refusal> {
    let key = |name: &str| resource.key(name).or_else(|| instance.text(name)).map(str::trim);
    let key = |name: &str| key(name).ok_or_else(faults::insufficient_selectors);
    let (uri, subject, issuer) = (key("URI")?, key("Subject")?, thumbprint(key("Issuer")?));
    if !is_uri(uri) {
        return Err(faults::mapping_uri());
    }
    if !is_subject(subject) {
        return Err(faults::mapping_subject());
    }
    let certificates = service.settings.certificates.as_ref();
    if !certificates.is_some_and(|certificates| certificates.believes(&issuer)) {
        return Err(faults::mapping_issuer());
    }
    let mut mapping = CertificateMapping {
        uri: uri.to_owned(),
        subject: subject.to_owned(),
        issuer,
        user: String::new(),
        enabled: true,
    };
    apply(&mut mapping, instance, service)?;
    if mapping.user.is_empty() {
        return Err(faults::mapping_credentials_incomplete());
    }
    let created = reference(&mapping);
    service.configuration.change(|configuration| {
        let mappings = &mut configuration.certificate_mappings;
        if mappings.len() >= MAX_MAPPINGS {
            return Err(faults::too_many_mappings());
        }
        if mappings
            .iter()
            .any(|other| other.is(&mapping.uri, &mapping.subject, &mapping.issuer))
        {
            return Err(faults::already_exists());
        }
        mappings.push(mapping);
        Ok(())
    })?;
    Ok(created)
}

/// Takes from the instance what it names. Name and password have to come together and be right.
fn apply(mapping: &mut CertificateMapping, instance: &Instance, service: &Service) -> Result<(), Refusal> {
    if !instance.name.eq_ignore_ascii_case("CertMapping") && instance.name != Instance::FRAGMENT {
        return Err(faults::representation());
    }
    let (mut user, mut password) = (None, None);
    for (name, value) in &instance.properties {
        let text = match value {
            Property::Text(text) => text.as_str(),
            Property::Nil => "",
            _ => return Err(faults::setting(name, "it has no text as its value")),
        };
        match name.to_ascii_lowercase().as_str() {
            "uri" if !text.trim().eq_ignore_ascii_case(&mapping.uri) => return Err(faults::mapping_keys_changed()),
            "subject" if !text.trim().eq_ignore_ascii_case(&mapping.subject) => return Err(faults::mapping_keys_changed()),
            "issuer" if thumbprint(text) != mapping.issuer => return Err(faults::mapping_keys_changed()),
            "uri" | "subject" | "issuer" => {}
            "username" => user = Some(text.trim()).filter(|user| !user.is_empty()),
            "password" => password = Some(text).filter(|password| !password.is_empty()),
            "enabled" if text.is_empty() => {}
            "enabled" => {
                mapping.enabled = match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(faults::setting(name, &format!("{text:?} is neither true nor false"))),
                }
            }
            _ => return Err(faults::setting(name, "there is no such setting")),
        }
    }
    match (user, password) {
        (None, None) => Ok(()),
        // Clients send back all that they have read, and passwords can't be read.
        (Some(user), None) if user.eq_ignore_ascii_case(&mapping.user) => Ok(()),
        (Some(_), None) if mapping.user.is_empty() => Err(faults::mapping_password_blank()),
        (Some(_), None) | (None, Some(_)) => Err(faults::mapping_credentials_incomplete()),
        (Some(_), Some(password)) if password.chars().count() > 255 => Err(faults::mapping_password_too_long()),
        (Some(user), Some(password)) => {
            let given = Credentials::parse(user, Secret::new(password.to_owned())).ok();
            let account = given.and_then(|given| service.settings.users.verify(&given));
            mapping.user = account.ok_or_else(faults::mapping_credentials)?;
            Ok(())
        }
    }
}

fn find_mapping(configuration: &Configuration, resource: &Resource) -> Result<usize, Refusal> {
    let key = |name: &str| resource.key(name).map(str::trim).ok_or_else(faults::insufficient_selectors);
    let (uri, subject, issuer) = (key("URI")?, key("Subject")?, thumbprint(key("Issuer")?));
    if resource.selectors.len() > 3 {
        return Err(faults::selectors());
    }
    let mappings = &configuration.certificate_mappings;
    let found = mappings.iter().position(|mapping| mapping.is(uri, subject, &issuer));
    found.ok_or_else(faults::resource_not_found)
}

fn describe(mapping: &CertificateMapping) -> Instance {
    Instance::new(namespace_of("service/certmapping"), "CertMapping")
        .with("URI", mapping.uri.as_str())
        .with("Subject", mapping.subject.as_str())
        .with("Issuer", mapping.issuer.as_str())
        .with("UserName", mapping.user.as_str())
        .with("Enabled", mapping.enabled)
        // There, and never with a value.
        .with("Password", "")
}

fn reference(mapping: &CertificateMapping) -> Resource {
    Resource::new(namespace_of("service/certmapping"))
        .selector("Issuer", mapping.issuer.as_str())
        .selector("Subject", mapping.subject.as_str())
        .selector("URI", mapping.uri.as_str())
}

/// What answers behind the service's resources; Windows calls them plug-ins.
fn plugins() -> Vec<(Instance, Resource)> {
    const PLUGINS: &[(&str, &str)] = &[
        ("WMI Provider", r"%systemroot%\system32\WsmWmiPl.dll"),
        ("Winrs", r"%systemroot%\system32\winrscmd.dll"),
    ];
    let plugin = |(name, file): &(&str, &str)| {
        let instance = Instance::new(format!("{}/PluginConfiguration", ns::CONFIG), "PlugInConfiguration")
            .with("Name", *name)
            .with("Filename", *file)
            .with("SDKVersion", "1")
            .with("XmlRenderingType", "text")
            .with("Enabled", true);
        (instance, Resource::new(namespace_of("plugin")).selector("Name", *name))
    };
    PLUGINS.iter().map(plugin).collect()
}

/// Whether a namespace is one of the configuration's: with `.xsd` behind it, as older clients write it, or without.
fn in_configuration(namespace: &str) -> bool {
    let base = namespace.get(..ns::CONFIG.len());
    base.is_some_and(|base| base.eq_ignore_ascii_case(ns::CONFIG))
}

fn no_selectors(resource: &Resource) -> Result<(), Refusal> {
    if resource.selectors.is_empty() {
        Ok(())
    } else {
        Err(faults::selectors())
    }
}
