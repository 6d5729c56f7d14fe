//! Where guests go that compute for long: to threads of their own, with less priority than those that serve requests, so that what one rule
//! wastes is its own time and not everybody's. A rule that went there, or broke, begins there for a while: what it will do is known. Its calls
//! take turns then, so that those of other rules have their share of these threads.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;

use crate::instances::Instances;

/// What a guest may compute before it has to go.
pub(crate) const AFTER: Duration = Duration::from_millis(5);
/// How many times as long a call may take there, with all of its waiting for its turn.
pub(crate) const PATIENCE: u32 = 5;
/// How long a rule begins there after it was sent there: the first time, and at most if it goes on like that.
const REMEMBERED: Duration = Duration::from_secs(2);
const REMEMBERED_MAX: Duration = Duration::from_secs(60);
/// How much longer that is each time. One that misbehaves again and again would else have the first milliseconds of each time among the others.
const LONGER: u32 = 4;
/// Lets everybody else go first, and still gets a turn.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Half of the processors: the others are free whatever happens here.
fn processors() -> usize {
    thread::available_parallelism().map_or(1, |count| count.get().div_ceil(2))
}

/// Calls of one rule that can run apart at the same time: enough that the threads have something to do while hosts answer.
fn turns() -> usize {
    8 * processors()
}

/// None if the machine has no threads for it; then guests stay where they are.
static THREADS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut threads = Builder::new_multi_thread();
    threads.worker_threads(processors()).thread_name("plugin-apart").on_thread_start(lower_priority).enable_all().build().ok()
});

/// Which rules of a plugin have been sent away lately.
#[derive(Default)]
pub(crate) struct Habits(BTreeMap<String, Habit>);

struct Habit {
    /// Milliseconds since the first call: it begins apart until then.
    until: AtomicU64,
    memory: Mutex<Memory>,
    turns: Semaphore,
}

/// How long it is remembered, and since when it is so long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    span: Duration,
    since: Duration,
    until: Duration,
}

impl Memory {
    /// The same when it happened again, at this time since the first call.
    fn again(self, now: Duration) -> Self {
        let (span, since) = match self.span {
            // It was forgotten meanwhile.
            span if now >= self.until => ((span / LONGER).max(REMEMBERED), now),
            span if now >= self.since + span => ((span * LONGER).min(REMEMBERED_MAX), now),
            span => (span, self.since),
        };
        Self { span, since, until: now + span }
    }
}

impl Habits {
    pub(crate) fn of<'a>(rules: impl Iterator<Item = &'a str>) -> Self {
        let habit = || Habit { until: AtomicU64::new(0), memory: Mutex::default(), turns: Semaphore::new(turns()) };
        Self(rules.map(|rule| (rule.to_owned(), habit())).collect())
    }

    /// Whether the rule begins apart.
    pub(crate) fn begins_apart(&self, rule: &str) -> bool {
        self.0.get(rule).is_some_and(|habit| habit.until.load(Ordering::Relaxed) > now_ms())
    }

    /// Waits until it is a call's turn to begin apart, in the order in which they came. None if that takes too long. Before it waits it drops
    /// the instances that the same transaction keeps, for which others may be waiting.
    pub(crate) async fn turn(&self, rule: &str, within: Duration, instances: &Instances) -> Option<SemaphorePermit<'_>> {
        let turns = &self.0.get(rule)?.turns;
        if let Ok(turn) = turns.try_acquire() {
            return Some(turn);
        }
        instances.drop_idle();
        tokio::time::timeout(within, turns.acquire()).await.ok()?.ok()
    }

    /// The rule computed for long, or broke.
    pub(crate) fn note(&self, rule: &str) {
        if let Some(habit) = self.0.get(rule) {
            let mut memory = habit.memory.lock().unwrap_or_else(PoisonError::into_inner);
            *memory = memory.again(Duration::from_millis(now_ms()));
            habit.until.store(memory.until.as_millis() as u64, Ordering::Relaxed);
        }
    }
}

/// Milliseconds since the first call.
fn now_ms() -> u64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGIN.elapsed().as_millis() as u64
}

