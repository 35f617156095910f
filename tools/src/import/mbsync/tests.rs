use std::path::Path;

use smd_client::config::Config;
use smd_maildir::exclude::Excludes;
use smd_protocol::Folder;

use super::super::{Imported, Kind, imported};
use super::*;

fn one(maildir: &str, channel: &str) -> Account {
    let text = format!(
        "Expunge Both\n\nIMAPAccount acc\nHost imap.example.org\n# a word\nUser me\n\nIMAPStore far\nAccount acc\n\n\
         MaildirStore near\n{maildir}\n\nChannel home\nMaster :far:\nSlave :near:\n{channel}\n"
    );
    let [account] = &accounts(&text).expect("it parses").0[..] else { panic!("one account") };
    account.clone()
}

/// The configs that are made of this one, each read back.
fn made(rc: &str) -> Vec<(Imported, Config)> {
    let made = imported(Kind::Mbsync, rc, "rc", Path::new("/home/me")).unwrap_or_else(|error| panic!("{rc}: {error}"));
    let read = |one: Imported| {
        let config = Config::parse(Path::new("c"), one.text.as_bytes(), Path::new("/home/me"));
        let config = config.unwrap_or_else(|error| panic!("{}: {error}", one.text));
        (one, config)
    };
    made.into_iter().map(read).collect()
}

/// Fails unless the folders that IMAP calls so are taken, and the others left out.
#[track_caller]
fn takes(config: &Config, taken: &[&str], left_out: &[&str]) {
    let excludes = Excludes::new(&[(b"Maildir".to_vec(), config.exclude_remote.clone())]).expect("it compiles");
    for (names, left) in [(taken, false), (left_out, true)] {
        for name in names {
            let path = if *name == "INBOX" { String::new() } else { format!(".{}", name.replace('/', ".")) };
            let folder = Folder::parse(path.as_bytes()).expect("a folder");
            let patterns: Vec<_> = config.exclude_remote.iter().map(|one| String::from_utf8_lossy(one)).collect();
            assert_eq!(excludes.excludes(&folder), left, "{name} by {patterns:?}");
        }
    }
}

#[test]
fn layouts_of_the_maildir_store_have_their_translators() {
    let table = [
        ("Path ~/Mail/\nInbox ~/Mail/INBOX\nSubFolders Verbatim", "~/Mail", Some("nodots-inbox"), ""),
        ("Path ~/Mail/\nInbox $HOME/Mail/INBOX/", "~/Mail", Some("nodots-inbox"), ""),
        ("Path ~/Mail/\nInbox ~/Mail/INBOX\nFlatten .", "~/Mail", Some("inbox"), ""),
        ("Inbox ~/Maildir\nSubFolders Maildir++", "~/Maildir", None, ""),
        ("Path \"~/My Mail/\"", "~/My Mail", Some("nodots"), "Inbox ~/Maildir is not in Path ~/My Mail"),
        ("Path ~/Mail/\nSubFolders Legacy", "~/Mail", None, "no translator makes such names"),
        ("Path ~/Mail/\nInbox ~/Mail/inbox", "~/Mail", Some("nodots-inbox"), "mv ~/Mail/inbox ~/Mail/INBOX"),
        ("Path ~/Mail/my-\nInbox ~/Mail/my-/INBOX", "~/Mail/my-", Some("nodots-inbox"), "does not end with a slash"),
    ];
    for (maildir, local, mode, untold) in table {
        let account = one(maildir, "Patterns *");
        assert_eq!((&account.local[..], account.mode), (local, mode), "{maildir}");
        assert_eq!(account.untold.len(), usize::from(!untold.is_empty()), "{account:?}");
        assert!(account.untold.concat().contains(untold), "{account:?}");
    }
}

#[test]
fn patterns_become_excludes() {
    let table: [(&str, &[&str]); 10] = [
        ("Patterns *", &[]),
        ("Patterns * !Spam \"!Lists/big one*\"\nPattern !INBOX.Trash", &[".Spam", ".Lists.big one*", ".Trash"]),
        ("Patterns * ![Gmail]* \"[Gmail]/Sent Mail\"", &[r".\[Gmail\]*", r"!.\[Gmail\].Sent Mail"]),
        ("Patterns INBOX Work%", &["*", "!.Work*"]),
        ("Patterns \"[Gmail]/Sent\"", &["*", "cur", r"!.\[Gmail\].Sent"]),
        ("Patterns !Spam *", &[]),
        ("Patterns * !*", &["*", "cur"]),
        ("Patterns * !INBOX !Spam inbox", &["cur", ".Spam", "!cur"]),
        ("Patterns * !Spam Spam", &[".Spam", "!.Spam"]),
        ("", &["*"]),
    ];
    for (channel, exclude) in table {
        let account = one("Path ~/Mail/\nInbox ~/Mail/INBOX", channel);
        assert_eq!(account.exclude, exclude, "{channel}");
        assert_eq!(account.untold.len(), usize::from(channel.contains("Work%")), "{account:?}");
    }
}

