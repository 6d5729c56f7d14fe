//! The stories of policies without a server: a folder with `*.csv`, `collections.json` and `*.test.toml` (or `.json`) is tested and
//! looked through, as an editor or a build does it.

use std::path::{Path, PathBuf};

use policies::{Finding, Mode, PolicySet, Report, Snapshot, Trials, UNHELD, parse_trials, run};

use crate::{
    App, Error, bundle,
    world::{Catalog, read_policy_files},
};

/// Policies with the collections that they are about, and their tests.
pub struct Folder {
    snapshot: Snapshot,
    catalog: Catalog,
    trials: Vec<Trials>,
    /// Roles are mostly given at run time, of which nothing is known here.
    offline: bool,
}

impl Folder {
    /// Reads a folder. Without `collections.json` nothing is known about collections but the built-in `users`.
    ///
    /// # Errors
    /// The first mistake, with file, line and column.
    pub fn read(path: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            return Err(Error::Command(format!("there is no folder {}", path.display())));
        }
        let collections = path.join("collections.json");
        let text = if collections.exists() { read(&collections)? } else { r#"{"extend":{},"create":[]}"#.to_owned() };
        let catalog = bundle::catalog(&text).map_err(|error| Error::Command(format!("{}: {error}", collections.display())))?;
        // The tests of a policy are those that belong to it, so that the built-in ones do not count as untested here.
        Self::new(read_policy_files(path)?, catalog, path)
    }

    /// What is in force in a data directory, with the tests beside its policy files.
    ///
    /// # Errors
    /// The first mistake in a test.
    pub fn of(app: &App) -> Result<Self, Error> {
        let world = app.world();
        let trials = trials(&app.config.data_dir.join("policies"))?;
        Ok(Self { snapshot: world.policies.at(world.version), catalog: world.catalog.as_ref().clone(), trials, offline: false })
    }

    fn new(set: PolicySet, catalog: Catalog, path: &Path) -> Result<Self, Error> {
        let snapshot = Snapshot::build(set, 0, Mode::Verify, &|name| catalog.get(name).cloned())?;
        Ok(Self { snapshot, trials: trials(path)?, catalog, offline: true })
    }

    /// Runs the tests.
    #[must_use]
    pub fn test(&self) -> Report {
        run(&self.snapshot, &|name| self.catalog.get(name).cloned(), &self.trials)
    }

    /// What is odd about the policies.
    #[must_use]
    pub fn lint(&self) -> Vec<Finding> {
        let collections: Vec<_> = self.catalog.values().cloned().collect();
        let mut findings = self.snapshot.lint(&collections);
        if self.offline {
            findings.retain(|finding| finding.code != UNHELD);
        }
        findings
    }
}

fn trials(folder: &Path) -> Result<Vec<Trials>, Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| [".test.toml", ".test.json"].iter().any(|end| path.to_string_lossy().ends_with(end)));
    paths.sort();
    let parse = |path: &PathBuf| parse_trials(&path.display().to_string(), &read(path)?).map_err(|error| Error::Command(error.to_string()));
    paths.iter().map(parse).collect()
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::Command(format!("{}: {error}", path.display())))
}
