//! Whose account this is, by the password database: the environment may be the client's.

use std::path::PathBuf;

use nix::unistd::{User, getuid};

use super::Unfit;

/// The home directory of whoever runs this.
pub(super) fn home() -> Result<PathBuf, Unfit> {
    #[cfg(debug_assertions)]
    if let Some(home) = std::env::var_os(HOME_IN_TESTS) {
        return Ok(home.into());
    }
    let id = getuid();
    match User::from_uid(id) {
        Ok(Some(user)) if user.dir.is_absolute() => Ok(user.dir),
        Ok(_) => Err(Unfit::config(format!("the password database has no home directory of user {id}"))),
        Err(error) => Err(Unfit::io(format!("the home directory of user {id} cannot be looked up: {error}"))),
    }
}

/// Where tests have an account of their own. Only builds with debug assertions look for it, as for deliberate bugs.
#[cfg(debug_assertions)]
const HOME_IN_TESTS: &str = "SMD_TEST_ACCOUNT_HOME";
