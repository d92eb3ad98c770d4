//! Which resource a request is for, and what it does with it: configuration, classes and shells.

use winrm_proto::enumeration::{Enumerate, Filter, Item, Mode, Page, Pull, Release};
use winrm_proto::instance::{Instance, Property};
use winrm_proto::invoke::Invoke;
use winrm_proto::ns;
use winrm_proto::resource::Resource;
use winrm_proto::transfer::{Create, Delete, Get, InstanceResponse, Put};

use crate::cim::{CimCaller, ClassName};
use crate::configuration::Part;
use crate::dispatch::Caller;
use crate::enumerations::Room;
use crate::faults::{self, Refusal};
use crate::server::Service;

/// What a resource URI names.
enum Target {
    Configuration(Part),
    Class(ClassName),
    Shells,
}

impl Target {
    fn of(resource: &Resource) -> Result<Self, Refusal> {
        let uri = resource.uri.trim_end_matches('/');
        if [ns::SHELL, ns::SHELL_CMD].iter().any(|shell| uri.eq_ignore_ascii_case(shell)) {
            return Ok(Self::Shells);
        }
        if let Some(part) = Part::of(uri) {
            return Ok(Self::Configuration(part));
        }
        let class = ClassName::of(resource).map(Self::Class);
        class.ok_or_else(|| faults::unknown_resource(&resource.uri))
    }

    /// The configuration is the administrators' alone, whatever RootSDDL lets others do, and a namespace has a descriptor of its own.
    fn check(&self, service: &Service, caller: &Caller, methods: bool) -> Result<(), Refusal> {
        match self {
            Self::Configuration(_) if !service.settings.identities.is_administrator(&caller.user) => Err(faults::access_denied()),
            Self::Class(class) if !class.is_security() && !service.namespaces.allows(class.namespace(), &caller.user, methods) => {
                Err(faults::namespace_denied())
            }
            _ => Ok(()),
        }
    }
}

pub(crate) async fn get(service: &Service, caller: &Caller, get: &Get) -> Result<InstanceResponse, Refusal> {
    let target = Target::of(&get.resource)?;
    target.check(service, caller, false)?;
    let instance = match &target {
        Target::Configuration(part) => part.get(service, &get.resource)?,
        Target::Class(class) => service.classes.get(class, &get.resource, &cim_caller(service, caller)).await?,
        Target::Shells => {
            let id = get.resource.key("ShellId").ok_or_else(faults::insufficient_selectors)?;
            service.shells.find(&caller.user, id)?.describe()
        }
    };
    let Some(path) = &get.fragment else {
        return Ok(InstanceResponse::new(instance));
    };
    let mut response = InstanceResponse::new(fragment(&instance, path)?);
    response.fragment = Some(path.clone());
    Ok(response)
}

pub(crate) async fn put(service: &Service, caller: &Caller, put: &Put) -> Result<InstanceResponse, Refusal> {
    let target = Target::of(&put.resource)?;
    target.check(service, caller, false)?;
    let Target::Configuration(part) = target else {
        return Err(match target {
            Target::Class(_) => faults::not_capable(),
            _ => faults::unknown_action(),
        });
    };
    let instance = match &put.fragment {
        Some(path) => part_of(put.instance.clone(), path),
        None => put.instance.clone(),
    };
    let changed = part.put(service, caller, &put.resource, &instance).await?;
    let Some(path) = &put.fragment else {
        return Ok(InstanceResponse::new(changed));
    };
    let mut response = InstanceResponse::new(fragment(&changed, path)?);
    response.fragment = Some(path.clone());
    Ok(response)
}

pub(crate) async fn create(service: &Service, caller: &Caller, create: &Create) -> Result<Resource, Refusal> {
    let target = Target::of(&create.resource)?;
    target.check(service, caller, false)?;
    match target {
        Target::Configuration(part) => part.create(service, caller, &create.resource, &create.instance).await,
        Target::Class(_) => Err(faults::not_capable()),
        Target::Shells => Err(faults::unknown_action()),
    }
}

pub(crate) async fn delete(service: &Service, caller: &Caller, delete: &Delete) -> Result<(), Refusal> {
    let target = Target::of(&delete.resource)?;
    target.check(service, caller, false)?;
    match target {
        Target::Configuration(part) => part.delete(service, caller, &delete.resource).await,
        Target::Class(_) => Err(faults::not_capable()),
        Target::Shells => Err(faults::unknown_action()),
    }
}

/// The DSP0226 default of MaxElements, R8.2.3-2 and 8.4.
const ONE: u32 = 1;

