//! The sources: which crate may know which, how large files may grow, and what must not be left behind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tests::{binary, repository};

/// The longest file of code, in lines.
const LINES_MAX: usize = 500;

/// Folders that are built or fetched, not written.
const NOT_OURS: [&str; 6] = ["target", "node_modules", "dist", "data", ".git", "guest-target"];

/// The files below the root that end like this, without those that nobody here wrote.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![repository().to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no `.{extension}` below {}", repository().display());
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn relative(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).display().to_string()
}

/// The crates that a `Cargo.toml` depends on, those of its tests and build included.
fn dependencies(manifest: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in read(manifest).lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.contains("dependencies") && !section.starts_with("workspace");
            // `[dependencies.name]`
            names.extend(section.split_once("dependencies.").map(|(_, name)| name.trim_end_matches(']').to_owned()));
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            names.push(name.trim_matches('"').to_owned());
        }
    }
    names
}

#[test]
fn arrows_between_crates_point_one_way() {
    let allowed: [(&str, &[&str]); 7] = [
        ("server/model", &[]),
        ("server/store", &["model"]),
        ("policies", &["model"]),
        ("plugins", &["model"]),
        ("server/app", &["model", "store", "policies", "plugins"]),
        // They are black-box: they know the server only through HTTP.
        ("tests", &[]),
        // These look inside.
        ("tests/bench", &["app", "model", "policies", "plugins", "store", "tests"]),
    ];
    let ours = ["model", "store", "policies", "plugins", "app", "tests", "bench"];
    for (folder, allowed) in allowed {
        let found = dependencies(&repository().join(folder).join("Cargo.toml"));
        let wrong: Vec<_> = found.iter().filter(|name| ours.contains(&name.as_str()) && !allowed.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "`{folder}` may not depend on {wrong:?}");
    }
}

#[test]
fn each_heavy_library_is_known_in_one_place() {
    let homes =
        [("surrealdb", "server/store"), ("casbin", "policies"), ("wasmtime", "plugins"), ("poem", "server/app"), ("hyper", "server/app")];
    let members = ["server/model", "server/store", "policies", "plugins", "server/app", "tests", "tests/bench"];
    for member in members {
        let found = dependencies(&repository().join(member).join("Cargo.toml"));
        for (library, home) in homes {
            let uses = found.iter().any(|name| name == library || name.starts_with(&format!("{library}-")));
            // The benchmark compares with the bare database, and makes its load with the bare client.
            let benchmark = member == "tests/bench" && ["surrealdb", "hyper"].contains(&library);
            assert!(!uses || member == home || benchmark, "`{member}` depends on `{library}`, which belongs to `{home}`");
            assert!(uses || member != home, "`{home}` does not depend on `{library}`: this test looks for the wrong thing");
        }
    }
}

#[test]
fn the_model_is_pure() {
    let found = dependencies(&repository().join("server/model/Cargo.toml"));
    for library in ["tokio", "futures-util", "reqwest", "hyper", "rand", "async-trait"] {
        assert!(!found.iter().any(|name| name == library), "`model` depends on `{library}`");
    }
    for path in files("rs").into_iter().filter(|path| path.starts_with(repository().join("server/model/src"))) {
        for word in ["async fn", "SystemTime::now", "Utc::now", "std::fs", "std::net", "std::env"] {
            assert!(!read(&path).contains(word), "`{word}` in {}", relative(&path));
        }
    }
}

#[test]
fn only_the_api_speaks_http() {
    let app = repository().join("server/app/src");
    let mut seen = 0;
    for path in files("rs").into_iter().filter(|path| path.starts_with(repository().join("server"))) {
        let text = read(&path);
        let speaks = text
            .lines()
            .map(str::trim)
            .any(|line| line.starts_with("use poem") || line.starts_with("pub use poem") || line.contains(" poem::"));
        seen += usize::from(speaks);
        let allowed = path.starts_with(app.join("api")) || path == app.join("api.rs") || path == app.join("server.rs");
        assert!(!speaks || allowed, "poem in {}", relative(&path));
    }
    assert!(seen > 0, "nothing uses poem: this test looks for the wrong thing");
}

