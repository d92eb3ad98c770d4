//! `winrm wsman`: a host's resources by WS-Management.

mod helpmsg;
mod returned;
mod show;
mod table;
mod words;

use std::process::ExitCode;

use winrm::{Association, Enumeration, Filter, Instance, Mode, Polymorphism, Resource, Selector, Value, WsMan};

use crate::args::{
    BodyArguments, ConnectionArguments, WsmanArguments, WsmanCreateArguments, WsmanDeleteArguments, WsmanEnumerateArguments,
    WsmanGetArguments, WsmanIdentifyArguments, WsmanInvokeArguments, WsmanMode, WsmanSetArguments, WsmanVerb,
};
use crate::connection::{self, Connected};
use crate::failure::{Failure, Status};
use crate::printer;
use crate::signals::Signals;
use show::Shown;
use words::{Words, instance_from};

pub(crate) async fn run(arguments: WsmanArguments) -> Result<ExitCode, Failure> {
    if let WsmanVerb::Helpmsg(arguments) = &arguments.verb {
        return helpmsg::run(arguments);
    }
    let signals = Signals::new()?;
    tokio::select! {
        outcome = carry_out(arguments.verb) => outcome,
        () = signals.interrupted() => Ok(Status::Interrupted.into()),
        () = signals.terminated() => Ok(Status::Terminated.into()),
    }
}

async fn carry_out(verb: WsmanVerb) -> Result<ExitCode, Failure> {
    match verb {
        WsmanVerb::Get(arguments) => get(*arguments).await,
        WsmanVerb::Set(arguments) => set(*arguments).await,
        WsmanVerb::Create(arguments) => create(*arguments).await,
        WsmanVerb::Delete(arguments) => delete(*arguments).await,
        WsmanVerb::Enumerate(arguments) => enumerate(*arguments).await,
        WsmanVerb::Invoke(arguments) => invoke(*arguments).await,
        WsmanVerb::Identify(arguments) => identify(*arguments).await,
        WsmanVerb::Helpmsg(arguments) => helpmsg::run(&arguments),
    }
}

/// The resource that was typed.
fn resource(text: &str) -> Result<Resource, Failure> {
    Resource::parse(text).map_err(|error| Failure::configuration(format!("the resource {text:?}")).because(error))
}

async fn connect(target: &str, arguments: &ConnectionArguments) -> Result<(Connected, WsMan), Failure> {
    let connected = connection::client(target, arguments, true).await?;
    let wsman = connected.client.wsman();
    Ok((connected, wsman))
}

async fn get(arguments: WsmanGetArguments) -> Result<ExitCode, Failure> {
    let resource = resource(&arguments.resource)?;
    let (connected, wsman) = connect(&arguments.target, &arguments.connection).await?;
    let outcome = match &arguments.fragment {
        Some(fragment) => wsman.get_fragment(&resource, fragment).await,
        None => wsman.get(&resource).await,
    };
    connected.client.close().await;
    Shown::new(arguments.shown.format, arguments.shown.properties).instance(&outcome?)?;
    Ok(ExitCode::SUCCESS)
}

async fn set(arguments: WsmanSetArguments) -> Result<ExitCode, Failure> {
    let resource = resource(&arguments.resource)?;
    let words = Words::parse(&arguments.words)?;
    let target = words.target.clone();
    let secret_beside = || Failure::configuration("--secret can't be used together with --file or --fragment");
    let body = match (&arguments.body.file, &arguments.fragment) {
        (Some(_), _) | (_, Some(_)) if !arguments.body.secret.is_empty() => return Err(secret_beside()),
        (Some(file), _) => Body::Instance(instance_from(file, words.values)?),
        (None, Some(_)) => {
            let mut instance = Instance::new(&resource.uri, Instance::FRAGMENT);
            instance.properties = words.values;
            Body::Instance(instance)
        }
        (None, None) => Body::Values(words.with_secrets(&arguments.body)?),
    };
    if matches!(&body, Body::Values(values) if values.is_empty()) {
        return Err(nothing_to_set());
    }
    let (connected, wsman) = connect(&target, &arguments.connection).await?;
    let outcome = match (body, &arguments.fragment) {
        (Body::Values(values), _) => wsman.set(&resource, values).await,
        (Body::Instance(instance), Some(fragment)) => wsman.put_fragment(&resource, fragment, &instance).await,
        (Body::Instance(instance), None) => wsman.put(&resource, &instance).await,
    };
    connected.client.close().await;
    Shown::new(arguments.shown.format, arguments.shown.properties).instance(&outcome?)?;
    Ok(ExitCode::SUCCESS)
}

