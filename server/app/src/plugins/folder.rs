//! Plugins that lie in the data directory. Who may write there owns the server, so what they wish is granted. A file is installed when it has
//! changed since the last time: what somebody has decided through the API after that stays.

use std::{path::Path, sync::Arc};

use store::settings;

use super::{
    grants::Granted,
    install::{Code, install},
    rulebook::Entry,
};
use crate::{App, Error, call::Call};

/// Installs every file of the folder `plugins` in the data directory that is new: components and JavaScript texts.
///
/// # Errors
/// [`Error::Configuration`] names the file that is no plugin.
pub(crate) async fn install_folder(app: &Arc<App>) -> Result<(), Error> {
    let folder = app.config.data_dir.join("plugins");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(()) };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.is_file() && kind(path).is_some());
    paths.sort();
    for path in paths {
        install_file(app, &path).await.map_err(|error| Error::Configuration(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

/// What a file with this name holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Component,
    JavaScript,
}

fn kind(path: &Path) -> Option<Kind> {
    match path.extension()?.to_str()? {
        "wasm" => Some(Kind::Component),
        "js" => Some(Kind::JavaScript),
        _ => None,
    }
}

async fn install_file(app: &Arc<App>, path: &Path) -> Result<(), Error> {
    let content = std::fs::read(path)?;
    let digest = blake3::hash(&content).to_hex().to_string();
    let mark = format!("plugin_folder/{}", path.file_name().unwrap_or_default().display());
    if settings::get(&app.store, &mark).await?.as_deref() == Some(&digest) {
        return Ok(());
    }
    let runs = |entry: &Entry| entry.row.active.as_ref() == Some(&digest);
    if !app.world().plugins.entries().iter().any(runs) {
        let code = match kind(path) {
            Some(Kind::JavaScript) => {
                let text = String::from_utf8(content).map_err(|_| plugins::Error::JavaScript("this is no UTF-8 text".to_owned()))?;
                Code::JavaScript(text)
            }
            Some(Kind::Component) | None => Code::Component(content),
        };
        install(&Call::system(app), code, Granted::Wishes).await?;
    }
    Ok(settings::put(&app.store, &mark, &digest).await?)
}
