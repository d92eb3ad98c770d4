//! Classes as WMI has them: what the service tells of the machine, and what a test or an embedder adds.

mod operating_system;
mod process;
mod security;
mod service;
mod user_account;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use winrm_proto::enumeration::{Filter, Item, Mode};
use winrm_proto::header::Selector;
use winrm_proto::instance::{Instance, Property};
use winrm_proto::ns;
use winrm_proto::resource::Resource;
use winrm_proto::wql::Query;

pub(crate) use operating_system::OperatingSystem;
pub(crate) use process::Processes;
pub(crate) use security::{NamespaceSecurity, SystemSecurity};
pub(crate) use service::SystemServices;
pub(crate) use user_account::{Groups, UserAccounts};

use crate::faults::{self, Refusal};

/// A class: its instances, and its methods.
///
/// Clients read it by WS-Transfer and WS-Enumeration (`winrm wsman get`, `Get-CimInstance`), with WQL's conditions applied by the
/// service, and call its methods.
///
/// ```
/// use winrm_server::{CimCaller, CimClass, CimError, Instance};
///
/// struct Lamp;
///
/// impl CimClass for Lamp {
///     fn name(&self) -> &str {
///         "Test_Lamp"
///     }
///
///     fn keys(&self) -> &[&str] {
///         &["Name"]
///     }
///
///     async fn instances(&self, _caller: &CimCaller) -> Result<Vec<Instance>, CimError> {
///         Ok(vec![Instance::default().with("Name", "desk").with("Lit", true)])
///     }
/// }
/// ```
pub trait CimClass: Send + Sync + 'static {
    /// The class's name, `Win32_Service`.
    fn name(&self) -> &str;

    /// The namespace that it is in, with slashes.
    fn namespace(&self) -> &str {
        "root/cimv2"
    }

    /// The names of the properties that tell one instance from another; none where there is only one instance.
    fn keys(&self) -> &[&str];

    /// All instances. Their namespaces and names are filled in by the service.
    fn instances(&self, caller: &CimCaller) -> impl Future<Output = Result<Vec<Instance>, CimError>> + Send;

    /// Calls a method, on an instance or on the class itself. The output has `ReturnValue` and whatever else the method gives.
    fn invoke(
        &self,
        caller: &CimCaller,
        instance: Option<&Instance>,
        method: &str,
        input: &Instance,
    ) -> impl Future<Output = Result<Instance, CimError>> + Send {
        let _ = (caller, instance, method, input);
        std::future::ready(Err(CimError::NoMethod))
    }
}

/// Who asks for instances or calls a method.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CimCaller {
    /// The account, as the service's list of users has it.
    pub user: String,
    /// Whether the account is an administrator of the service.
    pub is_administrator: bool,
}

/// Why a class gives no answer. The client gets it as a fault in WMI's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CimError {
    /// The class has no such method.
    #[error("there is no such method")]
    NoMethod,
    /// The method's parameters are wrong.
    #[error("the method's parameters are wrong")]
    Parameters,
    /// The account may not.
    #[error("access is denied")]
    AccessDenied,
    /// What is behind the class failed: a WMI error, a Win32 error or HRESULT, and its text.
    #[error("{message} ({code})")]
    Failed {
        /// The number of the fault.
        code: u32,
        /// The text of the fault.
        message: String,
    },
}

impl From<CimError> for Refusal {
    fn from(error: CimError) -> Self {
        match error {
            CimError::NoMethod => faults::no_method(),
            CimError::Parameters => faults::method_parameters(),
            CimError::AccessDenied => faults::access_denied(),
            CimError::Failed { code, message } => faults::class_failed(code, &message),
        }
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CimError>> + Send + 'a>>;

/// [`CimClass`] without its type.
pub(crate) trait AnyClass: Send + Sync {
    fn name(&self) -> &str;
    fn namespace(&self) -> &str;
    fn keys(&self) -> &[&str];
    fn instances<'a>(&'a self, caller: &'a CimCaller) -> Answer<'a, Vec<Instance>>;
    fn invoke<'a>(
        &'a self,
        caller: &'a CimCaller,
        instance: Option<&'a Instance>,
        method: &'a str,
        input: &'a Instance,
    ) -> Answer<'a, Instance>;
}

impl<C: CimClass> AnyClass for C {
    fn name(&self) -> &str {
        CimClass::name(self)
    }

