use super::{
    slots::{self, Slot},
    *,
};
use crate::{Database, Memory, Store};

async fn store() -> Store {
    Store::open(&Database::Memory, Memory { block_cache_bytes: 8 << 20, write_buffer_bytes: 8 << 20 }).await.expect("a store")
}

/// A moment, counted in seconds.
fn at(second: u32) -> String {
    format!("2026-11-24T00:{:02}:{:02}.000000Z", second / 60, second % 60)
}

fn row(id: &str, key: Option<&str>, second: u32) -> Row {
    Row {
        id: id.to_owned(),
        kind: "webhook".to_owned(),
        queue: Queue::Outside,
        plugin: "p".to_owned(),
        version: "p@1#d".to_owned(),
        rule: "r".to_owned(),
        payload: "{}".to_owned(),
        key: key.map(str::to_owned),
        tenant: "main".to_owned(),
        caller: "{}".to_owned(),
        request: "q".to_owned(),
        created: at(second),
        not_before: at(second),
        attempts_max: 10,
        depth: 2,
    }
}

async fn put(store: &Store, rows: &[Row]) {
    for row in rows {
        insert(store, row).await.expect("written");
    }
}

async fn claim_of(store: &Store, queue: Queue, worker: &str, second: u32, limit: usize) -> Claimed {
    let (now, lease, put_off) = (at(second), at(second + 15), at(3_000));
    claim(store, Claim { worker, queue, now: &now, lease: &lease, put_off: &put_off, limit }).await.expect("claimed")
}

/// Claims at a second, with a lease of fifteen, until there is nothing more; in the order of the ids.
async fn claimed(store: &Store, worker: &str, second: u32) -> Vec<Delivery> {
    let mut all = Vec::new();
    loop {
        let Claimed { rows, more } = claim_of(store, Queue::Outside, worker, second, 3).await;
        all.extend(rows);
        if !more {
            all.sort_by(|one, other| one.row.id.cmp(&other.row.id));
            return all;
        }
    }
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.row.id.as_str()).collect()
}

