//! What is told about where a guest failed.

use serde_json::json;

use crate::guest::Guest;
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{event, failure, misbehave, run, runtime};

#[tokio::test]
async fn a_trap_names_the_functions_that_ran() {
    let guest = Guest::with_members("(call $outer) (call $accept)", "(func $outer (call $inner)) (func $inner (unreachable))");
    let plugin = guest.load(runtime().await).await.expect("loads");
    let run = run(&plugin, MemoryRecords::new(Mood::Well), event("r", "notes", &json!({}))).await;
    let stack = failure(&run).stack.as_deref().expect("a stack");
    let (inner, outer) = (stack.find("inner").expect("named"), stack.find("outer").expect("named"));
    assert!(inner < outer, "{stack}");
}

#[tokio::test]
async fn a_panic_begins_with_what_it_said() {
    let run = misbehave("panic").await;
    let stack = failure(&run).stack.as_deref().expect("a stack");
    assert!(stack.lines().next().is_some_and(|line| line.contains("as asked")), "{stack}");
    assert!(stack.lines().count() > 1, "{stack}");
}

#[tokio::test]
async fn a_refusal_without_a_stack_has_none() {
    assert_eq!(failure(&misbehave("internal").await).stack, None);
}
