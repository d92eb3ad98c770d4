//! A sealed body is taken apart into parts that lie within it, or is an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::sealed_body;

const TYPES: [&str; 2] = [
    "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\"",
    "multipart/x-multi-encrypted;protocol=\"application/HTTP-CredSSP-session-encrypted\";boundary=\"Encrypted Boundary\"",
];

fuzz_target!(|data: &[u8]| {
    for content_type in TYPES {
        if let Ok((_, parts)) = sealed_body::parse(content_type, data) {
            for part in parts {
                assert!(part.message.end <= data.len() && part.signature <= part.message.len());
            }
        }
    }
    // A content type of the peer's making.
    if let Some(end) = data.iter().position(|byte| *byte == 0)
        && let Ok(content_type) = std::str::from_utf8(&data[..end])
    {
        let _ = sealed_body::parse(content_type, &data[end + 1..]);
    }
});
