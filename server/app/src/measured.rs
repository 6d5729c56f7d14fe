//! The stories that the benchmarks time inside of one process, beside the database's own queries: without HTTP, which they time from
//! outside. Nothing else may come in this way.

use std::sync::Arc;

use model::{Caller, collection::Definition};

use crate::{App, Error, call::Call, collections, records::list};

/// Defines a collection, as the server itself.
///
/// # Errors
/// Everything that is wrong with the definition.
pub async fn define(app: &Arc<App>, definition: Definition) -> Result<model::Collection, Error> {
    collections::create::create(&Call::system(app), definition).await
}

/// The JSON of a page and where the next one begins: what `GET /api/records/{collection}` does with its parameters.
///
/// # Errors
/// As the story of a list.
pub async fn list(
    app: &Arc<App>,
    caller: Caller,
    collection: &str,
    (filter, sort): (&str, &str),
    cursor: Option<String>,
) -> Result<(Vec<u8>, Option<String>), Error> {
    let call = Call::new(app, caller, "measured");
    let (filter, sort, limit) = (Some(filter.to_owned()), Some(sort.to_owned()), Some("20".to_owned()));
    let question = list::Question { filter, sort, limit, cursor, ..list::Question::default() };
    let page = list::list(&call, collection, &question).await?;
    Ok((page.json, page.next))
}
