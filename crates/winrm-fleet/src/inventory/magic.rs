//! Variables that nobody writes.

use std::sync::Arc;

use super::{Host, Inventory};
use crate::value::{Map, Value};

pub(super) fn variables(inventory: &Inventory, host: &Host) -> Map {
    let text = |text: &str| Value::String(text.into());
    let names = |names: Vec<Arc<str>>| Value::List(names.into_iter().map(Value::String).collect());
    let file = inventory.file_of(host);
    let path = |path: Option<&std::path::Path>| path.map_or(Value::Null, |path| text(&path.to_string_lossy()));
    let groups: Map = inventory
        .groups()
        .map(|group| (group.name().into(), names(group.hosts().map(|host| host.name.clone()).collect())))
        .collect();
    [
        ("inventory_hostname", Value::String(host.name.clone())),
        ("inventory_hostname_short", text(host.short_name())),
        ("group_names", names(inventory.group_names(host))),
        ("groups", Value::Map(groups)),
        ("inventory_dir", path(file.and_then(std::path::Path::parent))),
        ("inventory_file", path(file)),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect()
}