/// What is written.
enum Body {
    Values(Vec<(String, Value)>),
    Instance(Instance),
}

impl Body {
    /// The words and secret values of the command line, or the file that stands for them.
    fn of(words: Words, arguments: &BodyArguments) -> Result<Self, Failure> {
        match &arguments.file {
            Some(_) if !arguments.secret.is_empty() => Err(Failure::configuration("--secret can't be used together with --file")),
            Some(file) => Ok(Self::Instance(instance_from(file, words.values)?)),
            None => Ok(Self::Values(words.with_secrets(arguments)?)),
        }
    }
}

fn nothing_to_set() -> Failure {
    Failure::configuration("there is nothing to set").hint("give properties as KEY=VALUE, an XML file with --file, or --secret KEY=FILE")
}

async fn create(arguments: WsmanCreateArguments) -> Result<ExitCode, Failure> {
    let mut resource = resource(&arguments.resource)?;
    let mut words = Words::parse(&arguments.words)?;
    move_keys(&mut resource, &mut words);
    let target = words.target.clone();
    let body = Body::of(words, &arguments.body)?;
    let (connected, wsman) = connect(&target, &arguments.connection).await?;
    let outcome = match body {
        Body::Values(values) => wsman.create(&resource, values).await,
        Body::Instance(instance) => wsman.create_instance(&resource, &instance).await,
    };
    connected.client.close().await;
    show::resource(&outcome?, arguments.format)?;
    Ok(ExitCode::SUCCESS)
}

/// The keys of what the configuration holds several of. Windows wants them as selectors, people write them as properties.
const KEYS: &[(&str, &[&str])] = &[
    ("Listener", &["Address", "Transport"]),
    ("certmapping", &["Issuer", "Subject", "URI"]),
];

fn move_keys(resource: &mut Resource, words: &mut Words) {
    let class = resource.class().to_owned();
    let Some((_, keys)) = KEYS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&class)) else {
        return;
    };
    words.values.retain(|(name, value)| {
        let key = keys.iter().find(|key| key.eq_ignore_ascii_case(name));
        match (key, value.text()) {
            (Some(key), Some(text)) => {
                resource.selectors.push(Selector::new(*key, text));
                false
            }
            _ => true,
        }
    });
}

async fn delete(arguments: WsmanDeleteArguments) -> Result<ExitCode, Failure> {
    let resource = resource(&arguments.resource)?;
    let (connected, wsman) = connect(&arguments.target, &arguments.connection).await?;
    let outcome = wsman.delete(&resource).await;
    connected.client.close().await;
    outcome?;
    Ok(ExitCode::SUCCESS)
}

