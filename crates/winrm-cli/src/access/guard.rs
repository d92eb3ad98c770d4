//! Where security descriptors are kept on a host: how each is read and written, and what its rights mean.

use winrm::sddl::{AccessMask, GenericMapping, SddlError, SecurityDescriptor, wmi};
use winrm::{Client, ErrorKind, Instance, PowerShell, Resource};

use crate::args::{Guarded, Rights};
use crate::failure::{Failure, Status};
use crate::printer;

const ENDPOINTS: &str = include_str!("endpoints.ps1");
const PLUGINS: &str = include_str!("plugins.ps1");
const ROOT: &str = include_str!("root.ps1");

/// A descriptor, and where it is.
pub(crate) struct Guard {
    pub(crate) place: Place,
    pub(crate) descriptor: SecurityDescriptor,
    /// As the host has it; none where it isn't kept as text.
    pub(crate) text: Option<String>,
    /// Who sets it, if that isn't the host's own configuration: a group policy.
    pub(crate) set_by: Option<String>,
}

/// Where a descriptor is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Service,
    Endpoint(String),
    /// A plug-in's resource: its name, and the resource's URI.
    Plugin(String, String),
    Namespace(String),
}

impl Place {
    /// As `--on` has it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Service => "service".to_owned(),
            Self::Endpoint(name) => printer::plain(&format!("endpoint:{name}")),
            Self::Plugin(name, _) => printer::plain(&format!("plugin:{name}")),
            Self::Namespace(name) => format!("wmi:{name}"),
        }
    }

    /// What is guarded, for people.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Service => "the service, RootSDDL: commands and scripts (winrm run, winrm ps), configuration".to_owned(),
            Self::Endpoint(name) => format!("PowerShell's endpoint {name} (Enter-PSSession, PSRP)"),
            Self::Plugin(name, uri) => format!("the plug-in {name}: {uri}"),
            Self::Namespace(name) => format!("WMI's namespace {name}"),
        }
    }

    pub(crate) const fn mapping(&self) -> GenericMapping {
        match self {
            Self::Service | Self::Endpoint(_) | Self::Plugin(..) => GenericMapping::WINRM,
            Self::Namespace(_) => GenericMapping::WMI,
        }
    }

    /// The rights that words stand for.
    pub(crate) fn mask(&self, rights: &[Rights]) -> AccessMask {
        rights.iter().fold(AccessMask::NONE, |mask, right| mask | self.right(*right))
    }

    fn right(&self, right: Rights) -> AccessMask {
        match (self, right) {
            (Self::Service | Self::Endpoint(_) | Self::Plugin(..), Rights::Read) => AccessMask::GENERIC_READ,
            (Self::Service | Self::Endpoint(_) | Self::Plugin(..), Rights::Write) => AccessMask::GENERIC_WRITE,
            (Self::Service | Self::Endpoint(_) | Self::Plugin(..), Rights::Execute) => AccessMask::GENERIC_EXECUTE,
            (Self::Service | Self::Endpoint(_) | Self::Plugin(..), Rights::Full) => AccessMask::GENERIC_ALL,
            // Who comes by WinRM comes over the network, and needs to be enabled for anything at all.
            (Self::Namespace(_), Rights::Read) => wmi::ENABLE | wmi::REMOTE_ENABLE,
            (Self::Namespace(_), Rights::Execute) => wmi::ENABLE | wmi::REMOTE_ENABLE | wmi::EXECUTE_METHODS,
            (Self::Namespace(_), Rights::Write) => wmi::FULL_WRITE | wmi::PARTIAL_WRITE | wmi::PROVIDER_WRITE,
            (Self::Namespace(_), Rights::Full) => self.mask(&[Rights::Execute, Rights::Write]) | wmi::READ_SECURITY | wmi::EDIT_SECURITY,
        }
    }

    /// What is granted where nobody says it.
    pub(crate) const fn usual(&self) -> &'static [Rights] {
        match self {
            Self::Endpoint(_) => &[Rights::Execute],
            Self::Service | Self::Plugin(..) | Self::Namespace(_) => &[Rights::Read, Rights::Execute],
        }
    }

    /// Rights as people read them.
    pub(crate) fn words(&self, mask: AccessMask) -> Vec<String> {
        let names: &[(AccessMask, &str)] = match self {
            Self::Service | Self::Endpoint(_) | Self::Plugin(..) => &[
                (AccessMask::GENERIC_ALL, "full"),
                (AccessMask::GENERIC_READ, "read"),
                (AccessMask::GENERIC_WRITE, "write"),
                (AccessMask::GENERIC_EXECUTE, "execute"),
            ],
            Self::Namespace(_) => &[
                (wmi::ENABLE, "enable account"),
                (wmi::REMOTE_ENABLE, "remote enable"),
                (wmi::EXECUTE_METHODS, "execute methods"),
                (wmi::FULL_WRITE, "full write"),
                (wmi::PARTIAL_WRITE, "partial write"),
                (wmi::PROVIDER_WRITE, "provider write"),
                (wmi::SUBSCRIBE, "subscribe"),
                (wmi::PUBLISH, "publish"),
                (wmi::READ_SECURITY, "read security"),
                (wmi::EDIT_SECURITY, "edit security"),
            ],
        };
        let known = names.iter().fold(AccessMask::NONE, |known, (right, _)| known | *right);
        let mut words: Vec<String> = names
            .iter()
            .filter(|(right, _)| mask.contains(*right))
            .map(|(_, name)| (*name).to_owned())
            .collect();
        let rest = mask & !known;
        if !rest.is_empty() {
            words.push(rest.to_string());
        }
        words
    }
}

