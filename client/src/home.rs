//! Where this user's config and state lie: `$SMD_HOME`, or `~/.smd`.
//!
//! Deliberately not here: what the files mean, and making the directory. Only this room and
//! [`crate::endpoint`] look at the environment for paths.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The directory of config and state, and the home directory that relative roots start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmdHome {
    path: PathBuf,
    user: PathBuf,
}

/// Neither `HOME` nor the password file names an absolute home directory.
#[derive(Debug, thiserror::Error)]
#[error("the home directory is not known: HOME is not an absolute path")]
pub struct NoHome;

fn foreign(place: &Path, owner: u32, user: u32) -> Option<String> {
    (owner != user).then(|| {
        let place = place.display();
        format!(
            "{place} belongs to another user (id {owner}; this is {user}): is HOME, or SMD_HOME, that of another user?"
        )
    })
}

impl SmdHome {
    /// Takes `SMD_HOME` and `HOME` from the environment. A relative `SMD_HOME` starts from the
    /// working directory.
    pub fn from_env() -> Result<Self, NoHome> {
        let user = env::home_dir().filter(|home| home.is_absolute()).ok_or(NoHome)?;
        let path = match env::var_os("SMD_HOME") {
            Some(path) if !path.is_empty() => std::path::absolute(path).map_err(|_| NoHome)?,
            _ => user.join(".smd"),
        };
        Ok(Self { path, user })
    }

    /// Takes both directories as they are given.
    pub fn new(path: impl Into<PathBuf>, user: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), user: user.into() }
    }

    /// The directory of config and state.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The user's home directory.
    pub fn user(&self) -> &Path {
        &self.user
    }

    /// Says so when config and state would lie in the home of another user: `sudo` and `su` may leave `HOME` as it was.
    pub fn of_another_user(&self) -> Option<String> {
        let owner = |path: &Path| fs::metadata(path).ok().map(|meta| meta.uid());
        // What is not there yet is made in the nearest directory that is.
        let (place, owner) = self.path.ancestors().find_map(|place| Some((place, owner(place)?)))?;
        foreign(place, owner, rustix::process::geteuid().as_raw())
    }

    /// The config file of an endpoint.
    pub fn config_file(&self, endpoint: &str) -> PathBuf {
        self.path.join(format!("config.{endpoint}"))
    }

    /// Whether an endpoint of this name is configured.
    pub fn has_endpoint(&self, endpoint: &str) -> bool {
        self.config_file(endpoint).is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_of_another_user_is_said_as_such() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(dir.path().join("a/.smd"), dir.path());
        assert_eq!(home.of_another_user(), None);
        let text = foreign(Path::new("/home/me"), 1000, 0).expect("it is another's");
        assert!(text.starts_with("/home/me belongs to another user (id 1000; this is 0)"), "{text}");
        assert_eq!(foreign(Path::new("/home/me"), 1000, 1000), None);
    }
}
