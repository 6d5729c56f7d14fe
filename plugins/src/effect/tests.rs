use super::*;

fn parse(kind: &str, payload: &str, options: &str) -> Result<Effect, Failure> {
    let webhooks = ["api.example.com", "*.example.org", "[::1]", "127.0.0.1"];
    let grants = Grants { webhooks: webhooks.map(str::to_owned).into(), email: true, ..Grants::default() };
    Effect::parse(kind, payload, options, &grants, &["later".to_owned()].into())
}

fn check(kind: &str, payload: &str, options: &str, expected: &str) {
    match parse(kind, payload, options) {
        Ok(effect) => assert!(effect.payload.starts_with(expected), "{payload}: {} instead of {expected}", effect.payload),
        Err(failure) => {
            let said = format!("{}: {}", failure.code, failure.message);
            assert!(said.contains(expected), "{payload} {options}: {said} lacks {expected}");
        }
    }
}

#[test]
fn webhooks_are_read_with_their_defaults() {
    check(
        "webhook",
        r#"{"url":"https://api.example.com/x"}"#,
        "{}",
        r#"{"url":"https://api.example.com/x","method":"POST","headers":{},"body":null}"#,
    );
    check(
        "webhook",
        r#"{"url":"https://a.example.org:8443?x=1","method":"put","headers":{"X-A":"b"},"body":{"b":1,"a":1.50}}"#,
        "{}",
        r#"{"url":"https://a.example.org:8443?x=1","method":"PUT","headers":{"x-a":"b"},"body":{"b":1,"a":1.50}}"#,
    );
}

#[test]
fn webhooks_go_to_granted_hosts_only() {
    let to = |url: &str, expected: &str| check("webhook", &serde_json::json!({ "url": url }).to_string(), "{}", expected);
    to("https://evil.example/", "not-allowed: no grant for webhooks to `evil.example`");
    to("https://api.example.com.evil.example/", "not-allowed");
    to("https://API.EXAMPLE.COM/", r#"{"url""#);
    to("https://[::1]:80/", r#"{"url""#);
    to("https://127.0.0.1:8080/", r#"{"url""#);
    to("https://api.example.com@evil.example/", "names no host");
    to("https://evil.example\\@api.example.com/", "backslashes");
    to("https://api.example.com%2eevil.example/", "names no host");
    to("https://api.example.com:x/", "names no host");
    to("https://api.example.com:+1/", "names no host");
    to("https://[::1/", "names no host");
    to("https:///api.example.com/", "names no host");
    to("ftp://api.example.com/", "does not begin with `https://`");
    to("https://api.example.com /", "without spaces");
    to("https://api.example.com/\r\nhost: x", "without spaces");
    to("https://bücher.example.org/", "plain ASCII");
}

#[test]
fn malformed_webhooks_are_refused() {
    let check = |payload: &str, expected: &str| check("webhook", payload, "{}", expected);
    check("[]", "invalid: a webhook");
    check("", "invalid: a webhook");
    check("{}", "missing field `url`");
    check(r#"{"url":"https://api.example.com/","target":1}"#, "unknown field `target`");
    check(r#"{"url":"https://api.example.com/","method":"CONNECT"}"#, "no method of a webhook");
    check(r#"{"url":"https://api.example.com/","headers":{"Host":"x"}}"#, "not for plugins to set");
    check(r#"{"url":"https://api.example.com/","headers":{"Webhook-Signature":"x"}}"#, "not for plugins to set");
    check(r#"{"url":"https://api.example.com/","headers":{"a b":"x"}}"#, "no name of a header");
    check(r#"{"url":"https://api.example.com/","headers":{"a":"x\r\ny: z"}}"#, "cannot be sent");
}

#[test]
fn emails_are_checked() {
    let mail = |to: &str, subject: &str| format!(r#"{{"to":[{to}],"subject":"{subject}","text":"t"}}"#);
    check("email", &mail("\"a@b.c\"", "s"), "{}", r#"{"to":["a@b.c"],"subject":"s","text":"t"}"#);
    check("email", &mail("", "s"), "{}", "1 to 50 addresses");
    for bad in ["a", "@b", "a@", "a@b\\r\\nBcc: x@y", "a@b, c@d", "A <a@b>"] {
        check("email", &mail(&format!("\"{bad}\""), "s"), "{}", "is no e-mail address");
    }
    check("email", &mail("\"a@b.c\"", "s\\nBcc: x@y.z"), "{}", "is one line");
    let denied = Effect::parse("email", &mail("\"a@b.c\"", "s"), "{}", &Grants::default(), &BTreeSet::new());
    assert_eq!(denied.expect_err("not granted").code, "not-allowed");
}

#[test]
fn jobs_name_a_rule_of_the_plugin() {
    check("job", r#"{"rule":"later"}"#, "{}", r#"{"rule":"later","data":null}"#);
    check("job", r#"{"rule":"later","data":[1]}"#, "{}", r#"{"rule":"later","data":[1]}"#);
    check("job", r#"{"rule":"other"}"#, "{}", "no after-commit rule `other`");
    check("sms", "{}", "{}", "`sms` is no kind of effect");
}

#[test]
fn options_are_checked() {
    let job = r#"{"rule":"later"}"#;
    let effect = parse("job", job, r#"{"key":"k","delay_ms":5,"max_attempts":2}"#).expect("well formed");
    assert_eq!(effect.options, EffectOptions { key: Some("k".to_owned()), delay_ms: 5, max_attempts: Some(2) });
    check("job", job, "null", "invalid: options");
    check("job", job, r#"{"delay":5}"#, "unknown field `delay`");
    check("job", job, r#"{"key":""}"#, "1 to 200 bytes");
    check("job", job, r#"{"delay_ms":-1}"#, "invalid: options");
    check("job", job, r#"{"delay_ms":99999999999999}"#, "more than a year");
    check("job", job, r#"{"max_attempts":0}"#, "from 1 to 100");
}
