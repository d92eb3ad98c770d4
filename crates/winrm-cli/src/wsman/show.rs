//! What a host gives, as text in the manner of Windows' own winrm, as JSON, as XML, and in columns.

use serde_json::{Map, Value as Json};
use winrm::{Instance, Item, Property, Resource};

use super::table::Table;
use crate::args::WsmanFormat;
use crate::failure::{Failure, Status};
use crate::printer;
pub(super) use crate::printer::plain;

/// How far Windows' own winrm indents.
const INDENT: &str = "    ";

/// Prints instances as they come; those for a table are kept until the end.
pub(super) struct Shown {
    format: WsmanFormat,
    properties: Option<Vec<String>>,
    first: bool,
    table: Table,
}

impl Shown {
    pub(super) fn new(format: WsmanFormat, properties: Option<Vec<String>>) -> Self {
        Self {
            format,
            first: true,
            table: Table::new(properties.clone()),
            properties,
        }
    }

    /// One instance alone: in a table it is a property a line.
    pub(super) fn instance(&self, instance: &Instance) -> Result<(), Failure> {
        let instance = &self.picked(instance);
        match self.format {
            WsmanFormat::Text => block(instance, 0),
            WsmanFormat::Json => printer::line(&json(instance).to_string()),
            WsmanFormat::Xml => printer::line(&xml(instance)?),
            WsmanFormat::Table => Table::of_properties(instance).print(),
        }
        Ok(())
    }

    /// One of a list.
    pub(super) fn item(&mut self, item: &Item) -> Result<(), Failure> {
        let instance = item.instance.as_ref().map(|instance| self.picked(instance));
        match self.format {
            WsmanFormat::Text => {
                if !std::mem::take(&mut self.first) && instance.is_some() {
                    printer::line("");
                }
                if let Some(instance) = &instance {
                    block(instance, 0);
                }
                if let Some(reference) = &item.reference {
                    printer::line(&plain(&reference.to_string()));
                }
            }
            WsmanFormat::Json => printer::line(
                &match (&instance, &item.reference) {
                    (Some(instance), Some(reference)) => {
                        serde_json::json!({"instance": json(instance), "reference": json_of_resource(reference)})
                    }
                    (Some(instance), None) => json(instance),
                    (None, Some(reference)) => json_of_resource(reference),
                    (None, None) => Json::Null,
                }
                .to_string(),
            ),
            WsmanFormat::Xml => {
                if let Some(instance) = &instance {
                    printer::line(&xml(instance)?);
                }
                if let Some(reference) = &item.reference {
                    printer::line(&xml_of_resource(reference)?);
                }
            }
            WsmanFormat::Table => self.table.add(instance.as_ref(), item.reference.as_ref()),
        }
        Ok(())
    }

    pub(super) fn end(self) {
        self.table.print();
    }

    fn picked(&self, instance: &Instance) -> Instance {
        let Some(names) = &self.properties else {
            return instance.clone();
        };
        let mut picked = instance.clone();
        picked.properties.clear();
        for name in names {
            let found = instance.properties.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            picked.properties.extend(found.cloned());
        }
        picked
    }
}

/// Where a resource is.
pub(super) fn resource(resource: &Resource, format: WsmanFormat) -> Result<(), Failure> {
    match format {
        WsmanFormat::Json => printer::line(&json_of_resource(resource).to_string()),
        WsmanFormat::Xml => printer::line(&xml_of_resource(resource)?),
        WsmanFormat::Text | WsmanFormat::Table => printer::line(&plain(&resource.to_string())),
    }
    Ok(())
}

/// The instance as Windows' own winrm prints it: the class, and its properties below it.
fn block(instance: &Instance, depth: usize) {
    let policy = source(instance.source.as_deref());
    printer::line(&format!("{}{}{policy}", INDENT.repeat(depth), plain(&instance.name)));
    properties(instance, depth + 1);
}

fn properties(instance: &Instance, depth: usize) {
    let indent = INDENT.repeat(depth);
    for (name, values) in grouped(instance) {
        let policy = source(instance.source_of(name));
        let texts: Option<Vec<String>> = values.iter().map(|value| value.text().map(plain)).collect();
        let name = plain(name);
        if let Some(texts) = texts {
            printer::line(&format!("{indent}{name} = {}{policy}", texts.join(", ")));
            continue;
        }
        for value in values {
            match value {
                Property::Instance(inner) => {
                    let policy = source(inner.source.as_deref());
                    printer::line(&format!("{indent}{name}{policy}"));
                    properties(inner, depth + 1);
                }
                Property::Reference(resource) => printer::line(&format!("{indent}{name} = {}", plain(&resource.to_string()))),
                other => printer::line(&format!(
                    "{indent}{name} = {}{policy}",
                    other.text().map_or_else(|| "null".to_owned(), plain)
                )),
            }
        }
    }
}

/// As Windows' own winrm marks what a group policy has set.
fn source(source: Option<&str>) -> String {
    source.map_or_else(String::new, |source| format!(" [Source=\"{}\"]", plain(source)))
}

/// The properties with all their values, in the order of the first.
pub(super) fn grouped(instance: &Instance) -> Vec<(&str, Vec<&Property>)> {
    let mut groups: Vec<(&str, Vec<&Property>)> = Vec::new();
    for (name, value) in &instance.properties {
        match groups.iter_mut().find(|(known, _)| *known == name.as_str()) {
            Some((_, values)) => values.push(value),
            None => groups.push((name, vec![value])),
        }
    }
    groups
}

fn json(instance: &Instance) -> Json {
    let groups = grouped(instance).into_iter();
    let members = groups.map(|(name, values)| {
        let value = match values.as_slice() {
            [single] => json_of_value(single),
            several => Json::Array(several.iter().map(|value| json_of_value(value)).collect()),
        };
        (name.to_owned(), value)
    });
    Json::Object(members.collect())
}

fn json_of_value(value: &Property) -> Json {
    match value {
        Property::Instance(instance) => json(instance),
        Property::Reference(resource) => json_of_resource(resource),
        other => other.text().map_or(Json::Null, Json::from),
    }
}

fn json_of_resource(resource: &Resource) -> Json {
    let selectors: Map<String, Json> = resource
        .selectors
        .iter()
        .map(|selector| (selector.name.clone(), selector.value.clone().into()))
        .collect();
    serde_json::json!({"resource": resource.to_string(), "uri": resource.uri, "selectors": selectors})
}

fn xml(instance: &Instance) -> Result<String, Failure> {
    instance.to_xml().map_err(|error| unprintable().because(error))
}

fn xml_of_resource(resource: &Resource) -> Result<String, Failure> {
    resource.to_xml().map_err(|error| unprintable().because(error))
}

fn unprintable() -> Failure {
    Failure::new(Status::Failed, "the host's answer can't be printed as XML")
}