    fn namespace(&self) -> &str {
        CimClass::namespace(self)
    }

    fn keys(&self) -> &[&str] {
        CimClass::keys(self)
    }

    fn instances<'a>(&'a self, caller: &'a CimCaller) -> Answer<'a, Vec<Instance>> {
        Box::pin(CimClass::instances(self, caller))
    }

    fn invoke<'a>(
        &'a self,
        caller: &'a CimCaller,
        instance: Option<&'a Instance>,
        method: &'a str,
        input: &'a Instance,
    ) -> Answer<'a, Instance> {
        Box::pin(CimClass::invoke(self, caller, instance, method, input))
    }
}

/// The classes that the service has.
#[derive(Clone, Default)]
pub(crate) struct Classes(Vec<Arc<dyn AnyClass>>);

/// A class, or all of a namespace, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassName {
    /// What the URI begins with, up to the namespace or the class.
    base: &'static str,
    namespace: String,
    /// `*` for all.
    class: String,
}

/// The selector that names a namespace, [DSP0227] 5.3.
const NAMESPACE_SELECTOR: &str = "__cimnamespace";

impl ClassName {
    /// The class that a resource names, if its URI is one of WMI's or of the CIM schema's.
    pub(crate) fn of(resource: &Resource) -> Option<Self> {
        let uri = resource.uri.trim_end_matches('/');
        let behind = |base: &str| {
            let beginning = uri.get(..base.len())?;
            let rest = uri[base.len()..].strip_prefix('/')?;
            beginning.eq_ignore_ascii_case(base).then_some(rest)
        };
        if let Some(path) = behind(ns::WMI) {
            let (namespace, class) = path.rsplit_once('/')?;
            return Some(Self {
                base: ns::WMI,
                namespace: namespace.to_ascii_lowercase(),
                class: class.to_owned(),
            });
        }
        let class = behind(ns::CIM_SCHEMA).filter(|class| !class.contains('/'))?;
        let namespace = resource.key(NAMESPACE_SELECTOR).unwrap_or("root/cimv2");
        Some(Self {
            base: ns::CIM_SCHEMA,
            namespace: namespace.replace('\\', "/").to_ascii_lowercase(),
            class: class.to_owned(),
        })
    }

    /// Whether it is the class that says who may do what, which looks to that itself.
    pub(crate) fn is_security(&self) -> bool {
        self.class.eq_ignore_ascii_case("__SystemSecurity")
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn uri(&self, class: &dyn AnyClass) -> String {
        if self.base == ns::WMI {
            format!("{}/{}/{}", self.base, class.namespace(), class.name())
        } else {
            format!("{}/{}", self.base, class.name())
        }
    }
}

impl Classes {
    /// Adds a class; one of the same name is replaced.
    pub(crate) fn add(&mut self, class: Arc<dyn AnyClass>) {
        let is_it = |other: &dyn AnyClass| {
            other.name().eq_ignore_ascii_case(class.name()) && other.namespace().eq_ignore_ascii_case(class.namespace())
        };
        self.0.retain(|other| !is_it(&**other));
        self.0.push(class);
    }

    /// The same, but what is there stays.
    pub(crate) fn add_missing(&mut self, class: Arc<dyn AnyClass>) {
        if self.find(class.namespace(), class.name()).is_err() {
            self.0.push(class);
        }
    }

    /// The namespaces that have classes, each once.
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = self.0.iter().map(|class| class.namespace().to_lowercase()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces
    }