#[test]
fn only_the_store_speaks_surrealql() {
    let statements =
        ["DEFINE TABLE", "DEFINE FIELD", "DEFINE INDEX", "REMOVE TABLE", "SELECT * FROM", "SELECT VALUE", "UPSERT ", "BEGIN TRANSACTION"];
    let mut seen = 0;
    for path in files("rs") {
        let inside = path.starts_with(repository().join("server/store"));
        let elsewhere = ["tests", "plugins/guest-rust"].iter().any(|folder| path.starts_with(repository().join(folder)));
        let text = read(&path);
        let found: Vec<_> = statements.iter().filter(|statement| text.contains(*statement)).collect();
        seen += usize::from(inside && !found.is_empty());
        assert!(inside || elsewhere || found.is_empty(), "{found:?} in {}", relative(&path));
    }
    assert!(seen > 0, "the store has no statements: this test looks for the wrong thing");
}

#[test]
fn nothing_is_left_half_done() {
    // In two parts each, so that this file is not among the findings.
    let words = [["todo", "!("], ["unimplemented", "!("], ["dbg", "!("], ["FIX", "ME"], ["XX", "X:"]].map(|parts| parts.concat());
    let left: Vec<String> = files("rs")
        .into_iter()
        .flat_map(|path| {
            let text = read(&path);
            let found = words.iter().filter(|word| text.contains(word.as_str())).cloned().collect::<Vec<_>>();
            found.into_iter().map(move |word| format!("{}: {word}", relative(&path)))
        })
        .collect();
    assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let of = |extension: &str| files(extension).into_iter().map(|path| (read(&path).lines().count(), relative(&path)));
    let long: Vec<String> =
        of("rs").chain(of("ts")).filter(|(lines, _)| *lines > LINES_MAX).map(|(lines, path)| format!("{path}: {lines} lines")).collect();
    assert!(long.is_empty(), "longer than {LINES_MAX} lines:\n{}", long.join("\n"));
}

#[test]
fn every_module_says_what_it_is_for() {
    let modules = files("rs").into_iter().filter(|path| !relative(path).contains("tests"));
    let silent: Vec<String> = modules.filter(|path| !read(path).trim_start().starts_with("//!")).map(|path| relative(&path)).collect();
    assert!(files("rs").len() > 50, "this test looks in the wrong place");
    assert!(silent.is_empty(), "without a first paragraph:\n{}", silent.join("\n"));
}

#[test]
fn no_file_is_called_after_nothing() {
    let empty = ["utils", "util", "helpers", "helper", "common", "misc"];
    let named = |path: &PathBuf| path.file_stem().is_some_and(|stem| empty.contains(&stem.to_string_lossy().as_ref()));
    let found: Vec<String> = files("rs").into_iter().chain(files("ts")).filter(named).map(|path| relative(&path)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// A test of yesterday's binary proves nothing.
#[test]
fn the_binary_is_as_new_as_its_sources() {
    let binary = binary();
    let built = fs::metadata(&binary).and_then(|data| data.modified()).expect("the time of the build");
    let crates = ["server", "policies/src", "policies/default.csv", "policies/model.conf", "plugins/src", "plugins/wit", "Cargo.lock"];
    let sources = files("rs").into_iter().filter(|path| {
        let path = relative(path);
        crates.iter().any(|folder| path.starts_with(folder)) && !path.contains("tests")
    });
    let newer: Vec<String> = sources
        .filter(|path| fs::metadata(path).and_then(|data| data.modified()).is_ok_and(|time| time > built))
        .map(|path| relative(&path))
        .collect();
    assert!(newer.is_empty(), "changed since {} was built:\n{}", binary.display(), newer.join("\n"));
}
