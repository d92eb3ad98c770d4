//! XML as SOAP needs it: a bounded reader that resolves namespaces, and a writer that can't produce broken XML.

mod parser;
mod reader;
mod writer;

pub use reader::{Children, Document, Element, Limits, XmlError, XmlErrorKind, decode};
pub use writer::WriteError;
pub(crate) use writer::XmlWriter;
