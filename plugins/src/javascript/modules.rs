//! What a module may import: the guest SDK, and nothing else. (The interfaces of the contract are known to the engine itself.)

/// How authors call the SDK.
const SDK: &str = "@ironrule/rules";
const SDK_PATH: &str = "/ironrule/rules.js";
const SDK_SOURCE: &str = include_str!("../../guest-ts/index.js");

/// The path of the plugin's own module; error messages name it.
pub(super) const ENTRY: &str = "/plugin.js";

/// The path of an import.
pub(super) fn resolve(specifier: &str) -> Result<String, String> {
    match specifier {
        SDK => Ok(SDK_PATH.to_owned()),
        other => Err(format!("there is no module `{other}`: a plugin is one file that may import `{SDK}` only; bundle what else it needs")),
    }
}

/// The text of a module.
pub(super) fn load(path: &str) -> Result<String, String> {
    match path {
        SDK_PATH => Ok(SDK_SOURCE.to_owned()),
        other => Err(format!("there is no module `{other}`")),
    }
}
