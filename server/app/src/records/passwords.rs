//! Passwords: hashed with Argon2id before anything else sees them, rules included.

use std::sync::{Arc, LazyLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString, rand_core::OsRng},
};
use model::{Collection, Draft, Drafts, FieldType, Pointer, Value, Violation, validate};
use tokio::sync::Semaphore;

use crate::Error;

/// OWASP's second choice for Argon2id (19 MiB, 2 passes, 1 lane): about 30 ms of one core.
static ARGON2: LazyLock<Argon2<'static>> = LazyLock::new(|| {
    let params = Params::new(19_456, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
});

/// Hashing is made to be expensive; more than this at once would starve everybody else.
static HASHING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));

/// How many passwords one request may set.
const PASSWORDS_MAX: usize = 100;

/// Replaces every plain password of a draft by its hash. One that is too short, too long or no text stays, for validation to report with
/// everything else; but a text that looks like a hash never passes for one.
pub(super) async fn sealed(collection: &Collection, mut draft: Draft) -> Result<Draft, Error> {
    for field in collection.fields().filter(|field| field.kind == FieldType::Password) {
        let Some(value) = draft.values.get_mut(&field.name).filter(|value| !value.is_null()) else { continue };
        match validate::password(field, value) {
            Ok(plain) => *value = Value::Text(hash(plain.to_owned()).await?),
            Err(_) if value.as_text().is_some_and(|text| text.starts_with(validate::PASSWORD_HASH_PREFIX)) => {
                *value = Value::Text(String::new())
            }
            Err(_) => {}
        }
    }
    Ok(draft)
}

/// The same of one draft or several.
pub(super) async fn all_sealed(collection: &Collection, drafts: Drafts) -> Result<Drafts, Error> {
    let drafts = match drafts {
        Drafts::One(draft) => return sealed(collection, draft).await.map(Drafts::One),
        Drafts::Many(drafts) => drafts,
    };
    check_count(drafts.iter().map(|draft| (collection, draft)))?;
    let mut all = Vec::with_capacity(drafts.len());
    for draft in drafts {
        all.push(sealed(collection, draft).await?);
    }
    Ok(Drafts::Many(all))
}

/// Nobody may keep the processors busy with more passwords than this in one request.
pub(super) fn check_count<'a>(drafts: impl Iterator<Item = (&'a Collection, &'a Draft)>) -> Result<(), Error> {
    let passwords = drafts.map(|(collection, draft)| {
        let fields = collection.fields().filter(|field| field.kind == FieldType::Password);
        fields.filter(|field| draft.values.contains_key(&field.name)).count()
    });
    if passwords.sum::<usize>() <= PASSWORDS_MAX {
        return Ok(());
    }
    let message = format!("more than {PASSWORDS_MAX} passwords");
    Err(Error::Body(Violation::new(Pointer::root(), "body.too_many_passwords", message)))
}

async fn hash(plain: String) -> Result<String, Error> {
    blocking(move || {
        let salt = SaltString::generate(&mut OsRng);
        ARGON2.hash_password(plain.as_bytes(), &salt).map(|hash| hash.to_string()).map_err(|error| Error::Internal(error.to_string()))
    })
    .await?
}

/// Whether a password is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Right,
    Wrong,
}

/// Checks a password against a stored hash. Without one the same work is done in vain, so that the time does not tell who has an account.
pub(crate) async fn verify(plain: String, stored: Option<String>) -> Result<Checked, Error> {
    static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
        let salt = SaltString::generate(&mut OsRng);
        ARGON2.hash_password(b"nobody", &salt).map(|hash| hash.to_string()).ok()
    });
    blocking(move || {
        let known = stored.is_some();
        let stored = stored.or_else(|| NOBODY.clone()).unwrap_or_default();
        let right = PasswordHash::new(&stored).is_ok_and(|hash| ARGON2.verify_password(plain.as_bytes(), &hash).is_ok());
        if known && right { Checked::Right } else { Checked::Wrong }
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let permit = Arc::clone(&HASHING).acquire_owned().await.map_err(|error| Error::Internal(error.to_string()))?;
    // The permit goes with the work, which goes on when whoever asked for it has gone.
    let work = move || {
        let done = work();
        drop(permit);
        done
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}
