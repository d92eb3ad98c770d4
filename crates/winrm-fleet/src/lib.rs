//! Many Windows hosts at once: Ansible inventories and vaults, host patterns, connection variables, and the bounded fan-out.

pub mod config;
mod extra;
mod fleet;
pub mod inventory;
pub mod settings;
pub mod template;
pub mod value;
pub mod vault;
mod yaml;

pub use config::AnsibleConfig;
pub use extra::{ExtraError, extra_variables};
pub use fleet::{
    Amount, Attempt, CaptureReader, Captured, Fleet, Host, HostResult, InvalidAmount, InvalidShard, Kept, Listener, OUTPUT_LIMIT, Outcome,
    Recipe, Run, Shard, Stop, TooFewFiles, Trouble, TroubleKind, Verdict, Via,
};
pub use inventory::{Inventory, InventoryError, LoadOptions, PatternError, Source};
pub use settings::{Settings, SettingsError};
pub use template::{HostTemplates, Surroundings, Templar, TemplateError};
pub use value::{Map, Origin, Value, Variable, Variables};
pub use vault::{Vault, VaultError};