    fn find(&self, namespace: &str, class: &str) -> Result<&Arc<dyn AnyClass>, Refusal> {
        let mut here = self
            .0
            .iter()
            .filter(|known| known.namespace().eq_ignore_ascii_case(namespace))
            .peekable();
        if here.peek().is_none() {
            return Err(faults::no_namespace());
        }
        let found = here.find(|known| known.name().eq_ignore_ascii_case(class));
        found.ok_or_else(faults::no_class)
    }

    /// The instance that the resource's selectors pick.
    pub(crate) async fn get(&self, name: &ClassName, resource: &Resource, caller: &CimCaller) -> Result<Instance, Refusal> {
        let class = self.find(&name.namespace, &name.class)?;
        let instances = instances(&**class, name, caller).await?;
        pick(&**class, instances, resource)
    }

    /// The instances that an enumeration is of, in the form it wants.
    pub(crate) async fn enumerate(
        &self,
        name: &ClassName,
        filter: Option<&Filter>,
        mode: Mode,
        caller: &CimCaller,
    ) -> Result<Vec<Item>, Refusal> {
        let query = match filter {
            Some(Filter::Wql(text)) => Some(Query::parse(text).map_err(|error| faults::query(&error.to_string()))?),
            Some(Filter::Selectors(_)) | None => None,
            Some(_) => return Err(faults::filter_dialect()),
        };
        let asked = query.as_ref().map_or(name.class.as_str(), |query| query.class.as_str());
        if asked == "*" {
            return Err(faults::filter_required());
        }
        if name.class != "*" && !name.class.eq_ignore_ascii_case(asked) {
            return Err(faults::query(&format!(
                "the query is for {asked}, and the resource is {}",
                name.class
            )));
        }
        let class = self.find(&name.namespace, asked)?;
        let mut instances = instances(&**class, name, caller).await?;
        if let Some(query) = &query {
            check_properties(query, instances.first())?;
            instances.retain(|instance| query.matches(instance));
        }
        if let Some(Filter::Selectors(selectors)) = filter {
            instances.retain(|instance| fits(instance, selectors));
        }
        let select = query.and_then(|query| query.select);
        let item = |instance: Instance| Item {
            reference: (mode != Mode::Object).then(|| reference(&**class, name, &instance)),
            instance: (mode != Mode::Epr).then(|| match &select {
                Some(properties) => projected(&instance, properties),
                None => instance,
            }),
        };
        Ok(instances.into_iter().map(item).collect())
    }

