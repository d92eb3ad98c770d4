//! Inventories in YAML: whatever stands there, reading ends, and what was read can be asked for.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use winrm_fleet::{Inventory, LoadOptions};

fuzz_target!(|text: &str| {
    if text.split(['[', ']']).any(|range| range.bytes().filter(u8::is_ascii_digit).count() > 4) {
        return;
    }
    let Ok(inventory) = Inventory::from_text(Path::new("hosts.yml"), text, &LoadOptions::default()) else {
        return;
    };
    assert_eq!(inventory.hosts().count(), inventory.len());
    for host in inventory.hosts().take(10) {
        inventory.variables(host).expect("no files are read");
        assert!(!inventory.group_names(host).is_empty());
    }
});
