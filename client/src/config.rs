//! The config file of an endpoint, `config.NAME`: what it says, checked for sense.
//!
//! Rooms: `lines` (assignments, of `smd-server`, which has such a file too), [`mailboxes`] (roots and how they pair up), [`opts`]
//! (`SMDCLIENTOPTS`, `SMDSERVEROPTS`), [`quote`] (values as they are written), [`template`] (the file to begin with). The keys of the predecessor keep
//! their meaning, or end the run with what to write instead.
//!
//! Deliberately not here: running the file, and looking at the mailboxes it names.

pub mod mailboxes;
pub mod opts;
pub mod quote;
pub mod template;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use smd_maildir::exclude::names_root;
use smd_maildir::quota::Caps;
use smd_maildir::share::Share;
use smd_protocol::names::printable;
use smd_protocol::seeded;

use smd_server::config::{limits, lines};

use crate::address::{AddressError, Destination, os_string};
use crate::home::SmdHome;
use crate::options::MaxDelete;
use crate::translate::{self, Translation, lines::Said};
use lines::{Line, LineError, Lines};
use mailboxes::MailboxPair;

/// How many days a message rests in the grave when `GRAVE_DAYS` says nothing.
pub const GRAVE_DAYS: u32 = 7;

/// Every key that means something.
const KEYS: [&str; 23] = [
    "SERVERNAME",
    "CLIENTNAME",
    "MAILBOX",
    "MAILBOX_LOCAL",
    "MAILBOX_REMOTE",
    "TRANSLATOR_LR",
    "TRANSLATOR_RL",
    "EXCLUDE",
    "EXCLUDE_LOCAL",
    "EXCLUDE_REMOTE",
    "SMDCLIENTOPTS",
    "SMDSERVEROPTS",
    "DEBUG",
    "SSH",
    "REMOTE_COMMAND",
    "GRAVE_DAYS",
    "GRAVE_MAX",
    "KEEP_FREE",
    "MAX_MESSAGE",
    "MAX_BYTES",
    "MAX_BYTES_DAY",
    "MAX_DELETE",
    "GUARD_EXCEPT",
];

/// What a config file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `SERVERNAME`: the host that ssh is given, often an alias of `~/.ssh/config`.
    pub server: Destination,
    /// `CLIENTNAME`: how this host is called in texts; `None` is the host's own name.
    pub client: Option<String>,
    /// `MAILBOX`, `MAILBOX_LOCAL`, `MAILBOX_REMOTE`.
    pub mailboxes: Vec<MailboxPair>,
    /// `TRANSLATOR_LR` and `TRANSLATOR_RL`, when they translate anything.
    pub translation: Option<Translation>,
    /// `EXCLUDE`: patterns for the paths of either side.
    pub exclude: Vec<Vec<u8>>,
    /// `EXCLUDE_LOCAL`: patterns for paths as written for this host.
    pub exclude_local: Vec<Vec<u8>>,
    /// `EXCLUDE_REMOTE`: patterns for paths as written for the server.
    pub exclude_remote: Vec<Vec<u8>>,
    /// What `EXCLUDE_LOCAL` and `EXCLUDE_REMOTE` say, as a line that takes their place has to say it again.
    pub excludes_said: [String; 2],
    /// `SMDCLIENTOPTS` and `SMDSERVEROPTS`.
    pub options: opts::Opts,
    /// `SSH`: what to run instead of ssh, as words.
    pub rsh: Option<Vec<OsString>>,
    /// `REMOTE_COMMAND`: where smd-server is at the server.
    pub remote_command: Option<OsString>,
    /// `GRAVE_DAYS`.
    pub grave_days: u32,
    /// `GRAVE_MAX`.
    pub grave_max: Option<Share>,
    /// `KEEP_FREE`, `MAX_MESSAGE`, `MAX_BYTES`, `MAX_BYTES_DAY`.
    pub caps: Caps,
    /// `MAX_DELETE`: another limit for the bulk guard.
    pub max_delete: Option<MaxDelete>,
    /// `GUARD_EXCEPT`: names of folders that may be emptied without a question.
    pub guard_except: Option<Vec<Vec<u8>>>,
    /// `DEBUG=true`: log what goes over the wire, without the bytes of mail.
    pub debug: bool,
}

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is none.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// It cannot be read, or the template cannot be written.
    #[error("{}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// The template would overwrite something.
    #[error("{} exists already; nothing was written", .0.display())]
    Exists(PathBuf),
    /// A line makes no sense.
    #[error("{}, line {line}: {text}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// The file as a whole makes no sense.
    #[error("{}: {text}", file.display())]
    Whole {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        text: String,
    },
}

