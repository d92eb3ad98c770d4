//! Many Windows hosts at once: Ansible inventories and vaults, host patterns, connection variables, and the bounded fan-out.

mod value;
pub mod vault;

pub use value::{Map, Origin, Value, Variable};
pub use vault::{Vault, VaultError};
