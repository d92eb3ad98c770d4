//! Reading XML: a small tree over the input, names resolved to namespaces, everything bounded.

use std::borrow::Cow;

use super::parser::Parser;

/// Bounds on what is read. What exceeds one is refused, with the bound named in the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The document's size in bytes.
    pub bytes: usize,
    /// How deep elements may nest.
    pub depth: usize,
    /// The number of elements.
    pub elements: usize,
    /// The number of attributes of one element, namespace declarations included.
    pub attributes: usize,
}

impl Default for Limits {
    /// 8 MiB, 64 levels, 100,000 elements, 64 attributes: far beyond what WS-Management sends.
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            depth: 64,
            elements: 100_000,
            attributes: 64,
        }
    }
}

impl Limits {
    /// These limits with another bound on the document's size in bytes.
    #[must_use]
    pub fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// A document that can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct XmlError {
    /// Line of the error, counted from 1.
    pub line: usize,
    /// Column of the error in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub kind: XmlErrorKind,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlErrorKind {
    /// The bytes are no text in UTF-8 (or in UTF-16 with a byte order mark).
    #[error("the bytes are not valid {0}")]
    Encoding(&'static str),
    /// A control character that XML does not allow.
    #[error("the character U+{0:04X} is not allowed in XML")]
    Character(u32),
    /// The markup is broken.
    #[error("{0}")]
    Syntax(String),
    /// A document type declaration: refused, as SOAP does (SOAP 1.2 part 1, 5).
    #[error("a document type declaration is not allowed")]
    DocumentType,
    /// An entity other than XML's own five.
    #[error("the entity &{0}; is not known")]
    Entity(String),
    /// A prefix that no namespace was declared for.
    #[error("the prefix {0} is not declared")]
    Prefix(String),
    /// The document ends inside an element.
    #[error("the document ends before </{0}>")]
    Truncated(String),
    /// The document has no element.
    #[error("the document is empty")]
    Empty,
    /// Something stands behind the root element.
    #[error("there is more than one root element")]
    Roots,
    /// Text outside of the root element.
    #[error("there is text outside of the root element")]
    Outside,
    /// Larger than allowed.
    #[error("the document is larger than {0} bytes")]
    TooLarge(usize),
    /// Nested deeper than allowed.
    #[error("elements nest deeper than {0} levels")]
    TooDeep(usize),
    /// More elements than allowed.
    #[error("there are more than {0} elements")]
    TooManyElements(usize),
    /// More attributes than allowed.
    #[error("an element has more than {0} attributes")]
    TooManyAttributes(usize),
}

#[derive(Debug)]
pub(super) struct Node<'i> {
    pub(super) namespace: u16,
    pub(super) local: &'i str,
    pub(super) first_attribute: u32,
    pub(super) attributes: u32,
    pub(super) text: Cow<'i, str>,
    /// Index behind the last descendant: children are walked by skipping whole subtrees.
    pub(super) end: u32,
    pub(super) span: (usize, usize),
}

#[derive(Debug)]
pub(super) struct Attribute<'i> {
    pub(super) namespace: u16,
    pub(super) local: &'i str,
    pub(super) value: Cow<'i, str>,
}

/// A parsed document: its elements in document order. Text that needed no unescaping points into the input.
#[derive(Debug)]
pub struct Document<'i> {
    pub(super) input: &'i str,
    /// Index 0 is "no namespace".
    pub(super) namespaces: Vec<Cow<'i, str>>,
    pub(super) nodes: Vec<Node<'i>>,
    pub(super) attributes: Vec<Attribute<'i>>,
}

/// Turns a document's bytes into text: UTF-8, or UTF-16 with a byte order mark (\[DSP0226\] R13.1-1 lets peers use both).
///
/// # Errors
/// [`XmlErrorKind::Encoding`] when the bytes are neither.
pub fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, XmlError> {
    let utf16 = |read: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
        let text: Result<String, _> = char::decode_utf16(units).collect();
        match text {
            Ok(text) if bytes.len().is_multiple_of(2) => Ok(Cow::Owned(text)),
            _ => Err(XmlError {
                line: 1,
                column: 1,
                kind: XmlErrorKind::Encoding("UTF-16"),
            }),
        }
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(u16::from_le_bytes, rest),
        [0xFE, 0xFF, rest @ ..] => utf16(u16::from_be_bytes, rest),
        _ => {
            let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
                let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                error_at(&valid, valid.len(), XmlErrorKind::Encoding("UTF-8"))
            })
        }
    }
}

impl<'i> Document<'i> {
    /// Reads a document.
    ///
    /// # Errors
    /// Whatever isn't well-formed XML with declared namespaces, uses a document type, or exceeds `limits`.
    pub fn parse(input: &'i str, limits: &Limits) -> Result<Self, XmlError> {
        Parser::new(input, limits).parse()
    }

    /// The root element.
    #[must_use]
    pub fn root(&self) -> Element<'_, 'i> {
        Element { document: self, index: 0 }
    }
}