impl Guard {
    /// Reads what is asked for: several descriptors for PowerShell's endpoints.
    pub(crate) async fn read(client: &Client, on: &Guarded) -> Result<Vec<Self>, Failure> {
        match on {
            Guarded::Service => Ok(vec![service(client).await?]),
            Guarded::Namespace(name) => Ok(vec![namespace(client, name).await?]),
            Guarded::Plugins => plugins(client).await,
            Guarded::Endpoints(name) => {
                let all = endpoints(client, None).await?;
                let names: Vec<String> = all.iter().map(|guard| guard.place.name()).collect();
                let found: Vec<Self> = all
                    .into_iter()
                    .filter(|guard| name.as_deref().is_none_or(|name| guard.is_endpoint(name)))
                    .collect();
                match name {
                    Some(name) if found.is_empty() => Err(Failure::configuration(format!("the host has no PowerShell endpoint {name}"))
                        .hint(format!("it has {}", names.join(", ")))),
                    _ => Ok(found),
                }
            }
        }
    }

    fn is_endpoint(&self, wanted: &str) -> bool {
        matches!(&self.place, Place::Endpoint(name) if name.eq_ignore_ascii_case(wanted))
    }

    /// Writes another descriptor in its place, and gives what the host has then.
    pub(crate) async fn write(&self, client: &Client, descriptor: &SecurityDescriptor) -> Result<Self, Failure> {
        match &self.place {
            Place::Service => write_service(client, descriptor).await,
            Place::Endpoint(name) => {
                let all = endpoints(client, Some((name, descriptor))).await?;
                all.into_iter()
                    .find(|guard| guard.is_endpoint(name))
                    .ok_or_else(|| Failure::new(Status::Failed, format!("the endpoint {name} is gone after the change")))
            }
            Place::Plugin(..) => Err(Failure::configuration(
                "the descriptors of plug-ins are shown, and not changed from here",
            )),
            Place::Namespace(name) => write_namespace(client, name, descriptor).await,
        }
    }
}

fn resource(text: &str) -> Result<Resource, Failure> {
    Resource::parse(text).map_err(|error| Failure::configuration(format!("the resource {text}")).because(error))
}

