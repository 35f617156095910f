//! What `~/.mbsyncrc` tells: pairs of an IMAP store and a Maildir store, by the channels between them.
//!
//! Channels between the same two stores are one pair: two endpoints for one Maildir would not know of each other. What is not
//! understood is told, key by key. The rooms: `sections` (the file), `patterns` (which folders), `tunnel` (a host for ssh).
//!
//! Deliberately not here: when messages were created or expunged by turns, which is not ours to choose: a sync takes
//! everything both ways.

mod patterns;
mod sections;
mod tunnel;

#[cfg(test)]
mod tests;

use super::Account;
use sections::{File, Section};

/// Keys that have no meaning here, or whose meaning is asked for below.
const KNOWN: &[&str] = &[
    // How the server is reached.
    "account",
    "authmech",
    "authmechs",
    "certificatefile",
    "cipherstring",
    "clientcertificate",
    "clientkey",
    "disableextension",
    "disableextensions",
    "host",
    "pass",
    "passcmd",
    "pipelinedepth",
    "port",
    "requirecram",
    "requiressl",
    "sslcert",
    "ssltype",
    "sslversion",
    "sslversions",
    "systemcertificates",
    "timeout",
    "tlstype",
    "tlsversions",
    "tunnel",
    "usekeychain",
    "usesslv2",
    "usesslv3",
    "usetlsv1",
    "usetlsv1.1",
    "usetlsv1.2",
    "user",
    "usercmd",
    // Stores.
    "flatten",
    "inbox",
    "infodelimiter",
    "path",
    "pathdelimiter",
    "subfolders",
    "subscribedonly",
    "trash",
    "trashnewonly",
    "trashremotenew",
    "usenamespace",
    "altmap",
    // Channels, and what stands before all sections.
    "buffersize",
    "copyarrivaldate",
    "create",
    "expireside",
    "expireunread",
    "expunge",
    "expungesolo",
    "far",
    "filelimit",
    "fsync",
    "master",
    "maxmessages",
    "maxsize",
    "near",
    "pattern",
    "patterns",
    "remove",
    "slave",
    "sync",
    "syncstate",
];

/// The pairs of an IMAP server and a Maildir, and in a sentence each what was left out.
///
/// # Errors
/// What makes no sense, in a sentence.
pub fn accounts(text: &str) -> Result<(Vec<Account>, Vec<String>), String> {
    let file = File::parse(text)?;
    let mut left_out = Vec::new();
    let mut pairs: Vec<Pair<'_>> = Vec::new();
    for channel in file.of("channel") {
        match Pair::of(&file, channel) {
            None => left_out.push(format!(
                "channel {} is left out: its stores are no pair of an IMAP server and a Maildir, or not told here",
                channel.name
            )),
            Some(pair) => match pairs.iter_mut().find(|other| other.has_stores_of(&pair)) {
                Some(other) => other.channels.extend(pair.channels),
                None => pairs.push(pair),
            },
        }
    }
    for name in file.of("group").flat_map(|group| group.channels()) {
        if !file.of("channel").any(|channel| channel.name == name) {
            left_out.push(format!("a group names channel {name}, which is not told here"));
        }
    }
    let accounts = pairs.iter().map(|pair| pair.account(&file, &pairs)).collect();
    Ok((accounts, left_out))
}

/// Two stores, and the channels between them.
struct Pair<'a> {
    imap: &'a Section,
    maildir: &'a Section,
    channels: Vec<Channel<'a>>,
}

/// A channel, and the mailboxes that it names in its stores.
struct Channel<'a> {
    section: &'a Section,
    there: &'a str,
    here: &'a str,
}

impl<'a> Pair<'a> {
    fn of(file: &'a File, channel: &'a Section) -> Option<Self> {
        let store = |keys: [&str; 2]| {
            let value = keys.iter().find_map(|key| channel.first(key))?;
            let (name, mailbox) = value.strip_prefix(':')?.split_once(':')?;
            let found = file.all().find(|one| one.name == name && one.kind.ends_with("store"))?;
            Some((found, mailbox))
        };
        let (far, near) = (store(["far", "master"])?, store(["near", "slave"])?);
        let ((imap, there), (maildir, here)) = match (&far.0.kind[..], &near.0.kind[..]) {
            ("imapstore", "maildirstore") => (far, near),
            ("maildirstore", "imapstore") => (near, far),
            _ => return None,
        };
        Some(Self { imap, maildir, channels: vec![Channel { section: channel, there, here }] })
    }