impl Config {
    /// Reads the config file of an endpoint.
    pub fn load(home: &SmdHome, endpoint: &str) -> Result<Self, ConfigError> {
        let file = home.config_file(endpoint);
        match fs::read(&file) {
            Ok(text) => Self::parse(&file, &text, home.user()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ConfigError::Missing(file)),
            Err(error) => Err(ConfigError::Io(file, error)),
        }
    }

    /// Parses the text of a config file; `file` is for messages, `user` is the home directory.
    pub fn parse(file: &Path, text: &[u8], user: &Path) -> Result<Self, ConfigError> {
        let home = user.as_os_str().as_encoded_bytes();
        let at = |line: usize, text: String| ConfigError::Line { file: file.to_owned(), line, text };
        let of_line = |error: LineError| at(error.number, error.text);
        let lines = Lines::parse(text, home).map_err(of_line)?;
        let reader = Reader { file, lines: &lines, home };
        reader.check_keys()?;
        let options = reader.options()?;
        let mailboxes = reader.mailboxes()?;
        reader.check_patterns(&mailboxes, &options)?;
        Ok(Self {
            server: reader.server()?,
            client: reader.client()?,
            mailboxes,
            translation: reader.translation()?,
            exclude: reader.patterns("EXCLUDE").into_iter().chain(reader.patterns_of(&options)).collect(),
            exclude_local: reader.patterns("EXCLUDE_LOCAL"),
            exclude_remote: reader.patterns("EXCLUDE_REMOTE"),
            excludes_said: ["EXCLUDE_LOCAL", "EXCLUDE_REMOTE"].map(|key| reader.said(key)),
            options,
            rsh: reader.rsh()?,
            remote_command: reader.set("REMOTE_COMMAND").map(|line| os_string(&line.value)),
            grave_days: limits::number(&lines, "GRAVE_DAYS").map_err(of_line)?.unwrap_or(GRAVE_DAYS),
            grave_max: limits::share(&lines, "GRAVE_MAX").map_err(of_line)?,
            caps: limits::caps(&lines).map_err(of_line)?,
            max_delete: reader.max_delete()?,
            guard_except: reader.set("GUARD_EXCEPT").map(|line| mailboxes::patterns(&line.value)),
            debug: reader.debug()?,
        })
    }
}

struct Reader<'a> {
    file: &'a Path,
    lines: &'a Lines,
    home: &'a [u8],
}

impl<'a> Reader<'a> {
    fn wrong(&self, line: &Line, text: impl Into<String>) -> ConfigError {
        ConfigError::Line { file: self.file.to_owned(), line: line.number, text: text.into() }
    }

    fn missing(&self, text: &str) -> ConfigError {
        ConfigError::Whole { file: self.file.to_owned(), text: text.to_owned() }
    }