/// One element of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub struct Element<'d, 'i> {
    document: &'d Document<'i>,
    index: u32,
}

impl<'d, 'i> Element<'d, 'i> {
    fn node(self) -> &'d Node<'i> {
        &self.document.nodes[self.index as usize]
    }

    /// The element's namespace; empty when it has none.
    #[must_use]
    pub fn namespace(self) -> &'d str {
        &self.document.namespaces[usize::from(self.node().namespace)]
    }

    /// The element's local name.
    #[must_use]
    pub fn local_name(self) -> &'i str {
        self.node().local
    }

    /// Whether the element has this expanded name.
    #[must_use]
    pub fn is(self, namespace: &str, local: &str) -> bool {
        self.node().local == local && self.namespace() == namespace
    }

    /// The element's own text: all its character data, without that of its children.
    #[must_use]
    pub fn text(self) -> &'d str {
        &self.node().text
    }

    /// The value of an attribute; `namespace` is empty for an attribute without a prefix.
    #[must_use]
    pub fn attribute(self, namespace: &str, local: &str) -> Option<&'d str> {
        let node = self.node();
        let first = node.first_attribute as usize;
        self.document.attributes[first..first + node.attributes as usize]
            .iter()
            .find(|attribute| attribute.local == local && self.document.namespaces[usize::from(attribute.namespace)] == namespace)
            .map(|attribute| attribute.value.as_ref())
    }

    /// The element's children, in document order.
    #[must_use]
    pub fn children(self) -> Children<'d, 'i> {
        Children {
            document: self.document,
            next: self.index + 1,
            end: self.node().end,
        }
    }

    /// The first child of this expanded name.
    #[must_use]
    pub fn child(self, namespace: &str, local: &str) -> Option<Self> {
        self.children().find(|child| child.is(namespace, local))
    }

    /// The element as it stood in the document, markup included. Namespaces declared further out are not repeated.
    #[must_use]
    pub fn markup(self) -> &'i str {
        let (start, end) = self.node().span;
        &self.document.input[start..end]
    }
}

/// Iterates over an element's children.
#[derive(Debug, Clone)]
pub struct Children<'d, 'i> {
    document: &'d Document<'i>,
    next: u32,
    end: u32,
}

impl<'d, 'i> Iterator for Children<'d, 'i> {
    type Item = Element<'d, 'i>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let element = Element {
            document: self.document,
            index: self.next,
        };
        self.next = element.node().end;
        Some(element)
    }
}

/// The error at a byte of the input.
pub(super) fn error_at(input: &str, at: usize, kind: XmlErrorKind) -> XmlError {
    let before = &input[..input.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    XmlError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        kind,
    }
}

