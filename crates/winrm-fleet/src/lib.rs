//! Many Windows hosts at once: Ansible inventories and vaults, host patterns, connection variables, and the bounded fan-out.

mod value;

pub use value::{Map, Origin, Value, Variable};
