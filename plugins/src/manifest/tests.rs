use super::*;

fn check(manifest: &str, expected: Result<(), &str>) {
    match (Manifest::parse(manifest), expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err(part)) => {
            assert!(error.to_string().contains(part), "{error} lacks {part}")
        }
        (parsed, _) => panic!("{manifest}: {parsed:?}, expected {expected:?}"),
    }
}

fn with(rule: &str) -> String {
    format!(r#"{{"name":"p","version":"1","rules":[{rule}]}}"#)
}

fn wishing(more: &str) -> String {
    with(RULE).replace("}]}", &format!("}}],{more}}}"))
}

const RULE: &str = r#"{"name":"r","hook":"before-write","collections":["c"],"operations":["create"]}"#;
const ENDPOINT: &str = r#"{"name":"pay","hook":"endpoint","method":"POST","path":"/pay/{id}"}"#;

#[test]
fn manifests_are_checked() {
    check(&with(RULE), Ok(()));
    check(&with(""), Err("1 to 100 rules"));
    check(&with(&format!("{RULE},{RULE}")), Err("same name: `r`"));
    check(&with(&RULE.replace("before-write", "after-write")), Err("unknown variant `after-write`"));
    check(&with(&RULE.replace("[\"c\"]", "[]")), Err("names no collection"));
    check(&with(&RULE.replace("[\"create\"]", "[]")), Err("names no operation"));
    check(&with(&RULE.replace("\"create\"", "\"read\"")), Err("unknown variant `read`"));
    check(&with(&RULE.replace("\"r\"", "\"No\"")), Err("is no name for a rule"));
    check(&with(&RULE.replace("\"hook\"", "\"when\":1,\"hook\"")), Err("unknown field `when`"));
    check(&with(RULE).replace("\"p\"", "\"1p\""), Err("is no name for a plugin"));
    check(&wishing(r#""network":true"#), Err("unknown field `network`"));
    check("[]", Err("not valid"));
}

#[test]
fn every_hook_has_its_members() {
    check(&with(r#"{"name":"r","hook":"after-commit"}"#), Ok(()));
    check(&with(&RULE.replace("before-write", "after-commit")), Ok(()));
    check(&with(r#"{"name":"r","hook":"after-commit","operations":["create"]}"#), Err("names no collection"));
    check(&with(r#"{"name":"r","hook":"after-commit","collections":["c"]}"#), Err("names no operation"));
    check(&with(&RULE.replace("\"hook\"", "\"schedule\":\"* * * * *\",\"hook\"")), Err("has `schedule`, which its hook `before-write`"));
    check(&with(r#"{"name":"r","hook":"scheduled","schedule":"0 3 * * *"}"#), Ok(()));
    check(&with(r#"{"name":"r","hook":"scheduled"}"#), Err("needs `schedule`"));
    check(&with(r#"{"name":"r","hook":"scheduled","schedule":"daily"}"#), Err("five are needed"));
    check(&with(ENDPOINT), Ok(()));
    check(&with(&ENDPOINT.replace("POST", "post")), Err("unknown variant `post`"));
    check(&with(&ENDPOINT.replace(r#""method":"POST","#, "")), Err("needs `method`"));
    check(&with(&ENDPOINT.replace("/pay/{id}", "pay")), Err("does not begin with `/`"));
    check(&with(&ENDPOINT.replace("\"path\"", "\"access\":\"anyone\",\"path\"")), Ok(()));
    check(&with(&ENDPOINT.replace("\"path\"", "\"access\":\"all\",\"path\"")), Err("unknown variant `all`"));
    check(&with(&RULE.replace("\"hook\"", "\"access\":\"anyone\",\"hook\"")), Err("has `access`"));
    check(&with(&ENDPOINT.replace("\"path\"", "\"collections\":[\"c\"],\"path\"")), Err("has `collections`"));
    let twin = ENDPOINT.replace("\"pay\"", "\"other\"").replace("{id}", "{number}");
    check(&with(&format!("{ENDPOINT},{twin}")), Err("two endpoints have the same name: `POST /pay/{}`"));
    check(&with(&format!("{ENDPOINT},{}", twin.replace("POST", "GET"))), Ok(()));
}

#[test]
fn wishes_and_settings_are_checked() {
    check(&wishing(r#""grants":{"webhooks":["*.example.com"],"email":true},"writes_as":"caller","limits":{"effects":2}"#), Ok(()));
    check(&wishing(r#""grants":{"webhooks":["*"]}"#), Err("is no host for webhooks"));
    check(&wishing(r#""writes_as":"admin""#), Err("unknown variant `admin`"));
    check(&wishing(r#""settings":[{"name":"api_key","secret":true},{"name":"url","default":"x","description":"d"}]"#), Ok(()));
    check(&wishing(r#""settings":[{"name":"k","secret":true,"default":"x"}]"#), Err("is no secret"));
    check(&wishing(r#""settings":[{"name":"k"},{"name":"k"}]"#), Err("two settings have the same name: `k`"));
    check(&wishing(r#""settings":[{"name":"K"}]"#), Err("is no name for a setting"));
}

#[test]
fn a_manifest_survives_being_written() {
    let text = with(&format!("{RULE},{ENDPOINT}"));
    let manifest = Manifest::parse(&text).expect("well formed");
    let written = serde_json::to_string(&manifest).expect("a manifest is JSON");
    assert_eq!(Manifest::parse(&written).expect("well formed"), manifest);
}
