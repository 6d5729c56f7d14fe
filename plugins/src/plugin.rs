//! A loaded plugin, and one call of one of its rules.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use wasmtime::{Engine, Result, Store, UpdateDeadline};

use crate::answer;
use crate::contract::{Prelinked, types};
use crate::grants::Grants;
use crate::instance::Instance;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::records::{NoRecords, Records};
use crate::run::{Event, Outcome, PluginFailure, Refusal, Run};

/// A version of a plugin, compiled and linked. Cheap to clone; running calls keep it alive when it is replaced.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    manifest: Manifest,
    digest: String,
    limits: Limits,
    code: Code,
}

/// A component that is ready to be instantiated.
pub(crate) struct Code {
    pub(crate) engine: Engine,
    pub(crate) prelinked: Prelinked<Instance>,
    /// Fewer permits than the pool has slots: a call waits for one instead of failing for want of a slot.
    pub(crate) slots: Arc<[Semaphore]>,
}

impl Plugin {
    pub(crate) fn new(code: Code, manifest: Manifest, digest: String, limits: Limits) -> Self {
        Self(Arc::new(Loaded { manifest, digest, limits, code }))
    }

    /// Name from the manifest.
    pub fn name(&self) -> &str {
        &self.0.manifest.name
    }

    /// Version from the manifest.
    pub fn version(&self) -> &str {
        &self.0.manifest.version
    }

    /// BLAKE3 of the component, in hexadecimal: which code it is, whatever its version claims.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// What the plugin says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The limits of its calls: the server's, or the lower ones that the manifest wishes for.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Runs one rule in a fresh instance, which is dropped afterwards: nothing is carried over from call to call.
    ///
    /// Comes back within the limits and gives `records` back, whatever the guest does. When this future itself is dropped,
    /// the guest ends and `records` are dropped with it. Needs a tokio runtime with time.
    pub async fn run(&self, grants: &Grants, records: Box<dyn Records>, event: Event) -> Run {
        let Loaded { limits, code, .. } = &*self.0;
        let slot = code.wait_for_slot(limits, event.depth).await;
        let (now_ms, seed) = (event.now_ms, event.seed);
        let instance = Instance::new(records, grants.clone(), limits.clone(), now_ms, seed);
        let slot = match slot {
            Ok(slot) => slot,
            Err(busy) => return finish(instance, Err(Refusal::Failed(busy))),
        };
        let mut store = code.store(instance, limits);
        let event = event.into();
        let called = timeout(Duration::from_millis(limits.wall_ms), code.call_run(&mut store, &event)).await;
        let result = match called {
            Ok(Ok(answer)) => answer::read(answer, limits.output_max_bytes),
            Ok(Err(error)) => Err(answer::stopped(&error)),
            Err(_) => Err(Refusal::Failed(too_slow(limits))),
        };
        let run = finish(store.into_data(), result);
        drop(slot);
        run
    }
}

impl Code {
    /// Asks for the manifest. Every host call ends the guest meanwhile.
    pub(crate) async fn manifest(&self, limits: &Limits) -> Result<String, PluginFailure> {
        let limits = limits.of_manifest();
        let _slot = self.wait_for_slot(&limits, 0).await?;
        let instance = Instance::new(Box::new(NoRecords), Grants::default(), limits.clone(), 0, 0);
        let mut store = self.store(instance, &limits);
        match timeout(Duration::from_millis(limits.wall_ms), self.call_manifest(&mut store)).await {
            Ok(Ok(text)) if text.len() > limits.output_max_bytes => {
                Err(answer::failure("plugin.output", format!("a manifest of {} bytes is too long", text.len())))
            }
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => match answer::stopped(&error) {
                Refusal::Failed(failure) => Err(failure),
                Refusal::Rejected(_) | Refusal::Host(_) => Err(answer::failure("plugin.trap", error.to_string())),
            },
            Err(_) => Err(too_slow(&limits)),
        }
    }

    async fn call_manifest(&self, store: &mut Store<Instance>) -> Result<String> {
        let bindings = self.prelinked.instantiate_async(&mut *store).await?;
        bindings.ironrule_rules_rules().call_manifest(store).await
    }

    async fn call_run(&self, store: &mut Store<Instance>, event: &types::Event) -> Result<Result<types::Outcome, types::Rejection>> {
        let bindings = self.prelinked.instantiate_async(&mut *store).await?;
        bindings.ironrule_rules_rules().call_run(store, event).await
    }

    fn store(&self, instance: Instance, limits: &Limits) -> Store<Instance> {
        let mut store = Store::new(&self.engine, instance);
        store.limiter(|instance| &mut instance.memory);
        store.set_hostcall_fuel(limits.transfer_max_bytes);
        store.epoch_deadline_callback(|mut store| {
            Ok(match store.data_mut().has_time_left() {
                true => UpdateDeadline::Yield(1),
                false => UpdateDeadline::Interrupt,
            })
        });
        store.set_epoch_deadline(1);
        store
    }

    async fn wait_for_slot(&self, limits: &Limits, depth: usize) -> Result<SemaphorePermit<'_>, PluginFailure> {
        let level = depth.min(self.slots.len() - 1);
        match timeout(Duration::from_millis(limits.wall_ms), self.slots[level].acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) | Err(_) => Err(answer::failure("plugin.busy", "too many calls run at the same time")),
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plugin({} {} {})", self.name(), self.version(), self.digest())
    }
}

impl From<Event> for types::Event {
    fn from(event: Event) -> Self {
        Self {
            rule: event.rule,
            hook: event.hook.as_str().to_owned(),
            operation: event.operation.as_str().to_owned(),
            collection: event.collection,
            id: event.id,
            before: event.before,
            after: event.after,
            context: event.context,
        }
    }
}

fn finish(instance: Instance, result: Result<Outcome, Refusal>) -> Run {
    Run {
        elapsed: instance.elapsed(),
        records: instance.records,
        result,
        logs: instance.logs,
        logs_dropped: instance.logs_dropped,
        host_calls: instance.host_calls,
        memory_bytes: instance.memory.used,
    }
}

fn too_slow(limits: &Limits) -> PluginFailure {
    answer::failure("plugin.wall", format!("took longer than {} ms with its host calls", limits.wall_ms))
}
