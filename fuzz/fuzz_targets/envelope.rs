//! Whatever a peer sends is an envelope or an error: requests as a service reads them, answers as a client does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::identify::IdentifyResponse;
use winrm_proto::shell::{CommandResponse, CreateResponse, ReceiveResponse};
use winrm_proto::config::Config;
use winrm_proto::xml::{Limits, decode};
use winrm_proto::{Envelope, Request, ResponseHeader};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = decode(data) else { return };
    let Ok(envelope) = Envelope::parse(&text, &Limits::default()) else { return };
    if let Ok(header) = envelope.header() {
        let _ = Request::read(&envelope, &header);
    }
    let _ = (CreateResponse::read(&envelope), CommandResponse::read(&envelope), IdentifyResponse::read(&envelope), Config::read(&envelope));
    if let Ok(response) = ReceiveResponse::read(&envelope) {
        // What was read can be written, and reads back as the same.
        let header = ResponseHeader { message_id: "uuid:1".into(), relates_to: None };
        let bytes = response.write(&header).expect("what was read can be written");
        let text = decode(&bytes).expect("what was written is text");
        let again = Envelope::parse(&text, &Limits::default()).and_then(|envelope| ReceiveResponse::read(&envelope));
        assert_eq!(again.as_ref(), Ok(&response));
    }
    if let Some(fault) = envelope.fault() {
        let _ = (fault.number(), fault.message(), fault.to_string());
    }
});
