//! The stories of plugins: installed, changed and removed while the server runs. Requests under way finish with what they began with. What a
//! broken plugin would check is refused until somebody has repaired, disabled or removed it.

mod installed;

mod rulebook;

mod load;

mod vault;

mod grants;

mod install;

mod change;

mod look;

mod secrets;

mod settings;

mod order;

mod folder;

pub use change::{change, remove, roll_back};
pub(crate) use folder::install_folder;
pub use grants::Granted;
pub use install::{Code, Mode, install, install_as};
pub use installed::Installed;
pub(crate) use load::load_all;
pub use look::{get, get_with_source, installed, list};
pub use order::{OrderDraft, get as rule_order, put as order_rules};
pub(crate) use rulebook::Bound;
pub use rulebook::Rulebook;
pub(crate) use secrets::{REDACTED, Secrets};
pub use settings::{get as settings_of, put as set};
pub(crate) use vault::Vault;

use crate::Error;

/// The object that policies about this name.
pub(crate) const OBJECT: &str = "_plugins";

fn unknown(name: &str) -> Error {
    Error::NotFound { kind: "plugin", name: name.to_owned() }
}
