//! CLIXML: what is read can be written and reads the same; a stream says the same however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use winrm_proto::clixml::{Decoder, Limits, Piece, read, write};

fn joined(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => before.extend(more),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(items) = read(text, &Limits::default())
    {
        let written = write(&items);
        let again = read(&written, &Limits::default()).expect("what was written can be read");
        // Numbers that are none differ from themselves.
        if !written.contains(">NaN<") {
            assert_eq!(again, items);
        }
        serde_json::to_string(&items.iter().map(|item| &item.value).collect::<Vec<_>>()).expect("JSON has a form for each value");
    }
    let mut whole = Decoder::default();
    let mut pieces = whole.push(data);
    pieces.extend(whole.finish());
    let mut cut = Decoder::default();
    let mut parts: Vec<Piece> = data.iter().flat_map(|byte| cut.push(&[*byte])).collect();
    parts.extend(cut.finish());
    if !data.windows(3).any(|window| window == b"NaN") {
        assert_eq!(joined(parts), joined(pieces));
    }
});
