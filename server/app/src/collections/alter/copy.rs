//! Making the records of a collection anew while it is used. What was copied may be old already when it arrives, so a value that another copy
//! has too is no proof yet that two records have it: that is decided by what both are now.

use std::time::Duration;

use model::Record;
use store::rebuild::{self, Position};

use super::{
    Manner, Work,
    change::{Losses, not_unique},
};
use crate::Error;

/// How many records are copied in one transaction.
pub(super) const BATCH: usize = 200;

/// How often one record is tried that others write all the time. Whoever is still in the way then is so while nobody writes.
const TRIES_MAX: usize = 8;

/// How long writes of other nodes may not know yet that they have to leave marks.
const OTHER_NODES: Duration = Duration::from_secs(2);

impl Work {
    /// Other nodes hear of the marks a moment later, and what they have begun before that leaves none.
    pub(super) async fn wait_for_other_nodes(&self) {
        if self.call.app.config.database().is_ok_and(|database| matches!(database, store::Database::Remote { .. })) {
            tokio::time::sleep(OTHER_NODES).await;
        }
    }

    /// Copies every record that there is. As soon as something would be lost, the rest is only looked at, to say how much.
    pub(super) async fn copy(&mut self) -> Result<(), Error> {
        let mut position = Position::default();
        loop {
            let records = rebuild::scan(&self.call.app.store, &self.before, &position, BATCH).await?;
            let Some(last) = records.last() else { return Ok(()) };
            position = Position::behind(last);
            let mut losses = std::mem::take(&mut self.losses);
            let converted: Vec<Record> = records.iter().map(|record| self.change.convert(record, &mut losses)).collect();
            self.losses = losses;
            self.progress.passed(records.len() as u64);
            if self.losses.are_none() || self.manner == Manner::Forced {
                self.copy_page(&converted).await?;
            } else {
                self.progress.note(&self.call.app.store).await?;
            }
        }
    }

    async fn copy_page(&self, page: &[Record]) -> Result<(), Error> {
        let transaction = self.call.app.store.begin().await?;
        let copied = async {
            rebuild::copy(&transaction, &self.after, page).await?;
            self.progress.note(&transaction).await
        };
        let copied = match copied.await {
            Ok(()) => transaction.commit().await.map_err(Error::from),
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        };
        match copied {
            Err(Error::Store(store::Error::Unique { .. } | store::Error::Exists | store::Error::Conflict)) => {
                for record in page {
                    self.copy_again(&record.id).await?;
                }
                Ok(self.progress.note(&self.call.app.store).await?)
            }
            copied => copied,
        }
    }

    /// Copies some of those that were written meanwhile, and says how many.
    pub(super) async fn catch_up(&self) -> Result<usize, Error> {
        let ids = rebuild::marks(&self.call.app.store, &self.marks, BATCH).await?;
        match self.try_copy(&ids).await {
            Err(Error::Store(store::Error::Unique { .. } | store::Error::Conflict)) => {
                for id in &ids {
                    self.copy_again(id).await?;
                }
            }
            copied => copied?,
        }
        Ok(ids.len())
    }

    /// Copies what these records are now, in one transaction.
    async fn try_copy(&self, ids: &[String]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let transaction = self.call.app.store.begin().await?;
        let copied = async {
            let mut losses = Losses::default();
            let current = rebuild::current(&transaction, &self.before, ids).await?;
            let converted: Vec<Record> = current.iter().map(|record| self.change.convert(record, &mut losses)).collect();
            if !losses.are_none() && self.manner != Manner::Forced {
                return Err(Error::DataLoss(losses.told()));
            }
            // What was copied after it was written needs nothing but to be forgotten.
            let there = rebuild::current(&transaction, &self.after, ids).await?;
            let old: Vec<String> = there.iter().filter(|copy| !converted.contains(copy)).map(|copy| copy.id.clone()).collect();
            let fresh: Vec<Record> = converted.into_iter().filter(|record| !there.contains(record)).collect();
            Ok(rebuild::replace(&transaction, &self.after, (&self.marks, ids), &old, &fresh).await?)
        };
        match copied.await {
            Ok(()) => Ok(transaction.commit().await?),
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Copies one record by itself. One that others keep writing has its mark, so it is met again.
    async fn copy_again(&self, id: &str) -> Result<(), Error> {
        let ids = [id.to_owned()];
        for _ in 0..TRIES_MAX {
            match self.try_copy(&ids).await {
                Err(Error::Store(store::Error::Conflict)) => {}
                Err(Error::Store(store::Error::Unique { index })) => self.settle(id, &index).await?,
                copied => return copied,
            }
        }
        self.take_away(id).await
    }

    /// Two copies want the same value. If both records have it now, they cannot both stay; else the other copy is old and goes until it is made
    /// again.
    async fn settle(&self, id: &str, index: &str) -> Result<(), Error> {
        let store = &self.call.app.store;
        let fields = store::schema::index_fields(&self.after, index);
        let Some(own) = self.now(id).await? else { return Ok(()) };
        let Some(other) = rebuild::holder(store, &self.after, &fields, &own).await? else { return Ok(()) };
        let same = |other: &Record| fields.iter().all(|field| other.values.get(*field) == own.values.get(*field));
        match self.now(&other).await? {
            Some(record) if same(&record) => Err(not_unique(&fields)),
            _ => self.take_away(&other).await,
        }
    }

    /// What a record is now, in its new form.
    async fn now(&self, id: &str) -> Result<Option<Record>, Error> {
        let current = rebuild::current(&self.call.app.store, &self.before, &[id.to_owned()]).await?;
        Ok(current.first().map(|record| self.change.convert(record, &mut Losses::default())))
    }

    async fn take_away(&self, id: &str) -> Result<(), Error> {
        let transaction = self.call.app.store.begin().await?;
        let evicted = async {
            rebuild::evict(&transaction, &self.after, &self.marks, id).await?;
            Ok(())
        };
        let evicted = match evicted.await {
            Ok(()) => transaction.commit().await,
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        };
        match evicted {
            // Somebody has written it, and so it is marked.
            Ok(()) | Err(store::Error::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