const SERVICE: &str = "winrm/config/service";
const ROOT_SDDL: &str = "RootSDDL";

async fn service(client: &Client) -> Result<Guard, Failure> {
    let instance = client.wsman().get(&resource(SERVICE)?).await?;
    from_service(&instance)
}

fn from_service(instance: &Instance) -> Result<Guard, Failure> {
    let text = instance
        .text(ROOT_SDDL)
        .ok_or_else(|| Failure::new(Status::Failed, "the host's configuration has no RootSDDL"))?;
    let mut guard = guard(Place::Service, text)?;
    guard.set_by = match instance.source_of(ROOT_SDDL) {
        Some(source) if source.eq_ignore_ascii_case("GPO") => Some("a group policy".to_owned()),
        source => source.filter(|source| !source.is_empty()).map(str::to_owned),
    };
    Ok(guard)
}

/// A descriptor that the host has as text.
fn guard(place: Place, text: &str) -> Result<Guard, Failure> {
    match text.trim().parse() {
        Ok(descriptor) => Ok(Guard {
            place,
            descriptor,
            text: Some(text.trim().to_owned()),
            set_by: None,
        }),
        Err(error) => Err(unreadable(&place, text.trim(), error)),
    }
}

/// Shows what can't be read, and where.
fn unreadable(place: &Place, text: &str, error: SddlError) -> Failure {
    printer::note(&format!("  {}\n  {}^", printer::plain(text), " ".repeat(error.position())));
    Failure::new(
        Status::Failed,
        format!("the security descriptor of {} can't be read, and isn't touched", place.name()),
    )
    .because(error)
    .hint("it is shown above; what Windows itself makes of it: winrm configsddl default, on the host")
}

