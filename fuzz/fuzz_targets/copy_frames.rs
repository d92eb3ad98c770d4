//! Frames of a copy, cut anywhere: nothing panics, and what can be read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::copy::{Answer, Decoder, HEADER, Mode, Request};

fuzz_target!(|data: &[u8]| {
    let Some((&[first, cut], stream)) = data.split_first_chunk() else { return };
    let mode = if first & 1 == 0 { Mode::Raw } else { Mode::Text };
    let mut decoder = Decoder::new(mode);
    for piece in stream.chunks(usize::from(cut).max(1)) {
        decoder.push(piece);
        loop {
            let Ok(frame) = decoder.frame() else { return };
            let Some((kind, payload)) = frame else { break };
            if let Ok(request) = Request::read(kind, payload.clone()) {
                let written = request.write();
                assert_eq!(Request::read(written[0], written.slice(HEADER..)), Ok(request));
            }
            if let Ok(answer) = Answer::read(kind, payload) {
                let written = answer.write();
                assert_eq!(Answer::read(written[0], written.slice(HEADER..)), Ok(answer));
            }
        }
    }
});
