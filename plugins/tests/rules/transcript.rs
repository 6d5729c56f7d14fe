//! A recorded run, played again.

use plugins::{Event, Ground, HostCall, Instances, Refusal, Replayed, Run, recorded_settings};
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::memory::{MemoryRecords, Mood};
use crate::setup::{event, order_guard, patch, runtime, wishes};

fn order(quantity: u32) -> Event {
    event("place-order", "orders", &json!({ "items": [{ "product": "ink", "quantity": quantity }] }))
}

async fn record(event: Event) -> Run {
    let plugin = order_guard().await;
    let shop = MemoryRecords::new(Mood::Well).with("products", "ink", json!({ "price": "4.50", "stock": 10, "active": true }));
    let ground = Ground { record: true, ..wishes(plugin) };
    plugin.run(&Instances::default(), ground, Box::new(shop), event).await
}

async fn replay(transcript: Vec<HostCall>, event: Event) -> Run {
    let plugin = order_guard().await;
    let ground = Ground { record: true, ..wishes(plugin) };
    plugin.run(&Instances::default(), ground, Box::new(Replayed::new(transcript)), event).await
}

fn diverged(run: &Run) -> &str {
    match &run.result {
        Err(Refusal::Host(failure)) if failure.code == "diverged" => &failure.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replay_decides_the_same() {
    let recorded = record(order(2)).await;
    assert!(!recorded.transcript.is_empty() && !recorded.transcript_cut);
    let again = replay(recorded.transcript.clone(), order(2)).await;
    assert_eq!(patch(&again), patch(&recorded));
    assert_eq!(again.transcript, recorded.transcript);
    assert_eq!(again.logs, recorded.logs);

    let refused = record(order(11)).await;
    let again = replay(refused.transcript.clone(), order(11)).await;
    assert_eq!(format!("{:?}", again.result), format!("{:?}", refused.result));
}

#[tokio::test]
async fn a_transcript_survives_being_written_and_read() {
    let recorded = record(order(2)).await.transcript;
    let text = serde_json::to_string(&recorded).expect("a transcript is JSON");
    assert_eq!(serde_json::from_str::<Vec<HostCall>>(&text).expect("the same"), recorded);

    // as whoever shows transcripts may keep them: JSON inside of JSON, written anew
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let nested: Vec<Value> =
        recorded.iter().map(|it| json!({ "call": it.call, "input": json(&it.input), "output": json(&it.output) })).collect();
    let nested: Vec<HostCall> = serde_json::from_value(json!(nested)).expect("readable");
    assert!(replay(nested, order(2)).await.result.is_ok());
}

#[tokio::test]
async fn a_replay_that_diverges_says_where() {
    let recorded = record(order(2)).await.transcript;
    let other = replay(recorded.clone(), order(3)).await;
    assert!(diverged(&other).starts_with("host call "), "{}", diverged(&other));
    assert!(diverged(&other).contains("recorded was `records."), "{}", diverged(&other));

    let cut = replay(recorded[..1].to_vec(), order(2)).await;
    assert!(diverged(&cut).contains("the transcript has ended"), "{}", diverged(&cut));

    let mut garbled = recorded;
    garbled[0].output = "***".to_owned();
    assert!(diverged(&replay(garbled, order(2)).await).contains("cannot be read"));
}

#[tokio::test]
async fn failures_are_part_of_a_transcript() {
    let plugin = Guest::runs("(call $update @notes @n1 @object @answer) (call $tell)").load(runtime().await).await.expect("loads");
    let ground = Ground { record: true, ..wishes(&plugin) };
    let event = event("r", "notes", &json!({}));
    let first = plugin.run(&Instances::default(), ground.clone(), Box::new(MemoryRecords::new(Mood::Well)), event.clone()).await;
    assert!(first.transcript[0].output.starts_with(r#"{"error":{"code":"not-found""#), "{:?}", first.transcript);
    let again = plugin.run(&Instances::default(), ground, Box::new(Replayed::new(first.transcript)), event).await;
    assert_eq!(format!("{:?}", again.result), format!("{:?}", first.result));
}

#[tokio::test]
async fn settings_are_part_of_a_transcript() {
    let plugin = Guest::runs("(call $setting @known @answer) (call $accept)").load(runtime().await).await.expect("loads");
    let ground = Ground { record: true, ..wishes(&plugin) };
    let run = plugin.run(&Instances::default(), ground, Box::new(MemoryRecords::new(Mood::Well)), event("r", "notes", &json!({}))).await;
    assert_eq!(recorded_settings(&run.transcript), [("known".to_owned(), r#"{"a":1}"#.to_owned())].into());
}

#[tokio::test]
async fn nothing_is_written_down_unasked() {
    let plugin = order_guard().await;
    let run = crate::setup::run(plugin, MemoryRecords::new(Mood::Well), order(1)).await;
    assert!(run.host_calls > 0 && run.transcript.is_empty());
}

/// 64 answers of a record of 20 kB are more than a transcript holds.
#[tokio::test]
async fn a_transcript_does_not_grow_for_ever() {
    let calls = "(call $get @notes @n1 @answer)".repeat(60);
    let guest = Guest { pages: 100, ..Guest::runs(&format!("{calls} (call $accept)")) };
    let plugin = guest.load(runtime().await).await.expect("loads");
    let ground = Ground { record: true, ..wishes(&plugin) };
    let records = MemoryRecords::new(Mood::Well).with("notes", "n1", json!({ "text": "x".repeat(20_000) }));
    let run = plugin.run(&Instances::default(), ground, Box::new(records), event("r", "notes", &json!({}))).await;
    assert!(run.result.is_ok() && run.transcript_cut);
    assert!(run.transcript.iter().map(|call| call.output.len()).sum::<usize>() <= 512 << 10);
}
