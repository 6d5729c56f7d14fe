//! The policy files of the data directory: read at the start, and again when they change. They are looked at by name, time and size;
//! a change counts once two looks in a row have seen the same, so that a file is not read while an editor writes it.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use policies::{PolicySet, Reader};

use crate::{Error, config::Config};

/// The files of one look: their paths, sorted, with time and size.
type Stamp = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// What is known about the folder.
pub(crate) struct Files {
    folder: PathBuf,
    /// What is in force.
    taken: Stamp,
    /// The last look.
    seen: Stamp,
    /// What was read and has a mistake.
    refused: Option<(Stamp, String)>,
}

/// A change that is to be read.
pub(crate) struct Changed {
    folder: PathBuf,
    stamp: Stamp,
}

impl Files {
    /// Reads the folder for the first time.
    pub(crate) fn open(config: &Config) -> Result<(Self, PolicySet), Error> {
        let folder = config.data_dir.join("policies");
        let stamp = look(&folder);
        let set = read(&folder)?;
        Ok((Self { folder, taken: stamp.clone(), seen: stamp, refused: None }, set))
    }

    /// Looks at the folder. Some if it is neither as it is in force nor as it was refused, and has come to rest.
    pub(crate) fn changed(&mut self) -> Option<Changed> {
        let stamp = look(&self.folder);
        let rested = stamp == self.seen;
        self.seen.clone_from(&stamp);
        if stamp == self.taken {
            self.refused = None;
        }
        let known = stamp == self.taken || self.refused.as_ref().is_some_and(|(refused, _)| *refused == stamp);
        (rested && !known).then(|| Changed { folder: self.folder.clone(), stamp })
    }

    pub(crate) fn taken(&mut self, changed: Changed) {
        self.taken = changed.stamp;
        self.refused = None;
    }

    pub(crate) fn refused(&mut self, changed: Changed, reason: String) {
        self.refused = Some((changed.stamp, reason));
    }

    pub(crate) fn refusal(&self) -> Option<String> {
        self.refused.as_ref().map(|(_, reason)| reason.clone())
    }
}

impl Changed {
    pub(crate) fn read(&self) -> Result<PolicySet, Error> {
        read(&self.folder)
    }
}

/// The policies of the `*.csv` of a folder, in the order of their names, and the built-in ones; there need not be such a folder.
pub(crate) fn read(folder: &Path) -> Result<PolicySet, Error> {
    let mut reader = Reader::default();
    for (path, ..) in look(folder) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| Error::Configuration(format!("{name}: {error}")))?;
        reader.csv(&name, &text)?;
    }
    // Of two that say the same the first is shown: somebody's own file rather than ours.
    reader.csv("built-in", policies::DEFAULT_CSV)?;
    Ok(reader.finish())
}

fn look(folder: &Path) -> Stamp {
    let Ok(entries) = std::fs::read_dir(folder) else { return Stamp::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut stamp: Stamp = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
        .map(|path| {
            // A file that cannot be looked at is read all the same, and its error told.
            let metadata = std::fs::metadata(&path).ok();
            let time = metadata.as_ref().and_then(|metadata| metadata.modified().ok());
            (path, time, metadata.map_or(0, |metadata| metadata.len()))
        })
        .collect();
    stamp.sort();
    stamp
}
