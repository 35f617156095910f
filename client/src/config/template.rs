//! The config file to begin with: `config.default.example`, embedded.
//!
//! Its commented-out assignments are the defaults; a test compares them with the code.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::ConfigError;
use crate::home::SmdHome;

/// The text.
pub const TEXT: &str = include_str!("../../../config.default.example");

/// Writes the template for an endpoint and returns its path. An existing file is never
/// overwritten; a crash can leave a shorter file, which says so when it is used.
pub fn write(home: &SmdHome, endpoint: &str) -> Result<PathBuf, ConfigError> {
    let path = home.config_file(endpoint);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => ConfigError::Exists(path.clone()),
        _ => ConfigError::Io(path.clone(), error),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(home.path())
        .map_err(|error| ConfigError::Io(home.path().to_owned(), error))?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(TEXT.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| ConfigError::Io(path.clone(), error))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::super::{Config, GRAVE_DAYS};
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me"))
    }

    #[test]
    fn the_template_says_what_to_fill_in() {
        assert!(parse(TEXT).expect_err("nothing is filled in").to_string().contains("SERVERNAME is not set"));
        let filled = TEXT.replace("\nSERVERNAME=\n", "\nSERVERNAME=host\n");
        let config = parse(&filled).expect("only SERVERNAME was missing");
        assert_eq!(config, parse("SERVERNAME=host\nMAILBOX=Maildir").expect("a short config"));
    }

    #[test]
    fn commented_out_assignments_are_the_defaults() {
        let uncomment = |line: &str| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_uppercase()) => rest.to_owned(),
            _ => line.replace("SERVERNAME=", "SERVERNAME=host"),
        };
        let text: Vec<String> = TEXT.lines().map(uncomment).collect();
        let config = parse(&text.join("\n")).expect("the template parses");
        let short = parse("SERVERNAME=host\nMAILBOX=Maildir").expect("a short config");
        assert_eq!(config.grave_days, GRAVE_DAYS);
        assert_eq!(config.rsh, Some(vec![crate::endpoint::DEFAULT_RSH.into()]));
        assert_eq!(config.remote_command, Some(crate::connect::DEFAULT_COMMAND.into()));
        assert_eq!(Config { rsh: None, remote_command: None, ..config }, short);
        for key in super::super::KEYS {
            assert!(TEXT.contains(&format!("{key}=")), "{key} is not in the template");
        }
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = SmdHome::new(dir.path().join("a/smd"), dir.path());
        let path = write(&home, "work").expect("the first time");
        assert_eq!(path.metadata().expect("it exists").permissions().mode() & 0o777, 0o600);
        assert!(matches!(write(&home, "work"), Err(ConfigError::Exists(_))));
    }
}
