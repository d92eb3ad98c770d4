//! Whatever stands in a certificate, its names and usages are read or an error; a user principal name is written as it was read; and
//! files in any form are certificates or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::certificate::{AlternativeName, ClientCertificate, Inspection, Purpose, read_certificates};

fuzz_target!(|data: &[u8]| {
    for name in AlternativeName::parse_all(data).into_iter().flatten() {
        assert!(!name.to_string().contains(char::is_control));
        if let AlternativeName::Upn(upn) = name {
            let written = AlternativeName::parse_all(&upn.to_alternative_names()).expect("what was written is a list of names");
            assert_eq!(written, [AlternativeName::Upn(upn)]);
        }
    }
    for certificate in read_certificates(data).into_iter().flatten() {
        if let Ok(inspection) = Inspection::of(&certificate) {
            let now = std::time::SystemTime::UNIX_EPOCH;
            for purpose in [Purpose::Client, Purpose::Server, Purpose::of(&inspection)] {
                let _ = inspection.findings(purpose, now);
            }
        }
    }
    let _ = ClientCertificate::read(data, None, Some(&"x".into()));
});
