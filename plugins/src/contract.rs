//! The contract as Rust types, and the check that a component asks for nothing beyond it.

use wasmtime::component::Component;

use crate::{Error, wasi};

pub(crate) use bindings::ironrule::rules::{effects, host, records, types};
pub(crate) use bindings::{Plugin as Bindings, PluginPre as Prelinked};

/// The version of `wit/rules.wit`. Plugins built for 1.x up to this minor version are accepted.
const VERSION: &str = "1.0.0";
const MAJOR_MINOR: (u32, u32) = (1, 0);
const PACKAGE: &str = "ironrule:rules/";
const IMPORTS: [&str; 4] = ["types", "records", "effects", "host"];

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "plugin",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

/// Checks the names that a component imports and exports. Done before linking, for the sake of clear messages: linking
/// refuses a foreign import too, but in the words of the component model.
/// Answers whether it needs WASI.
pub(crate) fn check(component: &Component) -> Result<bool, Error> {
    let mut wasi = false;
    let kind = component.component_type();
    for (name, _) in kind.imports(component.engine()) {
        check_import(name)?;
        wasi |= wasi::is_allowed(name);
    }
    for (name, _) in kind.exports(component.engine()) {
        check_version(name)?;
    }
    Ok(wasi)
}

fn check_import(name: &str) -> Result<(), Error> {
    if wasi::is_allowed(name) {
        return Ok(());
    }
    check_version(name)?;
    let interface = name.strip_prefix(PACKAGE).and_then(|rest| rest.split('@').next());
    match interface {
        Some(interface) if IMPORTS.contains(&interface) => Ok(()),
        _ => Err(Error::ForeignImport(name.to_owned())),
    }
}

/// A name outside the package has no version of the contract.
fn check_version(name: &str) -> Result<(), Error> {
    if !name.starts_with(PACKAGE) {
        return Ok(());
    }
    let wanted = name.split_once('@').map_or("", |(_, version)| version);
    if is_offered(wanted) {
        return Ok(());
    }
    Err(Error::ContractVersion { name: name.to_owned(), wanted: wanted.to_owned(), offered: VERSION })
}

fn is_offered(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => major == MAJOR_MINOR.0 && minor <= MAJOR_MINOR.1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: &str) {
        let answer = match check_import(name) {
            Ok(()) => "ok",
            Err(Error::ForeignImport(_)) => "foreign",
            Err(Error::ContractVersion { .. }) => "version",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(answer, expected, "{name}");
    }

    #[test]
    fn imports_are_checked_by_name() {
        check("ironrule:rules/records@1.0.0", "ok");
        check("ironrule:rules/types@1.0.7", "ok");
        check("ironrule:rules/records@1.1.0", "version");
        check("ironrule:rules/records@2.0.0", "version");
        check("ironrule:rules/records@0.9.0", "version");
        check("ironrule:rules/records", "version");
        check("ironrule:rules/network@1.0.0", "foreign");
        check("ironrule:rules-evil/records@1.0.0", "foreign");
        check("ironrule:rules/effects@1.0.0", "ok");
        check("wasi:cli/environment@0.2.3", "ok");
        check("wasi:clocks/wall-clock@0.2.12", "ok");
        check("local:init/module-loader", "ok");
        check("wasi:clocks/wall-clock@0.3.0", "foreign");
        check("wasi:clocks/wall-clock", "foreign");
        check("wasi:sockets/network@0.2.3", "foreign");
        check("wasi:http/outgoing-handler@0.2.3", "foreign");
        check("wasi:clocks-evil/wall-clock@0.2.3", "foreign");
        check("local:init/other", "foreign");
        check("anything", "foreign");
    }
}
