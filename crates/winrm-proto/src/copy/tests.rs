use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn hash() -> impl Strategy<Value = [u8; 32]> {
    any::<[u8; 32]>()
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..2_000).prop_map(Bytes::from)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,20}", ".{100,300}"]
}

fn entry() -> impl Strategy<Value = Entry> {
    let kind = prop_oneof![
        Just(EntryKind::Absent),
        Just(EntryKind::File),
        Just(EntryKind::Folder),
        Just(EntryKind::FolderLink),
        Just(EntryKind::Unreadable),
        Just(EntryKind::DeadLink)
    ];
    (text(), kind, any::<u64>(), any::<i64>(), any::<u32>()).prop_map(|(name, kind, size, modified, attributes)| Entry {
        name,
        kind,
        size,
        modified,
        attributes,
    })
}

fn request() -> impl Strategy<Value = Request> {
    let id = any::<u32>;
    prop_oneof![
        (id(), text()).prop_map(|(id, path)| Request::Resolve { id, path }),
        (id(), text(), any::<bool>()).prop_map(|(id, folder, recursive)| Request::List { id, folder, recursive }),
        (id(), text(), any::<u64>()).prop_map(|(id, path, length)| Request::Hash { id, path, length }),
        (
            (id(), text(), text(), prop::option::of("[a-z]{1,9}")),
            (prop::option::of(0..=i64::MAX as u64), any::<u64>(), any::<i64>(), any::<i64>()),
            (any::<bool>(), any::<bool>())
        )
            .prop_map(
                |((id, target, part, backup), (size, offset, modified, accessed), (replace_read_only, read_only))| {
                    Request::Begin(Begin {
                        id,
                        target,
                        part,
                        backup,
                        size,
                        offset,
                        modified,
                        accessed,
                        replace_read_only,
                        read_only,
                    })
                }
            ),
        bytes().prop_map(Request::Data),
        (any::<u32>(), bytes()).prop_map(|(size, data)| Request::Packed { size, data }),
        hash().prop_map(Request::End),
        Just(Request::Abort),
        (id(), text(), any::<u64>(), hash(), any::<bool>()).prop_map(|(id, path, offset, known, pack)| Request::Fetch {
            id,
            path,
            offset,
            known,
            pack
        }),
        (id(), text()).prop_map(|(id, path)| Request::MakeFolder { id, path }),
        (id(), text()).prop_map(|(id, path)| Request::Remove { id, path }),
        (id(), text(), any::<i64>()).prop_map(|(id, path, modified)| Request::SetFolderTime { id, path, modified }),
        id().prop_map(|id| Request::Cancel { id }),
        Just(Request::Alive),
        Just(Request::Stop),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    let id = any::<u32>;
    prop_oneof![
        (id(), text(), entry()).prop_map(|(id, path, entry)| Answer::Resolved { id, path, entry }),
        (id(), prop::collection::vec(entry(), 0..9)).prop_map(|(id, entries)| Answer::Entries { id, entries }),
        (id(), any::<u64>(), hash()).prop_map(|(id, length, sha256)| Answer::Hash { id, length, sha256 }),
        id().prop_map(|id| Answer::Done { id }),
        (id(), text()).prop_map(|(id, message)| Answer::Failed {
            id,
            code: FailureCode::DiskFull,
            message
        }),
        (id(), any::<u64>(), any::<u64>(), any::<i64>(), any::<u32>()).prop_map(|(id, size, start, modified, attributes)| {
            Answer::File {
                id,
                size,
                start,
                modified,
                attributes,
            }
        }),
        bytes().prop_map(Answer::Data),
        (any::<u32>(), bytes()).prop_map(|(size, data)| Answer::Packed { size, data }),
        (id(), hash()).prop_map(|(id, sha256)| Answer::FileEnd { id, sha256 }),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Raw), Just(Mode::Text)]
}

/// All frames of a stream that comes in pieces of these lengths.
fn decode(mode: Mode, stream: &[u8], pieces: &[usize]) -> Vec<(u8, Bytes)> {
    let mut decoder = Decoder::new(mode);
    let (mut rest, mut pieces, mut frames) = (stream, pieces.iter().cycle(), Vec::new());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
        rest = after;
        decoder.push(piece);
        while let Some(frame) = decoder.frame().unwrap() {
            frames.push(frame);
        }
    }
    assert!(decoder.is_empty(), "bytes were left");
    frames
}

proptest! {
    #[test]
    fn requests_read_back_however_they_are_cut(
        requests in prop::collection::vec(request(), 1..6),
        mode in mode(),
        pieces in prop::collection::vec(1..700_usize, 1..5),
    ) {
        let stream: Vec<u8> = requests.iter().flat_map(|request| mode.write(request.write())).collect();
        let read: Vec<_> = decode(mode, &stream, &pieces)
            .into_iter()
            .map(|(kind, payload)| Request::read(kind, payload).unwrap())
            .collect();
        prop_assert_eq!(read, requests);
    }

    #[test]
    fn answers_read_back_however_they_are_cut(
        answers in prop::collection::vec(answer(), 1..6),
        mode in mode(),
        pieces in prop::collection::vec(1..700_usize, 1..5),
    ) {
        let stream: Vec<u8> = answers.iter().flat_map(|answer| mode.write(answer.write())).collect();
        let read: Vec<_> = decode(mode, &stream, &pieces)
            .into_iter()
            .map(|(kind, payload)| Answer::read(kind, payload).unwrap())
            .collect();
        prop_assert_eq!(read, answers);
    }

    #[test]
    fn a_payload_that_is_cut_off_or_too_long_is_refused(answer in answer(), cut in 1..20_usize) {
        let mut decoder = Decoder::new(Mode::Raw);
        decoder.push(&answer.write());
        let (kind, payload) = decoder.frame().unwrap().unwrap();
        prop_assume!(!matches!(kind, b'D' | b'Z' | b'e') && payload.len() > cut);
        let short = payload.slice(..payload.len() - cut);
        prop_assert_eq!(Answer::read(kind, short), Err(FrameError::Payload));
        let long: Vec<u8> = payload.iter().copied().chain([0]).collect();
        prop_assert_eq!(Answer::read(kind, long.into()), Err(FrameError::Payload));
    }

    #[test]
    fn nothing_makes_it_panic(stream in prop::collection::vec(any::<u8>(), 0..300), mode in mode()) {
        let mut decoder = Decoder::new(mode);
        decoder.push(&stream);
        while let Ok(Some((kind, payload))) = decoder.frame() {
            let _ = Answer::read(kind, payload.clone());
            let _ = Request::read(kind, payload);
        }
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_before_it_has_come() {
    let mut decoder = Decoder::new(Mode::Raw);
    decoder.push(&[b'D', 1, 0, 16, 0]);
    assert_eq!(decoder.frame(), Err(FrameError::TooLong(MAX_PAYLOAD + 1)));
    let mut decoder = Decoder::new(Mode::Text);
    decoder.push(&vec![b'A'; 1_400_000]);
    assert_eq!(decoder.frame(), Err(FrameError::TooLong(1_400_000)));
}

#[test]
fn lines_may_end_in_either_way_and_be_empty() {
    let mut decoder = Decoder::new(Mode::Text);
    decoder.push(b"\r\n\nTgAAAAA=\r\nUwAAAAA=\nUw==\n");
    assert_eq!(decoder.frame(), Ok(Some((b'N', Bytes::new()))));
    assert_eq!(decoder.frame(), Ok(Some((b'S', Bytes::new()))));
    assert_eq!(decoder.frame(), Err(FrameError::Text));
}
