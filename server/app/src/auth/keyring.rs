//! Access tokens (JWT, HS256, one pinned algorithm) and the memory of which sessions are alive.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::Record;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::{Store, settings};

use crate::{App, Error, config::Config};

/// How long a session is believed to be alive without another look into the database: how fast a logout reaches other nodes.
const SESSION_TRUST: Duration = Duration::from_secs(1);

/// How many sessions are remembered.
const SESSIONS_MAX: usize = 50_000;

const ISSUER: &str = "ironrule";

/// What an access token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The issuer.
    iss: String,
    /// The id of the account.
    pub(crate) sub: String,
    /// The tenant.
    pub(crate) tenant: String,
    /// The session.
    pub(crate) sid: String,
    /// What makes two tokens of the same second different.
    jti: String,
    /// When it was issued, in seconds since 1970.
    iat: u64,
    /// When it expires.
    exp: u64,
}

/// The key that signs tokens, and the sessions seen lately.
pub(crate) struct Keyring {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    pub(crate) lifetime_seconds: u64,
    alive: Mutex<HashMap<String, (Instant, Arc<Record>)>>,
}

impl Keyring {
    /// Takes the key out of the database; on the first start it is made there.
    pub(crate) async fn open(store: &Store, config: &Config) -> Result<Self, Error> {
        // SurrealDB brings a second cryptography into the build, so that the choice has to be made; a second start in one process is fine.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = token_key(store).await?;
        let bytes = URL_SAFE_NO_PAD.decode(key.expose_secret()).map_err(|error| Error::Internal(error.to_string()))?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Ok(Self {
            encoding: EncodingKey::from_secret(&bytes),
            decoding: DecodingKey::from_secret(&bytes),
            validation,
            lifetime_seconds: config.access_token_seconds,
            alive: Mutex::default(),
        })
    }

    pub(crate) fn sign(&self, account: &Record, session: &str, now_seconds: u64) -> Result<String, Error> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: account.id.clone(),
            tenant: account.tenant.clone(),
            sid: session.to_owned(),
            jti: ulid::Ulid::new().to_string(),
            iat: now_seconds,
            exp: now_seconds + self.lifetime_seconds,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(|error| Error::Internal(error.to_string()))
    }

    pub(crate) fn verify(&self, token: &str) -> Result<Claims, Error> {
        let data = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation);
        data.map(|data| data.claims).map_err(|_| Error::InvalidToken)
    }

    /// The account behind a session that is alive.
    pub(crate) async fn session(&self, app: &App, claims: &Claims) -> Result<Arc<Record>, Error> {
        if let Some((seen, account)) = self.alive().get(&claims.sid)
            && seen.elapsed() < SESSION_TRUST
        {
            return Ok(Arc::clone(account));
        }
        let session = store::sessions::get(&app.store, &claims.sid).await?.filter(|session| session.account == claims.sub);
        let session = session.ok_or(Error::InvalidToken)?;
        let users = super::users(app)?;
        let account = store::records::get(&app.store, &users, &session.tenant, &session.account).await?.ok_or(Error::InvalidToken)?;
        let account = Arc::new(account);
        let mut alive = self.alive();
        if alive.len() >= SESSIONS_MAX {
            alive.retain(|_, (seen, _)| seen.elapsed() < SESSION_TRUST);
        }
        alive.insert(claims.sid.clone(), (Instant::now(), Arc::clone(&account)));
        Ok(account)
    }

    /// Forgets a session that has ended.
    pub(crate) fn forget(&self, session: &str) {
        self.alive().remove(session);
    }

    /// Forgets all sessions of an account, after it was changed or deleted.
    pub(crate) fn forget_account(&self, account: &str) {
        self.alive().retain(|_, (_, record)| record.id != account);
    }

    fn alive(&self) -> MutexGuard<'_, HashMap<String, (Instant, Arc<Record>)>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn token_key(store: &Store) -> Result<SecretString, Error> {
    const NAME: &str = "token_key";
    if let Some(key) = settings::get(store, NAME).await? {
        return Ok(key.into());
    }
    let key = URL_SAFE_NO_PAD.encode(random_bytes::<32>());
    settings::put(store, NAME, &key).await?;
    Ok(key.into())
}

/// Bytes of the operating system's generator.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}
