//! More connections than there is place for. `IRONRULE_SLOW_CLIENTS` (300) says how many slow ones come at once; `bench-slow-clients` measures
//! with more what honest ones notice.

use std::{env, fs, time::Duration};

use rlimit::Resource;
use serde_json::json;
use tests::{Method, Raw, TestApp, eventually, request};

use super::{NOTES, notes, with};

/// A plugin whose log never has news: whoever waits for them is being answered for 20 seconds.
const QUIET: &str = r#"
import { beforeWrite, definePlugin } from "@ironrule/rules";
export const rules = definePlugin({
  name: "quiet",
  version: "1.0.0",
  rules: [beforeWrite({ name: "quiet", collections: ["notes"], operations: ["create"], run: () => undefined })],
});
"#;

fn handles(app: &TestApp) -> usize {
    fs::read_dir(format!("/proc/{}/fd", app.process_id())).expect("the process runs").count()
}

/// The processor time that the server has used, in ticks of 10 ms.
fn ticks(app: &TestApp) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", app.process_id())).expect("the process runs");
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("ticks")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_hold_up_nobody_and_give_their_places_back() {
    let count: usize = env::var("IRONRULE_SLOW_CLIENTS").map_or(300, |text| text.parse().expect("a number"));
    // A runner may have few handles of its own.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let app = with(&[("HEADER_READ_SECONDS", "2"), ("BODY_READ_SECONDS", "2"), ("CONNECTIONS_PER_IP_MAX", "0")]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    let before = handles(&app);
    let mut slow = Vec::new();
    for number in 0..count {
        let mut raw = Raw::open(&app).await;
        let headers = [("Content-Type", "application/json"), ("Content-Length", "50")];
        match number % 4 {
            0 => {}
            1 => raw.send("GET /livez HTTP/1.1\r\nHost: x\r\n").await.expect("half a head"),
            2 => raw.send("PRI * HTTP/2.0\r\n").await.expect("half a preface"),
            _ => raw.send(request("POST", NOTES, &headers, "{")).await.expect("half a body"),
        }
        slow.push(raw);
        if number % 10 == 0 {
            admin.post(NOTES, json!({"number": number})).await.expect(201);
            admin.get(NOTES).await.expect(200);
        }
    }
    for (number, mut raw) in slow.into_iter().enumerate() {
        let said = String::from_utf8_lossy(&raw.closed().await).into_owned();
        let told = number % 4 == 3;
        assert_eq!(told, said.contains("body.timeout"), "{number}: {said}");
    }
    eventually("the handles come back", async || (handles(&app) <= before + 5).then_some(())).await;
    assert_eq!(admin.get("/api/records/notes?limit=1000").await.list().len(), count.div_ceil(10));
}

#[tokio::test]
async fn when_all_places_are_taken_the_silent_make_place() {
    let app = with(&[("CONNECTIONS_MAX", "20"), ("HEADER_READ_SECONDS", "3600"), ("KEEP_ALIVE_SECONDS", "3600")]).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(Raw::open(&app).await);
    }
    let mut honest = Raw::open(&app).await;
    assert_eq!(honest.ask("GET", "/livez", &[]).await.status, 200);
    silent[0].closed().await;
    for _ in 0..40 {
        silent.push(Raw::open(&app).await);
    }
    assert_eq!(honest.ask("GET", "/livez", &[]).await.status, 200, "who has asked goes after those who never did");
}

#[tokio::test]
async fn when_everybody_is_being_answered_the_next_one_is_refused_at_once() {
    let app = with(&[("CONNECTIONS_MAX", "4")]).await;
    let admin = app.admin().await;
    notes(&admin).await;
    admin.request(Method::POST, "/api/plugins?grant=all").body("text/javascript", QUIET).send().await.expect(201);
    let bearer = format!("Bearer {}", admin.token());
    let waiting = request("GET", "/api/plugins/quiet/logs?wait=20", &[("Authorization", &bearer)], "");
    let mut busy = Vec::new();
    // One that is opened before another has been read takes the place of that one, so there may be more tries than places.
    let said = eventually("a connection is refused", async || {
        let mut raw = Raw::open(&app).await;
        let _ = raw.send(&waiting).await;
        match tokio::time::timeout(Duration::from_millis(500), raw.closed()).await {
            Ok(said) => Some(String::from_utf8_lossy(&said).into_owned()).filter(|said| !said.is_empty()),
            Err(_) => {
                busy.push(raw);
                None
            }
        }
    })
    .await;
    assert!(busy.len() >= 4, "refused beside {} others", busy.len());
    for part in ["HTTP/1.1 503 ", "application/problem+json", "\"server.busy\"", "retry-after: 1", "connection: close"] {
        assert!(said.contains(part), "no `{part}` in `{said}`");
    }
    drop(busy);
    let place = async || Raw::connect(app.host()).await.ok()?.try_ask("/livez").await.filter(|answer| answer.status == 200);
    eventually("there is place again", place).await;
}

#[tokio::test]
async fn one_address_has_its_share_of_the_places() {
    let app = with(&[("CONNECTIONS_PER_IP_MAX", "6"), ("HEADER_READ_SECONDS", "3600")]).await;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..12 {
        let mut raw = Raw::open(&app).await;
        match raw.try_ask("/livez").await {
            Some(answer) if answer.status == 200 => open.push(raw),
            Some(answer) => {
                answer.problem(503, "server.busy");
                refused += 1;
            }
            // Its request came after the refusal had been read.
            None => refused += 1,
        }
    }
    // The client that waited until the server was ready may still hold one or two.
    assert!((4..=6).contains(&open.len()) && refused == 12 - open.len(), "{} open, {refused} refused", open.len());
    drop(open);
    let place = async || Raw::open(&app).await.try_ask("/livez").await.filter(|answer| answer.status == 200);
    eventually("the places come back", place).await;
}

#[tokio::test]
async fn a_server_without_file_handles_waits_and_does_not_burn() {
    let app = with(&[("HEADER_READ_SECONDS", "3600"), ("KEEP_ALIVE_SECONDS", "3600")]).await;
    let process = i32::try_from(app.process_id()).expect("a process");
    let few = handles(&app) as u64 + 10;
    rlimit::prlimit(process, Resource::NOFILE, Some((few, few)), None).expect("the limit is lowered");
    let mut open = Vec::new();
    for _ in 0..60 {
        // Those that are not accepted wait in the queue of the operating system.
        open.push(Raw::open(&app).await);
    }
    eventually("it says so", async || app.output().contains("cannot accept a connection").then_some(())).await;
    // Not waited for: this is the time that is measured.
    let before = ticks(&app);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = ticks(&app) - before;
    assert!(used < 50, "{used} ticks of 10 ms in a second");
    // Those that do nothing have made place.
    let mut honest = Raw::open(&app).await;
    assert_eq!(honest.ask("GET", "/livez", &[]).await.status, 200);
}
