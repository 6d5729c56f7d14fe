//! Plugins of a running server, through its API.

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use model::collection::Definition;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value as Json, json};

use super::{component, is_text, loaded, read};
use crate::Error;

/// A running server, and who asks.
#[derive(Debug, Args)]
pub(in crate::command) struct Place {
    /// The address of the server.
    #[arg(long, env = "IRONRULE_URL", default_value = "http://127.0.0.1:8090")]
    url: String,
    /// An access token.
    #[arg(long, env = "IRONRULE_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Log in with this address instead of a token.
    #[arg(long, requires = "password", conflicts_with = "token")]
    email: Option<String>,
    /// Its password.
    #[arg(long, env = "IRONRULE_ADMIN_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// Seconds that the server may wait for new log lines before it answers.
const WAIT_SECONDS: &str = "20";

/// The server as somebody who may be logged in.
pub(in crate::command) struct Server {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Server {
    pub(in crate::command) async fn at(place: &Place) -> Result<Self, Error> {
        let client = Client::builder().no_proxy().build().map_err(unreachable)?;
        let mut server = Self { client, url: place.url.trim_end_matches('/').to_owned(), token: place.token.clone() };
        if let Some(email) = &place.email {
            let login = json!({ "identity": email, "password": place.password });
            let answer = server.send(server.request(Method::POST, "/api/auth/login").json(&login)).await?;
            server.token = answer["access_token"].as_str().map(str::to_owned);
        }
        Ok(server)
    }

    pub(in crate::command) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub(in crate::command) async fn send(&self, request: RequestBuilder) -> Result<Json, Error> {
        self.answer(request).await?.map_err(|problem| Error::Command(refusal(&problem)))
    }

