//! What `~/.mbsyncrc` tells: channels between an IMAP store and a Maildir store.
//!
//! Deliberately not here: how and when messages were expunged or created, which is not ours to choose: a sync takes everything
//! both ways.

use std::collections::BTreeMap;

use super::Account;
use super::rc::{all_but, wild_pattern};

/// The kinds of section; each begins with such a key.
const SECTIONS: [&str; 5] = ["imapaccount", "imapstore", "maildirstore", "channel", "group"];

/// A section: its kind, its name, and what each key says, all its lines together.
#[derive(Debug, Default)]
struct Section {
    kind: String,
    name: String,
    keys: BTreeMap<String, Vec<String>>,
}

impl Section {
    /// What a key says; of several words the first.
    fn first(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.first().map(String::as_str)
    }

    fn words(&self, key: &str) -> &[String] {
        self.keys.get(key).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The pairs of an IMAP server and a Maildir, and in a sentence each what was left out.
///
/// # Errors
/// What makes no sense, in a sentence.
pub fn accounts(text: &str) -> Result<(Vec<Account>, Vec<String>), String> {
    let sections = sections(text)?;
    let (mut accounts, mut left_out) = (Vec::new(), Vec::new());
    for channel in sections.iter().filter(|section| section.kind == "channel") {
        match account(&sections, channel) {
            Some(account) => accounts.push(account),
            None => left_out.push(format!(
                "channel {} is left out: its stores are no pair of an IMAP server and a Maildir, or not told here",
                channel.name
            )),
        }
    }
    Ok((accounts, left_out))
}

fn sections(text: &str) -> Result<Vec<Section>, String> {
    let mut sections: Vec<Section> = Vec::new();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let words = words(line).ok_or_else(|| format!("line {number}: a quote is never closed"))?;
        let Some((key, values)) = words.split_first() else {
            open &= line.trim_start().starts_with('#');
            continue;
        };
        let key = key.to_ascii_lowercase();
        if SECTIONS.contains(&&key[..]) {
            let name = values.first().ok_or_else(|| format!("line {number}: {key} without a name"))?.clone();
            sections.push(Section { kind: key, name, keys: BTreeMap::new() });
            open = true;
        } else if let Some(section) = sections.last_mut().filter(|_| open) {
            section.keys.entry(key).or_default().extend_from_slice(values);
        }
    }
    Ok(sections)
}

/// Words by blanks; double quotes keep blanks, a backslash the next letter. Nothing when a quote is never closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut letters = line.trim().chars();
    while let Some(letter) = letters.next() {
        match letter {
            '#' if word.is_none() && !quoted => break,
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

/// The store and the mailbox that `:store:mailbox` names.
fn store<'a>(sections: &'a [Section], channel: &'a Section, keys: [&str; 2]) -> Option<(&'a Section, &'a str)> {
    let value = keys.iter().find_map(|key| channel.first(key))?;
    let (name, mailbox) = value.strip_prefix(':')?.split_once(':')?;
    let found = sections.iter().find(|one| one.name == name && one.kind.ends_with("store"))?;
    Some((found, mailbox))
}

fn account(sections: &[Section], channel: &Section) -> Option<Account> {
    let far = store(sections, channel, ["far", "master"])?;
    let near = store(sections, channel, ["near", "slave"])?;
    let ((imap, box_there), (maildir, box_here)) = match (&far.0.kind[..], &near.0.kind[..]) {
        ("imapstore", "maildirstore") => (far, near),
        ("maildirstore", "imapstore") => (near, far),
        _ => return None,
    };
    let mut account = Account { name: channel.name.clone(), ..Account::default() };
    let untold = &mut account.untold;
    let login = imap
        .first("account")
        .and_then(|name| sections.iter().find(|section| section.kind == "imapaccount" && section.name == name));
    let of_server = |key: &str| imap.first(key).or_else(|| login?.first(key));
    account.server = match (of_server("host"), of_server("tunnel")) {
        (Some(host), _) => {
            let host = host.rsplit("://").next().unwrap_or_default();
            host.split('/').next().unwrap_or_default().to_owned()
        }
        (None, Some(tunnel)) => ssh_host(tunnel).unwrap_or_else(|| {
            untold.push(format!("Tunnel \"{tunnel}\" names no host"));
            String::new()
        }),
        (None, None) => String::new(),
    };
    let path = maildir.first("path").unwrap_or_default().trim_end_matches('/');
    let inbox = maildir.first("inbox").unwrap_or("~/Maildir").trim_end_matches('/');
    let layout = maildir.first("subfolders").unwrap_or("Verbatim");
    let inbox_inside = inbox == format!("{path}/INBOX");
    (account.local, account.mode) = match (&layout.to_ascii_lowercase()[..], maildir.first("flatten")) {
        ("maildir++", None) => (inbox.to_owned(), None),
        ("verbatim", None) => (path.to_owned(), Some(if inbox_inside { "nodots-inbox" } else { "nodots" })),
        ("verbatim", Some(".")) => (path.to_owned(), Some(if inbox_inside { "inbox" } else { "oimap-dovecot" })),
        (_, flatten) => {
            let flatten = flatten.map_or_else(String::new, |with| format!(" with Flatten {with}"));
            untold.push(format!("SubFolders {layout}{flatten}: no translator makes such names"));
            (path.to_owned(), None)
        }
    };
    if account.mode.is_some() && !inbox_inside {
        untold.push(format!("Inbox {inbox} is not in Path {path}: give it an endpoint of its own, or move it there"));
    }
    let patterns: Vec<&String> = ["patterns", "pattern"].iter().flat_map(|key| channel.words(key)).collect();
    if patterns.is_empty() {
        let boxes: Vec<&str> = [box_there, box_here].into_iter().filter(|name| !name.is_empty()).collect();
        let which = boxes.first().copied().unwrap_or("INBOX");
        account.exclude = all_but(wild_pattern(which));
        if which != "INBOX" {
            untold.push("INBOX is the root of the Maildir and cannot be left out".to_owned());
        }
        if let [there, here] = &boxes[..]
            && there != here
        {
            untold.push(format!("the server's {there} is called {here} here: rename one of them"));
        }
    } else {
        if !box_there.is_empty() || !box_here.is_empty() {
            untold.push(format!(
                "only what begins with \"{box_there}\" at the server, and with \"{box_here}\" here, is meant: let MAILBOX name those \
                 directories, or EXCLUDE the rest"
            ));
        }
        // `*` first, as nearly everybody writes it, then what is left out; or else a list of what is taken.
        let mut taken = Vec::new();
        let all = patterns.iter().any(|pattern| matches!(&pattern[..], "*" | "%"));
        for pattern in patterns {
            match pattern.strip_prefix('!') {
                Some(left_out) if all => account.exclude.extend(wild_pattern(left_out)),
                None if !all => taken.extend(wild_pattern(pattern)),
                _ => {}
            }
            if pattern.len() > 1 && pattern.contains('%') && !pattern.starts_with('!') {
                untold.push(format!("{pattern} takes folders below those as well: EXCLUDE knows no %"));
            }
            if pattern.starts_with('!') && wild_pattern(&pattern[1..]).is_none() {
                untold.push("INBOX is the root of the Maildir and cannot be left out".to_owned());
            }
        }
        if !all {
            account.exclude = all_but(taken);
        }
    }
    let sync = channel.words("sync").join(" ").to_ascii_lowercase();
    if !matches!(&sync[..], "" | "all" | "full" | "pull push" | "push pull") {
        untold.push(format!("Sync {sync}: choose smd-pull, smd-push or smd-sync when you run it"));
    }
    for key in ["maxmessages", "maxsize", "expireunread"] {
        if let Some(value) = channel.first(key).or_else(|| maildir.first(key)).filter(|value| *value != "0") {
            untold.push(format!("{key} {value}: all messages are kept on both hosts"));
        }
    }
    Some(account)
}

/// The host of `ssh [-q] host command`; none when an option might take it for its value.
fn ssh_host(tunnel: &str) -> Option<String> {
    let mut words = tunnel.split_whitespace();
    words.next().filter(|program| program.rsplit('/').next() == Some("ssh"))?;
    let harmless =
        |word: &&str| word.strip_prefix('-').is_some_and(|letters| letters.chars().all(|l| "qCxTakn46".contains(l)));
    words.find(|word| !harmless(word)).filter(|word| !word.starts_with('-')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(maildir: &str, channel: &str) -> Account {
        let text = format!(
            "IMAPAccount acc\nHost imap.example.org\n# a word\nUser me\n\nIMAPStore far\nAccount acc\n\n\
             MaildirStore near\n{maildir}\n\nChannel home\nMaster :far:\nSlave :near:\n{channel}\n"
        );
        let [account] = &accounts(&text).expect("it parses").0[..] else { panic!("one account") };
        account.clone()
    }

    #[test]
    fn layouts_of_the_maildir_store_have_their_translators() {
        let table = [
            ("Path ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim", "~/Mail", Some("nodots-inbox"), 0),
            ("Path ~/Mail/\nInbox ~/Mail/INBOX\nFlatten .", "~/Mail", Some("inbox"), 0),
            ("Inbox ~/Maildir\nSubFolders Maildir++", "~/Maildir", None, 0),
            ("Path \"~/My Mail/\"", "~/My Mail", Some("nodots"), 1),
            ("Path ~/Mail/\nSubFolders Legacy", "~/Mail", None, 1),
        ];
        for (maildir, local, mode, untold) in table {
            let account = one(maildir, "Patterns *");
            assert_eq!((&account.local[..], account.mode), (local, mode), "{maildir}");
            assert_eq!((account.untold.len(), &account.server[..]), (untold, "imap.example.org"), "{account:?}");
        }
    }

    #[test]
    fn patterns_become_excludes() {
        let table: [(&str, &[&str]); 5] = [
            ("Patterns *", &[]),
            ("Patterns * !Spam \"!Lists/big one*\"\nPattern !INBOX.Trash", &[".Spam", ".Lists.big one*", ".Trash"]),
            ("Patterns INBOX Work%", &["*", "!.Work*"]),
            ("Patterns \"[Gmail]/Sent\"", &["*", r"!.\[Gmail\].Sent"]),
            ("", &["*"]),
        ];
        for (channel, exclude) in table {
            let account = one("Path ~/Mail/\nInbox ~/Mail/INBOX", channel);
            assert_eq!(account.exclude, exclude, "{channel}");
            assert_eq!(account.untold.len(), usize::from(channel.contains("Work%")), "{account:?}");
        }
        let account = one("Path ~/M/\nInbox ~/M/INBOX", "Patterns * !INBOX\nSync Pull\nMaxMessages 100");
        assert_eq!(account.untold.len(), 3, "{account:?}");
    }

    #[test]
    fn a_tunnel_may_tell_the_host() {
        let table = [
            ("ssh -q mail.example.org /usr/lib/dovecot/imap", Some("mail.example.org")),
            ("/usr/bin/ssh -Cq me@mail imap", Some("me@mail")),
            ("ssh -p 22 mail imap", None),
            ("socat - tcp:mail:143", None),
        ];
        table.iter().for_each(|(tunnel, host)| assert_eq!(ssh_host(tunnel).as_deref(), *host, "{tunnel}"));
        assert!(accounts("Channel \"x\nFar :a:\n").expect_err("a quote").starts_with("line 1"));
        let (none, left_out) = accounts("Channel x\nFar :a:\nNear :b:\n\nGroup g\nChannels x\n").expect("it parses");
        assert!(none.is_empty() && left_out.len() == 1 && left_out[0].contains("channel x"), "{left_out:?}");
    }

    #[test]
    fn mailboxes_that_a_channel_names_are_told_where_no_config_says_them() {
        let near = |far: &str, near: &str, rest: &str| {
            let text = format!(
                "IMAPStore far\nHost h\n\nMaildirStore near\nPath ~/Mail/\nInbox ~/Mail/INBOX\n\n\
                 Channel home\nFar :far:{far}\nNear :near:{near}\n{rest}\n"
            );
            let (accounts, _) = accounts(&text).expect("it parses");
            accounts[0].untold.join("; ")
        };
        assert_eq!(near("", "", "Patterns *"), "");
        let renamed = near("Archive", "foo", "");
        assert!(renamed.contains("Archive is called foo here") && renamed.contains("INBOX"), "{renamed}");
        let prefixed = near("lists/", "L/", "Patterns %");
        assert!(prefixed.contains("begins with \"lists/\" at the server, and with \"L/\" here"), "{prefixed}");
    }
}