    /// Calls a method. With selectors it is called on the instance that they pick.
    pub(crate) async fn invoke(
        &self,
        name: &ClassName,
        resource: &Resource,
        method: &str,
        input: &Instance,
        caller: &CimCaller,
    ) -> Result<Instance, Refusal> {
        let class = self.find(&name.namespace, &name.class)?;
        let instance = if keys_of(resource).next().is_some() {
            let instances = instances(&**class, name, caller).await?;
            Some(pick(&**class, instances, resource)?)
        } else {
            None
        };
        let mut output = class.invoke(caller, instance.as_ref(), method, input).await?;
        output.namespace = name.uri(&**class);
        output.name = format!("{method}_OUTPUT");
        Ok(output)
    }
}

async fn instances(class: &dyn AnyClass, name: &ClassName, caller: &CimCaller) -> Result<Vec<Instance>, Refusal> {
    let mut instances = class.instances(caller).await?;
    for instance in &mut instances {
        instance.namespace = name.uri(class);
        class.name().clone_into(&mut instance.name);
    }
    Ok(instances)
}

/// A resource's selectors that are keys.
fn keys_of(resource: &Resource) -> impl Iterator<Item = &Selector> {
    let selectors = resource.selectors.iter();
    selectors.filter(|selector| !selector.name.eq_ignore_ascii_case(NAMESPACE_SELECTOR))
}

/// The instance that the selectors pick: all keys have to be there, but for a class that has one instance only.
fn pick(class: &dyn AnyClass, mut instances: Vec<Instance>, resource: &Resource) -> Result<Instance, Refusal> {
    let selectors: Vec<Selector> = keys_of(resource).cloned().collect();
    let is_key = |selector: &Selector| class.keys().iter().any(|key| key.eq_ignore_ascii_case(&selector.name));
    if !selectors.iter().all(is_key) {
        return Err(faults::selectors());
    }
    if selectors.len() < class.keys().len() && !(selectors.is_empty() && instances.len() == 1) {
        return Err(faults::insufficient_selectors());
    }
    instances.retain(|instance| fits(instance, &selectors));
    match instances.len() {
        0 => Err(faults::resource_not_found()),
        1 => Ok(instances.swap_remove(0)),
        _ => Err(faults::ambiguous_selectors()),
    }
}

fn fits(instance: &Instance, selectors: &[Selector]) -> bool {
    selectors.iter().all(|selector| {
        let value = instance.text(&selector.name);
        value.is_some_and(|value| value.to_lowercase() == selector.value.trim().to_lowercase())
    })
}

fn reference(class: &dyn AnyClass, name: &ClassName, instance: &Instance) -> Resource {
    let mut reference = Resource::new(name.uri(class)).selector(NAMESPACE_SELECTOR, class.namespace());
    for key in class.keys() {
        reference = reference.selector(*key, instance.text(key).unwrap_or_default());
    }
    reference
}

/// The properties asked for alone: a fragment, whose parts have no namespace.
fn projected(instance: &Instance, properties: &[String]) -> Instance {
    let mut fragment = Instance::new("", Instance::FRAGMENT);
    for name in properties {
        for (known, value) in &instance.properties {
            if known.eq_ignore_ascii_case(name) {
                fragment.push(known.as_str(), value.clone());
            }
        }
    }
    fragment
}

/// WMI knows a class by its schema, this service by an instance: without one nothing can be said of a query's properties.
fn check_properties(query: &Query, example: Option<&Instance>) -> Result<(), Refusal> {
    let Some(example) = example else { return Ok(()) };
    for name in query.properties() {
        // System properties begin with two underscores.
        if example.value(name).is_none() && !name.starts_with("__") {
            return Err(faults::query(&format!("{} has no property {name}", query.class)));
        }
    }
    Ok(())
}

/// A text without the characters that XML can't carry.
fn printable(text: &str) -> String {
    let replace = |character: char| match character {
        '\u{0}'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
        other => other,
    };
    text.chars().map(replace).collect()
}

/// A value that may be unknown.
fn or_nil(value: Option<impl Into<Property>>) -> Property {
    value.map_or(Property::Nil, Into::into)
}

/// A time in seconds since 1970, as CIM writes it: UTC.
fn date_time(seconds: u64) -> Property {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Days to a date of the Gregorian calendar, counted in eras of 400 years that begin on a 1 March (Howard Hinnant's way).
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 {
        (month + 3, year + era * 400)
    } else {
        (month - 9, year + era * 400 + 1)
    };
    let (hours, minutes, seconds) = (time / 3_600, time / 60 % 60, time % 60);
    Property::DateTime(format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_xml_schema_writes_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_732_719_599, "2024-11-27T14:59:59Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date_time(seconds), Property::DateTime(text.to_owned()));
        }
    }

    #[test]
    fn classes_are_named_by_both_kinds_of_uris() {
        let name = |text: &str| ClassName::of(&Resource::parse(text).unwrap()).map(|name| (name.namespace, name.class));
        let some = |namespace: &str, class: &str| Some((namespace.to_owned(), class.to_owned()));
        assert_eq!(name("wmicimv2/Win32_Process"), some("root/cimv2", "Win32_Process"));
        assert_eq!(name("wmi/root/Hardware/X"), some("root/hardware", "X"));
        assert_eq!(name("cimv2/CIM_X"), some("root/cimv2", "CIM_X"));
        assert_eq!(name("cimv2/CIM_X?__cimnamespace=root\\a"), some("root/a", "CIM_X"));
        assert_eq!(name("winrm/config"), None);
    }
}