    /// What the server answers, or the text of the problem with which it refuses.
    async fn answer(&self, request: RequestBuilder) -> Result<Result<Json, String>, Error> {
        let answer = request.send().await.map_err(unreachable)?;
        let (status, text) = (answer.status(), answer.text().await.map_err(unreachable)?);
        if !status.is_success() {
            return Ok(Err(text));
        }
        let json = serde_json::from_str(&text).map_err(|error| Error::Command(format!("the server answered no JSON: {error}")))?;
        Ok(Ok(json))
    }
}

pub(in crate::command) fn with(path: &str, query: &[(&str, &str)]) -> String {
    format!("{path}?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish())
}

/// A problem for people: the sentence, the code, and what is wrong with which part.
pub(in crate::command) fn refusal(text: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Json>(text) else { return format!("the server refused: {text}") };
    let mut lines = vec![format!(
        "the server refused: {} [{}]",
        problem["message"].as_str().or_else(|| problem["title"].as_str()).unwrap_or_default(),
        problem["code"].as_str().unwrap_or_default()
    )];
    for error in problem["errors"].as_array().into_iter().flatten() {
        lines.push(format!("  {} {}", error["pointer"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default()));
    }
    lines.join("\n")
}

pub(in crate::command) fn unreachable(error: reqwest::Error) -> Error {
    Error::Command(format!("cannot reach the server: {error}"))
}

/// Installs a version. Without a grant the server keeps what was granted before, and refuses a version that wishes for more: only what is
/// not installed yet is granted its wishes then.
pub(super) async fn install(place: &Place, file: &Path, grant: Option<&str>, shadow: bool) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let upload = Upload::read(file, shadow)?;
    let plugin = match server.answer(upload.request(&server, grant)).await? {
        Ok(plugin) => plugin,
        Err(problem) if grant.is_none() && lacks_grants(&problem) => install_first(&server, &upload, file, &problem).await?,
        Err(problem) => return Err(Error::Command(refusal(&problem))),
    };
    println!("installed {}", line(&plugin));
    println!("granted {}", granted(&plugin, shadow));
    warn(&plugin);
    Ok(())
}

/// A version on its way to a server.
struct Upload {
    kind: &'static str,
    mode: &'static str,
    code: Vec<u8>,
}

impl Upload {
    fn read(file: &Path, shadow: bool) -> Result<Self, Error> {
        let kind = if is_text(file) { "text/javascript" } else { "application/wasm" };
        let mode = if shadow { "shadow" } else { "activate" };
        Ok(Self { kind, mode, code: read(file)? })
    }

    fn request(&self, server: &Server, grant: Option<&str>) -> RequestBuilder {
        let mut query = vec![("mode", self.mode)];
        query.extend(grant.map(|grant| ("grant", grant)));
        server.request(Method::POST, &with("/api/plugins", &query)).header("content-type", self.kind).body(self.code.clone())
    }
}

fn lacks_grants(problem: &str) -> bool {
    let problem: Json = serde_json::from_str(problem).unwrap_or_default();
    problem["errors"].as_array().into_iter().flatten().any(|error| error["code"] == "plugin.grants")
}

/// Grants its wishes to a plugin that is not installed yet. Of one that is they are wider than before: that is for somebody to decide.
async fn install_first(server: &Server, upload: &Upload, file: &Path, problem: &str) -> Result<Json, Error> {
    // Only the component knows what it calls itself.
    let plugin = loaded(component(file).await?).await?;
    let wishes = listed(&json!(plugin.manifest().grants));
    let installed = server.send(server.request(Method::GET, "/api/plugins")).await?;
    if installed.as_array().into_iter().flatten().any(|one| one["name"] == plugin.name()) {
        let advice = format!("to grant all that it wishes, add `--grant all`, which is `--grant {wishes}`");
        return Err(Error::Command(format!("{}\n{advice}", refusal(problem))));
    }
    server.send(upload.request(server, Some(&wishes))).await
}

/// What was granted to the version that was just installed.
fn granted(plugin: &Json, shadow: bool) -> String {
    let digest = if shadow { &plugin["shadow"] } else { &plugin["digest"] };
    let version = plugin["versions"].as_array().into_iter().flatten().find(|version| version["digest"] == *digest);
    let grants = version.map(|version| listed(&version["grants"])).unwrap_or_default();
    if grants.is_empty() { "nothing".to_owned() } else { grants }
}

/// Grants as `--grant` takes them.
fn listed(grants: &Json) -> String {
    let kinds = [("read", &grants["read"]), ("query", &grants["query"]), ("write", &grants["write"]), ("webhook", &grants["webhooks"])];
    let named = kinds.into_iter().flat_map(|(kind, names)| {
        let names = names.as_array().into_iter().flatten().filter_map(Json::as_str);
        names.map(move |name| format!("{kind}:{name}"))
    });
    named.chain((grants["email"] == true).then(|| "email".to_owned())).collect::<Vec<_>>().join(",")
}

/// What the server says about a plugin beside what was asked.
fn warn(plugin: &Json) {
    for warning in plugin["warnings"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        eprintln!("warning: {warning}");
    }
}

/// The definitions of all collections.
pub(super) async fn collections(place: &Place) -> Result<Vec<Definition>, Error> {
    let server = Server::at(place).await?;
    let answer = server.send(server.request(Method::GET, "/api/collections")).await?;
    serde_json::from_value(answer).map_err(|error| Error::Command(format!("the server is of another version: {error}")))
}

pub(super) async fn list(place: &Place) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let plugins = server.send(server.request(Method::GET, "/api/plugins")).await?;
    for plugin in plugins.as_array().into_iter().flatten() {
        println!("{}", line(plugin));
    }
    Ok(())
}

fn line(plugin: &Json) -> String {
    let text = |name: &str| plugin[name].as_str().unwrap_or_default();
    let digest = text("digest");
    let state = match (plugin["broken"].as_str(), plugin["enabled"].as_bool()) {
        (Some(reason), _) => format!(", broken: {reason}"),
        (None, Some(false)) => ", disabled".to_owned(),
        (None, _) => String::new(),
    };
    if let Some(shadow) = plugin["shadow"].as_str() {
        let watched = format!("watched {}", shadow.get(..12).unwrap_or(shadow));
        return match digest.is_empty() {
            true => format!("{}: {watched}{state}", text("name")),
            false => format!("{} {} ({}), {watched}{state}", text("name"), text("version"), digest.get(..12).unwrap_or(digest)),
        };
    }
    format!("{} {} ({}){state}", text("name"), text("version"), digest.get(..12).unwrap_or(digest))
}

pub(super) async fn change(place: &Place, name: &str, change: Json) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let request = server.request(Method::PATCH, &format!("/api/plugins/{name}")).json(&change);
    let plugin = server.send(request).await?;
    println!("{}", line(&plugin));
    warn(&plugin);
    Ok(())
}

pub(super) async fn roll_back(place: &Place, name: &str) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let plugin = server.send(server.request(Method::POST, &format!("/api/plugins/{name}/rollback"))).await?;
    println!("back to {}", line(&plugin));
    warn(&plugin);
    Ok(())
}

pub(super) async fn remove(place: &Place, name: &str) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let plugin = server.send(server.request(Method::DELETE, &format!("/api/plugins/{name}"))).await?;
    println!("removed {}", line(&plugin));
    Ok(())
}

