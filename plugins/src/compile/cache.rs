//! Machine code on disk. A file counts only with a MAC that the server alone can make; anything else is as if it were not
//! there, and is written anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::Name;

const MAC_BYTES: usize = blake3::OUT_LEN;
const ENDING: &str = "cwasm";
/// Files that are kept; the ones that were not used for longest go first.
const FILES_MAX: usize = 200;

/// A folder with the machine code of components, by the engine that it is for and the digest of the component. Cheap to
/// clone.
#[derive(Clone)]
pub struct Cache(Arc<Folder>);

struct Folder {
    path: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Makes the folder if there is none. The key must be secret and the same after a restart: whoever has it can make
    /// the server run machine code.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: PathBuf, key: [u8; 32]) -> io::Result<Self> {
        make_folder(&folder)?;
        Ok(Self(Arc::new(Folder { path: folder, key })))
    }

    /// What is kept for this component, if it can be trusted and loaded.
    pub(super) fn load(&self, engine: &Engine, name: &Name) -> Option<Component> {
        let path = self.path(name);
        let bytes = fs::read(&path).ok()?;
        let (mac, code) = bytes.split_at_checked(MAC_BYTES)?;
        // `blake3::Hash` is compared in constant time.
        if self.mac(name, code) != <[u8; MAC_BYTES]>::try_from(mac).ok()? {
            return None;
        }
        let component = super::load(engine, code).ok()?;
        // Only a hint for what may be forgotten.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Some(component)
    }

    /// Keeps the code. The disk being full is no reason to refuse a plugin, so nobody hears of a failure.
    pub(super) fn keep(&self, name: &Name, code: &[u8]) {
        let _ = self.write(name, code);
        let _ = self.forget_old();
    }

    fn write(&self, name: &Name, code: &[u8]) -> io::Result<()> {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let path = self.path(name);
        make_folder(&self.0.path.join(&name.compatibility))?;
        // Complete or not there: other processes may read meanwhile.
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let unfinished = path.with_extension(format!("{}-{number}.unfinished", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = file
            .write_all(self.mac(name, code).as_bytes())
            .and_then(|()| file.write_all(code))
            .and_then(|()| fs::rename(&unfinished, &path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn forget_old(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for folder in fs::read_dir(&self.0.path)?.flatten().filter(|entry| entry.path().is_dir()) {
            for file in fs::read_dir(folder.path())?.flatten().filter(|file| file.path().extension().is_some_and(|it| it == ENDING)) {
                files.push((file.metadata()?.modified()?, file.path()));
            }
        }
        files.sort();
        let surplus = files.len().saturating_sub(FILES_MAX);
        files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }

    /// Binds the code to what it was made of and for: a file that is moved to another name is a forgery too.
    fn mac(&self, name: &Name, code: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.key);
        for part in [name.compatibility.as_bytes(), name.digest.as_bytes()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        hasher.update(code).finalize()
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.0.path.join(&name.compatibility).join(&name.digest).with_extension(ENDING)
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}
