//! Values to CLIXML.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::NAMESPACE;
use super::object::{Content, Object, Property, TypeNames};
use super::text::encode;
use super::value::{Item, Progress, Stream, Value};

/// Writes a document, `<Objs>`, as `PSSerializer.Deserialize` and `Import-Clixml` read it.
#[must_use]
pub fn write<'v>(items: impl IntoIterator<Item = &'v Item>) -> String {
    let mut writer = Writer {
        out: format!("<Objs Version=\"1.1.0.1\" xmlns=\"{NAMESPACE}\">"),
        ..Writer::default()
    };
    for item in items {
        let stream = (item.stream != Stream::Output).then_some(item.stream);
        writer.value(&item.value, Label { name: None, stream });
    }
    writer.out.push_str("</Objs>");
    writer.out
}

/// Writes one value by itself, as remoting carries it.
#[must_use]
pub fn write_value(value: &Value) -> String {
    let mut writer = Writer::default();
    writer.value(value, Label::default());
    writer.out
}

/// The attributes of an element that tell what it is to what is around it.
#[derive(Clone, Copy, Default)]
struct Label<'n> {
    name: Option<&'n str>,
    stream: Option<Stream>,
}

#[derive(Default)]
struct Writer<'v> {
    out: String,
    objects: HashMap<*const Object, usize>,
    types: HashMap<&'v TypeNames, usize>,
    /// The numbers of the objects that are being written.
    open: Vec<usize>,
    /// Which of them was referred to, the outermost one, since the innermost began.
    outermost: Option<usize>,
    count: usize,
}

impl<'v> Writer<'v> {
    fn value(&mut self, value: &'v Value, label: Label<'_>) {
        match value {
            Value::Object(object) => self.object(object, label),
            Value::Progress(progress) => self.progress(progress, label),
            Value::Enclosing(levels) => {
                let index = self.open.len().checked_sub(*levels as usize + 1);
                match index {
                    Some(index) => {
                        let number = self.open[index].to_string();
                        self.outermost = Some(self.outermost.map_or(index, |outermost| outermost.min(index)));
                        self.reference("Ref", &number, label);
                    }
                    None => self.empty("Nil", label),
                }
            }
            Value::Null => self.empty("Nil", label),
            primitive => {
                let tag = tag(primitive);
                match primitive_text(primitive) {
                    Some(text) => self.element(tag, &text, label),
                    None => self.empty("Nil", label),
                }
            }
        }
    }

    fn object(&mut self, object: &'v Arc<Object>, label: Label<'_>) {
        if let Some(number) = self.objects.get(&Arc::as_ptr(object)) {
            let number = number.to_string();
            self.reference("Ref", &number, label);
            return;
        }
        let number = self.count;
        self.count += 1;
        self.start("Obj", label);
        self.out.push_str(&format!(" RefId=\"{number}\">"));
        self.open.push(number);
        let outer = self.outermost.take();
        self.types(&object.type_names);
        if let Some(text) = &object.text {
            self.element("ToString", text, Label::default());
        }
        match &object.content {
            None => {}
            Some(Content::Value(value)) => self.value(value, Label::default()),
            Some(Content::List(values)) => self.values("LST", values),
            Some(Content::Stack(values)) => self.values("STK", values),
            Some(Content::Queue(values)) => self.values("QUE", values),
            Some(Content::Enumerable(values)) => self.values("IE", values),
            Some(Content::Dictionary(entries)) => {
                self.out.push_str("<DCT>");
                for (key, value) in entries {
                    self.out.push_str("<En>");
                    self.value(key, named("Key"));
                    self.value(value, named("Value"));
                    self.out.push_str("</En>");
                }
                self.out.push_str("</DCT>");
            }
        }
        self.properties("Props", &object.adapted);
        self.properties("MS", &object.extended);
        self.out.push_str("</Obj>");
        self.open.pop();
        let outermost = self.outermost.take();
        // What refers to an object around it means another one at another place.
        if outermost.is_none_or(|index| index >= self.open.len()) {
            self.objects.insert(Arc::as_ptr(object), number);
        }
        self.outermost = [outer, outermost].into_iter().flatten().min();
    }

    fn types(&mut self, types: &'v TypeNames) {
        if types.names().is_empty() {
            return;
        }
        let known = self.types.len();
        if let Some(number) = self.types.get(types) {
            self.out.push_str(&format!("<TNRef RefId=\"{number}\" />"));
            return;
        }
        self.types.insert(types, known);
        self.out.push_str(&format!("<TN RefId=\"{known}\">"));
        for name in types.names() {
            self.element("T", name, Label::default());
        }
        self.out.push_str("</TN>");
    }

