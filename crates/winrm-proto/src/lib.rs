//! WS-Management for Windows Remote Management: typed operations to and from SOAP bytes.
//!
//! This crate does no I/O, asks no clock and draws no random numbers: message ids, shell ids and times come from the caller, so that
//! a whole conversation replays byte for byte in a test. Each operation is a struct for its request and one for its answer; both
//! have a `write` and a `read`, since a client writes what a service reads.
//!
//! ```
//! use winrm_proto::{Envelope, RequestHeader, shell::CommandRequest, xml::Limits};
//!
//! let header = RequestHeader::new("http://host:5985/wsman");
//! let request = CommandRequest::new("11111111-2222-3333-4444-555555555555", "ipconfig");
//! let bytes = request.write(&header, "uuid:AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE")?;
//!
//! let text = winrm_proto::xml::decode(&bytes)?;
//! let envelope = Envelope::parse(&text, &Limits::default())?;
//! let header = envelope.header()?;
//! assert_eq!(header.action, CommandRequest::ACTION);
//! assert_eq!(CommandRequest::read(&envelope, &header)?.command, "ipconfig");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a peer sends is untrusted: size, depth, number of elements and of attributes are bounded by [`xml::Limits`], document types
//! and entities beyond XML's own five are refused, names are compared by namespace and never by prefix.

pub mod clixml;
pub mod config;
pub mod copy;
pub mod duration;
pub mod enumeration;
mod envelope;
pub mod fault;
pub mod header;
pub mod identify;
pub mod instance;
pub mod invoke;
pub mod ns;
pub mod request;
pub mod resource;
pub mod sddl;
pub mod shell;
pub mod transfer;
pub mod wql;
pub mod xml;

pub use envelope::{Envelope, ReadError};
pub use fault::Fault;
pub use header::{Header, RequestHeader, ResponseHeader};
pub use instance::{Instance, Property};
pub use request::Request;
pub use resource::Resource;
pub use xml::WriteError;
