//! One version of a plugin as it stands in a picture of the world: ready to run, or with the reason why not.

use plugins::{Grants, Ground, Manifest, Plugin};

use super::secrets::Secrets;
use crate::{Error, world::Catalog};

/// What to expect of a version.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Its rules run.
    Ready(Plugin),
    /// Somebody has switched the plugin off, so that nothing was loaded.
    Disabled,
    /// It cannot run, and nobody knows what it would have said. The reason is for the operator.
    Broken(String),
}

/// A version of a plugin, with what the operator decided about it.
pub struct Installed {
    pub(crate) state: State,
    /// What the version says about itself; without rules if it could never be loaded.
    pub(crate) manifest: Manifest,
    pub(crate) digest: String,
    pub(crate) ground: Ground,
    /// What of its settings nobody else may see.
    pub(crate) secrets: Secrets,
    pub(crate) enabled: bool,
    /// True for a version that is only watched.
    pub(crate) shadow: bool,
    /// Which change of the plugin's row it comes from.
    pub(crate) revision: u64,
}

impl Installed {
    /// The name, unique.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What the plugin says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The blake3 digest of the component, in hex; empty if even that is lost.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Name, version and the beginning of the digest: exactly which code ran.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.name(), &self.manifest.version, &self.digest)
    }

    /// What it may touch.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.ground.grants
    }

    /// Why it cannot run.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        match &self.state {
            State::Broken(reason) => Some(reason),
            State::Ready(_) | State::Disabled => None,
        }
    }

    /// What the operator should know though it is no fault: rules about collections that are not there. They may come later.
    pub(crate) fn warnings(&self, catalog: &Catalog) -> Vec<String> {
        let collections = self.manifest.rules.iter().flat_map(|rule| rule.collections.iter().map(move |name| (&rule.name, name)));
        let missing = collections.filter(|(_, name)| !catalog.contains_key(*name));
        missing.map(|(rule, name)| format!("the rule `{rule}` is about `{name}`, but there is no such collection yet")).collect()
    }

    /// The plugin, to run it.
    ///
    /// # Errors
    /// [`Error::PluginFailed`] for one that is broken or switched off: what it would have checked must not go unchecked.
    pub fn plugin(&self) -> Result<&Plugin, Error> {
        let (code, detail) = match &self.state {
            State::Ready(plugin) => return Ok(plugin),
            State::Disabled => ("plugin.disabled", "the plugin is disabled".to_owned()),
            State::Broken(reason) => ("plugin.broken", reason.clone()),
        };
        Err(Error::PluginFailed { plugin: self.name().to_owned(), code, detail })
    }
}

/// How a version is named where exactly one code is meant.
pub(crate) fn label(name: &str, version: &str, digest: &str) -> String {
    format!("{name}@{version}#{}", digest.get(..12).unwrap_or(digest))
}