    fn values(&mut self, tag: &str, values: &'v [Value]) {
        self.out.push_str(&format!("<{tag}>"));
        for value in values {
            self.value(value, Label::default());
        }
        self.out.push_str(&format!("</{tag}>"));
    }

    fn properties(&mut self, tag: &str, properties: &'v [Property]) {
        if properties.is_empty() {
            return;
        }
        self.out.push_str(&format!("<{tag}>"));
        for property in properties {
            self.value(&property.value, named(&property.name));
        }
        self.out.push_str(&format!("</{tag}>"));
    }

    fn progress(&mut self, progress: &Progress, label: Label<'_>) {
        self.start("PR", label);
        self.out.push('>');
        let none = Label::default();
        self.element("AV", &progress.activity, none);
        self.element("AI", &progress.activity_id.to_string(), none);
        match &progress.current_operation {
            Some(operation) => self.element("S", operation, none),
            None => self.empty("Nil", none),
        }
        self.element("PI", &progress.parent_activity_id.to_string(), none);
        self.element("PC", &progress.percent.to_string(), none);
        self.element("T", if progress.completed { "Completed" } else { "Processing" }, none);
        self.element("SR", &progress.seconds_remaining.to_string(), none);
        self.element("SD", &progress.status, none);
        self.out.push_str("</PR>");
    }

    fn start(&mut self, tag: &str, label: Label<'_>) {
        self.out.push('<');
        self.out.push_str(tag);
        if let Some(name) = label.name {
            self.out.push_str(" N=\"");
            encode(name, &mut self.out);
            self.out.push('"');
        }
        if let Some(stream) = label.stream {
            self.out.push_str(&format!(" S=\"{}\"", stream.name()));
        }
    }

    fn empty(&mut self, tag: &str, label: Label<'_>) {
        self.start(tag, label);
        self.out.push_str(" />");
    }

    fn reference(&mut self, tag: &str, number: &str, label: Label<'_>) {
        self.start(tag, label);
        self.out.push_str(&format!(" RefId=\"{number}\" />"));
    }

    fn element(&mut self, tag: &str, text: &str, label: Label<'_>) {
        self.start(tag, label);
        self.out.push('>');
        encode(text, &mut self.out);
        self.out.push_str(&format!("</{tag}>"));
    }
}

fn named(name: &str) -> Label<'_> {
    Label {
        name: Some(name),
        stream: None,
    }
}

fn tag(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "B",
        Value::Char(_) => "C",
        Value::U8(_) => "By",
        Value::I8(_) => "SB",
        Value::U16(_) => "U16",
        Value::I16(_) => "I16",
        Value::U32(_) => "U32",
        Value::I32(_) => "I32",
        Value::U64(_) => "U64",
        Value::I64(_) => "I64",
        Value::F32(_) => "Sg",
        Value::F64(_) => "Db",
        Value::Decimal(_) => "D",
        Value::String(_) => "S",
        Value::DateTime(_) => "DT",
        Value::Duration(_) => "TS",
        Value::Guid(_) => "G",
        Value::Uri(_) => "URI",
        Value::Version(_) => "Version",
        Value::Xml(_) => "XD",
        Value::ScriptBlock(_) => "SBK",
        Value::SecureString(_) => "SS",
        Value::Bytes(_) => "BA",
        Value::Null | Value::Enclosing(_) => "Nil",
        Value::Progress(_) => "PR",
        Value::Object(_) => "Obj",
    }
}

/// The text of a primitive value, before it is escaped.
pub(super) fn primitive_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Char(number) | Value::U16(number) => number.to_string(),
        Value::U8(number) => number.to_string(),
        Value::I8(number) => number.to_string(),
        Value::I16(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::I32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F32(number) if number.is_finite() => format!("{number:?}"),
        Value::F32(number) => not_finite((*number).into()).to_owned(),
        Value::F64(number) if number.is_finite() => format!("{number:?}"),
        Value::F64(number) => not_finite(*number).to_owned(),
        Value::Decimal(text)
        | Value::String(text)
        | Value::DateTime(text)
        | Value::Duration(text)
        | Value::Guid(text)
        | Value::Uri(text)
        | Value::Version(text)
        | Value::Xml(text)
        | Value::ScriptBlock(text) => text.clone(),
        Value::SecureString(sealed) => sealed.expose().to_owned(),
        Value::Bytes(bytes) => base64(bytes),
        Value::Null | Value::Enclosing(_) | Value::Progress(_) | Value::Object(_) => return None,
    })
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// XML's names for what is no number.
pub(super) fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "INF"
    } else {
        "-INF"
    }
}
