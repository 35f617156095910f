//! The endpoint as the session takes it: what was typed and what the config says, resolved against
//! this host.
//!
//! This is the first room that looks at the environment and the disk. Deliberately not here:
//! connecting, and anything below a root.

pub mod overlap;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smd_maildir::exclude::{ExcludeError, ExcludePair, Excludes};
use smd_maildir::quota::Caps;
use smd_maildir::root::Naming;
use smd_maildir::roots::NoRoot;
use smd_protocol::Digest;
use smd_protocol::names::printable;

use crate::address::{AddressError, Destination, RemoteAddress};
use crate::args::{Args, Target, Typed};
use crate::config::{Config, ConfigError, GRAVE_DAYS};
use crate::home::{NoHome, SmdHome};
use crate::hooks;
use crate::options::{Direction, RunOptions, Scan};
use crate::translate::{LeftAlone, RootNaming, Roots};
use overlap::Overlap;

/// What is started to reach another host.
pub const DEFAULT_RSH: &str = "ssh";

/// A pair of hosts, its roots, and the way there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Safe as a file name and stable: the config's name, or one derived from the two paths. State
    /// of this pair lies under it.
    pub name: String,
    /// How this host is called in texts.
    pub client: String,
    /// How the other host is called in texts.
    pub server: String,
    /// The roots, at least one, in the order of the config.
    pub roots: Vec<RootPair>,
    /// How the server is started.
    pub transport: Transport,
    /// Where config and state of this host lie.
    pub home: SmdHome,
}

/// One root at both hosts.
#[derive(Clone, Debug)]
pub struct RootPair {
    /// The root at this host: absolute, perhaps a symlink, perhaps not there yet.
    pub local: PathBuf,
    /// The root at the server, as it is sent: absolute, or from the home directory there; never
    /// with `..`; `.` is the home directory itself.
    pub remote: Vec<u8>,
    /// The root as written for this host: for texts, and to tell roots apart.
    pub label: Vec<u8>,
    /// What both hosts build their matcher from.
    pub exclude_pairs: Vec<ExcludePair>,
    /// The matcher of `exclude_pairs`.
    pub excludes: Excludes,
    /// How folders are called on this host, when they have other names at the server.
    pub naming: Option<Arc<dyn Naming>>,
    /// The matcher for names on this host, where these are others: then `excludes` is for the server's alone.
    pub local_excludes: Excludes,
}

/// How the server is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As a child of this process, for two directories of one host.
    Local,
    /// Through ssh or its like.
    Rsh {
        /// What to start: `ssh`, or the words of `--rsh`.
        rsh: Vec<OsString>,
        /// Where to.
        destination: Destination,
        /// The server's program there: a path or a name.
        command: Option<OsString>,
    },
}

impl Endpoint {
    /// The word that names it on a command line; none for two paths, which have no config.
    pub fn word(&self) -> Option<&str> {
        self.home.has_endpoint(&self.name).then_some(&*self.name)
    }

    /// What is typed, or done, to bring back what a run deleted at the server.
    pub fn undo_there(&self) -> String {
        match &self.transport {
            Transport::Local => "smd-undo".to_owned(),
            Transport::Rsh { .. } if self.word().is_some() => format!("smd-undo --remote {}", self.name),
            // Without a config it takes the same words again, which are few when nothing else was typed.
            Transport::Rsh { rsh, destination, command: None }
                if *rsh == [DEFAULT_RSH] && !destination.as_str().contains(':') && self.roots.len() == 1 =>
            {
                let word = format!("{}:{}", destination.as_str(), printable(&self.roots[0].remote));
                let quoted = shlex::try_quote(&word).map_or_else(|_| word.clone(), |quoted| quoted.into_owned());
                format!("smd-undo --remote {quoted}")
            }
            Transport::Rsh { .. } => format!("smd-undo on {}", printable(self.server.as_bytes())),
        }
    }
}

/// How the run talks to the person who started it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voice {
    /// As `--quiet`.
    pub quiet: bool,
    /// As `--show-tags`.
    pub tags: bool,
    /// As `--json`.
    pub json: bool,
    /// `DEBUG=true` in the config: frames of the wire go into the log.
    pub debug: bool,
}

