use super::*;
use proptest::prelude::*;

fn value(text: &str) -> Result<Value, ReadError> {
    read_value(text, &Limits::default())
}

fn items(stream: &[u8], size: usize) -> Vec<Piece> {
    let mut decoder = Decoder::default();
    let mut pieces: Vec<Piece> = stream.chunks(size.max(1)).flat_map(|chunk| decoder.push(chunk)).collect();
    pieces.extend(decoder.finish());
    // Texts in a row are one text.
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => before.extend(more),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

fn text(text: &str) -> Piece {
    Piece::Text(text.as_bytes().to_vec())
}

fn item(stream: Stream, value: impl Into<Value>) -> Piece {
    Piece::Item(Item::new(stream, value.into()))
}

const START: &str = r#"<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">"#;

#[test]
fn objects_have_types_texts_and_properties() {
    let read = value(
        r#"<Obj RefId="0"><TN RefId="0"><T>System.DayOfWeek</T><T>System.Enum</T></TN><ToString>Monday</ToString><I32>1</I32><Props><S N="a_x000A_b">x</S></Props><MS><Nil N="A_X000A_B"/></MS></Obj>"#,
    )
    .unwrap();
    let Value::Object(object) = &read else { panic!("{read:?}") };
    assert!(object.is_enum());
    assert_eq!(object.text.as_deref(), Some("Monday"));
    assert_eq!(read.as_i64(), Some(1));
    assert_eq!(read.property("A\nb"), Some(&Value::Null));
    assert_eq!(serde_json::to_string(&read).unwrap(), r#""Monday""#);
}

#[test]
fn json_is_what_people_expect() {
    for (xml, json) in [
        (r#"<Obj RefId="0"><LST><I32>1</I32><S>a</S><Nil/></LST></Obj>"#, r#"[1,"a",null]"#),
        (
            r#"<Obj RefId="0"><DCT><En><S N="Key">a</S><Db N="Value">1.5</Db></En><En><I32 N="Key">2</I32><B N="Value">true</B></En></DCT></Obj>"#,
            r#"{"a":1.5,"2":true}"#,
        ),
        (
            r#"<Obj RefId="0"><ToString>x</ToString><Props><S N="A">1</S><S N="B">2</S></Props><MS><S N="b">3</S></MS></Obj>"#,
            r#"{"A":"1","b":"3"}"#,
        ),
        (r#"<Obj RefId="0"><ToString>x</ToString></Obj>"#, r#""x""#),
        (r#"<Obj RefId="0"><S>line</S><MS><S N="PSPath">p</S></MS></Obj>"#, r#""line""#),
        ("<D>1.5</D>", "1.5"),
        ("<D>1.50</D>", r#""1.50""#),
        ("<D>79228162514264337593543950335</D>", r#""79228162514264337593543950335""#),
        ("<Db>NaN</Db>", r#""NaN""#),
        ("<U64>18446744073709551615</U64>", "18446744073709551615"),
        ("<C>233</C>", r#""é""#),
        ("<BA>AQID</BA>", r#""AQID""#),
        ("<SS>7800</SS>", r#""System.Security.SecureString""#),
        (r#"<Obj RefId="0"><MS><Ref N="me" RefId="0"/></MS></Obj>"#, r#"{"me":null}"#),
    ] {
        assert_eq!(serde_json::to_string(&value(xml).unwrap()).unwrap(), json, "{xml}");
    }
}

#[test]
fn references_are_the_same_object_and_cycles_are_kept() {
    let document = format!(
        r#"{START}<Obj RefId="0"><TN RefId="0"><T>T</T></TN><LST><Obj RefId="1"><TNRef RefId="0"/><MS><Ref N="up" RefId="0"/><Ref N="me" RefId="1"/></MS></Obj><Obj RefId="2"><S>x</S></Obj></LST></Obj><Ref RefId="2"/></Objs>"#
    );
    let read = read(&document, &Limits::default()).unwrap();
    let Value::Object(list) = &read[0].value else { panic!() };
    let Some(Content::List(values)) = &list.content else { panic!() };
    assert_eq!(values[0].property("up"), Some(&Value::Enclosing(1)));
    assert_eq!(values[0].property("me"), Some(&Value::Enclosing(0)));
    let (Value::Object(first), Value::Object(second)) = (&values[1], &read[1].value) else {
        panic!()
    };
    assert!(std::sync::Arc::ptr_eq(first, second));
    let written = write(&read);
    assert_eq!(super::read(&written, &Limits::default()).unwrap(), read, "{written}");
    assert!(
        written.contains(r#"<Ref N="up" RefId="0" />"#) && written.contains(r#"<Ref RefId="2" />"#),
        "{written}"
    );
}

#[test]
fn what_is_wrong_is_said() {
    for (xml, said) in [
        ("<I32>x</I32>", r#""x" is no value for <I32>"#),
        ("<B>yes</B>", r#""yes" is no value for <B>"#),
        ("<Db>inf</Db>", r#""inf" is no value for <Db>"#),
        ("<X/>", "the element <X> can't stand in <CLIXML>"),
        (
            r#"<Ref RefId="7"/>"#,
            r#"there is no object or type with the number "7" to refer to"#,
        ),
        (
            r#"<Obj RefId="0"><TNRef RefId="3"/></Obj>"#,
            r#"there is no object or type with the number "3" to refer to"#,
        ),
        ("<Obj><MS><S>x</S></MS></Obj>", "<S> lacks an attribute"),
        ("<Obj><I32>1</I32><I32>2</I32></Obj>", "the element <I32> can't stand in <Obj>"),
        ("<S>", "it is not well-formed XML"),
        ("<S>a<S/></S>", r#""a" is no value for <S>"#),
    ] {
        assert_eq!(value(xml).unwrap_err().to_string(), said, "{xml}");
    }
}

#[test]
fn a_small_document_cannot_stand_for_a_huge_one() {
    // Each object holds the one before ten times.
    let mut document = String::from(r#"<Obj><LST><Obj RefId="0"><S>x</S></Obj>"#);
    for number in 1..20 {
        let references = format!(r#"<Ref RefId="{}"/>"#, number - 1).repeat(10);
        document += &format!(r#"<Obj RefId="{number}"><LST>{references}</LST></Obj>"#);
    }
    document += "</LST></Obj>";
    assert_eq!(value(&document).unwrap_err(), ReadError::TooManyValues(4_000_000));
    let mut chain = String::from(r#"<Obj><LST><Obj RefId="0"><S>x</S></Obj>"#);
    for number in 1..1_000 {
        chain += &format!(r#"<Obj RefId="{number}"><LST><Ref RefId="{}"/></LST></Obj>"#, number - 1);
    }
    chain += "</LST></Obj>";
    assert_eq!(value(&chain).unwrap_err(), ReadError::TooDeep(200));
}

#[test]
fn streams_are_taken_apart_at_any_byte() {
    let stream = format!(
        "before\n#< CLIXML\r\nnative\r\n{START}<S S=\"Error\">e_x000D__x000A_</S><Obj S=\"progress\" RefId=\"0\"><MS><PR N=\"Record\"><AV>A</AV></PR></MS></Obj>\r\nin <between>\r\n<S S=\"warning\">w</S></Objs>#< CLIXML\n{START}<S S=\"debug\">d</S></Objs>after"
    );
    let progress = Progress {
        activity: "A".to_owned(),
        parent_activity_id: -1,
        percent: -1,
        seconds_remaining: -1,
        ..Progress::default()
    };
    let object = Object {
        extended: vec![Property::new("Record", Value::Progress(Box::new(progress)))],
        ..Object::default()
    };
    let expected = [
        text("before\nnative\r\n"),
        item(Stream::Error, "e\r\n"),
        item(Stream::Progress, object),
        text("\r\nin <between>\r\n"),
        item(Stream::Warning, "w"),
        item(Stream::Debug, "d"),
        text("after"),
    ];
    for size in 1..stream.len() {
        assert_eq!(items(stream.as_bytes(), size), expected, "pieces of {size} bytes");
    }
}

#[test]
fn what_is_no_clixml_is_passed_on_untouched() {
    for stream in [
        "#< CLIXML",
        "#< CLIXML\r\n",
        "#< CLIXML\r\nhello\n",
        "x #< CLIXML\r\n<Objs>",
        "#< CLIXML\n#< CLIXML\nx",
        "#",
        "<Objs Version=\"1.1.0.1\"",
        "#< CLIXML\n<Objs Version='1'>x</Objs>",
        "#<\n#< CLIXMLX\n",
    ] {
        for size in [1, 3, 1_000] {
            assert_eq!(items(stream.as_bytes(), size), [text(stream)], "{stream:?}");
        }
    }
    assert_eq!(
        items(
            format!("#< CLIXML\n{START}<S S=\"Error\">x<</S>y<S S=\"Error\">z</S></Objs>").as_bytes(),
            5
        ),
        [text("<S S=\"Error\">x<</S>y"), item(Stream::Error, "z")]
    );
}

#[test]
fn what_waits_can_be_released() {
    let mut decoder = Decoder::default();
    assert_eq!(decoder.push(b"#< CLIXML\r\nbuilding 1 of 9\r\n"), []);
    assert!(decoder.is_holding());
    assert_eq!(decoder.release(), [text("building 1 of 9\r\n")]);
    assert_eq!(decoder.push(b"2 of 9\r\n<Obj"), [text("2 of 9\r\n")]);
    assert_eq!(
        decoder.push(format!("{}<S S=\"Error\">e</S></Objs>", &START[4..]).as_bytes()),
        [item(Stream::Error, "e")]
    );
    assert_eq!(decoder.finish(), []);
}

#[test]
fn memory_is_bounded() {
    let mut decoder = Decoder::new(Limits::default().with_bytes(100));
    let mut given = decoder.push(format!("#< CLIXML\n{START}<S>").as_bytes());
    for _ in 0..100 {
        given.extend(decoder.push(&[b'x'; 50]));
        assert!(decoder.held.len() <= 200);
    }
    given.extend(decoder.finish());
    let bytes: usize = given
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Item(_) => 0,
        })
        .sum();
    assert_eq!(bytes, 3 + 5_000);
}

fn any_value() -> impl Strategy<Value = Value> {
    let text = "(\\PC|[\0-\u{20}]|_x|😀){0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<u16>().prop_map(Value::Char),
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<i32>().prop_map(Value::I32),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<f32>()
            .prop_filter("equal to itself", |number| !number.is_nan())
            .prop_map(Value::F32),
        any::<f64>()
            .prop_filter("equal to itself", |number| !number.is_nan())
            .prop_map(Value::F64),
        text.prop_map(Value::String),
        text.prop_map(Value::ScriptBlock),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..6);
        let content = prop_oneof![
            list.clone().prop_map(|values| Some(Content::List(values))),
            list.clone().prop_map(|values| Some(Content::Stack(values))),
            list.clone().prop_map(|values| Some(Content::Queue(values))),
            list.prop_map(|values| Some(Content::Enumerable(values))),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..5).prop_map(|entries| Some(Content::Dictionary(entries))),
            Just(None),
        ];
        let properties = || proptest::collection::vec((text, inner.clone()).prop_map(|(name, value)| Property::new(name, value)), 0..4);
        let names = proptest::collection::vec(text, 0..3).prop_map(TypeNames::new);
        (names, proptest::option::of(text), content, properties(), properties()).prop_map(
            |(type_names, text, content, adapted, extended)| {
                Value::from(Object {
                    type_names,
                    text,
                    content,
                    adapted,
                    extended,
                })
            },
        )
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(values in proptest::collection::vec(any_value(), 0..4), size in 1usize..200) {
        let written: Vec<Item> = values.iter().cloned().map(|value| Item::new(Stream::Verbose, value)).collect();
        let document = write(&written);
        prop_assert_eq!(&read(&document, &Limits::default()).unwrap(), &written);
        let stream = format!("{MARKER}\r\n{document}");
        let pieces = items(stream.as_bytes(), size);
        prop_assert_eq!(pieces, written.into_iter().map(Piece::Item).collect::<Vec<_>>());
        for value in &values {
            prop_assert_eq!(&read_value(&write_value(value), &Limits::default()).unwrap(), value);
        }
    }

    #[test]
    fn no_stream_panics_or_loses_text(stream in "(#< CLIXML|\r\n|<Objs |</Objs>|<S>|</S>|<Obj RefId=\"0\">|xmlns=\"http://schemas.microsoft.com/powershell/2004/04\">|[a<>&#\"]){0,20}", size in 1usize..9) {
        let whole = items(stream.as_bytes(), usize::MAX);
        prop_assert_eq!(items(stream.as_bytes(), size), whole);
    }
}
