//! One request on its way through the stories: who asks, when, and the picture of the world that it sees from beginning to end.

mod under_way;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use model::{Action, Caller, Collection, Field, Principal, Record, condition::Context, time::datetime_text};
use plugins::Instances;
use policies::{Access, Plan};
use store::{Run, Transaction};
use tokio::sync::OwnedRwLockWriteGuard;

use crate::{App, Error, decisions::Refused, once::Pledge, outbox, world::World};
pub(crate) use under_way::{Doing, Kept, UnderWay};

/// One request. Cheap to clone; everything in it stays the same until the answer.
#[derive(Clone)]
pub struct Call {
    pub(crate) app: Arc<App>,
    pub(crate) world: Arc<World>,
    pub(crate) caller: Arc<Caller>,
    /// Where the request comes from; none for the server itself.
    pub(crate) address: Option<IpAddr>,
    /// The session that the caller's token belongs to.
    pub(crate) session: Option<Arc<str>>,
    /// The moment that `now` means, in canonical text and as a time.
    pub(crate) now: Arc<str>,
    pub(crate) moment: DateTime<Utc>,
    /// The id of the request in the log and in the answer.
    pub(crate) id: Arc<str>,
    /// How many writes of plugins this one is nested in.
    pub(crate) depth: u8,
    /// What belongs to the attempt at a transaction that is being made, and is gone with it.
    pub(crate) attempt: Arc<Attempt>,
    /// What notes that a change happens which is to happen once.
    pub(crate) pledge: Option<Arc<Pledge>>,
}

/// One attempt at a transaction, beside the transaction itself.
#[derive(Default)]
pub(crate) struct Attempt {
    /// One live instance of each plugin whose rules have run.
    pub(crate) instances: Instances,
    /// What is to be done once it has committed.
    pub(crate) aftermath: Arc<Aftermath>,
    /// The records that are being written, along the whole chain of writes that rules make.
    pub(crate) under_way: Arc<UnderWay>,
    runs: Mutex<HashMap<(String, String, bool), u64>>,
    written_bytes: AtomicUsize,
}

/// What a transaction leaves to do for this node once it has committed.
#[derive(Default)]
pub(crate) struct Aftermath {
    /// True if the outbox has something new.
    enqueued: AtomicBool,
    /// The accounts that are not what this node remembers of them.
    accounts: Mutex<Vec<String>>,
}

impl Aftermath {
    /// Notes that an account has changed or is gone.
    pub(crate) fn forget_account(&self, id: &str) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).push(id.to_owned());
    }

    /// Does it.
    pub(crate) fn follow(&self, app: &App) {
        if self.enqueued.load(Ordering::Relaxed) {
            app.outbox.wake();
        }
        for account in self.accounts.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            app.keyring.forget_account(&account);
        }
    }
}

impl Attempt {
    /// Notes that so much more is written, and says how much it is by now.
    pub(crate) fn grow(&self, bytes: usize) -> usize {
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes)
    }

    /// How often the rule of a plugin ran before: the same for the same run in every attempt, whatever ids that attempt makes, and
    /// the same for a run and for the one of a version that is watched.
    pub(crate) fn next_run(&self, plugin: &str, rule: &str, shadow: bool) -> u64 {
        // Nobody panics while the lock is held.
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let number = runs.entry((plugin.to_owned(), rule.to_owned(), shadow)).or_default();
        let before = *number;
        *number += 1;
        before
    }
}

impl Call {
    /// A request of somebody, now.
    #[must_use]
    pub fn new(app: &Arc<App>, caller: Caller, id: &str) -> Self {
        let world = app.world();
        let caller = Arc::new(world.policies.with_roles(caller));
        let moment = Utc::now();
        let (app, now) = (Arc::clone(app), datetime_text(moment).into());
        Self {
            app,
            world,
            caller,
            address: None,
            session: None,
            now,
            moment,
            id: id.into(),
            depth: 0,
            attempt: Arc::default(),
            pledge: None,
        }
    }

    /// A request of the server itself: bundles and the operator's command line.
    #[must_use]
    pub fn system(app: &Arc<App>) -> Self {
        Self::new(app, Caller::system(), "system")
    }

