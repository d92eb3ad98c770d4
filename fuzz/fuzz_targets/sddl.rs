//! A security descriptor, as text or as bytes, is read or refused; what was read is written and reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::sddl::{Ace, SecurityDescriptor};

fuzz_target!(|data: &[u8]| {
    if let Ok(descriptor) = SecurityDescriptor::from_bytes(data) {
        let bytes = descriptor.to_bytes(|_| None).expect("what was read from bytes can be written as bytes");
        assert_eq!(SecurityDescriptor::from_bytes(&bytes), Ok(descriptor));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(descriptor) = text.parse::<SecurityDescriptor>() else { return };
    let written = descriptor.to_string();
    assert_eq!(written.parse::<SecurityDescriptor>().as_ref(), Ok(&descriptor));
    assert_eq!(written.parse::<SecurityDescriptor>().map(|again| again.to_string()), Ok(written));
    let mut respelled = descriptor.clone();
    for acl in [&mut respelled.dacl, &mut respelled.sacl].into_iter().flatten() {
        acl.entries = acl.entries.iter().map(Ace::respelled).collect();
    }
    assert_eq!(respelled.to_string().parse::<SecurityDescriptor>(), Ok(descriptor));
});
