//! A quota: nobody owns more than so many projects, and a tenant has no more than so many altogether. Both numbers are settings.
//!
//! The rule searches inside the transaction of the write. The server lets those who decide by a search and those who write what
//! it could have found take turns, so two requests at the same time never get the last free place both.

use ironrule_rules::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

const PROJECTS: &str = "projects";

#[derive(Deserialize)]
struct Project {
    owner: Option<String>,
}

fn plugin() -> Plugin {
    Plugin::new("tenant-quota", env!("CARGO_PKG_VERSION"))
        .searches([PROJECTS])
        .setting(Setting::new("per_owner").default("10").description("How many projects one owner may have."))
        .setting(Setting::new("per_tenant").description("How many projects a tenant may have; without a value as many as it likes."))
        .rule(Rule::before_write("quota", PROJECTS).on([Create]), quota)
}

ironrule_rules::export!(plugin);

fn quota(event: &Event) -> Answer {
    let project: Project = event.after()?;
    if let Some(owner) = &project.owner {
        check("per_owner", Some(&format!("owner == {}", records::quoted(owner))), "/owner", "quota.owner")?;
    }
    check("per_tenant", None, "", "quota.tenant")?;
    accept()
}

/// Whether the records that the filter finds leave room for one more.
fn check(setting: &str, filter: Option<&str>, path: &str, code: &str) -> Result<(), Rejection> {
    let Some(most) = number(setting)? else {
        return Ok(());
    };
    if !has_at_least(most, filter)? {
        return Ok(());
    }
    let message = format!("there are {most} projects already");
    Err(Rejection::invalid().message("the quota is used up").violation_with(path, code, message, json!({ "most": most })))
}

fn number(name: &str) -> Result<Option<u32>, Rejection> {
    let value = host::setting(name).filter(|value| !value.trim().is_empty());
    let read =
        value.map(|value| value.trim().parse().map_err(|_| Rejection::internal(format!("the setting `{name}` is no number: `{value}`"))));
    read.transpose()
}

/// Asks for the last record that is still allowed, instead of all of them. Records of other tenants are not seen.
fn has_at_least(most: u32, filter: Option<&str>) -> Result<bool, Failure> {
    let Some(before_last) = most.checked_sub(1) else {
        return Ok(true);
    };
    let last = records::Query { filter, limit: Some(1), offset: Some(before_last), ..Default::default() };
    Ok(!records::query::<Value>(PROJECTS, &last)?.is_empty())
}
