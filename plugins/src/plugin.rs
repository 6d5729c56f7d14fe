//! A loaded plugin, and one call of one of its rules.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use wasmtime::{Engine, Result, Store, UpdateDeadline};

use crate::answer;
use crate::apart::{self, Habits};
use crate::clock::Clock;
use crate::contract::{Bindings, Prelinked, types};
use crate::instance::{Call, Instance, Progress, Terms};
use crate::instances::Instances;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::records::Records;
use crate::run::{Event, Ground, Outcome, PluginFailure, Refusal, Run};
use crate::slots::{Slot, Slots};
use crate::stack::{self, Lines};

/// Instructions that a metered guest may run for each millisecond of its limit: about as many as it would have.
const FUEL_PER_MS: u64 = 10_000_000;
/// How often a metered guest lets other tasks have the thread.
const FUEL_YIELD: u64 = 10_000_000;

/// A version of a plugin, compiled and linked. Cheap to clone; running calls keep it alive when it is replaced.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    pub(crate) digest: Arc<str>,
    pub(crate) terms: Arc<Terms>,
    pub(crate) lines: Lines,
    pub(crate) code: Code,
    pub(crate) habits: Habits,
}

/// A component that is ready to be instantiated.
pub(crate) struct Code {
    pub(crate) engine: Engine,
    pub(crate) prelinked: Prelinked<Instance>,
    pub(crate) slots: Slots,
    /// None where the engine counts instructions instead.
    pub(crate) clock: Option<Arc<Clock>>,
}

/// An instance with the slot that it takes. The store goes before the slot is given back.
pub(crate) struct Live {
    store: Store<Instance>,
    bindings: Option<Bindings>,
    digest: Arc<str>,
    slot: Slot,
}

type Answer = Result<types::Outcome, types::Rejection>;

