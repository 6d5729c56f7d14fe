//! The key of what is stored encrypted, and the encryption: XChaCha20-Poly1305 under a key derived from that one. A value can be opened only
//! as what it was sealed as, so that nobody who can write to the database can hand the secret of one plugin to another.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, SecretBox};

use crate::{Error, config::Config};

/// The name of the file in the data directory.
const FILE: &str = "secret.key";

/// What begins a sealed value.
const SEALED: &str = "enc:";

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The key of what is stored encrypted.
pub(crate) struct Vault {
    key: SecretBox<[u8; KEY_BYTES]>,
}

impl Vault {
    /// Takes the key from the configuration, or from the file in the data directory, which is made at the first start.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a key that is none, or a file that can neither be read nor made.
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        let key = match config.secret_key.as_deref() {
            Some(text) => decoded(text).ok_or_else(|| Error::Configuration("`secret_key` is not 32 bytes in base64".to_owned()))?,
            None => {
                let path = config.data_dir.join(FILE);
                kept(&path).map_err(|error| Error::Configuration(format!("{}: {error}", path.display())))?
            }
        };
        Ok(Self { key: SecretBox::new(Box::new(key)) })
    }

    /// A key for another purpose, which tells nothing about this one. The text names the purpose and nothing else.
    pub(crate) fn derived(&self, purpose: &str) -> [u8; KEY_BYTES] {
        blake3::derive_key(purpose, self.key.expose_secret())
    }

    /// Encrypts a secret of a plugin.
    pub(crate) fn seal(&self, plugin: &str, name: &str, secret: &str) -> Result<String, Error> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let aad = place(plugin, name);
        let payload = Payload { msg: secret.as_bytes(), aad: &aad };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::Internal(format!("cannot encrypt the secret `{name}` of `{plugin}`")))?;
        Ok(format!("{SEALED}{}", STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    /// Decrypts a secret of a plugin; none if it was sealed with another key, as something else, or changed since.
    pub(crate) fn unseal(&self, plugin: &str, name: &str, sealed: &str) -> Option<String> {
        let bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(SEALED)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let aad = place(plugin, name);
        let secret = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad }).ok()?;
        String::from_utf8(secret).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&self.derived("ironrule 2026 secrets of plugins").into())
    }
}

/// As what a value is sealed. Neither name has a newline.
fn place(plugin: &str, name: &str) -> Vec<u8> {
    format!("{plugin}\n{name}").into_bytes()
}

fn decoded(text: &str) -> Option<[u8; KEY_BYTES]> {
    let text = text.trim().trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The key in this file, which is made if it is not there.
fn kept(path: &Path) -> std::io::Result<[u8; KEY_BYTES]> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(path)?;
            // Another process may have come first; then it is that one's.
            fs::read_to_string(path)?
        }
        read => read?,
    };
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the key of stored secrets can be read by others; make it `chmod 600`");
    }
    decoded(&text).ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, "this is not a key: 32 bytes in base64"))
}

/// Makes a new key. It is complete before it has its name, and never takes the place of another.
fn make(path: &Path) -> std::io::Result<()> {
    let random: [u8; KEY_BYTES] = rand::random();
    let unfinished = path.with_extension(format!("key.{:016x}", rand::random::<u64>()));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "{}", STANDARD.encode(random))?;
        file.sync_all()
    };
    let named = write().and_then(|()| match fs::hard_link(&unfinished, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // Some file systems have no links.
        Err(_) if !path.exists() => fs::rename(&unfinished, path),
        linked => linked,
    });
    let _ = fs::remove_file(&unfinished);
    if let Some(folder) = path.parent() {
        // Without this, the name may be lost in a power cut while secrets sealed with the key are not.
        File::open(folder)?.sync_all()?;
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path, key: Option<&str>) -> Config {
        Config { data_dir: folder.to_owned(), secret_key: key.map(str::to_owned), ..Config::default() }
    }

    fn open(key: &str) -> Vault {
        Vault::open(&config(Path::new("/nowhere"), Some(key))).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn a_secret_is_opened_with_the_same_key_as_the_same_thing_only() {
        let vault = open(KEY);
        let sealed = vault.seal("p", "token", "hush").expect("sealed");
        assert!(sealed.starts_with("enc:") && !sealed.contains("hush"), "{sealed}");
        assert_ne!(sealed, vault.seal("p", "token", "hush").expect("sealed"), "a nonce is used once");
        assert_eq!(open(KEY.trim_end_matches('=')).unseal("p", "token", &sealed).as_deref(), Some("hush"));
        let other = open(&KEY.replace('H', "I"));
        for (vault, plugin, name, sealed) in [
            (&other, "p", "token", sealed.clone()),
            (&vault, "q", "token", sealed.clone()),
            (&vault, "p", "other", sealed.clone()),
            (&vault, "p", "token", sealed.replacen("enc:", "enc:A", 1)),
            (&vault, "p", "token", sealed[..sealed.len() - 4].to_owned()),
            (&vault, "p", "token", "enc:".to_owned()),
            (&vault, "p", "token", "hush".to_owned()),
        ] {
            assert_eq!(vault.unseal(plugin, name, &sealed), None, "{plugin} {name} {sealed}");
        }
    }

    #[test]
    fn keys_for_other_purposes_differ() {
        let vault = open(KEY);
        assert_ne!(vault.derived("one"), vault.derived("other"));
        assert_eq!(vault.derived("one"), open(KEY).derived("one"));
    }

    #[test]
    fn the_key_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = Vault::open(&config(folder.path(), None)).expect("made");
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        let second = Vault::open(&config(folder.path(), None)).expect("read");
        assert_eq!(first.derived("x"), second.derived("x"));
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "something was left behind");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in ["", "short", "AAAA", &KEY[1..], &format!("{KEY}{KEY}")] {
            let error = Vault::open(&config(Path::new("/nowhere"), Some(key))).err().unwrap_or_else(|| panic!("`{key}` was taken"));
            assert!(error.to_string().contains("`secret_key`"), "{error}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "nonsense\n").expect("written");
        let error = Vault::open(&config(folder.path(), None)).err().expect("refused");
        assert!(error.to_string().contains("secret.key"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).expect("there"), "nonsense\n", "it was overwritten");
    }
}
