//! Whatever a peer sends is a message of CredSSP or an error, and what is read can be written and reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::credssp::{MAX_MESSAGE, TsRequest};

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = TsRequest::parse(data) {
        let written = request.write();
        // Only the first token of a list is kept, and a status has one form of two.
        assert!(written.len() <= data.len() && data.len() <= MAX_MESSAGE);
        assert_eq!(TsRequest::parse(&written).expect("what was written is a message"), request);
    }
});