async fn enumerate(arguments: WsmanEnumerateArguments) -> Result<ExitCode, Failure> {
    let resource = resource(&arguments.resource)?;
    let filter = match &arguments.filter {
        Some(text) => Some(filter(&arguments.dialect, text)?),
        None => None,
    };
    let (connected, wsman) = connect(&arguments.target, &arguments.connection).await?;
    let mut list = wsman.enumerate(&resource).mode(match arguments.mode {
        WsmanMode::Object => Mode::Object,
        WsmanMode::Epr => Mode::Epr,
        WsmanMode::ObjectAndEpr => Mode::ObjectAndEpr,
    });
    if let Some(filter) = filter {
        list = list.filter(filter);
    }
    if let Some(max) = arguments.max_elements {
        list = list.max_elements(max);
    }
    if arguments.shallow {
        list = list.polymorphism(Polymorphism::None);
    } else if arguments.base_properties_only {
        list = list.polymorphism(Polymorphism::Exclude);
    }
    let mut shown = Shown::new(arguments.shown.format, arguments.shown.properties);
    let outcome = match list.start().await {
        Ok(enumeration) => print_all(enumeration, &mut shown, arguments.limit.unwrap_or(usize::MAX)).await,
        Err(error) => Err(error.into()),
    };
    // What came before an error is worth as much.
    shown.end();
    connected.client.close().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn print_all(mut enumeration: Enumeration, shown: &mut Shown, limit: usize) -> Result<(), Failure> {
    let mut left = limit;
    while left > 0
        && let Some(item) = enumeration.next().await?
    {
        shown.item(&item)?;
        left -= 1;
    }
    Ok(())
}

fn filter(dialect: &str, text: &str) -> Result<Filter, Failure> {
    Ok(match dialect.to_ascii_lowercase().as_str() {
        "wql" => Filter::Wql(text.to_owned()),
        "selector" => {
            let selectors = Resource::parse(&format!("winrm?{text}"))
                .map_err(|error| Failure::configuration(format!("the filter {text:?}")).because(error))?;
            Filter::Selectors(selectors.selectors)
        }
        "association" => Filter::Association(association(text)?),
        _ if dialect.contains(':') => Filter::Other {
            dialect: dialect.to_owned(),
            text: text.to_owned(),
        },
        _ => {
            return Err(Failure::configuration(format!("there is no dialect {dialect:?}"))
                .hint("it is wql, selector, association, or a dialect's URI"));
        }
    })
}

/// `object=RESOURCE;role=…`, as Windows' own winrm takes it, in braces or without.
fn association(text: &str) -> Result<Association, Failure> {
    let fail = |problem: &str| {
        Failure::configuration(format!("the filter {text:?}: {problem}"))
            .hint("write object=RESOURCE;associationclassname=CLASS;role=ROLE;resultclassname=CLASS;resultrole=ROLE;associations, all but the first as wished")
    };
    let mut association = Association::default();
    let inner = text.trim().trim_start_matches('{').trim_end_matches('}');
    for part in inner.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        if part.eq_ignore_ascii_case("associations") {
            association.associations = true;
            continue;
        }
        let (name, value) = part.split_once('=').ok_or_else(|| fail(&format!("{part:?} is no KEY=VALUE")))?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "object" => association.object = resource(value)?,
            "associationclassname" => association.association_class = Some(value.to_owned()),
            "role" => association.role = Some(value.to_owned()),
            "resultclassname" => association.result_class = Some(value.to_owned()),
            "resultrole" => association.result_role = Some(value.to_owned()),
            other => return Err(fail(&format!("{other:?} is not known"))),
        }
    }
    if association.object.uri.is_empty() {
        return Err(fail("the object is missing"));
    }
    Ok(association)
}

async fn invoke(arguments: WsmanInvokeArguments) -> Result<ExitCode, Failure> {
    let resource = resource(&arguments.resource)?;
    let words = Words::parse(&arguments.words)?;
    let target = words.target.clone();
    let body = Body::of(words, &arguments.body)?;
    let (connected, wsman) = connect(&target, &arguments.connection).await?;
    let outcome = match body {
        Body::Values(values) => wsman.invoke(&resource, &arguments.action, values).await,
        Body::Instance(input) => wsman.invoke_instance(&resource, &arguments.action, &input).await,
    };
    connected.client.close().await;
    let output = outcome?;
    // A method that gives nothing back has said all by not failing.
    if !output.name.is_empty() {
        Shown::new(arguments.shown.format, arguments.shown.properties).instance(&output)?;
    }
    match output.return_value() {
        Some(code) if !arguments.ok_codes.contains(&code) => Err(returned::failure(&arguments.action, &resource, code)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

async fn identify(arguments: WsmanIdentifyArguments) -> Result<ExitCode, Failure> {
    let connected = connection::client(&arguments.target, &arguments.connection, false).await?;
    let outcome = match &connected.user {
        Some(_) => connected.client.ping().await.map(|ping| ping.identity),
        None => connected.client.identify().await,
    };
    connected.client.close().await;
    let instance = Instance::from(outcome?);
    Shown::new(arguments.format, None).instance(&instance)?;
    if connected.user.is_none() {
        printer::note("winrm: no user was given: hosts keep their version to themselves then");
    }
    Ok(ExitCode::SUCCESS)
}