    /// The line that counts, unless its value is empty.
    fn set(&self, key: &str) -> Option<&'a Line> {
        self.lines.last(key).filter(|line| !line.value.trim_ascii().is_empty())
    }

    fn check_keys(&self) -> Result<(), ConfigError> {
        let unknown = |line: &&Line| !KEYS.contains(&line.key.as_str()) && !self.lines.used.contains(&line.key);
        match self.lines.lines.iter().find(unknown) {
            Some(line) => {
                let capitals = line.key.to_ascii_uppercase();
                let text = match KEYS.contains(&capitals.as_str()) {
                    true => format!("the key {} is not known: write it in capitals, {capitals}", line.key),
                    false => format!("the key {} is not known, and no ${} uses it", line.key, line.key),
                };
                Err(self.wrong(line, text))
            }
            None => Ok(()),
        }
    }

    fn translation(&self) -> Result<Option<Translation>, ConfigError> {
        let said = |key: &str| self.set(key).map(|line| Said { number: line.number, value: &line.value });
        translate::lines::translation(said("TRANSLATOR_LR"), said("TRANSLATOR_RL"))
            .map_err(|(line, text)| ConfigError::Line { file: self.file.to_owned(), line, text })
    }

    /// The options of both keys as one list: what either of the two ends was told, the run is told.
    fn options(&self) -> Result<opts::Opts, ConfigError> {
        let mut all = Vec::new();
        let keys = ["SMDSERVEROPTS", "SMDCLIENTOPTS"];
        let keys = keys.into_iter().filter(|key| *key != "SMDSERVEROPTS" || !seeded::is("server-options-are-dropped"));
        for line in keys.filter_map(|key| self.set(key)) {
            let words = shlex::bytes::split(&line.value)
                .ok_or_else(|| self.wrong(line, format!("a quote in {} is never closed", line.key)))?;
            self.refuse_answers(line, &words)?;
            all.extend(words.iter().map(|word| (line, os_string(word))));
        }
        opts::taken(all).map_err(|(line, text)| self.wrong(line, format!("{}: {text}", line.key)))
    }

    /// What a file says holds for every run, and a guard that is disarmed for good is none.
    fn refuse_answers(&self, line: &Line, words: &[Vec<u8>]) -> Result<(), ConfigError> {
        let disarms = |word: &Vec<u8>| word.starts_with(b"--allow-bulk-delete");
        match words.iter().any(disarms) && !seeded::is("a-config-disarms-the-guard") {
            true => Err(self.wrong(
                line,
                "--allow-bulk-delete answers for one run: type it for the run; for another limit set MAX_DELETE, and GUARD_EXCEPT for folders that you empty",
            )),
            false => Ok(()),
        }
    }

    fn server(&self) -> Result<Destination, ConfigError> {
        let Some(line) = self.set("SERVERNAME") else {
            return Err(self.missing("SERVERNAME is not set: the host that ssh is to connect to"));
        };
        let typed = line.value.trim_ascii();
        let elsewhere = |port: Option<u16>| {
            let (typed, ssh) = (printable(typed), self.ssh_with_port(port));
            let text = format!(
                "SERVERNAME: `{typed}` is more than the name of a host: a path is for MAILBOX, and a port for {ssh}"
            );
            self.wrong(line, text)
        };
        if typed.starts_with(b"ssh://") {
            return Err(elsewhere(None));
        }
        let destination = Destination::parse(typed).map_err(|error| {
            let why = match error {
                AddressError::Missing { what, .. } => format!("the {what} name is missing"),
                error => error.to_string(),
            };
            self.wrong(line, format!("SERVERNAME: {why}; what ssh HOST takes is meant"))
        })?;
        // An address of IPv6 has two colons at least. ssh would look for a host of this very name.
        match destination.host().split_once(':') {
            Some((_, port)) if !port.contains(':') => Err(elsewhere(port.parse().ok())),
            _ => Ok(destination),
        }
    }

    /// The line that says a port to ssh. It takes the place of one that is there, so it has all that is in that.
    fn ssh_with_port(&self, port: Option<u16>) -> String {
        let port = port.unwrap_or(2222);
        let said = self.set("SSH").map_or(Ok("ssh"), |line| str::from_utf8(&line.value));
        match said.ok().filter(|said| !said.contains(char::is_control)) {
            Some(said) => quote::assignment("SSH", &format!("{said} -p {port}")),
            None => format!("SSH, as -p {port} at its end"),
        }
    }

    fn client(&self) -> Result<Option<String>, ConfigError> {
        let Some(line) = self.set("CLIENTNAME") else { return Ok(None) };
        match str::from_utf8(&line.value) {
            Ok(name) if name.len() <= 64 && !name.contains(char::is_control) => Ok(Some(name.to_owned())),
            _ => Err(self.wrong(line, "CLIENTNAME must be a short name without control letters")),
        }
    }

    fn mailboxes(&self) -> Result<Vec<MailboxPair>, ConfigError> {
        let words = |key: &str| self.set(key).map(|line| (line, mailboxes::words(&line.value)));
        let both = words("MAILBOX");
        let local = words("MAILBOX_LOCAL").or_else(|| both.clone());
        let remote = words("MAILBOX_REMOTE");
        let shared = remote.is_none();
        let (Some((local_line, local)), Some((remote_line, remote))) = (local, remote.or(both)) else {
            return Err(self.missing("MAILBOX is not set: the Maildir, from the home directory of each host"));
        };
        if local.len() != remote.len() {
            let text = format!(
                "{} names {} mailboxes and {} names {}: they pair up in order",
                local_line.key,
                local.len(),
                remote_line.key,
                remote.len()
            );
            return Err(self.wrong(remote_line, text));
        }
        let pair = |(local, remote): (&Vec<u8>, &Vec<u8>)| MailboxPair::new(local, remote, shared.then_some(self.home));
        let pairs = local.iter().zip(&remote).map(pair).collect::<Result<Vec<_>, _>>();
        pairs.map_err(|error| self.wrong(local_line, error.to_string()))
    }

    fn patterns(&self, key: &str) -> Vec<Vec<u8>> {
        self.set(key).map(|line| mailboxes::patterns(&line.value)).unwrap_or_default()
    }

    fn said(&self, key: &str) -> String {
        self.set(key).map(|line| quote::kept(&line.value)).unwrap_or_default()
    }

    /// A pattern that names a whole mailbox cannot leave alone what `MAILBOX` names.
    fn check_patterns(&self, mailboxes: &[MailboxPair], options: &opts::Opts) -> Result<(), ConfigError> {
        let own = |key: &'static str| (self.set(key), self.patterns(key));
        let given = ["SMDSERVEROPTS", "SMDCLIENTOPTS"].into_iter().find_map(|key| self.set(key));
        for (line, patterns) in
            [own("EXCLUDE"), own("EXCLUDE_LOCAL"), own("EXCLUDE_REMOTE"), (given, self.patterns_of(options))]
        {
            let Some(line) = line else { continue };
            let here = line.key != "EXCLUDE_REMOTE";
            let there = line.key != "EXCLUDE_LOCAL";
            let names = |pattern: &&Vec<u8>| {
                mailboxes.iter().any(|pair| {
                    (here && names_root(&pair.local, pattern)) || (there && names_root(&pair.remote_written, pattern))
                })
            };
            if let Some(pattern) = patterns.iter().find(names) {
                let pattern = printable(pattern);
                let text = format!(
                    "{}: `{pattern}` is a whole mailbox, or above one: take that out of MAILBOX, or exclude its own mail \
                     (PATH/cur) or its folders (PATH/*)",
                    line.key
                );
                return Err(self.wrong(line, text));
            }
        }
        Ok(())
    }

    /// Patterns among the options.
    fn patterns_of(&self, options: &opts::Opts) -> Vec<Vec<u8>> {
        options.exclude.iter().flat_map(|pattern| mailboxes::patterns(pattern.as_encoded_bytes())).collect()
    }

    fn rsh(&self) -> Result<Option<Vec<OsString>>, ConfigError> {
        let Some(line) = self.set("SSH") else { return Ok(None) };
        let words = shlex::bytes::split(&line.value).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| self.wrong(line, "a quote in SSH is never closed"))?;
        Ok(Some(words.iter().map(|word| os_string(word)).collect()))
    }

    fn max_delete(&self) -> Result<Option<MaxDelete>, ConfigError> {
        let Some(line) = self.set("MAX_DELETE") else { return Ok(None) };
        let limit = str::from_utf8(&line.value).ok().and_then(MaxDelete::parse);
        limit.map(Some).ok_or_else(|| self.wrong(line, "MAX_DELETE must be a number, or a percentage such as 30%"))
    }

    fn debug(&self) -> Result<bool, ConfigError> {
        let Some(line) = self.set("DEBUG") else { return Ok(false) };
        match line.value.trim_ascii().to_ascii_lowercase().as_slice() {
            b"true" | b"yes" | b"1" | b"on" => Ok(true),
            b"false" | b"no" | b"0" | b"off" => Ok(false),
            _ => Err(self.wrong(line, "DEBUG must be true or false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn good(text: &str) -> Config {
        Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me"))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[track_caller]
    fn wrong(text: &str, expected: &str) {
        let error = Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me")).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn a_predecessors_config_is_understood() {
        let config = good(
            "SERVERNAME=smd-server-foo\nCLIENTNAME=laptop\nMAILBOX=\"Mail Archive%20old\"\nMAILBOX_LOCAL=$MAILBOX\n\
             MAILBOX_REMOTE=\"$MAILBOX_LOCAL\"\nTRANSLATOR_LR=\"cat\"\nTRANSLATOR_RL=\"smd-translate -m move\"\n\
             EXCLUDE=\"Mail/.Spam Mail/a%20b\"\nSMDCLIENTOPTS=-v\nSMDSERVEROPTS=\nDEBUG=false\n",
        );
        assert_eq!(config.server.as_str(), "smd-server-foo");
        assert_eq!(config.client.as_deref(), Some("laptop"));
        let remote: Vec<&[u8]> = config.mailboxes.iter().map(|pair| pair.remote.as_slice()).collect();
        assert_eq!(remote, [b"Mail".as_slice(), b"Archive old"]);
        assert_eq!(config.exclude, [b"Mail/.Spam".to_vec(), b"Mail/a b".to_vec()]);
        assert_eq!(config.options.verbose, 1);
    }

    #[test]
    fn an_unknown_key_is_an_error_unless_something_uses_it() {
        wrong("SERVERNAME=h\nMAILBOX=M\nMAILBOXX=x\n", "c, line 3: the key MAILBOXX is not known, and no");
        wrong("Mailbox=M\n", "c, line 1: the key Mailbox is not known: write it in capitals, MAILBOX");
        assert_eq!(good("BASE=Mail\nSERVERNAME=h\nMAILBOX=$BASE/x\n").mailboxes[0].remote, b"Mail/x");
    }

    #[test]
    fn what_is_missing_is_said() {
        wrong("MAILBOX=M\n", "SERVERNAME is not set");
        wrong("SERVERNAME=h\n", "MAILBOX is not set");
        wrong("SERVERNAME=h\nMAILBOX_LOCAL=M\n", "MAILBOX is not set");
        wrong("SERVERNAME=-oX\nMAILBOX=M\n", "line 1: SERVERNAME");
        wrong(
            "SERVERNAME = h\nMAILBOX=M\n",
            "line 1: expected KEY=value, found `SERVERNAME`: there are no blanks around =",
        );
    }

    #[test]
    fn a_port_or_a_path_is_no_part_of_the_servers_name() {
        for odd in ["h:2222", "me@h:Maildir", "ssh://h"] {
            wrong(&format!("SERVERNAME={odd}\nMAILBOX=M\n"), "line 1: SERVERNAME: `");
        }
        assert_eq!(good("SERVERNAME=me@fe80::1\nMAILBOX=M\n").server.as_str(), "me@fe80::1");
        wrong("SERVERNAME=me@\nMAILBOX=M\n", "line 1: SERVERNAME: the host name is missing; what ssh HOST takes");
    }

    #[test]
    fn the_line_for_a_port_keeps_the_options_of_ssh_that_are_there() {
        let proposed = |lines: &str| {
            let text = format!("SERVERNAME=h:2200\nMAILBOX=M\n{lines}");
            let error =
                Config::parse(Path::new("c"), text.as_bytes(), Path::new("/home/me")).expect_err("a port").to_string();
            error.split_once("a port for ").expect("a proposal").1.to_owned()
        };
        assert_eq!(proposed(""), "SSH='ssh -p 2200'");
        let there = "SSH=\"ssh -i '/my key' -o 'x \\\"y\\\"'\"\n";
        let line = proposed(there);
        let config = good(&format!("SERVERNAME=h\nMAILBOX=M\n{there}{line}\n"));
        let words: Vec<_> =
            config.rsh.expect("a command").iter().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words, ["ssh", "-i", "/my key", "-o", "x \"y\"", "-p", "2200"], "{line}");
    }

    #[test]
    fn mailboxes_pair_up_in_order() {
        let config = good("SERVERNAME=h\nMAILBOX_LOCAL='a b'\nMAILBOX_REMOTE='x /y/'\n");
        assert_eq!(config.mailboxes[1].local, b"b");
        assert_eq!(config.mailboxes[1].remote, b"/y");
        wrong("SERVERNAME=h\nMAILBOX_LOCAL='a b'\nMAILBOX_REMOTE=x\n", "line 3: MAILBOX_LOCAL names 2");
        wrong("SERVERNAME=h\nMAILBOX=../x\n", "line 2: ");
    }

    #[test]
    fn a_pattern_for_a_whole_mailbox_is_refused() {
        let with = |lines: &str| format!("SERVERNAME=h\nMAILBOX_LOCAL='Mail Old'\nMAILBOX_REMOTE='M O'\n{lines}\n");
        for (lines, line) in [
            ("EXCLUDE='Mail/.a Old'", "c, line 4: EXCLUDE: `Old` is a whole mailbox"),
            ("EXCLUDE=O/", "EXCLUDE: `O/` is a whole"),
            ("EXCLUDE_REMOTE=~/M", "EXCLUDE_REMOTE: `M` is a whole"),
            ("SMDSERVEROPTS='--exclude Mail'", "SMDSERVEROPTS: `Mail` is a whole"),
        ] {
            wrong(&with(lines), line);
        }
        for lines in ["EXCLUDE='Mail/* O/cur *'", "EXCLUDE_LOCAL=M", "EXCLUDE_REMOTE=Old"] {
            good(&with(lines));
        }
    }

    #[test]
    fn translators_are_taken_in_pairs_and_a_mistake_is_told_by_line() {
        let with =
            |lr: &str, rl: &str| format!("SERVERNAME=h\nMAILBOX=M\nTRANSLATOR_LR='{lr}'\nTRANSLATOR_RL='{rl}'\n");
        let config = good(&with("smd-translate -m nodots -d LR default", "smd-translate -m nodots -d RL default"));
        assert_eq!(config.translation.expect("a translation").lines, [3, 4]);
        wrong(&with("smd-translate -m nodots", ""), "c, line 3: TRANSLATOR_LR is set");
        wrong(&with("cat", "smd-translate -m nodots"), "c, line 4: TRANSLATOR_RL is `nodots`");
    }

    #[test]
    fn our_own_keys_are_checked() {
        let config = good(
            "SERVERNAME=h\nMAILBOX=M\nSSH='ssh -p \"2 2\"'\nGRAVE_DAYS=30\nMAX_DELETE=30%\nREMOTE_COMMAND='~/bin/smd-server'",
        );
        assert_eq!(config.rsh, Some(vec!["ssh".into(), "-p".into(), "2 2".into()]));
        assert_eq!((config.grave_days, config.max_delete), (30, Some(MaxDelete::Percent(30))));
        wrong("SERVERNAME=h\nMAILBOX=M\nGRAVE_DAYS=soon\n", "line 3: GRAVE_DAYS");
        assert_eq!(good("SERVERNAME=h\nMAILBOX=M\nGRAVE_MAX=2G").grave_max, Some(Share::Bytes(2 << 30)));
        wrong("SERVERNAME=h\nMAILBOX=M\nGRAVE_MAX=much\n", "line 3: GRAVE_MAX");
        wrong("SERVERNAME=h\nMAILBOX=M\nMAX_DELETE=101%\n", "line 3: MAX_DELETE");
    }

    #[test]
    fn the_options_of_either_end_are_those_of_the_run() {
        for key in ["SMDCLIENTOPTS", "SMDSERVEROPTS"] {
            let config = good(&format!("SERVERNAME=h\nMAILBOX=M\nEXCLUDE=M/a\n{key}='-n --exclude M/b%20c'\n"));
            assert!(config.options.no_delete, "{key}");
            assert_eq!(config.exclude, [&b"M/a"[..], b"M/b c"], "{key}");
            wrong(
                &format!("SERVERNAME=h\nMAILBOX=M\n{key}='-n --frob'\n"),
                &format!("c, line 3: {key}: `--frob` cannot"),
            );
            wrong(&format!("SERVERNAME=h\nMAILBOX=M\n{key}=\"'-n\"\n"), &format!("a quote in {key} is never closed"));
        }
        let both = good("SERVERNAME=h\nMAILBOX=M\nSMDCLIENTOPTS=-v\nSMDSERVEROPTS='-d -v'\n").options;
        assert_eq!((both.dry_run, both.verbose), (true, 2));
    }

    #[test]
    fn a_guard_cannot_be_disarmed_for_good() {
        wrong(
            "SERVERNAME=h\nMAILBOX=M\nSMDCLIENTOPTS='-v --allow-bulk-delete'\n",
            "line 3: --allow-bulk-delete answers",
        );
        wrong("SERVERNAME=h\nMAILBOX=M\nSMDSERVEROPTS=--allow-bulk-delete\n", "line 3: --allow-bulk-delete answers");
        let config = good("SERVERNAME=h\nMAILBOX=M\nGUARD_EXCEPT='Trash Gel%20schte'\n");
        assert_eq!(config.guard_except, Some(vec![b"Trash".to_vec(), b"Gel schte".to_vec()]));
    }
}
