//! Whatever a peer sends is one of NTLM's messages or an error, and what is read can be written and reads back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::ntlm::{AuthenticateMessage, ChallengeMessage, NegotiateMessage, NtlmV2Response};

fuzz_target!(|data: &[u8]| {
    let _ = (NegotiateMessage::parse(data), NtlmV2Response::parse(data));
    if let Ok(message) = AuthenticateMessage::parse(data)
        && let Ok(written) = message.write()
    {
        let again = AuthenticateMessage::parse(&written).expect("what was written is a message");
        assert_eq!(again.write().ok(), Some(written));
    }
    if let Ok(message) = ChallengeMessage::parse(data)
        && let Ok(written) = message.write()
    {
        let again = ChallengeMessage::parse(&written).expect("what was written is a message");
        assert_eq!(again.write().ok(), Some(written));
    }
});