impl Plugin {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self(Arc::new(loaded))
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
        &self.0.terms.limits
    }

    /// Runs one rule in the instance that this transaction keeps for the plugin, or in a fresh one.
    ///
    /// Comes back within the limits and gives `records` back, whatever the guest does. When this future itself is dropped,
    /// the guest ends and `records` are dropped with it. Needs a tokio runtime with time.
    pub async fn run(&self, instances: &Instances, ground: Ground, records: Box<dyn Records>, event: Event) -> Run {
        let Loaded { code, digest, terms, habits, .. } = &*self.0;
        let wall = Duration::from_millis(terms.limits.wall_ms);
        let (rule, begins_apart) = (event.rule.clone(), habits.begins_apart(&event.rule));
        // A call inside of another one has its turn already, or would wait for one that waits for it.
        let mut turn = None;
        if begins_apart && event.depth == 0 {
            turn = habits.turn(&rule, wall * apart::PATIENCE, instances).await;
            if turn.is_none() {
                return not_run(Call::new(records, ground, &event), too_slow(&terms.limits));
            }
        }
        let level = code.slots.level(event.depth);
        let live = match instances.take(digest, level) {
            Some(mut live) => {
                live.store.data_mut().begin(Call::new(records, ground, &event));
                live
            }
            None => match code.slots.take(level, wall, instances).await {
                Ok(slot) => {
                    let instance = Instance::new(Arc::clone(terms), Call::new(records, ground, &event));
                    Live { store: code.store(instance, &terms.limits), bindings: None, digest: Arc::clone(digest), slot }
                }
                Err(busy) => return not_run(Call::new(records, ground, &event), busy),
            },
        };
        let progress = live.store.data().call.progress();
        let work = self.clone().call(live, event.into(), Arc::clone(&progress));
        let has_to_go = || {
            let go = progress.go.load(Ordering::Relaxed);
            if go {
                // At once: others of the same rule need not find out for themselves.
                habits.note(&rule);
            }
            let apart = go || begins_apart || habits.begins_apart(&rule);
            progress.apart.store(apart, Ordering::Relaxed);
            apart
        };
        let (run, live) = apart::run(work, has_to_go).await;
        drop(turn);
        // Whoever answers that it cannot go on has answered in time: only what had to be ended is noted.
        if matches!(&run.result, Err(Refusal::Failed(failure)) if failure.code != "plugin.internal") {
            habits.note(&rule);
        }
        if let Some(live) = live {
            instances.put(live);
        }
        run
    }

    /// The call itself, until nothing is left to compute. Answers the instance as well if it can be used again.
    async fn call(self, mut live: Live, event: types::Event, progress: Arc<Progress>) -> (Run, Option<Live>) {
        let Loaded { code, terms, .. } = &*self.0;
        let mut instantiate = None;
        let called = tokio::select! {
            biased;
            called = code.call_run(&mut live, &event, &terms.limits, &mut instantiate) => Ok(called),
            () = too_long(&terms.limits, &progress) => Err(too_slow(&terms.limits)),
        };
        let run = self.finish(&mut live, called, instantiate);
        // What has misbehaved is not called again, and nothing is kept idle while others wait for its slot.
        let again = !matches!(run.result, Err(Refusal::Failed(_) | Refusal::Host(_))) && live.slot.is_spare();
        (run, again.then_some(live))
    }

    /// Puts together what came out.
    fn finish(&self, live: &mut Live, called: Result<Result<Answer>, PluginFailure>, instantiate: Option<Duration>) -> Run {
        let Loaded { code, terms, lines, .. } = &*self.0;
        let fuel = code.clock.is_none().then(|| fuel_of(&terms.limits).saturating_sub(live.store.get_fuel().unwrap_or_default()));
        let (call, written) = live.store.data_mut().end();
        let answered = matches!(called, Ok(Ok(_)));
        let mut result = match called {
            Ok(Ok(answer)) => answer::read(answer, terms.limits.output_max_bytes),
            Ok(Err(error)) => match answer::stopped(&error) {
                Refusal::Failed(failure) => {
                    Err(Refusal::Failed(PluginFailure { stack: stack::of_trap(&error, &call.logs, &written, lines), ..failure }))
                }
                refusal => Err(refusal),
            },
            Err(failure) => Err(Refusal::Failed(failure)),
        };
        if let (true, Err(Refusal::Failed(PluginFailure { stack: Some(stack), .. }))) = (answered, &mut result) {
            *stack = stack::of_text(stack, lines);
        }
        let memory = live.store.data().memory.used;
        run(call, result, instantiate, memory, fuel)
    }
}

impl Code {
    /// Asks for the manifest. Every host call ends the guest meanwhile.
    pub(crate) async fn manifest(&self, limits: &Limits) -> Result<String, PluginFailure> {
        let limits = limits.of_manifest();
        let wall = Duration::from_millis(limits.wall_ms);
        let _slot = self.slots.take(0, wall, &Instances::default()).await?;
        let instance = Instance::new(Arc::new(Terms { limits: limits.clone(), ..Terms::default() }), Call::none());
        let mut store = self.store(instance, &limits);
        match timeout(wall, self.call_manifest(&mut store, &limits)).await {
            Ok(Ok(text)) if text.len() > limits.output_max_bytes => {
                Err(answer::failure("plugin.output", format!("a manifest of {} bytes is too long", text.len())))
            }
            Ok(Ok(text)) => Ok(text),
            Ok(Err(error)) => match answer::stopped(&error) {
                Refusal::Failed(failure) => {
                    let (call, written) = store.data_mut().end();
                    let stack = stack::of_trap(&error, &call.logs, &written, &Lines::default());
                    Err(PluginFailure { stack, ..failure })
                }
                Refusal::Rejected(_) | Refusal::Host(_) => Err(answer::failure("plugin.trap", error.to_string())),
            },
            Err(_) => Err(too_slow(&limits)),
        }
    }

