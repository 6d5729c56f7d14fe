//! A SurrealDB server over WebSocket. The SDK reconnects and signs in again by itself, but it waits for a lost server without an end, and
//! each clone of a connection is a session that signs in anew. Here every wait has an end, and sessions are used again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use surrealdb::{IndexedResults, Surreal, engine::any::Any, method::Transaction, opt::auth::Root, types::Object};

use crate::Error;

/// How long a server may leave the question unanswered whether it is there. Statements may take longer, as building an index does.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The most sessions that are kept for the next transactions; a server allows 256 on a connection.
const IDLE_MAX: usize = 64;

/// The connection. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    surreal: Surreal<Any>,
    /// Signed in and not in a transaction.
    idle: Mutex<Vec<Surreal<Any>>>,
    silence_max: Duration,
}

impl Remote {
    /// Connects as root and makes the namespace and the database if they are not there: `use` does that for whoever may.
    ///
    /// # Errors
    /// [`Error::Open`], also for a wrong password.
    pub(crate) async fn open(url: &str, user: &str, password: &str, name: &str, silence_max: Duration) -> Result<Self, Error> {
        let open = async {
            let surreal = surrealdb::engine::any::connect(url).await?;
            surreal.signin(Root { username: user.to_owned(), password: password.to_owned() }).await?;
            surreal.use_ns(name).use_db(name).await?;
            Ok::<_, surrealdb::Error>(surreal)
        };
        let surreal = tokio::time::timeout(silence_max, open).await.map_err(|_| silent(silence_max))?;
        let surreal = surreal.map_err(|error| Error::Open(error.to_string()))?;
        Ok(Self { inner: Arc::new(Inner { surreal, idle: Mutex::default(), silence_max }) })
    }

    /// Runs statements that commit alone.
    pub(crate) async fn query(&self, text: String, variables: Object) -> Result<IndexedResults, Error> {
        self.within(self.inner.surreal.query(text).bind(variables)).await
    }

    /// Runs statements in a transaction.
    pub(crate) async fn query_in(&self, transaction: &Transaction<Any>, text: String, variables: Object) -> Result<IndexedResults, Error> {
        self.within(transaction.query(text).bind(variables)).await
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<Any>, Error> {
        let idle = self.idle().pop();
        let surreal = idle.unwrap_or_else(|| self.inner.surreal.clone());
        self.within(surreal.begin()).await
    }

    pub(crate) async fn commit(&self, transaction: Transaction<Any>) -> Result<(), Error> {
        match self.within(transaction.commit()).await {
            Ok(surreal) => self.keep(surreal),
            // Whether a commit arrived before the connection broke cannot be known.
            Err(Error::Open(message)) => return Err(Error::Unknown(message)),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(crate) async fn cancel(&self, transaction: Transaction<Any>) -> Result<(), Error> {
        let surreal = self.within(transaction.cancel()).await?;
        self.keep(surreal);
        Ok(())
    }

    /// Waits for an answer as long as the server says that it is there.
    async fn within<T>(&self, answer: impl IntoFuture<Output = surrealdb::Result<T>>) -> Result<T, Error> {
        tokio::select! {
            answer = answer.into_future() => answer.map_err(Error::from),
            error = self.silence() => Err(error),
        }
    }

    /// Asks again and again whether the server is there, until it does not say so in time.
    async fn silence(&self) -> Error {
        let silence_max = self.inner.silence_max;
        loop {
            tokio::time::sleep(silence_max).await;
            match tokio::time::timeout(silence_max, self.inner.surreal.health()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Error::Open(error.to_string()),
                Err(_) => return silent(silence_max),
            }
        }
    }

    fn keep(&self, surreal: Surreal<Any>) {
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(surreal);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Surreal<Any>>> {
        self.inner.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn silent(silence_max: Duration) -> Error {
    Error::Open(format!("the server did not answer within {} ms", silence_max.as_millis()))
}

#[cfg(test)]
mod tests;
