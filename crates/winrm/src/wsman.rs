//! The host's resources by WS-Management: Get, Put, Create, Delete, Enumerate, and methods.

use std::fmt;
use std::sync::Arc;

use winrm_auth::Secret;
use winrm_proto::fault::{self, code};
use winrm_proto::instance::{Instance, Property};
use winrm_proto::invoke::{Invoke, InvokeResponse};
use winrm_proto::resource::Resource;
use winrm_proto::transfer::{Create, Created, Delete, Get, InstanceResponse, Put};
use winrm_proto::{Envelope, Fault, ReadError, WriteError};

use crate::enumeration::Enumerate;
use crate::error::{Error, ErrorKind};
use crate::operations::written;
use crate::session::{Credential, Operation, Session, message_id};

/// The resources of one host; made by [`Client::wsman`](crate::Client::wsman).
///
/// Each call is one request, but for [`set`](Self::set) and enumerations. Nothing that changes the host is sent twice:
/// [`Error::may_have_run`] tells what is known when an answer is lost.
#[derive(Clone)]
pub struct WsMan {
    session: Arc<Session>,
}

/// A value of a property, or of a method's parameter. One made from a [`Secret`] is printed nowhere, and requests that hold one are
/// kept out of logs.
#[derive(Clone, Debug)]
pub struct Value(Content);

#[derive(Clone, Debug)]
enum Content {
    Open(Property),
    Secret(Secret),
}

impl WsMan {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// When the host can't be reached or denies it: see [`ErrorKind`].
    pub async fn get(&self, resource: &Resource) -> Result<Instance, Error> {
        self.read(Get::new(resource.clone())).await
    }

    /// Reads a part of a resource, as `wsman:FragmentTransfer` names it: a property's name. The instance is a
    /// [fragment](Instance::FRAGMENT).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_fragment(&self, resource: &Resource, fragment: &str) -> Result<Instance, Error> {
        let mut get = Get::new(resource.clone());
        get.fragment = Some(fragment.to_owned());
        self.read(get).await
    }

    async fn read(&self, get: Get) -> Result<Instance, Error> {
        let purpose = format!("give {}", get.resource);
        let body = get.write(self.session.header(), &message_id());
        let answer = self.ask("Get", &purpose, false, body, InstanceResponse::read).await?;
        answer.instance.ok_or_else(|| {
            Error::new(
                ErrorKind::Protocol,
                format!("the host's answer about {} holds nothing", get.resource),
            )
        })
    }

    /// Replaces a resource, and gives what it holds then.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn put(&self, resource: &Resource, instance: &Instance) -> Result<Instance, Error> {
        self.write(resource, None, instance.clone(), false).await
    }

    /// Replaces a part of a resource; `instance` is a [fragment](Instance::FRAGMENT).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn put_fragment(&self, resource: &Resource, fragment: &str, instance: &Instance) -> Result<Instance, Error> {
        self.write(resource, Some(fragment.to_owned()), instance.clone(), false).await
    }

    async fn write(&self, resource: &Resource, fragment: Option<String>, instance: Instance, secret: bool) -> Result<Instance, Error> {
        let put = Put {
            resource: resource.clone(),
            fragment,
            instance,
        };
        let body = put.write(self.session.header(), &message_id());
        let purpose = format!("change {resource}");
        let answer = self.ask("Put", &purpose, secret, body, InstanceResponse::read).await?;
        // A host may say no more than that it is done.
        Ok(answer.instance.unwrap_or(put.instance))
    }

    /// Changes properties of a resource: reads it, and writes it back with these values. It gives what the resource holds then.
    ///
    /// # Errors
    /// As [`get`](Self::get). [`ErrorKind::Configuration`] for a property that the resource doesn't have; but secret ones are
    /// never shown by hosts, and may be set all the same.
    pub async fn set<N: Into<String>, V: Into<Value>>(
        &self,
        resource: &Resource,
        values: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Instance, Error> {
        let values = named(values);
        let mut instance = self.get(resource).await?;
        forget_sources(&mut instance);
        for (name, value) in &values {
            let known = instance.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            match known {
                Some((known, Property::Instance(_))) => {
                    return Err(
                        Error::new(ErrorKind::Configuration, format!("{known} of {resource} holds settings of its own"))
                            .with_hint(format!("name them: {}", Resource::new(format!("{}/{known}", resource.uri)))),
                    );
                }
                None if matches!(value.0, Content::Open(_)) => return Err(unknown_property(resource, name, &instance)),
                _ => {}
            }
        }
        let secret = fill(&mut instance, values);
        self.write(resource, None, instance, secret).await
    }

    /// Makes a resource: a listener, a mapping of certificates. It gives where the resource is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn create<N: Into<String>, V: Into<Value>>(
        &self,
        resource: &Resource,
        values: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Resource, Error> {
        let mut instance = Instance::of(resource);
        let secret = fill(&mut instance, named(values));
        self.make(resource, instance, secret).await
    }

    /// Makes a resource that holds this.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn create_instance(&self, resource: &Resource, instance: &Instance) -> Result<Resource, Error> {
        self.make(resource, instance.clone(), false).await
    }

    async fn make(&self, resource: &Resource, instance: Instance, secret: bool) -> Result<Resource, Error> {
        let create = Create {
            resource: resource.clone(),
            instance,
        };
        let body = create.write(self.session.header(), &message_id());
        let purpose = format!("create {resource}");
        let created = self.ask("Create", &purpose, secret, body, Created::read).await?;
        Ok(created.resource)
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn delete(&self, resource: &Resource) -> Result<(), Error> {
        let delete = Delete {
            resource: resource.clone(),
        };
        let body = delete.write(self.session.header(), &message_id());
        self.ask("Delete", &format!("delete {resource}"), false, body, |_| Ok(())).await
    }

    /// Describes a list of the instances of a resource.
    pub fn enumerate(&self, resource: &Resource) -> Enumerate {
        Enumerate::new(self.clone(), resource.clone())
    }

    /// Calls a method of a class, or of the instance that the selectors pick. What it gives back has a
    /// [return value](Instance::return_value): most methods mean a failure by any but 0, which is for the caller to judge.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn invoke<N: Into<String>, V: Into<Value>>(
        &self,
        resource: &Resource,
        method: &str,
        values: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Instance, Error> {
        let mut invoke = Invoke::new(resource.clone(), method);
        let secret = fill(&mut invoke.input, named(values));
        self.call(invoke, secret).await
    }

    /// Calls a method with this input.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn invoke_instance(&self, resource: &Resource, method: &str, input: &Instance) -> Result<Instance, Error> {
        let mut invoke = Invoke::new(resource.clone(), method);
        invoke.input = input.clone();
        self.call(invoke, false).await
    }

    async fn call(&self, invoke: Invoke, secret: bool) -> Result<Instance, Error> {
        let body = invoke.write(self.session.header(), &message_id());
        let purpose = format!("carry out {} of {}", invoke.method, invoke.resource);
        let answer = self.ask("Invoke", &purpose, secret, body, InvokeResponse::read).await?;
        Ok(answer.output)
    }

    pub(crate) async fn ask<T>(
        &self,
        action: &'static str,
        purpose: &str,
        secret: bool,
        body: Result<Vec<u8>, WriteError>,
        read: impl Fn(&Envelope<'_>) -> Result<T, ReadError>,
    ) -> Result<T, Error> {
        let operation = Operation {
            action,
            purpose,
            secret,
            absent: None,
        };
        let result = self
            .session
            .perform(operation, written(body)?, Credential::Needed, None, read)
            .await;
        result.map_err(|error| match error.as_fault().and_then(hint) {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }
}

impl fmt::Debug for WsMan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsMan").finish_non_exhaustive()
    }
}

