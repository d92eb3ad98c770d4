//! JSON as it comes from programs: in order, bounded in depth.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::interner::Interner;
use crate::value::Value;
use crate::yaml::{Data, Mapping, Node, Pair};

/// Reads a text of JSON; there are no places in the result.
pub(crate) fn parse(text: &[u8], interner: &mut Interner) -> Result<Node, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let node = Seed(interner).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(node)
}

struct Seed<'i>(&'i mut Interner);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn scalar(value: Value) -> Node {
    Node {
        line: 0,
        column: 0,
        data: Data::Scalar(value),
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(scalar(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(scalar(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(scalar(Value::Int(number)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        #[expect(clippy::cast_precision_loss, reason = "whole numbers beyond 64 bits are floats")]
        Ok(scalar(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Ok(scalar(Value::Float(number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(scalar(Value::String(self.0.text(text))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Seed(self.0))? {
            items.push(item);
        }
        Ok(Node {
            line: 0,
            column: 0,
            data: Data::Sequence(items),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut mapping = Mapping::default();
        while let Some(key) = access.next_key::<std::borrow::Cow<'de, str>>()? {
            let key = self.0.text(&key);
            let value = access.next_value_seed(Seed(self.0))?;
            mapping.insert(Pair {
                key,
                is_text: true,
                line: 0,
                column: 0,
                value,
            });
        }
        Ok(Node {
            line: 0,
            column: 0,
            data: mapping.finish(),
        })
    }
}
