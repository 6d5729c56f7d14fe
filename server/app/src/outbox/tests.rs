use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::net::TcpListener;
use url::Url;

use super::{
    guard::{Guard, PublicOnly, Reach, is_public},
    pause,
    schedule::latest_slot,
    webhook::{self, signature},
};

#[test]
fn only_public_addresses_are_called() {
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.1",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2001:4860:4860::8888",
        "2001:200::1",
        "2003::1",
        "2a00:1450:4001::1",
    ];
    let special = [
        "0.0.0.0",
        "0.1.2.3",
        "0.255.255.255",
        "10.0.0.0",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.0.0",
        "169.254.169.254",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.170",
        "192.0.2.255",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.254",
        "255.255.255.255",
        // Unspecified, loopback, IPv4 inside: compatible, mapped, translated, NAT64, 6to4, Teredo. Also around public addresses.
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:1.1.1.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::8.8.8.8",
        "64:ff9b:1::10.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:808:808::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        // Benchmarking, ORCHID, documentation, discard only, segment routing, unique local, link-local, site-local, multicast.
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2001:db8:ffff::1",
        "3fff::1",
        "3fff:fff::1",
        "100::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "4000::1",
        "2620:4f:8000::1",
    ];
    let check = |address: &str, expected: bool| assert_eq!(is_public(address.parse().expect("an address")), expected, "{address}");
    public.iter().for_each(|address| check(address, true));
    special.iter().for_each(|address| check(address, false));
}

fn checked(guard: &Guard, url: &str) -> Result<Reach, String> {
    guard.check(&Url::parse(url).map_err(|error| error.to_string())?)
}

#[test]
fn addresses_are_understood_however_they_are_written() {
    let guard = Guard::default();
    for url in ["https://example.com/hook", "https://example.com:8443/hook", "https://1.1.1.1/", "https://[2606:4700:4700::1111]/"] {
        assert_eq!(checked(&guard, url), Ok(Reach::Public), "{url}");
    }
    for (url, expected) in [
        ("http://example.com/hook", "only for hosts among"),
        ("ftp://example.com/", "only for hosts among"),
        ("file:///etc/passwd", "names no host"),
        ("https://user@example.com/", "a user or a password"),
        ("https://user:secret@example.com/", "a user or a password"),
        ("https://:secret@example.com/", "a user or a password"),
        // Decimal, hexadecimal, octal, mixed and short forms, full-width digits, escapes: all of them this machine.
        ("https://2130706433/", "127.0.0.1 is not"),
        ("https://0x7f000001/", "127.0.0.1 is not"),
        ("https://0x7f.1/", "127.0.0.1 is not"),
        ("https://017700000001/", "127.0.0.1 is not"),
        ("https://0177.0.0.1/", "127.0.0.1 is not"),
        ("https://127.1/", "127.0.0.1 is not"),
        ("https://127.0.0.1./", "127.0.0.1 is not"),
        ("https://%31%32%37.0.0.1/", "127.0.0.1 is not"),
        ("https://１２７.0.0.1/", "127.0.0.1 is not"),
        ("https://0/", "0.0.0.0 is not"),
        ("https://0xa9fea9fe/latest/meta-data", "169.254.169.254 is not"),
        ("https://[::1]/", "::1 is not"),
        ("https://[0:0:0:0:0:ffff:7f00:1]/", "::ffff:127.0.0.1 is not"),
        ("https://[::ffff:10.0.0.1]/", "::ffff:10.0.0.1 is not"),
        ("https://[64:ff9b::a00:1]/", "64:ff9b::a00:1 is not"),
        ("https://4294967296/", "invalid IPv4 address"),
    ] {
        let refused = checked(&guard, url).expect_err(url);
        assert!(refused.contains(expected), "{url}: {refused}");
    }
}

#[test]
fn private_hosts_are_named_by_the_operator() {
    let guard = Guard::new(&["Internal.example".to_owned(), "127.0.0.1:8081".to_owned(), "[::1]:8081".to_owned(), "queue:8443".to_owned()]);
    for url in [
        "http://internal.example/hook",
        "https://internal.example:9000/hook",
        "http://127.0.0.1:8081/hook",
        "http://0x7f000001:8081/hook",
        "http://[0:0::1]:8081/hook",
        "https://queue:8443/",
    ] {
        assert_eq!(checked(&guard, url), Ok(Reach::Any), "{url}");
    }
    assert!(checked(&guard, "http://127.0.0.1:8082/hook").is_err());
    assert!(checked(&guard, "https://127.0.0.1:8082/hook").is_err());
    assert!(checked(&guard, "http://queue/").is_err());
    assert!(checked(&guard, "https://user@internal.example/").is_err(), "not even there");
    // Another port of a host that is named with one is like any other host: its name is looked up, and what is private is refused then.
    assert_eq!(checked(&guard, "https://queue:9443/"), Ok(Reach::Public));
}

