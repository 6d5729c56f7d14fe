//! `/api/imports`: how far imports are.

use model::key::is_id;
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};

use super::{
    payload::Reply,
    policies::{behind, number},
};
use crate::{call::Call, records::import::look};

pub(super) struct ImportsApi;

/// An import of records out of a file.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
pub(super) struct Import {
    /// With it, and the same file, an import that broke off goes on.
    id: String,
    collection: String,
    /// `ndjson` or `csv`.
    format: String,
    /// `create` or `upsert`.
    mode: String,
    /// The field by which `upsert` finds records.
    on: Option<String>,
    /// `stop` or `skip`.
    on_error: String,
    raw: bool,
    dry_run: bool,
    /// `running`, `interrupted`, `stopped` (a row was refused), `done` or `cancelled`.
    state: String,
    /// Who began it.
    principal: String,
    /// The line of the last row that was taken.
    line: u64,
    /// How much of the file was taken.
    bytes: u64,
    created: u64,
    updated: u64,
    /// How many rows were refused and passed over.
    failed: u64,
    /// The first hundred of them.
    errors: Vec<RowError>,
    begun: String,
    /// When the last rows were taken.
    touched: String,
    /// What broke it off or stopped it.
    reason: Option<String>,
}

/// Why a row was refused.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct RowError {
    /// The line that the row begins on, from 1.
    line: u64,
    /// Stable, as in other errors.
    code: String,
    message: String,
    /// What is wrong with which part of the row.
    errors: Option<Vec<RowErrorPart>>,
}

/// What is wrong with a part of a row.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct RowErrorPart {
    pointer: String,
    code: String,
    message: String,
}

#[OpenApi]
impl ImportsApi {
    /// See imports, the newest first: those that the caller began, or all with a policy to read `_imports`. They are kept for seven days.
    #[oai(path = "/imports", method = "get", operation_id = "imports_list")]
    async fn list(
        &self,
        call: Call,
        /// How many: 50 unless given, 500 at most.
        limit: Query<Option<String>>,
        /// Where the page begins, from the `link` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Reply<Vec<Import>>> {
        let limit = number("limit", &limit.0, 50, 500)?;
        let cursor = behind("cursor", cursor.0, is_id)?;
        let page = look::list(&call, cursor.as_deref(), limit).await?;
        let shown: Vec<_> = page.imports.iter().map(crate::records::import::Import::json).collect();
        Ok(Reply::new(&shown)?.followed_by(page.next.map(|next| format!("/api/imports?limit={limit}&cursor={next}"))))
    }

    /// See one import.
    #[oai(path = "/imports/:id", method = "get", operation_id = "imports_read")]
    async fn read(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Import>> {
        Ok(Reply::new(&look::get(&call, &id.0).await?.json())?)
    }

    /// End an import that is not over. What it has written stays.
    #[oai(path = "/imports/:id", method = "delete", operation_id = "imports_cancel")]
    async fn cancel(&self, call: Call, id: Path<String>) -> poem::Result<Reply<Import>> {
        Ok(Reply::new(&look::cancel(&call, &id.0).await?.json())?)
    }
}
