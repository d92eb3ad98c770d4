//! A query of WMI's language is read or refused; what was read is written and reads back as the same, and can be asked of an instance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::Instance;
use winrm_proto::wql::{MAX_LENGTH, Query};

fuzz_target!(|text: &str| {
    let Ok(query) = Query::parse(text) else { return };
    let mut instance = Instance::default();
    for (number, name) in query.properties().into_iter().enumerate() {
        instance.push(name, format!("{number}-%_[a-z"));
    }
    let _ = query.matches(&instance);
    let written = query.to_string();
    // Numbers may be longer without their exponents.
    if written.len() <= MAX_LENGTH {
        assert_eq!(Query::parse(&written), Ok(query));
    }
});