    fn has_stores_of(&self, other: &Self) -> bool {
        std::ptr::eq(self.imap, other.imap) && std::ptr::eq(self.maildir, other.maildir)
    }

    fn account(&self, file: &File, all: &[Self]) -> Account {
        let first = &self.channels[0];
        let mut account = Account { name: first.section.name.clone(), ..Account::default() };
        let login = self.imap.first("account");
        let login = login.and_then(|name| file.of("imapaccount").find(|section| section.name == name));
        self.server(login, &mut account);
        self.layout(&mut account);
        let told = patterns::excludes(&self.channels);
        account.exclude = told.exclude;
        account.untold.extend(told.untold);
        self.habits(file, &mut account.untold);
        if all.iter().any(|other| std::ptr::eq(other.maildir, self.maildir) && !other.has_stores_of(self)) {
            account.untold.push(format!(
                "{} holds folders of another server as well: leave them alone with EXCLUDE_LOCAL",
                account.local
            ));
        }
        let sections = [Some(self.imap), login, Some(self.maildir)].into_iter().flatten();
        for section in sections.chain(self.channels.iter().map(|channel| channel.section)).chain([&file.before]) {
            for (key, values) in section.keys().filter(|(key, _)| !KNOWN.contains(key)) {
                account.untold.push(format!("{key} {}: not understood", values.join(" ")));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        account.untold.retain(|text| seen.insert(text.clone()));
        account
    }

    /// The host, and how ssh gets there.
    fn server(&self, login: Option<&Section>, account: &mut Account) {
        let of_server = |key: &str| self.imap.first(key).or_else(|| login?.first(key));
        match (of_server("host"), of_server("tunnel")) {
            (_, Some(tunnel)) => match tunnel::parse(tunnel) {
                Some((host, ssh)) => (account.server, account.ssh) = (host, ssh),
                None => account.untold.push(format!("Tunnel \"{tunnel}\" names no host")),
            },
            (Some(host), None) => account.server = bare_host(host),
            (None, None) => {}
        }
        let path = self.imap.first("path").unwrap_or_default().trim_end_matches(['.', '/']);
        if !path.is_empty() && !path.eq_ignore_ascii_case("INBOX") {
            account.untold.push(format!("only what is below {path} at the server was meant (Path): EXCLUDE the rest"));
        }
        if self.imap.first("subscribedonly").is_some_and(is_on) {
            account.untold.push("SubscribedOnly: folders that you are not subscribed to are taken as well".to_owned());
        }
    }

    /// Where the Maildir is, and how its folders are called.
    fn layout(&self, account: &mut Account) {
        let written = self.maildir.first("path").unwrap_or_default();
        let path = written.trim_end_matches('/');
        let inbox = self.maildir.first("inbox").unwrap_or("~/Maildir").trim_end_matches('/');
        let layout = self.maildir.first("subfolders").unwrap_or("Verbatim");
        let below = plain(inbox).strip_prefix(&format!("{}/", plain(path))).map(str::to_owned);
        let inside = below.is_some();
        // All of these mailboxes are in one directory below the path.
        let shared = self.shared_directory();
        let root = shared.map_or_else(|| path.to_owned(), |name| format!("{path}/{name}"));
        let has_inbox = inside || shared.is_some();
        (account.local, account.mode) = match (&layout.to_ascii_lowercase()[..], self.maildir.first("flatten")) {
            ("maildir++", None) => (inbox.to_owned(), None),
            ("verbatim", None) => (root, Some(if has_inbox { "nodots-inbox" } else { "nodots" })),
            ("verbatim", Some(".")) => (root, Some(if has_inbox { "inbox" } else { "oimap-dovecot" })),
            (_, flatten) => {
                let flatten = flatten.map_or_else(String::new, |with| format!(" with Flatten {with}"));
                account.untold.push(format!("SubFolders {layout}{flatten}: no translator makes such names"));
                (path.to_owned(), None)
            }
        };
        if account.mode.is_none() {
            return;
        }
        match below.as_deref() {
            Some("INBOX") => {}
            _ if shared.is_some() => {}
            Some(name) => account.untold.push(format!(
                "Inbox {inbox}: the translator calls that folder INBOX; before the first sync: mv {path}/{name} {path}/INBOX"
            )),
            None => account.untold.push(format!(
                "Inbox {inbox} is not in Path {path}: give it an endpoint of its own, or move it there"
            )),
        }
        if !written.is_empty() && !written.ends_with('/') {
            let text =
                format!("Path {written} does not end with a slash, so it is the beginning of every folder's name");
            account.untold.push(text);
        }
    }

    /// The directory below the path that holds all mailboxes of a server, when they have the same names there.
    fn shared_directory(&self) -> Option<&'a str> {
        let [channel] = &self.channels[..] else { return None };
        let name = channel.here.strip_suffix('/').filter(|name| !name.is_empty())?;
        (channel.there.is_empty() && patterns::has_any(channel.section)).then_some(name)
    }

    /// What the channels did that a sync does not.
    fn habits(&self, file: &File, untold: &mut Vec<String>) {
        for channel in &self.channels {
            let words = |key: &str| match channel.section.words(key) {
                [] => file.before.words(key),
                words => words,
            };
            let sync = words("sync").join(" ");
            if !matches!(&sync.to_ascii_lowercase()[..], "" | "all" | "full" | "pull push" | "push pull") {
                untold.push(format!("Sync {sync}: choose smd-pull, smd-push or smd-sync when you run it"));
            }
            let expunge = words("expunge").join(" ");
            if !matches!(&expunge.to_ascii_lowercase()[..], "both" | "near far" | "far near" | "master slave") {
                let of = match channel.section.name.as_str() {
                    "" => String::new(),
                    name => format!(" by channel {name}"),
                };
                let on = match &expunge.to_ascii_lowercase()[..] {
                    "" | "none" => "either host".to_owned(),
                    _ => format!("both hosts (Expunge {expunge})"),
                };
                untold.push(format!("deleted mail was not expunged on {on}{of}: to keep what is deleted on one host, write SMDCLIENTOPTS=-n"));
            }
            for key in ["maxmessages", "maxsize", "expireunread"] {
                let first = words(key).first().or_else(|| self.maildir.words(key).first());
                if let Some(value) = first.filter(|value| is_on(value)) {
                    untold.push(format!("{key} {value}: all messages are kept on both hosts"));
                }
            }
        }
        for store in [self.imap, self.maildir] {
            if let Some(trash) = store.first("trash") {
                untold.push(format!("Trash {trash}: what is deleted is kept in the grave, see smd-undo"));
            }
        }
    }
}

fn is_on(value: impl AsRef<str>) -> bool {
    !matches!(&value.as_ref().to_ascii_lowercase()[..], "0" | "no" | "false" | "off")
}

/// A path in one spelling.
fn plain(path: &str) -> String {
    let below = ["$HOME/", "${HOME}/"].iter().find_map(|start| path.strip_prefix(start));
    below.map_or_else(|| path.to_owned(), |rest| format!("~/{rest}"))
}

/// The name of a host out of `imaps:host`, `imaps://host:993/` or `host`.
fn bare_host(host: &str) -> String {
    let schemes = ["imaps:", "imap:"];
    let host = schemes.iter().find_map(|scheme| host.strip_prefix(scheme)).unwrap_or(host);
    let host = host.trim_start_matches('/').split('/').next().unwrap_or_default();
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside.to_owned();
    }
    match host.split_once(':') {
        Some((name, port)) if port.chars().all(|letter| letter.is_ascii_digit()) => name.to_owned(),
        _ => host.to_owned(),
    }
}
