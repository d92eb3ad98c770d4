//! Values of HTTP's authentication headers, and TLS certificates for channel binding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::{Authorization, Challenge, ChannelBinding, basic};

fuzz_target!(|data: &[u8]| {
    let _ = ChannelBinding::from_certificate_der(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = (Challenge::parse_list(text), Authorization::parse(text), basic::parse_authorization(text));
    }
});