/// XML 1.0, production 2.
pub(super) fn allowed(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Document<'_>, XmlError> {
        Document::parse(text, &Limits::default())
    }

    fn kind(text: &str) -> XmlErrorKind {
        parse(text).err().map(|error| error.kind).unwrap()
    }

    #[test]
    fn names_are_read_by_namespace_whatever_the_prefix_and_quote() {
        for text in [
            "<s:a xmlns:s='urn:x'><s:b k='v'>t</s:b></s:a>",
            "<a xmlns=\"urn:x\"><b k=\"v\">t</b></a>",
            "<q:a xmlns:q='urn:x' ><r:b xmlns:r='urn:x' k = 'v'><![CDATA[t]]></r:b ></q:a >",
            "<?xml version='1.0'?><!-- c --><a xmlns='urn:x'><?pi x?><b k='v'><!--c-->&#116;</b></a>\n",
        ] {
            let document = parse(text).unwrap();
            let root = document.root();
            assert!(root.is("urn:x", "a"), "{text}");
            let b = root.child("urn:x", "b").unwrap();
            assert_eq!((b.text(), b.attribute("", "k")), ("t", Some("v")), "{text}");
        }
    }

    #[test]
    fn text_split_by_references_comments_and_cdata_is_one_text() {
        let document = parse("<a>1&lt;<!-- x -->2<![CDATA[<&]]>3&#x1F600;<b/>4&amp;\r\n</a>").unwrap();
        assert_eq!(document.root().text(), "1<2<&3😀4&\n");
    }

    #[test]
    fn children_skip_grandchildren_and_take_empty_elements() {
        let document = parse("<a><b><c/><c/></b><d/><e>x</e></a>").unwrap();
        let names: Vec<_> = document.root().children().map(Element::local_name).collect();
        assert_eq!(names, ["b", "d", "e"]);
        assert_eq!(document.root().child("", "b").unwrap().markup(), "<b><c/><c/></b>");
        assert_eq!(document.root().child("", "d").unwrap().markup(), "<d/>");
    }

    #[test]
    fn base64_text_is_not_copied() {
        let text = "<a>aGVsbG8=</a>";
        let document = parse(text).unwrap();
        assert!(text.as_bytes().as_ptr_range().contains(&document.root().text().as_ptr()));
    }

    #[test]
    fn refuses_what_is_not_well_formed_and_says_what() {
        assert_eq!(kind(""), XmlErrorKind::Empty);
        assert_eq!(kind("  \n"), XmlErrorKind::Empty);
        assert_eq!(kind("hello"), XmlErrorKind::Outside);
        assert_eq!(kind("<a/>x"), XmlErrorKind::Outside);
        assert_eq!(kind("<a/><b/>"), XmlErrorKind::Roots);
        assert_eq!(kind("<a><b>"), XmlErrorKind::Truncated("b".into()));
        assert_eq!(kind("<a>&nbsp;</a>"), XmlErrorKind::Entity("nbsp".into()));
        assert_eq!(kind("<a b='&x;'/>"), XmlErrorKind::Entity("x".into()));
        assert_eq!(kind("<a>&#1;</a>"), XmlErrorKind::Character(1));
        assert_eq!(kind("<a b='&#xFFFF;'/>"), XmlErrorKind::Character(0xFFFF));
        assert_eq!(kind("<a>\u{7}</a>"), XmlErrorKind::Character(7));
        assert_eq!(kind("\u{FEFF}<><&><a/>"), XmlErrorKind::Outside);
        assert_eq!(kind("<x:a/>"), XmlErrorKind::Prefix("x".into()));
        assert_eq!(kind("<a x:b=''/>"), XmlErrorKind::Prefix("x".into()));
        assert_eq!(kind("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), XmlErrorKind::DocumentType);
        for broken in [
            "<a></b>",
            "<a",
            "<a b>",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "</a>",
            "<a>&#xZZ;</a>",
            "<a b='<'/>",
            "<a><!-- -- --></a>",
        ] {
            assert!(
                matches!(kind(broken), XmlErrorKind::Syntax(_) | XmlErrorKind::Truncated(_)),
                "{broken}: {:?}",
                kind(broken)
            );
        }
    }

    #[test]
    fn an_error_says_line_and_column() {
        let error = parse("<a>\n  <ä>&x;</ä></a>").err().unwrap();
        assert_eq!((error.line, error.column), (2, 6));
        assert_eq!(error.to_string(), "line 2, column 6: the entity &x; is not known");
    }

    #[test]
    fn bounds_are_kept() {
        let limits = Limits {
            bytes: 200,
            depth: 3,
            elements: 5,
            attributes: 2,
        };
        let kind = |text: &str| Document::parse(text, &limits).err().map(|error| error.kind);
        assert_eq!(kind("<a><b><c/></b></a>"), None);
        assert_eq!(kind("<a><b><c><d/></c></b></a>"), Some(XmlErrorKind::TooDeep(3)));
        assert_eq!(kind("<a><b/><b/><b/><b/></a>"), None);
        assert_eq!(kind("<a><b/><b/><b/><b/><b/></a>"), Some(XmlErrorKind::TooManyElements(5)));
        assert_eq!(kind("<a b='' c=''/>"), None);
        assert_eq!(kind("<a b='' c='' xmlns:d='urn:d'/>"), Some(XmlErrorKind::TooManyAttributes(2)));
        assert_eq!(kind(&format!("<a>{}</a>", "x".repeat(200))), Some(XmlErrorKind::TooLarge(200)));
    }

    #[test]
    fn bytes_are_utf_8_or_marked_utf_16() {
        let utf16 = |text: &str, write: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(write).collect::<Vec<u8>>();
        assert_eq!(decode(b"\xEF\xBB\xBF<a/>").unwrap(), "<a/>");
        assert_eq!(decode(&utf16("\u{FEFF}<ä/>", u16::to_le_bytes)).unwrap(), "<ä/>");
        assert_eq!(decode(&utf16("\u{FEFF}<ä/>", u16::to_be_bytes)).unwrap(), "<ä/>");
        assert_eq!(decode(b"\xFF\xFE<").unwrap_err().kind, XmlErrorKind::Encoding("UTF-16"));
        let error = decode(b"<a>\n\xC3\xA9\xFF").unwrap_err();
        assert_eq!((error.line, error.column, error.kind), (2, 2, XmlErrorKind::Encoding("UTF-8")));
    }

    proptest! {
        #[test]
        fn no_input_panics(text in "[<>/a:b=' \"&;#x!\\[\\]CDAT?-]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_escaped_reads_back(text in any::<String>()) {
            let mut writer = super::super::XmlWriter::with_capacity(0);
            writer.markup("<a").attribute("b", &text, "x").map(|writer| { writer.markup(">"); }).ok();
            let written = writer.text(&text, "x").is_ok();
            writer.markup("</a>");
            prop_assert_eq!(written, text.chars().all(allowed));
            if written {
                let bytes = writer.finish();
                let input = decode(&bytes).unwrap();
                let document = parse(&input).unwrap();
                prop_assert_eq!(document.root().text(), &text);
                prop_assert_eq!(document.root().attribute("", "b"), Some(text.as_str()));
            }
        }
    }
}