/// Shows the rules of a collection as they run, after they have been ordered if any are named.
pub(super) async fn order(place: &Place, collection: &str, rules: &[String]) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let path = format!("/api/rules/{collection}");
    let request = match rules {
        [] => server.request(Method::GET, &path),
        rules => server.request(Method::PUT, &path).json(&json!({ "order": rules })),
    };
    for rule in server.send(request).await?["rules"].as_array().into_iter().flatten() {
        let operations: Vec<&str> = rule["operations"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let state = if rule["enabled"] == true { "" } else { ", disabled" };
        println!(
            "{} {} {}{state}",
            rule["rule"].as_str().unwrap_or_default(),
            rule["hook"].as_str().unwrap_or_default(),
            operations.join(" ")
        );
    }
    Ok(())
}

pub(super) async fn settings(place: &Place, name: &str, values: &[String]) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let path = format!("/api/plugins/{name}/settings");
    let given = pairs(values)?;
    let mut settings = server.send(server.request(Method::GET, &path)).await?;
    if !given.is_empty() {
        // A PUT is all plain settings; those that are not named here stay as they are. Secrets stay by themselves.
        let kept = settings.as_array().into_iter().flatten().filter(|setting| setting["secret"] != true && setting["set"] == true);
        let kept = kept.filter_map(|setting| Some((setting["name"].as_str()?, setting["value"].clone())));
        // `NAME=` goes back to the default.
        let given = given.into_iter().map(|(name, value)| (name, if value.is_empty() { Json::Null } else { value.into() }));
        let all: BTreeMap<&str, Json> = kept.chain(given).collect();
        settings = server.send(server.request(Method::PUT, &path).json(&all)).await?;
    }
    for setting in settings.as_array().into_iter().flatten() {
        let name = setting["name"].as_str().unwrap_or_default();
        match (&setting["value"], setting["secret"].as_bool(), setting["set"].as_bool()) {
            (_, Some(true), Some(true)) => println!("{name} (secret)"),
            (Json::String(value), _, _) => println!("{name}={value}"),
            _ => match setting["default"].as_str() {
                Some(default) => println!("{name}={default} (the default)"),
                None => println!("{name} (not set)"),
            },
        }
    }
    Ok(())
}

fn pairs(values: &[String]) -> Result<BTreeMap<&str, &str>, Error> {
    let pair = |text: &'_ String| text.split_once('=').is_some();
    match values.iter().find(|text| !pair(text)) {
        Some(bad) => Err(Error::Command(format!("`{bad}` is no setting: write `NAME=VALUE`"))),
        None => Ok(values.iter().filter_map(|text| text.split_once('=')).collect()),
    }
}

pub(super) async fn runs(place: &Place, name: &str) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let runs = server.send(server.request(Method::GET, &format!("/api/plugins/{name}/runs"))).await?;
    for run in runs.as_array().into_iter().flatten() {
        let text = |name: &str| run[name].as_str().unwrap_or_default();
        println!(
            "{:>5} {} {}{} {} {} {} {}",
            run["seq"].to_string(),
            text("at"),
            text("version"),
            if run["mode"] == "shadow" { " (watched)" } else { "" },
            text("rule"),
            text("collection"),
            text("outcome"),
            text("code")
        );
    }
    Ok(())
}

/// A recorded run as JSON: that one, or the newest.
pub(super) async fn run(place: &Place, name: &str, seq: Option<u64>) -> Result<String, Error> {
    let server = Server::at(place).await?;
    let path = format!("/api/plugins/{name}/runs");
    let seq = match seq {
        Some(seq) => seq,
        None => {
            let runs = server.send(server.request(Method::GET, &path)).await?;
            let newest = runs.as_array().into_iter().flatten().filter_map(|run| run["seq"].as_u64()).max();
            newest.ok_or_else(|| Error::Command(format!("no run of `{name}` is recorded")))?
        }
    };
    let run = server.send(server.request(Method::GET, &format!("{path}/{seq}"))).await?;
    Ok(format!("{run:#}\n"))
}

pub(super) async fn logs(place: &Place, name: &str, follow: bool) -> Result<(), Error> {
    let server = Server::at(place).await?;
    let mut after = String::new();
    loop {
        let mut query = vec![("limit", "100")];
        if !after.is_empty() {
            query.extend([("after", after.as_str()), ("wait", WAIT_SECONDS)]);
        }
        let answer = server.send(server.request(Method::GET, &with(&format!("/api/plugins/{name}/logs"), &query))).await?;
        let lines = answer["lines"].as_array().cloned().unwrap_or_default();
        for line in &lines {
            let text = |name: &str| line[name].as_str().unwrap_or_default();
            let fields = match line["fields"].as_object() {
                Some(fields) if !fields.is_empty() => format!(" {}", line["fields"]),
                _ => String::new(),
            };
            println!("{} {:5} {} {}{fields}", text("at"), text("level"), text("rule"), text("message"));
        }
        after = answer["last"].to_string();
        if !follow {
            return Ok(());
        }
    }
}
