//! Whatever a peer sends is an envelope or an error: requests as a service reads them, answers as a client does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::config::Config;
use winrm_proto::enumeration::Page;
use winrm_proto::identify::IdentifyResponse;
use winrm_proto::invoke::InvokeResponse;
use winrm_proto::shell::{CommandResponse, CreateResponse, ReceiveResponse};
use winrm_proto::transfer::{Created, InstanceResponse};
use winrm_proto::xml::{Limits, decode};
use winrm_proto::{Envelope, Instance, Request, ResponseHeader};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = decode(data) else { return };
    let Ok(envelope) = Envelope::parse(&text, &Limits::default()) else {
        return;
    };
    if let Ok(header) = envelope.header() {
        let _ = Request::read(&envelope, &header);
    }
    let _ = (
        CreateResponse::read(&envelope),
        CommandResponse::read(&envelope),
        IdentifyResponse::read(&envelope),
        Config::read(&envelope),
    );
    let _ = (Created::read(&envelope), InvokeResponse::read(&envelope));
    if let Ok(page) = Page::read(&envelope) {
        let _ = page.write_to_pull(&ResponseHeader {
            message_id: "uuid:1".into(),
            relates_to: None,
        });
    }
    if let Ok(Some(instance)) = InstanceResponse::read(&envelope).map(|response| response.instance) {
        // What was read and can be written reads back as the same; names beyond ASCII may be such that we don't write them.
        if let Ok(xml) = instance.to_xml() {
            let again = Instance::parse(&xml).expect("what was written can be read");
            assert_eq!(again.to_xml().as_deref(), Ok(xml.as_str()));
        }
    }
    if let Ok(response) = ReceiveResponse::read(&envelope) {
        // What was read can be written, and reads back as the same.
        let header = ResponseHeader {
            message_id: "uuid:1".into(),
            relates_to: None,
        };
        let bytes = response.write(&header).expect("what was read can be written");
        let text = decode(&bytes).expect("what was written is text");
        let again = Envelope::parse(&text, &Limits::default()).and_then(|envelope| ReceiveResponse::read(&envelope));
        assert_eq!(again.as_ref(), Ok(&response));
    }
    if let Some(fault) = envelope.fault() {
        let _ = (fault.number(), fault.message(), fault.to_string());
    }
});
