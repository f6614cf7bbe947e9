//! Who asks.

use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The organisation and the user on whose behalf something is read or written.
///
/// There is no default and no store method without one: a caller that forgets the tenant does not compile. Both parts
/// are 1 to 256 bytes without control characters; they are compared byte for byte.
///
/// ```
/// use syntra_core::Scope;
/// let scope = Scope::new("acme", "ada")?;
/// assert_eq!(scope.to_string(), "acme/ada");
/// assert!(Scope::new("", "ada").is_err());
/// # Ok::<(), syntra_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawScope")]
pub struct Scope {
    org: String,
    user: String,
}

#[derive(Deserialize)]
struct RawScope {
    org: String,
    user: String,
}

impl TryFrom<RawScope> for Scope {
    type Error = Error;
    fn try_from(raw: RawScope) -> Result<Self> {
        Scope::new(raw.org, raw.user)
    }
}

impl Scope {
    /// A scope for `user` of `org`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when a part is empty, longer than 256 bytes or holds a control character.
    pub fn new(org: impl Into<String>, user: impl Into<String>) -> Result<Self> {
        let (org, user) = (org.into(), user.into());
        for (name, part) in [("org", &org), ("user", &user)] {
            if part.is_empty() || part.len() > 256 || part.chars().any(char::is_control) {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    format!("scope {name} must be 1 to 256 bytes without control characters, got {} bytes", part.len()),
                ));
            }
        }
        Ok(Self { org, user })
    }

    /// The scope of a program with a single user: organisation `local`, user `local`.
    pub fn local() -> Self {
        Self { org: "local".into(), user: "local".into() }
    }

    /// The organisation's id.
    pub fn org(&self) -> &str {
        &self.org
    }

    /// The user's id, unique within the organisation.
    pub fn user(&self) -> &str {
        &self.user
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.org, self.user)
    }
}
