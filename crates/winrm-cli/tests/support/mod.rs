//! What the tests with peers share: the service under test, and the programs that judge it.

pub(crate) mod peer;
pub(crate) mod service;
