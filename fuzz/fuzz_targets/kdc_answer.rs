//! What a KDC answers to a request without a password.

#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_auth::kerberos::kdc::KdcAnswer;

fuzz_target!(|bytes: &[u8]| {
    let _ = KdcAnswer::read(bytes);
});