/// A client whose names mean what the test says, one answer after the other, the last one for ever; and how often it was asked.
fn client_with(answers: &[&[&str]]) -> (reqwest::Client, Arc<AtomicUsize>) {
    let answers: Vec<Vec<SocketAddr>> =
        answers.iter().map(|list| list.iter().map(|one| one.parse().expect("an address")).collect()).collect();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookup = move |_name: String| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let answer = answers.get(number).or(answers.last()).cloned();
        Box::pin(async move { answer.ok_or_else(|| io::Error::other("no such name")) }) as _
    };
    (webhook::public(PublicOnly::with(Arc::new(lookup))).expect("a client"), asked)
}

async fn called(client: &reqwest::Client, port: u16) -> String {
    let error = client.post(format!("https://hook.example:{port}/")).send().await.expect_err("nobody answers");
    webhook::cause(&error)
}

/// The name is public when it is looked at, and this machine a moment later: there is no moment between the look and the connection.
#[tokio::test]
async fn a_name_that_changes_its_meaning_reaches_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let loopback = format!("127.0.0.1:{port}");
    for answers in [
        &[&[loopback.as_str()][..]][..],
        // One good address among bad ones does not help.
        &[&["93.184.215.14:0", "127.0.0.1:0"][..]][..],
        &[&["[::1]:0"][..]][..],
        &[&["[::ffff:127.0.0.1]:0"][..]][..],
        &[&["169.254.169.254:80"][..]][..],
    ] {
        let (client, asked) = client_with(answers);
        let error = called(&client, port).await;
        assert!(error.contains("not a public address"), "{answers:?}: {error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{answers:?}: a connection asks once, and takes what was checked");
    }
    // Whoever looked first and connected later would have been told a public address, and have connected to this machine.
    let (client, asked) = client_with(&[&[], &[loopback.as_str()]]);
    assert!(!called(&client, port).await.contains("not a public address"));
    assert!(called(&client, port).await.contains("not a public address"));
    assert_eq!(asked.load(Ordering::SeqCst), 2, "every connection asks anew");
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
    assert!(nobody.is_err(), "somebody was connected");
}

#[tokio::test]
async fn this_machine_is_refused_under_its_own_name() {
    let client = webhook::public(PublicOnly::system()).expect("a client");
    let error = client.post("https://localhost/").send().await.expect_err("nobody answers");
    assert!(webhook::cause(&error).contains("not a public address"), "{}", webhook::cause(&error));
    let plain = client.post("http://example.com/").send().await.expect_err("nothing is sent");
    assert!(plain.is_builder(), "{plain:?}");
}

/// The first is the example of the Standard Webhooks specification, the second was reckoned with another library.
#[test]
fn signatures_are_those_of_standard_webhooks() {
    let check = |secret: &str, expected: Result<&str, ()>| {
        let secret = SecretString::from(secret.to_owned());
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref().map_err(drop), expected);
    };
    check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    check("whsec_c2VjcmV0", Ok("v1,QhlSMIJS/+71IQLjjmkiCGkWoueir474RayJQKtDu+0="));
    check("whsec_not base64", Err(()));
}

#[test]
fn attempts_come_ever_more_rarely() {
    for (attempts, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (10, 512.0), (12, 2_048.0)] {
        let found = pause(attempts).as_secs_f64();
        assert!((seconds * 0.8..=seconds * 1.2).contains(&found), "{attempts}: {found}");
    }
    for attempts in [13, 100, u32::MAX] {
        assert!((0.8 * 3_600.0..=3_600.0).contains(&pause(attempts).as_secs_f64()), "{attempts}");
    }
    let pauses: Vec<_> = (0..20).map(|_| pause(8)).collect();
    assert!(pauses.iter().any(|other| *other != pauses[0]), "all at the same time: {pauses:?}");
}

#[test]
fn the_latest_slot_is_the_one_that_is_made_up_for() {
    let moment = |text: &str| text.parse::<DateTime<Utc>>().expect("a moment");
    let check = |timing: &str, now: &str, expected: Option<&str>| {
        assert_eq!(latest_slot(timing, moment(now)), expected.map(moment), "{timing} at {now}");
    };
    check("*/5 * * * *", "2026-11-24T04:07:30Z", Some("2026-11-24T04:05:00Z"));
    check("*/5 * * * *", "2026-11-24T04:05:00Z", Some("2026-11-24T04:05:00Z"));
    check("*/5 * * * *", "2026-11-24T04:05:00.987654Z", Some("2026-11-24T04:05:00Z"));
    check("*/5 * * * *", "2026-11-24T04:04:59.999999Z", Some("2026-11-24T04:00:00Z"));
    check("0 3 * * *", "2026-11-24T02:59:59Z", Some("2026-11-23T03:00:00Z"));
    check("30 8 * * 1-5", "2026-11-22T12:00:00Z", Some("2026-11-20T08:30:00Z"));
    check("0 0 1 1 *", "2026-11-24T04:00:00Z", Some("2026-01-01T00:00:00Z"));
    check("0 0 29 2 *", "2027-03-01T00:00:30Z", Some("2024-02-29T00:00:00Z"));
    check("0 0 * * 7", "2026-11-24T04:00:00Z", Some("2026-11-22T00:00:00Z"));
    // A day of the month and one of the week: either.
    check("0 0 13 * fri", "2026-11-24T04:00:00Z", Some("2026-11-20T00:00:00Z"));
    check("0 0 30 2 *", "2026-11-24T04:00:00Z", None);
}