/// Does the work here until it has to go, if it begins here at all, and the rest apart. Dropping this ends the work, here or there.
pub(crate) async fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static, has_to_go: impl Fn() -> bool) -> T {
    let mut work = Box::pin(work);
    // That is so since it was polled, or since another call of the same rule was; work that computes is polled every tick.
    let here = poll_fn(|context| match has_to_go() {
        true => Poll::Ready(None),
        false => work.as_mut().poll(context).map(Some),
    });
    if let Some(done) = here.await {
        return done;
    }
    match &*THREADS {
        Some(threads) => Aborting(threads.spawn(work)).await,
        None => work.await,
    }
}

/// A task that ends when nobody waits for it any more.
struct Aborting<T>(JoinHandle<T>);

impl<T> Future for Aborting<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(context).map(|done| match done.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => panic::resume_unwind(panic),
            Err(Err(cancelled)) => panic!("nobody but this can end the task, and it was {cancelled}"),
        })
    }
}

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Elsewhere than on Linux a priority is that of the process, which keeps its own.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    // If it is not allowed, the threads are as good as others.
    let _ = rustix::process::setpriority_process(None, NICE);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    fn thread_name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn work_stays_until_it_is_told_to_go() {
        let go = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&go);
        let work = async move {
            let before = thread_name();
            told.store(true, Ordering::Relaxed);
            tokio::task::yield_now().await;
            (before, thread_name())
        };
        let (before, after) = run(work, || go.load(Ordering::Relaxed)).await;
        assert_eq!((before, after.as_str()), (thread_name(), "plugin-apart"));
        assert_eq!(run(async { thread_name() }, || false).await, thread_name());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_threads_have_little_priority_and_these_do_not() {
        let nice = || rustix::process::getpriority_process(None).expect("a priority");
        let here = nice();
        assert_eq!(run(async move { nice() }, || true).await, NICE.max(here));
        assert_eq!(nice(), here);
    }

    #[tokio::test]
    async fn who_does_not_wait_any_more_ends_the_work() {
        let held = Arc::new(());
        let kept = Arc::clone(&held);
        let work = async move {
            std::future::pending::<()>().await;
            drop(kept);
        };
        let waiting = tokio::time::timeout(Duration::from_millis(10), run(work, || true));
        assert!(waiting.await.is_err());
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    #[should_panic(expected = "as it was")]
    async fn a_panic_stays_a_panic() {
        run(async { panic!("as it was") }, || true).await
    }

    #[test]
    fn habits_are_of_a_rule() {
        let habits = Habits::of(["one", "two"].into_iter());
        habits.note("one");
        habits.note("unknown");
        assert!(habits.begins_apart("one"));
        assert!(!habits.begins_apart("two") && !habits.begins_apart("unknown"));
    }

    #[test]
    fn what_happens_again_and_again_is_remembered_longer() {
        let at = Duration::from_secs;
        let first = Memory::default().again(at(100));
        assert_eq!(first, Memory { span: REMEMBERED, since: at(100), until: at(102) });
        let second = first.again(at(101));
        assert_eq!(second, Memory { until: at(103), ..first });
        let third = second.again(at(102));
        assert_eq!(third, Memory { span: at(8), since: at(102), until: at(110) });
        let long = (103..400).fold(third, |memory, second| memory.again(at(second)));
        assert_eq!((long.span, long.until), (REMEMBERED_MAX, at(459)));
        assert_eq!(long.again(at(459)).span, at(15));
    }

    #[tokio::test]
    async fn calls_of_a_rule_take_turns_and_those_of_another_do_not_wait_for_them() {
        let habits = Habits::of(["one", "two"].into_iter());
        let turn = async |rule| habits.turn(rule, Duration::from_millis(10), &Instances::default()).await;
        let mut running = Vec::new();
        for _ in 0..turns() {
            running.push(turn("one").await.expect("a turn"));
        }
        assert!(turn("one").await.is_none());
        assert!(turn("two").await.is_some());
        running.pop();
        assert!(turn("one").await.is_some());
    }
}
