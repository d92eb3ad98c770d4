//! The native half of the Python package `winrm`: [`winrm::Client`] for Python, and readers of its answers. What people call is
//! written in Python, in `python/winrm`.

mod answers;
mod client;
mod failure;

use pyo3::prelude::*;

/// The part of `winrm` that is written in Rust. What is in here may change with every version.
#[pymodule]
mod _winrm {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::answers::{command_id, fault, output, relates_to, shell_id};
    #[pymodule_export]
    use crate::client::Client;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        crate::client::watch_forks(module.py())
    }
}