async fn state(store: &Store, id: &str) -> State {
    get(store, id).await.expect("read").expect("a row").state
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_claimed_once() {
    let store = store().await;
    put(&store, &[row("a", None, 0), row("b", None, 5), row("c", None, 60)]).await;
    let first = claimed(&store, "one", 10).await;
    assert_eq!(ids(&first), ["a", "b"]);
    assert!(first.iter().all(|one| one.attempts == 1 && one.state == State::Running && one.row.depth == 2));
    assert!(claimed(&store, "two", 10).await.is_empty());
    assert!(end(&store, "one", &first[0], Ended::Delivered, &at(11)).await.expect("ended"));
    assert!(!end(&store, "one", &first[0], Ended::Delivered, &at(11)).await.expect("not twice"));
    assert!(!end(&store, "two", &first[1], Ended::Delivered, &at(11)).await.expect("not that of another"));
    assert_eq!((state(&store, "a").await, state(&store, "b").await), (State::Delivered, State::Running));
    assert_eq!(next_due(&store, Queue::Outside).await.expect("read"), Some(at(60)));
    assert_eq!(next_due(&store, Queue::Inside).await.expect("read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_by_a_transaction_that_is_rolled_back() {
    let store = store().await;
    let transaction = store.begin().await.expect("begun");
    insert(&transaction, &row("a", Some("k"), 0)).await.expect("written");
    transaction.rollback().await;
    assert!(claimed(&store, "one", 10).await.is_empty());
    assert_eq!(get(&store, "a").await.expect("read"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_worker_loses_its_rows_and_cannot_end_them() {
    let store = store().await;
    put(&store, &[row("a", None, 0), row("b", None, 0)]).await;
    let lost = claimed(&store, "lost", 0).await;
    renew(&store, "lost", &["a".to_owned()], &at(40)).await.expect("renewed");
    recover(&store, &at(16)).await.expect("recovered");
    let again = claimed(&store, "other", 20).await;
    assert_eq!(ids(&again), ["b"], "only the row whose lease has ended");
    assert_eq!(again[0].attempts, 2);
    assert!(!end(&store, "lost", &lost[1], Ended::Delivered, &at(21)).await.expect("too late"));
    put_back(&store, "lost", &lost[1], Again { due: &at(22), error: Some("late"), attempts: 1 }).await.expect("too late");
    assert_eq!(state(&store, "b").await, State::Running);
    assert!(end(&store, "other", &again[0], Ended::Delivered, &at(21)).await.expect("ended"));
    recover_all(&store, &at(21)).await.expect("recovered");
    assert_eq!(ids(&claimed(&store, "other", 21).await), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_on_at_once_when_its_worker_died_after_the_end_of_a_row() {
    let store = store().await;
    put(&store, &[row("a", Some("k"), 0), row("b", Some("k"), 0), row("c", Some("k"), 0)]).await;
    let first = claimed(&store, "dead", 0).await;
    assert_eq!(ids(&first), ["a"], "the others are put off");
    assert!(end(&store, "dead", &first[0], Ended::Delivered, &at(1)).await.expect("ended"));
    // It dies here, before it lets the next one begin.
    assert_eq!(ids(&claimed(&store, "other", 2).await), Vec::<&str>::new());
    recover_all(&store, &at(3)).await.expect("recovered");
    assert_eq!(ids(&claimed(&store, "other", 3).await), ["b"]);
}

/// The same worker may get a row back that it believes to have still.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_ends_only_itself() {
    let store = store().await;
    put(&store, &[row("a", None, 0)]).await;
    let first = claimed(&store, "one", 0).await;
    recover(&store, &at(16)).await.expect("recovered");
    let second = claimed(&store, "one", 16).await;
    assert!(!end(&store, "one", &first[0], Ended::Delivered, &at(17)).await.expect("too late"));
    assert!(end(&store, "one", &second[0], Ended::Delivered, &at(17)).await.expect("ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_key_come_one_after_the_other() {
    let store = store().await;
    let many: Vec<Row> = (0..150).map(|number| row(&format!("k{number:03}"), Some("k"), number)).collect();
    put(&store, &many).await;
    put(&store, &[row("other", None, 170), row("z", Some("z"), 170)]).await;
    // The rows that wait do not stand in the way of others, though they are due for longer.
    let first = claimed(&store, "one", 200).await;
    assert_eq!(ids(&first), ["k000", "other", "z"]);
    // A failed one holds back the others until it has gone through, and is not overtaken.
    put_back(&store, "one", &first[0], Again { due: &at(300), error: Some("no"), attempts: 1 }).await.expect("put back");
    assert!(claimed(&store, "one", 299).await.is_empty());
    let retried = claimed(&store, "one", 300).await;
    assert_eq!(ids(&retried), ["k000"]);
    assert!(end(&store, "one", &retried[0], Ended::Dead("never"), &at(301)).await.expect("ended"));
    let_next_begin(&store, "k").await.expect("begun");
    for number in 1..150 {
        let next = claimed(&store, "one", 301).await;
        assert_eq!(ids(&next), [format!("k{number:03}")]);
        assert!(end(&store, "one", &next[0], Ended::Delivered, &at(301)).await.expect("ended"));
        let_next_begin(&store, "k").await.expect("begun");
    }
    assert!(claimed(&store, "one", 3_500).await.is_empty());
}

/// The end of a row and the putting off of the one behind it in the same moment: whoever comes first, the one behind is not forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_not_put_off_behind_one_that_has_just_ended() {
    let store = store().await;
    for round in 0..40 {
        let (head, next, key) = (format!("{round:02}a"), format!("{round:02}b"), format!("k{round}"));
        put(&store, &[row(&head, Some(&key), 0)]).await;
        let first = claimed(&store, "one", 0).await;
        let ending = async {
            let transaction = store.begin().await.expect("begun");
            assert!(end(&transaction, "one", &first[0], Ended::Delivered, &at(1)).await.expect("ended"));
            put(&store, &[row(&next, Some(&key), 0)]).await;
            tokio::task::yield_now().await;
            transaction.commit().await?;
            let_next_begin(&store, &key).await
        };
        let looking = async {
            for _ in 0..20 {
                let found = claim_of(&store, Queue::Outside, "two", 1, 3).await.rows;
                if !found.is_empty() {
                    return found;
                }
            }
            Vec::new()
        };
        let (ended, mut found) = tokio::join!(ending, looking);
        // Whoever ends a row tries once more after a conflict.
        if ended.is_err() {
            end(&store, "one", &first[0], Ended::Delivered, &at(1)).await.expect("ended");
            let_next_begin(&store, &key).await.expect("begun");
        }
        if found.is_empty() {
            found = claimed(&store, "two", 1).await;
        }
        assert_eq!(ids(&found), [next.as_str()], "round {round}");
        assert!(end(&store, "two", &found[0], Ended::Delivered, &at(1)).await.expect("ended"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_do_not_wait_for_each_other() {
    let store = store().await;
    let inside = |id: &str| Row { queue: Queue::Inside, ..row(id, None, 0) };
    put(&store, &[row("a", None, 0), row("b", None, 0), inside("c"), inside("d")]).await;
    assert_eq!(ids(&claim_of(&store, Queue::Inside, "one", 0, 1).await.rows), ["c"]);
    assert!(claim_of(&store, Queue::Inside, "one", 0, 1).await.rows.len() == 1);
    let rest = claim_of(&store, Queue::Inside, "one", 0, 1).await;
    assert!(rest.rows.is_empty() && !rest.more);
    let some = claim_of(&store, Queue::Outside, "one", 0, 1).await;
    assert!(some.rows.len() == 1 && some.more, "there is another one");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_of_a_key_begins_when_the_one_before_is_removed() {
    let store = store().await;
    put(&store, &[row("a", Some("k"), 0), row("b", Some("k"), 0)]).await;
    let first = claimed(&store, "one", 0).await;
    assert!(!remove(&store, "a").await.expect("kept"), "somebody works on it");
    put_back(&store, "one", &first[0], Again { due: &at(600), error: None, attempts: 0 }).await.expect("put back");
    assert!(claimed(&store, "one", 20).await.is_empty());
    assert!(remove(&store, "a").await.expect("removed"));
    let_next_begin(&store, "k").await.expect("begun");
    assert_eq!(ids(&claimed(&store, "one", 20).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_can_be_had_once_more() {
    let store = store().await;
    put(&store, &[row("a", Some("k"), 0)]).await;
    assert!(!replay(&store, "a", &at(1)).await.expect("not yet"));
    let first = claimed(&store, "one", 0).await;
    assert!(end(&store, "one", &first[0], Ended::Dead("never"), &at(1)).await.expect("ended"));
    let dead = get(&store, "a").await.expect("read").expect("a row");
    assert_eq!((dead.state, dead.error.as_deref(), dead.ended), (State::Dead, Some("never"), Some(at(1))));
    assert_eq!(dead.row, row("a", Some("k"), 0));
    assert!(replay(&store, "a", &at(2)).await.expect("replayed"));
    put(&store, &[row("b", Some("k"), 2)]).await;
    let again = claimed(&store, "one", 2).await;
    assert_eq!(ids(&again), ["a"], "in its order again");
    assert_eq!(again[0].attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_by_state_and_in_pages() {
    let store = store().await;
    for number in 0..9 {
        put(&store, &[Row { plugin: format!("p{}", number % 2), ..row(&format!("r{number}"), None, number) }]).await;
    }
    for delivery in claimed(&store, "one", 2).await {
        assert!(end(&store, "one", &delivery, Ended::Delivered, &at(9)).await.expect("ended"));
    }
    let listed = async |search: Search| ids(&list(&store, &search).await.expect("listed")).join(" ");
    assert_eq!(listed(Search { limit: 4, ..Search::default() }).await, "r8 r7 r6 r5");
    assert_eq!(listed(Search { limit: 4, below: Some("r4".to_owned()), ..Search::default() }).await, "r3 r2 r1 r0");
    assert_eq!(listed(Search { limit: 9, state: Some(State::Delivered), ..Search::default() }).await, "r2 r1 r0");
    assert_eq!(listed(Search { limit: 2, plugin: Some("p1".to_owned()), ..Search::default() }).await, "r7 r5");
    assert_eq!(purge(&store, State::Delivered, &at(9)).await.expect("purged"), 0, "they have not ended before");
    assert_eq!(purge(&store, State::Delivered, &at(10)).await.expect("purged"), 3);
    assert_eq!(listed(Search { limit: 9, ..Search::default() }).await, "r8 r7 r6 r5 r4 r3");
}

/// Looking for work must cost the same whatever lies in the table.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_asks_is_answered_by_indexes() {
    let store = store().await;
    for (index, text) in [
        ("by_due", "SELECT * FROM _outbox WHERE state = 'pending' AND queue = 'inside' AND due <= 'x' ORDER BY due LIMIT 3"),
        ("by_due", "SELECT due FROM _outbox WHERE state = 'pending' AND queue = 'inside' ORDER BY due LIMIT 1"),
        ("by_due", "SELECT VALUE id FROM _outbox WHERE state = 'dead' AND queue = 'inside' AND due < 'x' ORDER BY due LIMIT 3"),
        ("by_turn", "SELECT _key FROM _outbox WHERE turn = 'k' ORDER BY _key LIMIT 1"),
        ("by_state", "SELECT * FROM _outbox WHERE state = 'dead' AND _key < 'x' ORDER BY _key DESC LIMIT 3"),
    ] {
        let plan = format!("{:?}", store.run(format!("{text} EXPLAIN"), Vec::new()).await.expect("a plan"));
        assert!(plan.contains(index), "{text}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_taken_once() {
    let store = store().await;
    let take = async |timing: &str, second: u32| slots::take(&store, "p/r", timing, &at(second), "tick").await.expect("asked");
    assert_eq!(take("* * * * *", 0).await, Slot::Begun, "what was before is not made up for");
    assert_eq!(take("* * * * *", 0).await, Slot::Gone);
    assert_eq!(take("* * * * *", 60).await, Slot::Taken);
    assert_eq!(take("* * * * *", 60).await, Slot::Gone);
    assert_eq!(take("* * * * *", 0).await, Slot::Gone);
    put(&store, &[row("a", Some("tick"), 0)]).await;
    assert_eq!(take("* * * * *", 120).await, Slot::Busy);
    let first = claimed(&store, "one", 0).await;
    assert!(end(&store, "one", &first[0], Ended::Delivered, &at(1)).await.expect("ended"));
    assert_eq!(take("* * * * *", 180).await, Slot::Taken);
    assert_eq!(take("*/5 * * * *", 300).await, Slot::Begun, "another schedule has another past");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_do_not_take_the_same_slot() {
    let store = store().await;
    assert_eq!(slots::take(&store, "p/r", "*", &at(0), "tick").await.expect("begun"), Slot::Begun);
    let (one, other) = (store.begin().await.expect("begun"), store.begin().await.expect("begun"));
    assert_eq!(slots::take(&one, "p/r", "*", &at(60), "tick").await.expect("asked"), Slot::Taken);
    let second = slots::take(&other, "p/r", "*", &at(60), "tick").await;
    one.commit().await.expect("committed");
    let committed = match second {
        Ok(_) => other.commit().await,
        Err(error) => Err(error),
    };
    assert!(matches!(committed, Err(Error::Conflict)), "{committed:?}");
}