#[test]
fn habits_that_a_sync_does_not_have_are_told() {
    let told = |channel: &str| one("Path ~/M/\nInbox ~/M/INBOX\nTrash Bin", channel).untold.join("; ");
    let all = told("Patterns *\nSync Pull\nMaxMessages 100\nExpunge Near\nFrob a b");
    for what in [
        "Sync Pull: choose",
        "maxmessages 100",
        "(Expunge Near) by channel home: to keep",
        "SMDCLIENTOPTS=-n",
        "Trash Bin",
        "frob a b: not understood",
    ] {
        assert!(all.contains(what), "{what}: {all}");
    }
    assert_eq!(told("Patterns *\nSync All\nMaxMessages 0\nExpireUnread no").matches(';').count(), 0);
    assert!(told("Patterns * Work% !Lists%").contains("!Lists% leaves out folders below"));
}

#[test]
fn a_file_that_makes_no_sense_is_refused_and_a_channel_without_a_pair_is_named() {
    assert!(accounts("Channel \"x\nFar :a:\n").expect_err("a quote").starts_with("line 1"));
    let (none, left_out) = accounts("Channel x\nFar :a:\nNear :b:\n\nGroup g\nChannels x y\n").expect("it parses");
    assert!(none.is_empty() && left_out.len() == 2 && left_out[0].contains("channel x"), "{left_out:?}");
    assert!(left_out[1].contains("channel y"), "{left_out:?}");
}

#[test]
fn mailboxes_that_a_channel_names_are_told_where_no_config_says_them() {
    let near = |far: &str, near: &str, rest: &str| {
        let text = format!(
            "Expunge Both\n\nIMAPStore far\nHost h\n\nMaildirStore near\nPath ~/Mail/\nInbox ~/Mail/INBOX\n\n\
             Channel home\nFar :far:{far}\nNear :near:{near}\n{rest}\n"
        );
        let (accounts, _) = accounts(&text).expect("it parses");
        (accounts[0].untold.join("; "), accounts[0].local.clone())
    };
    assert_eq!(near("", "", "Patterns *").0, "");
    let (renamed, _) = near("Archive", "foo", "");
    assert!(renamed.contains("Archive is called foo here"), "{renamed}");
    let (prefixed, _) = near("lists/", "L/", "Patterns %");
    assert!(prefixed.contains("begins with \"lists/\" at the server, and with \"L/\" here"), "{prefixed}");
    assert_eq!(near("", "personal/", "Patterns *").1, "~/Mail/personal");
}

#[test]
fn the_host_is_told_however_it_is_written() {
    for (written, host) in [
        ("imaps:mail.example.org", "mail.example.org"),
        ("imaps://mail.example.org:993/", "mail.example.org"),
        ("imap:mail", "mail"),
        ("mail:143", "mail"),
        ("[fe80::1]:143", "fe80::1"),
        ("fe80::1", "fe80::1"),
    ] {
        assert_eq!(bare_host(written), host, "{written}");
    }
}

/// As the sample that comes with isync: defaults before all sections, one Maildir store for all, a tunnel, groups.
const ISYNC: &str = r#"
# What every channel does unless it says otherwise
Create Near
Expunge Both

MaildirStore local
Path ~/Mail/
Trash Trash

IMAPStore work
Host imaps:work.example.org
Pass secret
CertificateFile /etc/ssl/certs/ca-certificates.crt

Channel work
Far :work:work
Near :local:work
Expunge Near

IMAPStore personal
Host play.example.org
Port 6789
RequireSSL no

Channel personal
Far :personal:
Near :local:personal/
Patterns % !Trash
SyncState *

IMAPStore remote
Tunnel "ssh -q host.example.org /usr/sbin/imapd"

Channel remote
Far :remote:remote
Near :local:remote

Group boxes
Channels work personal:low-prio,high-prio
Channel remote
"#;

#[test]
fn the_sample_of_isync_makes_three_endpoints() {
    let made = made(ISYNC);
    let names: Vec<&str> = made.iter().map(|(one, _)| &one.endpoint[..]).collect();
    assert_eq!(names, ["work", "personal", "remote"]);
    let hosts: Vec<&str> = made.iter().map(|(_, config)| config.server.as_str()).collect();
    assert_eq!(hosts, ["work.example.org", "play.example.org", "host.example.org"]);
    takes(&made[0].1, &["work"], &["INBOX", "Spam", "work/sub"]);
    takes(&made[1].1, &["INBOX", "low-prio"], &["Trash"]);
    assert_eq!(made[1].1.mailboxes[0].local, b"Mail/personal");
    assert_eq!(made[2].1.rsh, Some(["ssh", "-q"].map(Into::into).to_vec()));
    for ((one, _), what) in made.iter().zip(["Expunge Near", "folders of every depth", "folders of another server"]) {
        assert!(one.untold.iter().any(|text| text.contains(what)), "{what}: {:?}", one.untold);
        assert!(!one.text.contains("not understood"), "{}", one.text);
        assert_eq!(one.text.matches("CHECK: channel").count(), 0, "{}", one.text);
    }
}

