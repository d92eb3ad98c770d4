//! The remote shell, \[MS-WSMV\] 2.2.4 and 3.1.4: Create, Command, Send, Receive, Signal, Delete.

mod command;
mod lifecycle;
mod streams;

pub use command::{CommandRequest, CommandResponse, Signal, SignalRequest, SignalResponse};
pub use lifecycle::{CreateResponse, CreateShell, DeleteResponse, DeleteShell};
pub use streams::{CommandState, ReceiveRequest, ReceiveResponse, SendRequest, SendResponse, State, StreamData};

use crate::header::Selector;

fn shell_selector(shell_id: &str) -> [Selector; 1] {
    [Selector::new("ShellId", shell_id)]
}

/// An answer that says nothing but that the request was carried out.
macro_rules! empty_response {
    ($(#[$doc:meta])* $name:ident, $action:literal, $body:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            /// The answer's action.
            pub const ACTION: &'static str = $action;

            /// Writes the answer.
            ///
            /// # Errors
            /// A message id that XML can't carry.
            pub fn write(self, header: &crate::ResponseHeader) -> Result<Vec<u8>, crate::WriteError> {
                let mut xml = header.begin(Self::ACTION, 0)?;
                xml.markup($body);
                Ok(crate::header::end(xml))
            }
        }
    };
}
pub(crate) use empty_response;

#[cfg(test)]
mod tests;
