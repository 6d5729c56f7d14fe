//! The story of a new collection.

use model::{
    Action, Collection,
    collection::{Definition, Place},
};

use super::{OBJECT, check_policies, check_targets, unacceptable};
use crate::{Error, api::document, call::Call, records::next_id, world};

/// Defines a collection. Its paths, its part of the document and its policies hold from the next request on.
///
/// # Errors
/// The policies, everything that is wrong with the definition, or a name that is taken.
pub async fn create(call: &Call, definition: Definition) -> Result<Collection, Error> {
    call.authorize(Action::Create, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Create, OBJECT)?;
    let collection = Collection::new(definition).map_err(|violations| Error::Unacceptable { kind: "collection", violations })?;
    if call.world.catalog.contains_key(collection.name()) {
        return Err(Error::Taken { kind: "collection", name: collection.name().to_owned() });
    }
    if let Some(other) = document::collides(collection.name(), &call.world.catalog) {
        let message = format!("in generated clients this name could not be told from `{other}`");
        return Err(unacceptable("name", "name.collides", message));
    }
    check_targets(&collection, &call.world.catalog)?;
    check_policies(call, &collection)?;
    let collection = collection.kept_in(Place::fresh(collection.name(), &next_id()));

    let transaction = call.app.store.begin().await?;
    store::schema::create_table(&transaction, &collection).await?;
    store::catalog::put(&transaction, &collection).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, collection = collection.name(), "created a collection");
    Ok(collection)
}
