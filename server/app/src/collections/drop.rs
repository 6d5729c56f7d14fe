//! The story of a collection that goes, with everything in it.

use model::{Action, Collection, Pointer, Violation, collection::USERS};

use super::{OBJECT, unacceptable};
use crate::{Error, call::Call, world};

/// Drops a collection. Stored records are only lost when `force` says so.
///
/// # Errors
/// The policies, no such collection, one that others point to, or records that would be lost.
pub async fn drop(call: &Call, name: &str, force: bool) -> Result<Collection, Error> {
    call.authorize(Action::Delete, OBJECT)?;
    let (call, _alone) = &call.exclusive().await?;
    call.authorize(Action::Delete, OBJECT)?;
    let collection = call.collection(name)?;
    if name == USERS {
        return Err(unacceptable("name", "collection.built_in", "the collection `users` is built in".to_owned()));
    }
    for other in call.world.catalog.values().filter(|other| other.name() != name) {
        if let Some(field) = other.fields().find(|field| field.collection.as_deref() == Some(name)) {
            return Err(Error::PointedTo { collection: other.name().to_owned(), field: field.name.clone() });
        }
    }
    if collection.marks().is_some() {
        return Err(Error::Altering { collection: name.to_owned() });
    }
    if !force && !store::records::is_empty(&call.app.store, &collection).await? {
        let message = format!("the records of `{name}` would be lost; `force=true` drops them");
        return Err(Error::DataLoss(Violation::new(Pointer::root(), "collection.data_loss", message).into()));
    }

    let transaction = call.app.store.begin().await?;
    store::schema::drop_table(&transaction, &collection).await?;
    store::catalog::remove(&transaction, name).await?;
    world::advance(&transaction, call).await?;
    transaction.commit().await?;
    call.app.refresh().await?;
    tracing::info!(request = %call.id, collection = name, "dropped a collection");
    Ok(collection)
}
