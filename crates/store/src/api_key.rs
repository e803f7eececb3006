//! The text of an API key, and what is kept of it.
//!
//! A key reads `lt-<id>-<secret>`: 16 hexadecimal digits that name it, and 64 that only its owner
//! knows. The store keeps the SHA-256 of the whole text and nothing from which it could be made
//! again. A slow hash such as argon2 protects passwords, which people choose and others guess; a
//! secret of 256 random bits cannot be guessed however quick a guess is, so it would gain nothing
//! and cost every request its time.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};

const PREFIX: &str = "lt-";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// An API key as its owner sends it. [`ApiKey::as_str`] shows it; `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    text: String,
}

impl ApiKey {
    /// A new key, unlike any other.
    ///
    /// # Errors
    ///
    /// [`Error::NoRandomness`] if the system has no random numbers.
    pub fn random() -> Result<Self> {
        let id = random_digits::<ID_BYTES>()?;
        let secret = random_digits::<SECRET_BYTES>()?;
        Ok(Self {
            text: format!("{PREFIX}{id}-{secret}"),
        })
    }

    /// The key that a text is; `None` if no key reads so.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('-')?;
        (is_digits(id, ID_BYTES) && is_digits(secret, SECRET_BYTES)).then(|| Self {
            text: text.to_owned(),
        })
    }

    /// The part that names the key, and is no secret.
    pub fn id(&self) -> &str {
        &self.text[PREFIX.len()..PREFIX.len() + 2 * ID_BYTES]
    }

    /// The whole key, secret included.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the store keeps of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(&self.text).into())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKey({PREFIX}{}-...)", self.id())
    }
}

/// The SHA-256 of an API key.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Whether it is this key's. The time that it takes tells nothing about where two hashes differ.
    pub fn is_of(&self, key: &ApiKey) -> bool {
        self.0.ct_eq(&key.hash().0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHash(...)")
    }
}

impl From<KeyHash> for String {
    fn from(hash: KeyHash) -> Self {
        digits(&hash.0)
    }
}

impl TryFrom<String> for KeyHash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "the hash of a key must have 64 hexadecimal digits".to_owned();
        if !is_digits(&text, 32) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let pair = &text[2 * place..2 * place + 2];
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

fn random_digits<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|source| Error::NoRandomness { source })?;
    Ok(digits(&bytes))
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is this many bytes as lower-case hexadecimal digits.
fn is_digits(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_hides_in_debug() {
        let key = ApiKey::random().unwrap();
        let read = ApiKey::parse(key.as_str()).unwrap();
        assert_eq!(read, key);
        assert!(key.hash().is_of(&read));
        let shown = format!("{key:?} {:?}", key.hash());
        assert!(shown.contains(key.id()), "{shown}");
        let secret = key.as_str().rsplit('-').next().unwrap();
        assert!(!shown.contains(&secret[..8]), "{shown}");
        assert_ne!(ApiKey::random().unwrap(), key);
    }

    #[test]
    fn another_secret_under_the_same_id_is_another_key() {
        let key = ApiKey::random().unwrap();
        let last = if key.as_str().ends_with('0') {
            '1'
        } else {
            '0'
        };
        let text = format!("{}{last}", &key.as_str()[..key.as_str().len() - 1]);
        let forged = ApiKey::parse(&text).unwrap();
        assert_eq!(forged.id(), key.id());
        assert!(!key.hash().is_of(&forged));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let key = ApiKey::random().unwrap();
        let text = key.as_str();
        let upper = text.to_uppercase();
        for wrong in [
            "",
            "lt-",
            "lt--",
            "sk-1234",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}0"),
            &format!("{text}\n"),
            &upper,
            "lt-ööööö-ü",
        ] {
            assert_eq!(ApiKey::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_hash_survives_json() {
        let key = ApiKey::random().unwrap();
        let json = serde_json::to_string(&key.hash()).unwrap();
        let read: KeyHash = serde_json::from_str(&json).unwrap();
        assert!(read.is_of(&key));
        assert!(serde_json::from_str::<KeyHash>("\"abc\"").is_err());
    }
}
