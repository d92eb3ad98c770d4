//! What a client says to the agent that copies files on a host, and what the agent answers.
//!
//! The agent is a PowerShell script that the client starts as a command; frames go over the command's standard input and output.
//! A frame is its kind (one byte), the length of its payload (four bytes, little-endian) and the payload. Numbers in payloads are
//! little-endian; texts are UTF-8 behind their length in seven-bit groups, as .NET's `BinaryWriter` writes them; times count 100
//! nanoseconds from 1601, as Windows' FILETIME, and 0 is none. Where the way changes bytes, each frame is a line of base64.

mod field;
mod frame;
mod message;

#[cfg(test)]
mod tests;

pub use frame::{Decoder, FrameError, HEADER, Mode, header};
pub use message::{Answer, Begin, Entry, EntryKind, FailureCode, Request};

/// The longest payload of a frame, in bytes.
pub const MAX_PAYLOAD: usize = 1 << 20;