/// Everything that a run needs.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The pair.
    pub endpoint: Endpoint,
    /// What the session is asked to do.
    pub options: RunOptions,
    /// How to talk.
    pub voice: Voice,
    /// What a person should know of the home before anything is looked at.
    pub warnings: Vec<String>,
}

/// Why there is no usable endpoint.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No home directory.
    #[error(transparent)]
    NoHome(#[from] NoHome),
    /// The config file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A path that was typed.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A path that was typed cannot be resolved on this host.
    #[error("{}", .0.display())]
    Path(PathBuf, #[source] std::io::Error),
    /// An exclude pattern.
    #[error("{}: {source}", file.display())]
    Exclude {
        /// The config file.
        file: PathBuf,
        /// What is wrong.
        #[source]
        source: ExcludeError,
    },
    /// Two roots are one, or one lies inside the other.
    #[error(transparent)]
    Overlap(#[from] Overlap),
    /// A directory that may be no root.
    #[error(transparent)]
    NoRoot(#[from] NoRoot),
    /// A directory to be made that has the name of an endpoint.
    #[error("`{0}` is an endpoint, and there is no directory of that name")]
    EndpointAsPath(String),
    /// The words of `--rsh` make no sense.
    #[error("--rsh `{0}` is not a command: a quote is never closed, or it is empty")]
    Rsh(String),
    /// A `--remote-command` that the far shell would take for an option, or that is none.
    #[error("--remote-command `{0}` is not the path of a program")]
    RemoteCommand(String),
}

/// Resolves what was typed.
pub fn resolve(args: &Args, direction: Direction, home: SmdHome) -> Result<Resolved, EndpointError> {
    let mut warnings: Vec<String> = home.of_another_user().into_iter().collect();
    warnings.extend(hooks::not_executable(&home, direction));
    let mut resolved = resolved(args, direction, home)?;
    resolved.warnings.extend(warnings);
    Ok(resolved)
}

fn resolved(args: &Args, direction: Direction, home: SmdHome) -> Result<Resolved, EndpointError> {
    match &args.target {
        Target::Endpoint(name) => {
            let config = Config::load(&home, name)?;
            configured(name, config, args.typed.clone(), direction, home)
        }
        Target::Here(local, remote) => {
            [local, remote].into_iter().try_for_each(|path| no_endpoint(path, &home))?;
            let (local_path, remote_path) = (overlap::resolved(local)?, overlap::resolved(remote)?);
            let endpoint = Endpoint {
                name: derived_name(remote.as_os_str(), &local_path, remote_path.as_os_str().as_bytes()),
                client: local.display().to_string(),
                server: remote.display().to_string(),
                roots: vec![plain_root(local, local_path.clone(), remote_path.as_os_str().as_bytes().to_vec())],
                transport: Transport::Local,
                home,
            };
            overlap::check(&endpoint.home, &[local_path, remote_path])?;
            Ok(unconfigured(endpoint, &args.typed, direction))
        }
        Target::There(local, remote, text) => {
            no_endpoint(local, &home)?;
            there(local, remote, text, &args.typed, direction, home)
        }
    }
}

/// Refuses a directory that is not there and has the name of an endpoint: it would be made, for mail that was to go elsewhere.
fn no_endpoint(path: &Path, home: &SmdHome) -> Result<(), EndpointError> {
    match path.to_str() {
        Some(name) if !name.contains('/') && home.has_endpoint(name) && path.symlink_metadata().is_err() => {
            Err(EndpointError::EndpointAsPath(name.to_owned()))
        }
        _ => Ok(()),
    }
}

fn there(
    local: &Path,
    remote: &RemoteAddress,
    text: &OsStr,
    typed: &Typed,
    direction: Direction,
    home: SmdHome,
) -> Result<Resolved, EndpointError> {
    let local_path = overlap::resolved(local)?;
    let mut rsh = match &typed.rsh {
        Some(text) => rsh_words(text)?,
        None => vec![OsString::from(DEFAULT_RSH)],
    };
    if let Some(port) = remote.port {
        rsh.extend([OsString::from("-p"), port.to_string().into()]);
    }
    let command = remote_command(typed.remote_command.clone())?;
    overlap::check(&home, std::slice::from_ref(&local_path))?;
    let endpoint = Endpoint {
        name: derived_name(OsStr::new(remote.destination.host()), &local_path, text.as_bytes()),
        client: own_name(),
        server: remote.destination.host().to_owned(),
        roots: vec![plain_root(local, local_path, remote.path.clone())],
        transport: Transport::Rsh { rsh, destination: remote.destination.clone(), command },
        home,
    };
    Ok(unconfigured(endpoint, typed, direction))
}

fn configured(
    name: &str,
    config: Config,
    typed: Typed,
    direction: Direction,
    home: SmdHome,
) -> Result<Resolved, EndpointError> {
    let typed = config.options.clone().under(typed);
    let file = home.config_file(name);
    let left_alone = Arc::new(LeftAlone::new(config.excludes_said.clone()));
    let roots = config.mailboxes.iter().map(|pair| {
        let matcher = |pairs: &[ExcludePair]| {
            Excludes::new(pairs).map_err(|source| EndpointError::Exclude { file: file.clone(), source })
        };
        let (exclude_pairs, local_pairs) = exclude_pairs(&config, &pair.local, &pair.remote_written);
        let naming = config.translation.clone().map(|translation| -> Arc<dyn Naming> {
            let roots = Roots { local: pair.local.clone(), remote: pair.remote_written.clone() };
            Arc::new(RootNaming::new(translation, roots, Arc::clone(&left_alone)))
        });
        Ok(RootPair {
            local: pair.local_path(home.user()),
            remote: pair.remote.clone(),
            label: label(&pair.local),
            excludes: matcher(&exclude_pairs)?,
            exclude_pairs,
            naming,
            local_excludes: matcher(&local_pairs)?,
        })
    });
    let roots = roots.collect::<Result<Vec<_>, EndpointError>>()?;
    overlap::check(&home, &roots.iter().map(|root| root.local.clone()).collect::<Vec<_>>())?;
    overlap::check_names(&roots.iter().map(|root| root.remote.as_slice()).collect::<Vec<_>>())?;
    let rsh = match (&typed.rsh, config.rsh) {
        (Some(text), _) => rsh_words(text)?,
        (None, Some(words)) => words,
        (None, None) => vec![OsString::from(DEFAULT_RSH)],
    };
    let command = remote_command(typed.remote_command.clone().or(config.remote_command))?;
    let endpoint = Endpoint {
        name: name.to_owned(),
        client: config.client.unwrap_or_else(own_name),
        server: config.server.host().to_owned(),
        roots,
        transport: Transport::Rsh { rsh, destination: config.server, command },
        home,
    };
    let mut options = run_options(&typed, direction);
    options.grave_days = config.grave_days;
    options.grave_max = config.grave_max;
    options.caps = config.caps;
    options.max_delete = config.max_delete;
    options.guard_except = config.guard_except;
    Ok(Resolved { endpoint, options, voice: Voice { debug: config.debug, ..voice(&typed) }, warnings: Vec::new() })
}

fn unconfigured(endpoint: Endpoint, typed: &Typed, direction: Direction) -> Resolved {
    Resolved { endpoint, options: run_options(typed, direction), voice: voice(typed), warnings: Vec::new() }
}

fn run_options(typed: &Typed, direction: Direction) -> RunOptions {
    RunOptions {
        direction,
        dry_run: typed.dry_run,
        no_delete: typed.no_delete,
        scan: typed.scan.unwrap_or(Scan::Quick),
        allow_bulk_delete: typed.allow_bulk_delete,
        adopt: typed.adopt,
        adopt_other_headers: typed.adopt_other_headers,
        verbose: typed.verbose,
        grave_days: GRAVE_DAYS,
        grave_max: None,
        caps: Caps::default(),
        max_delete: None,
        guard_except: None,
    }
}

fn voice(typed: &Typed) -> Voice {
    Voice { quiet: typed.quiet, tags: typed.show_tags, json: typed.json, debug: false }
}

fn plain_root(typed: &Path, local: PathBuf, remote: Vec<u8>) -> RootPair {
    let label = typed.as_os_str().as_bytes().to_vec();
    RootPair {
        local,
        remote,
        label,
        exclude_pairs: Vec::new(),
        excludes: Excludes::default(),
        naming: None,
        local_excludes: Excludes::default(),
    }
}

/// The home directory itself is written as an empty path; texts need a word for it.
fn label(written: &[u8]) -> Vec<u8> {
    if written.is_empty() { b".".to_vec() } else { written.to_vec() }
}

/// What both hosts match, and what this host matches alone. `EXCLUDE` goes for the paths of either side. Where both sides
/// write one path, all patterns are one list, so that a `!pattern` of one key can take back what another key excludes.
/// Where folders have other names at the server, only this host can match its own.
fn exclude_pairs(config: &Config, local: &[u8], remote: &[u8]) -> (Vec<ExcludePair>, Vec<ExcludePair>) {
    let both = |own: &Vec<Vec<u8>>| [config.exclude.as_slice(), own].concat();
    let ours = || (local.to_vec(), both(&config.exclude_local));
    let theirs = || (remote.to_vec(), both(&config.exclude_remote));
    if config.translation.is_some() {
        return (vec![theirs()], vec![ours()]);
    }
    if local == remote {
        let all = [both(&config.exclude_local), config.exclude_remote.clone()].concat();
        return (vec![(local.to_vec(), all)], Vec::new());
    }
    (vec![ours(), theirs()], Vec::new())
}

fn rsh_words(text: &OsStr) -> Result<Vec<OsString>, EndpointError> {
    let words = shlex::bytes::split(text.as_bytes()).filter(|words| words.first().is_some_and(|word| !word.is_empty()));
    let words = words.ok_or_else(|| EndpointError::Rsh(printable(text.as_bytes())))?;
    Ok(words.iter().map(|word| OsStr::from_bytes(word).to_owned()).collect())
}

fn remote_command(command: Option<OsString>) -> Result<Option<OsString>, EndpointError> {
    match command {
        Some(command) if command.is_empty() || command.as_bytes()[0] == b'-' || command.as_bytes().contains(&0) => {
            Err(EndpointError::RemoteCommand(printable(command.as_bytes())))
        }
        command => Ok(command),
    }
}

/// A readable beginning and twelve letters that depend on both paths: the same command line finds
/// the same state again, from any working directory.
fn derived_name(readable: &OsStr, local: &Path, remote: &[u8]) -> String {
    let digest = Digest::of(&[local.as_os_str().as_bytes(), b"\0", remote].concat());
    let hash: String = digest.0[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    let last = Path::new(readable).file_name().unwrap_or_default();
    let allowed = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let readable: String = last.to_string_lossy().chars().filter(allowed).take(24).collect();
    let readable = readable.trim_start_matches('-');
    format!("{}-{hash}", if readable.is_empty() { "pair" } else { readable })
}

fn own_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "this host".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::args::{self, Command};

    fn run(home: &Path, line: &[&str]) -> Result<Resolved, EndpointError> {
        let args =
            args::parse(Command::Sync, line.iter().map(OsString::from)).unwrap_or_else(|error| panic!("{error}"));
        resolve(&args, Direction::Sync, SmdHome::new(home.join(".smd"), home))
    }

    #[test]
    fn a_missing_config_is_missing_and_not_an_empty_one() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(matches!(run(dir.path(), &[]), Err(EndpointError::Config(ConfigError::Missing(_)))));
    }

    #[test]
    fn what_a_run_without_a_config_deleted_there_is_brought_back_by_the_same_words() {
        let dir = tempfile::tempdir().expect("a directory");
        for (line, undo) in [
            (&["Mail", "me@host:My Mail"][..], "smd-undo --remote 'me@host:My Mail'"),
            (&["Mail", "host:Mail"], "smd-undo --remote host:Mail"),
            (&["-e", "my-ssh", "Mail", "host:Mail"], "smd-undo on host"),
            (&["Mail", "ssh://host:2222/Mail"], "smd-undo on host"),
            (&["Mail", "Copy"], "smd-undo"),
        ] {
            assert_eq!(run(dir.path(), line).expect("it resolves").endpoint.undo_there(), undo, "{line:?}");
        }
    }

    #[test]
    fn a_directory_that_would_be_made_has_not_the_name_of_an_endpoint() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join(".smd")).expect("a home");
        fs::write(dir.path().join(".smd/config.some-office"), "SERVERNAME=h\nMAILBOX=Mail\n").expect("a config");
        for line in [["Mail", "some-office"], ["some-office", "Mail"], ["some-office", "host:Mail"]] {
            let refused = run(dir.path(), &line);
            assert!(matches!(refused, Err(EndpointError::EndpointAsPath(name)) if name == "some-office"), "{line:?}");
        }
        for line in [["Mail", "./some-office"], ["Mail", "some-offices"], ["Mail", "host:some-office"]] {
            run(dir.path(), &line).expect("it is meant");
        }
    }

    #[test]
    fn a_config_becomes_an_endpoint() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join(".smd")).expect("a home");
        let text = "SERVERNAME=me@host\nMAILBOX_LOCAL='Mail old'\nMAILBOX_REMOTE='/srv/Mail old/'\nEXCLUDE_LOCAL=Mail/.a\n\
                    EXCLUDE_REMOTE='/srv/Mail/.b'\nSMDCLIENTOPTS=-n\nGRAVE_DAYS=9\nSSH='ssh -p 22'\n";
        fs::write(dir.path().join(".smd/config.work"), text).expect("a config");
        let resolved = run(dir.path(), &["-v", "work"]).expect("it resolves");
        let endpoint = &resolved.endpoint;
        assert_eq!((endpoint.name.as_str(), endpoint.server.as_str()), ("work", "host"));
        assert_eq!(endpoint.undo_there(), "smd-undo --remote work");
        assert_eq!(endpoint.roots[0].local, dir.path().join("Mail"));
        assert_eq!(endpoint.roots[1].remote, b"old");
        let excludes = |root: usize, folder: &str| {
            endpoint.roots[root].excludes.excludes(&smd_protocol::Folder::parse(folder.as_bytes()).expect("a folder"))
        };
        assert!(excludes(0, ".a") && excludes(0, ".b") && !excludes(1, ".a"));
        assert!(resolved.options.no_delete);
        assert_eq!((resolved.options.verbose, resolved.options.grave_days), (1, 9));
        let Transport::Rsh { rsh, destination, command } = &endpoint.transport else {
            panic!("{:?}", endpoint.transport)
        };
        assert_eq!((rsh.len(), destination.as_str(), command), (3, "me@host", &None));
    }

    #[test]
    fn two_directories_need_no_config_and_keep_their_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::create_dir(dir.path().join("a")).expect("a root");
        let one = run(dir.path(), &[&path("a"), &path("b")]).expect("it resolves").endpoint;
        let two = run(dir.path(), &[&path("a/."), &path("x/../b/")]).expect("it resolves").endpoint;
        assert_eq!(one.transport, Transport::Local);
        assert_eq!(one.name, two.name);
        assert!(one.name.starts_with("b-") && one.name.len() == 14, "{}", one.name);
        assert_ne!(one.name, run(dir.path(), &[&path("a"), &path("c")]).expect("it resolves").endpoint.name);
        assert!(one.roots[0].remote.ends_with(b"/b"));
    }

    #[test]
    fn roots_across_both_sides_of_one_host_must_not_overlap() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        for (local, remote) in [("a", "a"), ("a", "a/b"), ("a/b/c", "a")] {
            assert!(
                matches!(run(dir.path(), &[&path(local), &path(remote)]), Err(EndpointError::Overlap(_))),
                "{local} {remote}"
            );
        }
    }

    #[test]
    fn a_remote_directory_needs_no_config_either() {
        let dir = tempfile::tempdir().expect("a directory");
        let local = dir.path().join("a").display().to_string();
        let resolved =
            run(dir.path(), &["-e", "my-ssh -x", "--remote-command", "~/bin/smd-server", &local, "me@host:Mail"])
                .expect("it resolves");
        assert!(resolved.endpoint.name.starts_with("host-"), "{}", resolved.endpoint.name);
        assert_eq!(resolved.endpoint.roots[0].remote, b"Mail");
        let with_port = run(dir.path(), &[&local, "ssh://me@host:2222/~/Mail"]).expect("it resolves").endpoint;
        assert_eq!((with_port.server.as_str(), with_port.roots[0].remote.as_slice()), ("host", &b"Mail"[..]));
        let Transport::Rsh { rsh, destination, .. } = with_port.transport else { panic!("it is elsewhere") };
        assert_eq!((rsh, destination.as_str()), (["ssh", "-p", "2222"].map(OsString::from).to_vec(), "me@host"));
        assert!(run(dir.path(), &["-e", "'x", &local, "host:Mail"]).is_err());
        assert!(run(dir.path(), &["--remote-command=-x", &local, "host:Mail"]).is_err());
    }
}
