//! `/api/auth`: registration, login, refresh, logout, me.

use poem_openapi::{Object, OpenApi, types::Any};
use serde::Deserialize;

use super::payload::{Documented, Reply};
use crate::{
    Error,
    auth::{self, Tokens},
    call::Call,
};

pub(super) struct AuthApi;

/// A new account: further members are fields of the collection `users`.
#[derive(Object)]
#[allow(dead_code, reason = "describes the body in the document; the story reads it")]
struct Registration {
    /// Unique; kept in small letters.
    email: String,
    /// 8 to 256 characters.
    #[oai(write_only)]
    password: String,
}

/// Who logs in.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    /// The email address.
    identity: String,
    /// The password.
    #[oai(write_only)]
    password: String,
}

/// A session that shall go on.
#[derive(Object, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    /// The refresh token of the last login or refresh. It is good once.
    refresh_token: String,
}

/// A session.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Session {
    /// Always `Bearer`.
    token_type: String,
    /// For the header `Authorization: Bearer ...`.
    access_token: String,
    /// Seconds that the access token is good for.
    expires_in: i64,
    /// For `/api/auth/refresh`, once.
    refresh_token: String,
    /// The account.
    record: Any<serde_json::Value>,
}

/// Who is logged in.
#[derive(Object)]
#[allow(dead_code, reason = "describes the answer in the document")]
struct Me {
    /// `user:ID`.
    principal: String,
    /// The roles, those through other roles included.
    roles: Vec<String>,
    /// The account.
    record: Any<serde_json::Value>,
}

#[OpenApi(prefix_path = "/auth")]
impl AuthApi {
    /// Make an account.
    #[oai(path = "/register", method = "post", operation_id = "auth_register")]
    async fn register(&self, call: Call, body: Documented<Registration>) -> poem::Result<Reply<Any<serde_json::Value>, 201>> {
        let account = auth::register::register(&call, body.bytes()).await?;
        Ok(Reply::json(account.json(&call, None)?))
    }

    /// Log in.
    #[oai(path = "/login", method = "post", operation_id = "auth_login")]
    async fn login(&self, call: Call, body: Documented<Login>) -> poem::Result<Reply<Session>> {
        let login: Login = body.parse()?;
        let tokens = auth::login::login(&call, &login.identity, &login.password).await?;
        Ok(session(&tokens)?)
    }

    /// Go on with a session: get a new access token and a new refresh token.
    #[oai(path = "/refresh", method = "post", operation_id = "auth_refresh")]
    async fn refresh(&self, call: Call, body: Documented<Refresh>) -> poem::Result<Reply<Session>> {
        let refresh: Refresh = body.parse()?;
        let tokens = auth::refresh::refresh(&call, &refresh.refresh_token).await?;
        Ok(session(&tokens)?)
    }

    /// End the session.
    #[oai(path = "/logout", method = "post", operation_id = "auth_logout")]
    async fn logout(&self, call: Call) -> poem::Result<super::payload::Nothing> {
        auth::logout(&call).await?;
        Ok(super::payload::Nothing)
    }

    /// See who is logged in.
    #[oai(path = "/me", method = "get", operation_id = "auth_me")]
    async fn me(&self, call: Call) -> poem::Result<Reply<Me>> {
        let account = auth::me(&call).await?;
        let record = raw(account.json(&call, None)?)?;
        let roles = call.world.policies.roles(&call.caller.principal, &call.caller.tenant);
        Ok(Reply::new(&serde_json::json!({ "principal": call.caller.principal.to_string(), "roles": roles, "record": record }))?)
    }
}

fn session(tokens: &Tokens) -> Result<Reply<Session>, Error> {
    Reply::new(&serde_json::json!({
        "token_type": "Bearer",
        "access_token": tokens.access_token,
        "expires_in": tokens.expires_in,
        "refresh_token": tokens.refresh_token,
        "record": raw(tokens.account.json(&tokens.call, None)?)?,
    }))
}

/// JSON that is ready, as a part of an answer.
fn raw(json: Vec<u8>) -> Result<serde_json::Value, Error> {
    serde_json::from_slice(&json).map_err(|error| Error::Internal(error.to_string()))
}
