//! What people expect of a value in JSON, through serde.

use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

use super::object::{Content, Object, Property};
use super::value::{Progress, Value};

/// Objects become maps of their properties, dictionaries too; lists, stacks and queues become sequences; an enumeration's value its
/// name; a primitive value with properties the value alone; bytes base64; texts of all kinds, dates and time spans a string; decimals a
/// number where that is exact, else a string; numbers that are none (`NaN`) a string. Secure strings show their type only.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null | Self::Enclosing(_) => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Char(unit) => serializer.serialize_str(&String::from_utf16_lossy(&[*unit])),
            Self::U8(number) => serializer.serialize_u8(*number),
            Self::I8(number) => serializer.serialize_i8(*number),
            Self::U16(number) => serializer.serialize_u16(*number),
            Self::I16(number) => serializer.serialize_i16(*number),
            Self::U32(number) => serializer.serialize_u32(*number),
            Self::I32(number) => serializer.serialize_i32(*number),
            Self::U64(number) => serializer.serialize_u64(*number),
            Self::I64(number) => serializer.serialize_i64(*number),
            Self::F32(number) if number.is_finite() => serializer.serialize_f32(*number),
            Self::F32(number) => serializer.serialize_str(super::write::not_finite((*number).into())),
            Self::F64(number) if number.is_finite() => serializer.serialize_f64(*number),
            Self::F64(number) => serializer.serialize_str(super::write::not_finite(*number)),
            Self::Decimal(text) => decimal(text, serializer),
            Self::String(text)
            | Self::DateTime(text)
            | Self::Duration(text)
            | Self::Guid(text)
            | Self::Uri(text)
            | Self::Version(text)
            | Self::Xml(text)
            | Self::ScriptBlock(text) => serializer.serialize_str(text),
            Self::SecureString(_) => serializer.serialize_str("System.Security.SecureString"),
            Self::Bytes(bytes) => serializer.serialize_str(&super::write::base64(bytes)),
            Self::Progress(progress) => progress.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

fn decimal<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = text.parse::<i64>() {
        return serializer.serialize_i64(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.to_string() == text => serializer.serialize_f64(number),
        _ => serializer.serialize_str(text),
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (&self.content, &self.text) {
            (Some(Content::Value(_)), Some(name)) if self.is_enum() => serializer.serialize_str(name),
            (Some(Content::Value(value)), _) => value.serialize(serializer),
            (Some(Content::List(values) | Content::Stack(values) | Content::Queue(values) | Content::Enumerable(values)), _) => {
                let mut sequence = serializer.serialize_seq(Some(values.len()))?;
                for value in values {
                    sequence.serialize_element(value)?;
                }
                sequence.end()
            }
            (Some(Content::Dictionary(entries)), _) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&key_of(key), value)?;
                }
                map.end()
            }
            (None, Some(text)) if self.adapted.is_empty() && self.extended.is_empty() => serializer.serialize_str(text),
            (None, _) => {
                let properties = self.properties();
                let mut map = serializer.serialize_map(Some(properties.len()))?;
                for property in properties {
                    map.serialize_entry(&property.name, &property.value)?;
                }
                map.end()
            }
        }
    }
}

impl Object {
    /// All properties, each name once: an added one hides the type's own.
    fn properties(&self) -> Vec<&Property> {
        let hidden = |name: &str| self.extended.iter().any(|added| added.name.eq_ignore_ascii_case(name));
        self.adapted
            .iter()
            .filter(|property| !hidden(&property.name))
            .chain(&self.extended)
            .collect()
    }
}

fn key_of(key: &Value) -> String {
    match key {
        Value::Null | Value::Enclosing(_) => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Char(unit) => String::from_utf16_lossy(&[*unit]),
        Value::Object(object) => match (&object.text, &object.content) {
            (Some(text), _) => text.clone(),
            (None, Some(Content::Value(value))) => key_of(value),
            (None, _) => object.type_names.names().first().cloned().unwrap_or_default(),
        },
        Value::SecureString(_) => "System.Security.SecureString".to_owned(),
        Value::Progress(progress) => progress.activity.clone(),
        primitive => super::write::primitive_text(primitive).unwrap_or_default(),
    }
}

impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("Activity", &self.activity)?;
        map.serialize_entry("ActivityId", &self.activity_id)?;
        map.serialize_entry("StatusDescription", &self.status)?;
        map.serialize_entry("CurrentOperation", &self.current_operation)?;
        map.serialize_entry("ParentActivityId", &self.parent_activity_id)?;
        map.serialize_entry("PercentComplete", &self.percent)?;
        map.serialize_entry("RecordType", if self.completed { "Completed" } else { "Processing" })?;
        map.serialize_entry("SecondsRemaining", &self.seconds_remaining)?;
        map.end()
    }
}