impl Value {
    fn into_property(self) -> Property {
        match self.0 {
            Content::Open(property) => property,
            Content::Secret(secret) => Property::Text(secret.expose().to_owned()),
        }
    }
}

macro_rules! open_value {
    ($($type:ty),+) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self(Content::Open(value.into()))
            }
        }
    )+};
}

open_value!(&str, String, bool, u32, u64, Instance, Resource, Property);

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self(Content::Secret(secret))
    }
}

fn named<N: Into<String>, V: Into<Value>>(values: impl IntoIterator<Item = (N, V)>) -> Vec<(String, Value)> {
    values.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Sets the values, those of the same name as an array; tells whether one is secret.
fn fill(instance: &mut Instance, values: Vec<(String, Value)>) -> bool {
    let secret = values.iter().any(|(_, value)| matches!(value.0, Content::Secret(_)));
    let mut done: Vec<String> = Vec::new();
    for (name, value) in values {
        let value = value.into_property();
        if done.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            instance.push(name, value);
        } else {
            instance.set(name.clone(), value);
            done.push(name);
        }
    }
    secret
}

/// Where a value came from is the host's to say.
fn forget_sources(instance: &mut Instance) {
    instance.source = None;
    instance.sources.clear();
    for (_, property) in &mut instance.properties {
        if let Property::Instance(inner) = property {
            forget_sources(inner);
        }
    }
}

fn unknown_property(resource: &Resource, name: &str, instance: &Instance) -> Error {
    let names = instance.properties.iter().map(|(name, _)| name.as_str());
    let known = names.collect::<Vec<_>>().join(", ");
    Error::new(ErrorKind::Configuration, format!("{resource} has no property {name}")).with_hint(if known.is_empty() {
        "it has none at all".to_owned()
    } else {
        format!("it has {known}")
    })
}

/// What to do about a fault that is about a resource.
fn hint(fault: &Fault) -> Option<&'static str> {
    match fault.number()? {
        code::ACCESS_DENIED => Some(
            "the configuration and most classes are for administrators; a local one is filtered unless LocalAccountTokenFilterPolicy is set, and others need rights in RootSDDL and on WMI's namespace",
        ),
        code::INVALID_SELECTORS => Some(
            "there is no instance of these keys: all keys of the class have to be given, and no others; a list with references shows them",
        ),
        number => fault::meaning(number)?.advice,
    }
}
