//! Vectors of RFC 3961, 3962 and 8009, and the two sides against each other. The judges are the system's library and
//! pyspnego, in `tests/kerberos.rs`.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn folding() {
    // RFC 3961 appendix A.1 and A.3.
    assert_eq!(fold(b"kerberos").to_vec(), hex("6b657262 65726f73 7b9b5b2b 93132b93"));
}

#[test]
fn keys_of_sha2() {
    // RFC 8009 appendix A.
    let key = hex("3705D96080C17728A0E800EAB6E0D23C");
    let profile = Profile::new(19, &key).unwrap();
    assert_eq!(*profile.derive(2, CHECKSUM), hex("B31A018A48F54776F403E9A396325DC3"));
    assert_eq!(*profile.derive(2, ENCRYPTION), hex("9B197DD1E8C5609D6E67C3E37C62C72E"));
    assert_eq!(*profile.derive(2, INTEGRITY), hex("9FDA0E56AB2D85E1569A688696C26A6C"));
    let key = hex("6D404D37FAF79F9DF0D33568D320669800EB4836472EA8A026D16B7182460C52");
    let profile = Profile::new(20, &key).unwrap();
    assert_eq!(
        *profile.derive(2, CHECKSUM),
        hex("EF5718BE86CC84963D8BBB5031E9F5C4BA41F28FAF69E73D")
    );
    assert_eq!(
        *profile.derive(2, ENCRYPTION),
        hex("56AB22BEE63D82D7BC5227F6773F8EA7A5EB1C825160C38312980C442E5C7E49")
    );
    assert_eq!(
        *profile.derive(2, INTEGRITY),
        hex("69B16514E3CD8E56B82010D5C73012B622C4D00FFC23ED1F")
    );
}

#[test]
fn cipher_text_stealing() {
    // RFC 3962 appendix B: the last two blocks, here all there are.
    let cipher = Cipher::new(b"chicken teriyaki").unwrap();
    let plain = b"I would like the General Gau's Chicken, please, and wonton soup.";
    for (length, sealed) in [
        (17, "c6353568f2bf8cb4d8a580362da7ff7f97"),
        (31, "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5"),
        (32, "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584"),
    ] {
        let mut tail = plain[..length].to_vec();
        cipher.encrypt_tail(&[0; BLOCK], &mut tail);
        assert_eq!(tail, hex(sealed));
        cipher.decrypt_tail(&[0; BLOCK], &mut tail);
        assert_eq!(tail, plain[..length]);
    }
}

fn pair(encryption_type: u32) -> (Cfx, Cfx) {
    let length = if encryption_type.is_multiple_of(2) { 32 } else { 16 };
    let keys = |initiator| ContextKeys {
        initiator,
        send_sequence: if initiator { 7 } else { u64::from(u32::MAX) },
        receive_sequence: if initiator { u64::from(u32::MAX) } else { 7 },
        encryption_type,
        key: Zeroizing::new((0..length).collect()),
        acceptor_subkey: true,
    };
    (Cfx::new(&keys(true)).unwrap(), Cfx::new(&keys(false)).unwrap())
}

fn sealed(cfx: &mut Cfx, plain: &[u8]) -> Vec<u8> {
    let mut token = vec![0; cfx.signature_length()];
    let mut data = plain.to_vec();
    cfx.seal(&mut token, &mut data).unwrap();
    token.extend(data);
    token
}

#[test]
fn every_length_around_the_blocks() {
    for encryption_type in 17..=20 {
        let (mut client, mut server) = pair(encryption_type);
        for length in (0..100).chain([PIECE - 1, PIECE, PIECE + 1, PIECE + 16, 3 * PIECE + 5]) {
            let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut token = sealed(&mut client, &plain);
            let range = server.open(&mut token).unwrap();
            assert!(token[range] == plain, "type {encryption_type}, {length} bytes");
            let mut token = sealed(&mut server, &plain);
            let range = client.open(&mut token).unwrap();
            assert!(token[range] == plain, "type {encryption_type}, {length} bytes back");
        }
    }
}

#[test]
fn the_same_message_never_looks_the_same() {
    let (mut client, mut server) = pair(18);
    let (first, second) = (sealed(&mut client, &[0; 64]), sealed(&mut client, &[0; 64]));
    let back = sealed(&mut server, &[0; 64]);
    assert!(first[60..] != second[60..] && first[60..] != back[60..]);
}

#[test]
fn nothing_can_be_altered_cut_repeated_or_sent_back() {
    for encryption_type in 17..=20 {
        let (mut client, mut server) = pair(encryption_type);
        let token = sealed(&mut client, b"0123456789");
        for position in 0..token.len() {
            for bit in 0..8 {
                let mut altered = token.clone();
                altered[position] ^= 1 << bit;
                assert!(
                    server.open(&mut altered).is_err(),
                    "type {encryption_type}, byte {position}, bit {bit}"
                );
            }
        }
        for length in 0..token.len() {
            assert!(
                server.open(&mut token[..length].to_vec()).is_err(),
                "type {encryption_type}, {length} bytes"
            );
        }
        assert!(client.open(&mut token.clone()).is_err(), "sent back");
        server.open(&mut token.clone()).unwrap();
        assert_eq!(server.open(&mut token.clone()), Err(SealError::Sequence { expected: 8, found: 7 }));
        let _lost = sealed(&mut client, b"");
        assert_eq!(
            server.open(&mut sealed(&mut client, b"")),
            Err(SealError::Sequence { expected: 8, found: 9 })
        );
    }
}

#[test]
fn signatures_of_clear_text() {
    for encryption_type in 17..=20 {
        let (mut client, mut server) = pair(encryption_type);
        let signature = client.sign(b"text").unwrap();
        assert_eq!(server.verify(b"test", &signature), Err(SealError::Checksum));
        for position in 0..signature.len() {
            let mut altered = signature.clone();
            altered[position] ^= 1;
            assert!(server.verify(b"text", &altered).is_err(), "type {encryption_type}, byte {position}");
        }
        server.verify(b"text", &signature).unwrap();
        assert_eq!(
            server.verify(b"text", &signature),
            Err(SealError::Sequence { expected: 8, found: 7 })
        );
        assert!(client.verify(b"text", &signature).is_err(), "sent back");
    }
}

#[test]
fn keys_of_other_types_or_lengths() {
    for (number, length) in [(16, 24), (23, 16), (25, 16), (26, 32), (18, 16), (17, 32), (20, 0)] {
        assert!(Profile::new(number, &vec![0; length]).is_none(), "type {number}, {length} bytes");
    }
}