    /// The same request with the picture of the world that is in force now.
    #[must_use]
    pub(crate) fn current(&self) -> Self {
        let world = self.app.world();
        // Changed policy files make another picture of the same version.
        if Arc::ptr_eq(&world, &self.world) {
            return self.clone();
        }
        let caller = Arc::new(world.policies.with_roles(self.caller.as_ref().clone()));
        Self { world, caller, ..self.clone() }
    }

    /// Waits until no write is under way and no other change of collections, policies or plugins, and keeps it so until the guard goes.
    /// What other nodes have changed is taken over first, so that the change stands on what is in force.
    pub(crate) async fn exclusive(&self) -> Result<(Self, OwnedRwLockWriteGuard<()>), Error> {
        let gate = Arc::clone(&self.app.gate).write_owned().await;
        // What others have stored is no mistake of this caller.
        self.app.catch_up().await.map_err(|error| Error::Internal(format!("cannot take over what has changed: {error}")))?;
        Ok((self.current(), gate))
    }

    /// The collection of that name.
    pub(crate) fn collection(&self, name: &str) -> Result<Collection, Error> {
        let found = self.world.catalog.get(name).cloned();
        found.ok_or_else(|| Error::NotFound { kind: "collection", name: name.to_owned() })
    }

    /// What the caller may do. A plan that lets nothing through is an error at once.
    pub(crate) fn plan(&self, action: Action, collection: &Collection) -> Result<Arc<Plan>, Error> {
        let plan = self.world.policies.plan(&self.caller, action, collection);
        match plan.access() {
            Access::Never => Err(self.denied(Refused::records(action, collection))),
            Access::Always | Access::When(_) => Ok(plan),
        }
    }

    /// Lets nobody through who may not do this to a system object such as `_collections`.
    pub(crate) fn authorize(&self, action: Action, object: &str) -> Result<(), Error> {
        if self.world.policies.allows_object(&self.caller, action, object) {
            Ok(())
        } else {
            Err(self.denied(Refused::object(action, object)))
        }
    }

    /// The refusal of an action: whoever is not logged in is asked to do that first.
    pub(crate) fn denied(&self, refused: Refused) -> Error {
        let error = match self.caller.principal {
            Principal::Anonymous => Error::Unauthenticated,
            _ => Error::Denied { action: refused.action.name(), object: refused.object.clone() },
        };
        self.decided(refused, error)
    }

    /// A record that is not there for this caller: whether there is one that it may not see is told in neither the answer nor its time.
    pub(crate) fn hidden(&self, action: Action, collection: &Collection, id: &str, record: Option<Record>) -> Error {
        let before = record.clone().filter(|_| matches!(action, Action::Update | Action::Delete));
        let refused = Refused { id: Some(id.to_owned()), record, before, ..Refused::records(action, collection) };
        self.decided(refused, Error::no_record(id))
    }

    /// An error that rests on a decision of the policies, with the id under which that can be looked up.
    pub(crate) fn decided(&self, refused: Refused, error: Error) -> Error {
        Error::Decided { decision: self.app.decisions.note(self, refused), error: Box::new(error) }
    }

    /// Notes that what is to happen once does, in a transaction that makes it so.
    pub(crate) async fn note(&self, run: &impl Run) -> Result<(), Error> {
        match &self.pledge {
            Some(pledge) => pledge.note(self, run).await,
            None => Ok(()),
        }
    }

    /// Puts something into the outbox, in the transaction that decides whether it happens.
    pub(crate) async fn enqueue(&self, transaction: &Transaction, row: &outbox::Row) -> Result<(), Error> {
        store::outbox::insert(transaction, row).await?;
        self.attempt.aftermath.enqueued.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What conditions see when they look at a record.
    pub(crate) fn context<'a>(&'a self, record: &'a Record, before: Option<&'a Record>) -> Context<'a> {
        Context { record, before, caller: &self.caller, now: &self.now }
    }

    /// True if the field of this record may be shown under a plan for reading.
    pub(crate) fn shows<'a>(&self, plan: &'a Plan, collection: &'a Collection, record: &Record) -> impl Fn(&str) -> bool + use<'a> {
        let mask = plan.fields(&self.context(record, None));
        move |field| mask.contains(field) && !collection.field(field).is_some_and(Field::is_secret)
    }
}