/// As the wiki of Arch has it for Gmail: all of `[Gmail]` is left out, but for some.
const GMAIL: &str = r#"
IMAPAccount gmail
# Address to connect to
Host imap.gmail.com
User me@gmail.com
PassCmd "gpg2 -q --for-your-eyes-only --no-tty -d ~/.mailpass.gpg"
TLSType IMAPS
CertificateFile /etc/ssl/certs/ca-certificates.crt

IMAPStore gmail-remote
Account gmail

MaildirStore gmail-local
SubFolders Verbatim
# The slash at the end matters
Path ~/.mail/gmail/
Inbox ~/.mail/gmail/Inbox

Channel gmail
Far :gmail-remote:
Near :gmail-local:
Patterns * ![Gmail]* "[Gmail]/Sent Mail" "[Gmail]/Starred" "[Gmail]/All Mail"
Create Both
Expunge Both
SyncState *
"#;

#[test]
fn folders_that_are_taken_back_are_taken() {
    let made = made(GMAIL);
    let [(one, config)] = &made[..] else { panic!("one endpoint") };
    takes(
        config,
        &["INBOX", "Work", "[Gmail]/Sent Mail", "[Gmail]/Starred", "[Gmail]/All Mail"],
        &["[Gmail]", "[Gmail]/Spam", "[Gmail]/Trash"],
    );
    assert!(
        one.untold.iter().any(|text| text.contains("mv ~/.mail/gmail/Inbox ~/.mail/gmail/INBOX")),
        "{:?}",
        one.untold
    );
}

/// As mutt-wizard writes it.
const WIZARD: &str = r#"
IMAPStore me@example.org-remote
Host  imap.example.org
Port  993
User  me@example.org
PassCmd "pass me@example.org"
AuthMechs LOGIN
TLSType IMAPS
CertificateFile /etc/ssl/cert.pem

MaildirStore me@example.org-local
Subfolders Verbatim
Path  /home/me/.local/share/mail/me@example.org/
Inbox  /home/me/.local/share/mail/me@example.org/INBOX

Channel me@example.org
Expunge Both
Far :me@example.org-remote:
Near :me@example.org-local:
Patterns * !"[Gmail]/All Mail" !"*fts-flatcurve*" !"virtual.*"
Create Both
SyncState *
MaxMessages 0
ExpireUnread no
# End profile
"#;

#[test]
fn names_that_are_left_out_anywhere_are_left_out() {
    let made = made(WIZARD);
    let [(one, config)] = &made[..] else { panic!("one endpoint") };
    assert_eq!(one.endpoint, "me-example.org");
    takes(config, &["INBOX", "[Gmail]/Sent Mail"], &["[Gmail]/All Mail", "a/fts-flatcurve.x", "virtual/x"]);
    assert_eq!(config.mailboxes[0].local, b".local/share/mail/me@example.org");
    assert_eq!(one.untold.len(), 3, "only the host, its path and its names are asked for: {:?}", one.untold);
}

/// As guides for mu4e have it: a channel for each folder that has another name here, and a group of them.
const GUIDE: &str = r#"
IMAPAccount work
Host imap.example.org
User me
PassCmd "pass work"
SSLType IMAPS
AuthMechs *
PipelineDepth 1

IMAPStore work-remote
Account work

MaildirStore work-local
Path ~/mail/work/
Inbox ~/mail/work/INBOX
Trash ~/mail/work/Trash

Channel work-inbox
Master :work-remote:
Slave :work-local:
Patterns "INBOX" "Lists/*" !Lists/old
Create Both
Expunge Both

Channel work-sent
Master ":work-remote:[Gmail]/Sent Mail"
Slave :work-local:sent
Create Both
Expunge Both

Channel work-archive
Master :work-remote:Archive
Slave :work-local:Archive
Expunge Both

Group work
Channel work-inbox
Channel work-sent
Channel work-archive
"#;

#[test]
fn channels_between_the_same_stores_are_one_endpoint() {
    let made = made(GUIDE);
    let [(one, config)] = &made[..] else { panic!("one endpoint") };
    assert_eq!(one.endpoint, "work-inbox");
    takes(config, &["INBOX", "Lists/rust", "[Gmail]/Sent Mail", "Archive"], &["Lists/old", "[Gmail]/Spam", "Drafts"]);
    assert!(one.untold.iter().any(|text| text.contains("[Gmail]/Sent Mail is called sent here")), "{:?}", one.untold);
    assert!(!one.text.contains("left out: its stores"), "{}", one.text);
}