    async fn call_manifest(&self, store: &mut Store<Instance>, limits: &Limits) -> Result<String> {
        self.arm(store, limits)?;
        let bindings = self.prelinked.instantiate_async(&mut *store).await?;
        bindings.ironrule_rules_rules().call_manifest(store).await
    }

    async fn call_run(&self, live: &mut Live, event: &types::Event, limits: &Limits, instantiate: &mut Option<Duration>) -> Result<Answer> {
        let store = &mut live.store;
        self.arm(store, limits)?;
        let bindings = match live.bindings.take() {
            Some(bindings) => bindings,
            None => {
                let begun = Instant::now();
                let bindings = self.prelinked.instantiate_async(&mut *store).await?;
                *instantiate = Some(begun.elapsed());
                if self.clock.is_none() {
                    store.set_fuel(fuel_of(limits))?;
                }
                bindings
            }
        };
        let bindings = live.bindings.insert(bindings);
        bindings.ironrule_rules_rules().call_run(store, event).await
    }

    fn store(&self, instance: Instance, limits: &Limits) -> Store<Instance> {
        let mut store = Store::new(&self.engine, instance);
        store.limiter(|instance| &mut instance.memory);
        store.set_hostcall_fuel(limits.transfer_max_bytes);
        if let Some(clock) = self.clock.clone() {
            store.epoch_deadline_callback(move |mut store| {
                clock.goes();
                Ok(match store.data_mut().has_time_left(clock.tick()) {
                    true => UpdateDeadline::Yield(1),
                    false => UpdateDeadline::Interrupt,
                })
            });
        }
        store
    }

    /// Gives the guest the time of one call.
    fn arm(&self, store: &mut Store<Instance>, limits: &Limits) -> Result<()> {
        let Some(clock) = &self.clock else {
            store.set_fuel(fuel_of(limits))?;
            return store.fuel_async_yield_interval(Some(FUEL_YIELD));
        };
        clock.goes();
        store.set_epoch_deadline(1);
        Ok(())
    }
}

impl Live {
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// The level that its slot belongs to.
    pub(crate) fn level(&self) -> usize {
        self.slot.level
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
            operation: event.operation,
            collection: event.collection,
            id: event.id,
            before: event.before,
            after: event.after,
            context: event.context,
        }
    }
}

fn not_run(call: Call, failure: PluginFailure) -> Run {
    run(call, Err(Refusal::Failed(failure)), None, 0, None)
}

fn run(call: Call, result: Result<Outcome, Refusal>, instantiate: Option<Duration>, memory_bytes: usize, fuel: Option<u64>) -> Run {
    let elapsed = call.elapsed();
    let recorder = call.recorder.unwrap_or_default();
    Run {
        records: call.records,
        result,
        logs: call.logs,
        logs_dropped: call.logs_dropped,
        elapsed,
        host: call.in_host,
        instantiate,
        host_calls: call.host_calls,
        memory_bytes,
        fuel,
        transcript: recorder.calls,
        transcript_cut: recorder.cut,
    }
}

fn fuel_of(limits: &Limits) -> u64 {
    limits.call_ms.saturating_mul(FUEL_PER_MS)
}

/// Ends when a call has taken too long: later where it waits for its turn behind everybody else, but not for a host that does not answer.
async fn too_long(limits: &Limits, progress: &Progress) {
    let (begun, wall) = (Instant::now(), Duration::from_millis(limits.wall_ms));
    let mut pause = wall;
    loop {
        sleep(pause).await;
        let is_apart = progress.apart.load(Ordering::Relaxed);
        let (elapsed, most) = (begun.elapsed(), wall * apart::PATIENCE);
        let waited = progress.waited(elapsed);
        if !is_apart || waited >= wall || elapsed >= most {
            return;
        }
        pause = (wall - waited).min(most - elapsed);
    }
}

fn too_slow(limits: &Limits) -> PluginFailure {
    answer::failure("plugin.wall", format!("took longer than {} ms with its host calls", limits.wall_ms))
}
