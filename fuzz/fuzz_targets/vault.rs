//! Whatever stands in a vault's text, it is an error that names its place or opens, and nothing else.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_fleet::{Origin, Vault};

fuzz_target!(|data: &[u8]| {
    // Without a password only the text is read, which is what others write; with one, deriving keys would take all the time.
    let opened = Vault::new().decrypt(data, &Origin::Flag("--fuzzed"));
    let error = opened.expect_err("nothing opens without a password");
    assert!(error.to_string().contains("--fuzzed"));
});
