//! The `winrm` program.
fn main() {}
