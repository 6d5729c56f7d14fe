//! `/api/setup`: the first administrator of a fresh instance, made with a one-time code that only the operator's terminal has shown.

use std::sync::{Mutex, PoisonError};

use poem::web::Data;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::payload::{Documented, Nothing};
use crate::{App, Error, auth::random_bytes, call::Call, command::create_admin};

/// The one-time code of this process; none as soon as there is an administrator.
pub struct Setup {
    code: Mutex<Option<String>>,
    shown: Option<String>,
}

impl Setup {
    /// Makes a code if there is no administrator yet: 128 random bits in hex, which no shell and no command line takes for something else.
    ///
    /// # Errors
    /// What the database reports.
    pub async fn open(app: &App) -> Result<Self, Error> {
        let world = app.world();
        let code = (!world.policies.links().any(|link| link.role() == "role:admin" && link.source().is_database()))
            .then(|| blake3::Hash::from(random_bytes::<32>()).to_hex()[..32].to_owned());
        Ok(Self { code: Mutex::new(code.clone()), shown: code })
    }

    /// The code to show to the operator.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.shown.as_deref()
    }

    /// Takes the code if it is the right one; of two requests with the right one only the first gets it.
    fn take(&self, given: &str) -> Option<String> {
        let mut code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        // Comparing hashes tells nothing through its time.
        let right = code.as_ref().is_some_and(|code| blake3::hash(code.as_bytes()) == blake3::hash(given.as_bytes()));
        if right { code.take() } else { None }
    }

    fn give_back(&self, code: String) {
        *self.code.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    }
}

/// The first administrator.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstAdmin {
    /// The one-time code that the server printed when it started.
    code: String,
    /// The email address to log in with.
    email: String,
    /// 8 to 256 characters.
    #[oai(write_only)]
    password: String,
}

pub(super) struct SetupApi;

#[OpenApi(prefix_path = "/setup")]
impl SetupApi {
    /// Create the first administrator.
    #[oai(path = "/", method = "post", operation_id = "setup_create_admin")]
    async fn create(&self, call: Call, setup: Data<&std::sync::Arc<Setup>>, body: Documented<FirstAdmin>) -> poem::Result<Nothing> {
        let first: FirstAdmin = body.parse()?;
        let code = setup.take(&first.code).ok_or(Error::InvalidCredentials)?;
        if let Err(error) = create_admin(&call.app, &first.email, &first.password).await {
            setup.give_back(code);
            return Err(error.into());
        }
        Ok(Nothing)
    }
}

/// Asks a running server to create its first administrator. The code may stand in the address: `http://HOST:PORT/?code=CODE`.
///
/// # Errors
/// When the server cannot be reached or refuses.
pub async fn create_remotely(url: &str, code: Option<&str>, email: &str, password: &str) -> Result<(), Error> {
    let mut url = url::Url::parse(url).map_err(|error| Error::Command(format!("`{url}`: {error}")))?;
    let in_address = url.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
    let code = code.map(str::to_owned).or(in_address);
    let code = code.ok_or_else(|| Error::Command("the server printed a one-time code when it started: give it with --code".to_owned()))?;
    url.set_query(None);
    url.set_path("/api/setup");
    let body = serde_json::json!({ "code": code, "email": email, "password": password });
    let failed = |error: reqwest::Error| Error::Command(format!("cannot reach the server: {error}"));
    let answer = reqwest::Client::new().post(url).json(&body).send().await.map_err(failed)?;
    if answer.status().is_success() {
        println!("created the administrator {email}");
        return Ok(());
    }
    Err(Error::Command(format!("the server refused: {}", answer.text().await.map_err(failed)?)))
}
