//! Many Windows hosts at once: Ansible inventories and vaults, host patterns, connection variables, and the bounded fan-out.

mod fleet;
mod value;
pub mod vault;

pub use fleet::{
    Amount, Attempt, CaptureReader, Captured, Fleet, Host, HostResult, InvalidAmount, InvalidShard, OUTPUT_LIMIT, Outcome, Recipe, Run,
    Shard, Stop, TooFewFiles, Trouble, TroubleKind, Verdict, Via,
};
pub use value::{Map, Origin, Value, Variable};
pub use vault::{Vault, VaultError};
