//! `/api/plugins` and `/api/rules`: plugins at run time, and the order in which their rules run.

mod described;

mod upload;

use std::collections::BTreeMap;

use poem_openapi::{
    Enum, OpenApi,
    param::{Path, Query},
};

use super::payload::{Documented, Reply};
use crate::{
    call::Call,
    plugins::{self as stories, Granted, OrderDraft},
};
use described::{InstalledPlugin, PluginChange, PluginDetails, PluginSetting, PluginSettings, RuleOrder, RuleOrderDraft};
pub(super) use upload::COMPONENT_MAX_BYTES;
use upload::Upload;

pub(super) struct PluginsApi;

/// What becomes of an uploaded version.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum UploadMode {
    /// Its rules run from the next request on.
    Activate,
    /// It is only watched, beside the version that runs: what it says and does is noted and has no effect.
    Shadow,
}

#[OpenApi]
impl PluginsApi {
    /// See the installed plugins, the oldest installation first.
    #[oai(path = "/plugins", method = "get", operation_id = "plugins_list")]
    async fn list(&self, call: Call) -> poem::Result<Reply<Vec<InstalledPlugin>>> {
        Ok(Reply::new(&stories::list(&call)?)?)
    }

    /// Install a plugin, or another version of the one of that name: a component, or a rule as JavaScript text. What ran before is kept.
    #[oai(path = "/plugins", method = "post", operation_id = "plugins_install")]
    async fn install(
        &self,
        call: Call,
        /// What it may touch, such as `read:products,query:orders,write:orders,webhook:api.example.com,email`; `all` grants what its manifest
        /// wishes. Without it an upgrade keeps what was granted before, which must be enough.
        grant: Query<Option<String>>,
        /// `activate` unless given.
        mode: Query<Option<UploadMode>>,
        body: Upload,
    ) -> poem::Result<Reply<PluginDetails, 201>> {
        let granted = Granted::parse(grant.0.as_deref())?;
        let mode = match mode.0 {
            None | Some(UploadMode::Activate) => stories::Mode::Activate,
            Some(UploadMode::Shadow) => stories::Mode::Shadow,
        };
        let installed = stories::install_as(&call, body.code()?, granted, mode).await?;
        Ok(Reply::new(&stories::installed(&call, &installed).await?)?)
    }

    /// See one plugin with its versions and settings.
    #[oai(path = "/plugins/:name", method = "get", operation_id = "plugins_get")]
    async fn get(
        &self,
        call: Call,
        name: Path<String>,
        /// Also the JavaScript text that it was made of.
        source: Query<Option<bool>>,
    ) -> poem::Result<Reply<PluginDetails>> {
        let plugin = match source.0.unwrap_or_default() {
            true => stories::get_with_source(&call, &name.0).await?,
            false => stories::get(&call, &name.0).await?,
        };
        Ok(Reply::new(&plugin)?)
    }

    /// Switch a plugin off or on, run or watch a version that is kept, or grant something else.
    #[oai(path = "/plugins/:name", method = "patch", operation_id = "plugins_change")]
    async fn change(&self, call: Call, name: Path<String>, body: Documented<PluginChange>) -> poem::Result<Reply<PluginDetails>> {
        Ok(Reply::new(&stories::change(&call, &name.0, &body.parse()?).await?)?)
    }

    /// Go back to the version that ran before. Doing it again goes forward.
    #[oai(path = "/plugins/:name/rollback", method = "post", operation_id = "plugins_roll_back")]
    async fn roll_back(&self, call: Call, name: Path<String>) -> poem::Result<Reply<PluginDetails>> {
        Ok(Reply::new(&stories::roll_back(&call, &name.0).await?)?)
    }

    /// Remove a plugin with every version and its settings.
    #[oai(path = "/plugins/:name", method = "delete", operation_id = "plugins_remove")]
    async fn remove(&self, call: Call, name: Path<String>) -> poem::Result<Reply<InstalledPlugin>> {
        Ok(Reply::new(&stories::remove(&call, &name.0).await?)?)
    }

    /// See the settings of a plugin. Secrets are never shown.
    #[oai(path = "/plugins/:name/settings", method = "get", operation_id = "plugins_settings")]
    async fn settings(&self, call: Call, name: Path<String>) -> poem::Result<Reply<Vec<PluginSetting>>> {
        Ok(Reply::new(&stories::settings_of(&call, &name.0).await?)?)
    }

    /// Give a plugin its settings, which hold from the next request on. What is absent goes back to its default; a secret that is absent
    /// stays, and null takes it away.
    #[oai(path = "/plugins/:name/settings", method = "put", operation_id = "plugins_set")]
    async fn set(&self, call: Call, name: Path<String>, body: Documented<PluginSettings>) -> poem::Result<Reply<Vec<PluginSetting>>> {
        let draft: BTreeMap<String, serde_json::Value> = body.parse()?;
        Ok(Reply::new(&stories::set(&call, &name.0, draft).await?)?)
    }

    /// See in which order the rules of a collection run.
    #[oai(path = "/rules/:collection", method = "get", operation_id = "rules_order")]
    async fn rule_order(&self, call: Call, collection: Path<String>) -> poem::Result<Reply<RuleOrder>> {
        Ok(Reply::new(&stories::rule_order(&call, &collection.0)?)?)
    }

    /// Order the rules of a collection: those that are listed run first.
    #[oai(path = "/rules/:collection", method = "put", operation_id = "rules_reorder")]
    async fn order_rules(&self, call: Call, collection: Path<String>, body: Documented<RuleOrderDraft>) -> poem::Result<Reply<RuleOrder>> {
        Ok(Reply::new(&stories::order_rules(&call, &collection.0, body.parse::<OrderDraft>()?).await?)?)
    }
}
