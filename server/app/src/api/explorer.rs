//! The API explorer: Swagger UI from the files that a crate carries, and a page of our own around it, so that it works without internet
//! and under a policy without exceptions. It reads the document over HTTP as any client does; nothing is ever written into the page.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read, Write},
    sync::LazyLock,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::{ZipArchive, result::ZipResult};

/// What the page may do, for the header `Content-Security-Policy` of the page and of every file.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file of the explorer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Asset {
    /// For the header `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub bytes: Bytes,
    /// The same in gzip; none for what is compressed already.
    pub gzip: Option<Bytes>,
    /// The strong entity tag, with its quotes.
    pub etag: String,
}

/// Our own files; the page is the empty path.
const OWN: [(&str, &str); 3] = [
    ("", include_str!("explorer/index.html")),
    ("explorer.css", include_str!("explorer/explorer.css")),
    ("explorer.js", include_str!("explorer/explorer.js")),
];

/// The files of Swagger UI that the page uses.
const VENDORED: [&str; 3] = ["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"];

/// The page (`/docs` has the path ``) or a file beside it (`/docs/{path}`); none for every other path.
#[must_use]
pub fn asset(path: &str) -> Option<Asset> {
    static ASSETS: LazyLock<BTreeMap<&'static str, Asset>> = LazyLock::new(|| {
        // INVARIANT: the archive is a constant, and a test reads these files from it.
        let vendored = vendored().expect("the archive of Swagger UI has its files");
        let own = OWN.map(|(path, text)| (path, Bytes::from_static(text.as_bytes())));
        own.into_iter().chain(vendored).map(|(path, bytes)| (path, Asset::new(path, bytes))).collect()
    });
    ASSETS.get(path).cloned()
}

impl Asset {
    fn new(path: &str, bytes: Bytes) -> Self {
        let content_type = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "png")) => "image/png",
            _ => "text/html; charset=utf-8",
        };
        let etag = format!("\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
        Self { content_type, gzip: content_type.starts_with("text/").then(|| gzipped(&bytes)), bytes, etag }
    }
}

/// Once for all who ask.
fn gzipped(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // INVARIANT: writing into memory cannot fail.
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes what is written").into()
}

/// Unpacks the files; their folder has the version in its name.
fn vendored() -> ZipResult<Vec<(&'static str, Bytes)>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut files = Vec::with_capacity(VENDORED.len());
    for path in VENDORED {
        let end = format!("/dist/{path}");
        let name = archive.file_names().find(|name| name.ends_with(&end)).unwrap_or(&end).to_owned();
        let mut bytes = Vec::new();
        archive.by_name(&name)?.read_to_end(&mut bytes)?;
        files.push((path, Bytes::from(bytes)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let page = asset("").expect("the page");
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        let text = String::from_utf8(page.bytes.to_vec()).expect("text");
        let names: Vec<&str> = text.split("\"/docs/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(names, ["swagger-ui.css", "explorer.css", "favicon-32x32.png", "swagger-ui-bundle.js", "explorer.js"]);
        for name in names {
            let file = asset(name).expect(name);
            assert!(!file.bytes.is_empty() && file.etag.starts_with('"') && file.etag.ends_with('"'), "{name}");
        }
        assert!(asset("swagger-ui-bundle.js").expect("the bundle").bytes.len() > 1_000_000);
    }

    #[test]
    fn the_page_has_nothing_inline_and_nothing_from_elsewhere() {
        let page = asset("").expect("the page");
        let text = String::from_utf8(page.bytes.to_vec()).expect("text");
        for part in ["<style", "style=", "onload", "onclick", "://", "<script>"] {
            assert!(!text.contains(part), "{part}");
        }
    }

    #[test]
    fn other_paths_are_not_served() {
        for path in ["nope.js", "../Cargo.toml", "..%2f", "/", "index.html", "swagger-initializer.js"] {
            assert!(asset(path).is_none(), "{path}");
        }
    }
}
