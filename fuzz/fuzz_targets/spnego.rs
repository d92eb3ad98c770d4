//! Whatever a peer sends is one of SPNEGO's tokens or an error, and what is read can be written and reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::spnego::{InitToken, ResponseToken};

fuzz_target!(|data: &[u8]| {
    if let Ok((token, _)) = InitToken::parse(data) {
        let written = token.write();
        let (again, _) = InitToken::parse(&written).expect("what was written is a token");
        assert_eq!(again.write(), written);
    }
    if let Ok(token) = ResponseToken::parse(data) {
        let written = token.write();
        let again = ResponseToken::parse(&written).expect("what was written is a token");
        assert_eq!(again.write(), written);
    }
});