async fn write_service(client: &Client, descriptor: &SecurityDescriptor) -> Result<Guard, Failure> {
    let resource = resource(SERVICE)?;
    let put = client.wsman().set(&resource, [(ROOT_SDDL, descriptor.to_string())]).await;
    match put {
        Ok(_) => service(client).await,
        Err(error) if matches!(error.kind(), ErrorKind::Fault | ErrorKind::Forbidden) => {
            // The provider is another way to the same setting, for hosts where WS-Transfer is closed.
            let mut script = client.powershell(ROOT);
            let tried = script.param("Sddl", descriptor.to_string()).progress(false).output().await;
            match tried {
                Ok(output) if output.exit_code == Some(0) => guard(Place::Service, &String::from_utf8_lossy(&output.stdout)),
                _ => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

async fn endpoints(client: &Client, set: Option<(&str, &SecurityDescriptor)>) -> Result<Vec<Guard>, Failure> {
    let mut script = client.powershell(ENDPOINTS);
    script.progress(false);
    if let Some((name, descriptor)) = set {
        script.param("Name", name).param("Sddl", descriptor.to_string());
    }
    let text = said(
        &mut script,
        &format!("PowerShell's endpoints can't be {}", if set.is_some() { "changed" } else { "read" }),
    )
    .await?;
    let fields = text.lines().filter_map(|line| line.split_once('\t'));
    fields.map(|(name, sddl)| guard(Place::Endpoint(name.to_owned()), sddl)).collect()
}

async fn plugins(client: &Client) -> Result<Vec<Guard>, Failure> {
    let mut script = client.powershell(PLUGINS);
    let text = said(script.progress(false), "the descriptors of plug-ins can't be read").await?;
    let fields = text.lines().filter_map(|line| {
        let (name, rest) = line.split_once('\t')?;
        let (uri, sddl) = rest.split_once('\t')?;
        Some((Place::Plugin(name.to_owned(), uri.to_owned()), sddl))
    });
    fields.map(|(place, sddl)| guard(place, sddl)).collect()
}

/// What a script says; or what can't be done, and PowerShell's first line about it.
async fn said(script: &mut PowerShell, complaint: &str) -> Result<String, Failure> {
    let output = script.output().await?;
    if output.exit_code != Some(0) {
        let errors = output.errors();
        let why = errors
            .lines()
            .next()
            .map_or_else(String::new, |line| format!(": {}", printer::plain(line)));
        return Err(Failure::new(Status::Failed, format!("{complaint}{why}"))
            .hint("that takes an administrator, and Windows PowerShell 3 or later"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn security_of(namespace: &str) -> Result<Resource, Failure> {
    resource(&format!("wmi/{namespace}/__SystemSecurity"))
}

async fn namespace(client: &Client, name: &str) -> Result<Guard, Failure> {
    let none: [(&str, &str); 0] = [];
    let output = client.wsman().invoke(&security_of(name)?, "GetSD", none).await?;
    succeeded(&output, name, "GetSD")?;
    let bytes: Option<Vec<u8>> = output.all("SD").map(|byte| byte.text()?.trim().parse().ok()).collect();
    let descriptor = bytes
        .ok_or_else(|| Failure::new(Status::Failed, format!("WMI's answer about {name} holds no bytes")))
        .and_then(|bytes| {
            SecurityDescriptor::from_bytes(&bytes).map_err(|error| {
                Failure::new(
                    Status::Failed,
                    format!("the security descriptor of wmi:{name} can't be read, and isn't touched"),
                )
                .because(error)
            })
        })?;
    Ok(Guard {
        place: Place::Namespace(name.to_owned()),
        descriptor,
        text: None,
        set_by: None,
    })
}

async fn write_namespace(client: &Client, name: &str, descriptor: &SecurityDescriptor) -> Result<Guard, Failure> {
    // What came as bytes has no letters of a domain in it, and what is added to it is an identifier.
    let bytes = descriptor
        .to_bytes(|_| None)
        .map_err(|error| Failure::new(Status::Failed, format!("the new descriptor of wmi:{name} can't be written")).because(error))?;
    let values = bytes.iter().map(|byte| ("SD", byte.to_string()));
    let output = client.wsman().invoke(&security_of(name)?, "SetSD", values).await?;
    succeeded(&output, name, "SetSD")?;
    namespace(client, name).await
}

/// Of what WMI's methods return.
const WBEM_ACCESS_DENIED: u32 = 0x8004_1003;

fn succeeded(output: &Instance, namespace: &str, method: &str) -> Result<(), Failure> {
    let right = if method == "SetSD" { "Edit Security" } else { "Read Security" };
    match output.return_value() {
        None | Some(0) => Ok(()),
        Some(WBEM_ACCESS_DENIED) => Err(Failure::new(Status::Failed, format!("WMI has denied {method} on {namespace}"))
            .hint(format!("the account lacks the right \"{right}\" on the namespace"))),
        Some(code) => Err(Failure::new(
            Status::Failed,
            format!("WMI has refused {method} on {namespace} with 0x{code:08X}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_sets_the_descriptor_is_noticed() {
        let mut instance =
            Instance::new("http://schemas.microsoft.com/wbem/wsman/1/config/service", "Service").with(ROOT_SDDL, "D:(A;;GA;;;BA)");
        assert_eq!(from_service(&instance).unwrap().set_by, None);
        instance.sources.push((ROOT_SDDL.to_owned(), "GPO".to_owned()));
        assert_eq!(from_service(&instance).unwrap().set_by.as_deref(), Some("a group policy"));
    }

    #[test]
    fn rights_are_words_and_words_are_rights() {
        let namespace = Place::Namespace("root/cimv2".to_owned());
        assert_eq!(namespace.mask(&[Rights::Full]), AccessMask(0x0006_003f));
        assert_eq!(
            namespace.words(AccessMask(0x0010_0021)),
            ["enable account", "remote enable", "0x100000"]
        );
        assert_eq!(Place::Service.mask(Place::Service.usual()), AccessMask(0xa000_0000));
        assert_eq!(Place::Service.words(AccessMask(0xa000_0000)), ["read", "execute"]);
    }
}
