//! CLIXML: PowerShell's objects as XML (\[MS-PSRP\] 2.2.5), both ways.
//!
//! PowerShell writes it on standard error when it is started with `-EncodedCommand`, `Export-Clixml` writes it to files, and
//! remoting carries it. [`Value`] keeps what was written, type names included, so that writing it again gives the same objects;
//! its `Serialize` is what people expect of JSON.
//!
//! ```
//! use winrm_proto::clixml::{self, Limits};
//!
//! let text = r#"<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><S>a_x000A_b</S></Objs>"#;
//! let items = clixml::read(text, &Limits::default())?;
//! assert_eq!(items[0].value, clixml::Value::String("a\nb".to_owned()));
//! # Ok::<(), clixml::ReadError>(())
//! ```

mod object;
mod read;
mod serialize;
mod stream;
mod text;
mod value;
mod write;

#[cfg(test)]
mod tests;

pub use object::{Content, Object, Property, TypeNames};
pub use read::{Limits, ReadError, read, read_value};
pub use stream::{Decoder, Piece};
pub use value::{Item, Progress, Sealed, Stream, Value};
pub use write::{write, write_value};

/// The namespace of a document's elements. Fragments in remoting have none.
pub const NAMESPACE: &str = "http://schemas.microsoft.com/powershell/2004/04";

/// The line in front of each document on a stream.
pub const MARKER: &str = "#< CLIXML";
