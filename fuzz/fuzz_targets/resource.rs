//! Whatever is typed is a resource or an error, and a resource's short form reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::Resource;

fuzz_target!(|text: &str| {
    if let Ok(resource) = Resource::parse(text) {
        assert_eq!(Resource::parse(&resource.to_string()).as_ref(), Ok(&resource));
    }
});