pub(crate) async fn enumerate(service: &Service, caller: &Caller, enumerate: &Enumerate, largest: usize) -> Result<Page, Refusal> {
    let target = Target::of(&enumerate.resource)?;
    target.check(service, caller, false)?;
    let operation = service.shells.operation(&caller.user)?;
    let items = match &target {
        Target::Configuration(part) => {
            let listed = part.enumerate(service)?;
            items(listed, enumerate)?
        }
        Target::Class(class) => {
            let cim_caller = cim_caller(service, caller);
            let filter = enumerate.filter.as_ref();
            service.classes.enumerate(class, filter, enumerate.mode, &cim_caller).await?
        }
        Target::Shells => {
            let shells = service.shells.of(&caller.user);
            let listed = shells.iter().map(|shell| (shell.describe(), shell.reference()));
            items(listed.collect(), enumerate)?
        }
    };
    let quotas = service.shells.quotas();
    let asked = if enumerate.optimize {
        enumerate.max_elements.unwrap_or(ONE).max(ONE)
    } else {
        0
    };
    let room = Room {
        items: asked.min(quotas.max_batch_items) as usize,
        bytes: largest,
    };
    let uri = &enumerate.resource.uri;
    service
        .enumerations
        .begin(&caller.user, uri, items, room, quotas.enumeration_timeout, operation)
}

pub(crate) fn pull(service: &Service, caller: &Caller, pull: &Pull, largest: usize) -> Result<Page, Refusal> {
    Target::of(&pull.resource)?.check(service, caller, false)?;
    let quotas = service.shells.quotas();
    let asked = pull.max_elements.unwrap_or(ONE).max(ONE);
    let room = Room {
        items: asked.min(quotas.max_batch_items) as usize,
        bytes: largest,
    };
    let timeout = quotas.enumeration_timeout;
    service
        .enumerations
        .pull(&caller.user, &pull.resource.uri, &pull.context, room, timeout)
}

pub(crate) fn release(service: &Service, caller: &Caller, release: &Release) -> Result<(), Refusal> {
    service.enumerations.release(&caller.user, &release.resource.uri, &release.context)
}

pub(crate) async fn invoke(service: &Service, caller: &Caller, invoke: &Invoke) -> Result<Instance, Refusal> {
    let target = Target::of(&invoke.resource)?;
    target.check(service, caller, true)?;
    match target {
        Target::Class(class) => {
            let cim_caller = cim_caller(service, caller);
            let (resource, input) = (&invoke.resource, &invoke.input);
            service.classes.invoke(&class, resource, &invoke.method, input, &cim_caller).await
        }
        Target::Configuration(_) | Target::Shells => Err(faults::unknown_action()),
    }
}

fn cim_caller(service: &Service, caller: &Caller) -> CimCaller {
    CimCaller {
        user: caller.user.clone(),
        is_administrator: service.settings.identities.is_administrator(&caller.user),
    }
}

/// What is listed, in the form that is asked for; of filters these resources know selectors alone.
fn items(listed: Vec<(Instance, Resource)>, enumerate: &Enumerate) -> Result<Vec<Item>, Refusal> {
    let selectors = match &enumerate.filter {
        None => &[][..],
        Some(Filter::Selectors(selectors)) => selectors,
        Some(Filter::Wql(_)) => return Err(faults::filter_dialect()),
        Some(_) => return Err(faults::filtering_not_supported()),
    };
    let wanted = listed.into_iter().filter(|(_, reference)| {
        selectors.iter().all(|selector| {
            let value = reference.key(&selector.name);
            value.is_some_and(|value| value.eq_ignore_ascii_case(selector.value.trim()))
        })
    });
    let item = |(instance, reference)| Item {
        instance: (enumerate.mode != Mode::Epr).then_some(instance),
        reference: (enumerate.mode != Mode::Object).then_some(reference),
    };
    Ok(wanted.map(item).collect())
}

/// The part of an instance that a fragment's path names: a property, or one of an instance within (`Auth/Basic`), perhaps with
/// `text()` behind it.
fn fragment(instance: &Instance, path: &str) -> Result<Instance, Refusal> {
    let mut names: Vec<&str> = path
        .split('/')
        .map(local)
        .filter(|name| !name.is_empty() && *name != "text()")
        .collect();
    let last = names.pop().ok_or_else(faults::fragment_path)?;
    let mut inner = instance;
    for name in names {
        // The path may begin with the instance itself.
        if std::ptr::eq(inner, instance) && name.eq_ignore_ascii_case(&instance.name) {
            continue;
        }
        inner = inner.instance(name).ok_or_else(faults::fragment_path)?;
    }
    let mut fragment = Instance::new("", Instance::FRAGMENT);
    for (name, value) in &inner.properties {
        if name.eq_ignore_ascii_case(last) {
            fragment.push(name.as_str(), value.clone());
        }
    }
    if fragment.properties.is_empty() {
        return Err(faults::fragment_path());
    }
    Ok(fragment)
}

/// What a fragment of this path changes, as it would stand in the whole.
fn part_of(fragment: Instance, path: &str) -> Instance {
    let mut names: Vec<&str> = path
        .split('/')
        .map(local)
        .filter(|name| !name.is_empty() && *name != "text()")
        .collect();
    let last = names.pop();
    let mut part = fragment;
    // A fragment that is text alone is the value of the path's last name.
    if let (Some(last), [(name, Property::Text(text))]) = (last, &part.properties[..])
        && name == "text"
    {
        part = Instance::new("", Instance::FRAGMENT).with(last, text.as_str());
    }
    for name in names.into_iter().rev() {
        part = Instance::new("", Instance::FRAGMENT).with(name, Property::Instance(part));
    }
    part
}

/// The name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local).trim()
}
