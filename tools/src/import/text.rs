//! The config that is written: assignments, and a `CHECK:` above each that a person must look at.
//!
//! Deliberately not here: what their config says.

use std::path::Path;

use smd_client::config::quote;
use smd_protocol::names::printable;

use super::{Account, Kind};

/// Where Dovecot and Courier keep a user's mail unless told otherwise.
const REMOTE: &str = "Maildir";

/// The name of an endpoint out of the name of an account, other than these.
pub fn endpoint(account: &str, taken: &[&str]) -> String {
    let good = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let name: String = account.trim().chars().map(good).take(60).collect();
    let name = name.trim_start_matches(['-', '.']);
    let name = if name.is_empty() { "imported" } else { name };
    let numbered = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}-{number}")));
    numbered.into_iter().find(|name| !taken.contains(&&name[..])).unwrap_or_default()
}

/// The text of a config, and what must be checked in it.
pub fn config(kind: Kind, shown: &str, account: &Account, endpoint: &str, user: &Path) -> (String, Vec<String>) {
    let host = if account.server.is_empty() { "the server" } else { &account.server };
    let mut out = Writer::default();
    out.remark(&format!("From {} of {shown}, by smd-check-conf --import {}.", account.name, kind.word()));
    out.remark("Each CHECK: is a thing that could not be told; then try:");
    out.remark(&format!("smd-check-conf {endpoint}, smd-sync -d {endpoint}"));
    out.blank();
    match account.server.is_empty() {
        true => out.check("the host that ssh is to connect to; its name was not found"),
        false => {
            out.check(&format!("ssh must reach {host}: it is the IMAP server's name, which may not be the one for ssh"))
        }
    }
    out.set("SERVERNAME", &account.server);
    out.blank();
    if !account.ssh.is_empty() {
        // As words of a shell, which the value of the key is split into again; without NUL that is always possible.
        let words = account.ssh.iter().map(|word| shlex::try_quote(word).unwrap_or_default());
        out.set("SSH", &words.collect::<Vec<_>>().join(" "));
        out.blank();
    }
    out.set("MAILBOX_LOCAL", &quote::word(path(&account.local, user).as_bytes()));
    out.check(&format!("path of the Maildir on {host}: guessed, please check"));
    out.set("MAILBOX_REMOTE", REMOTE);
    if let Some(mode) = account.mode {
        out.blank();
        out.remark("How folders are called here and there; smd-check-conf shows it.");
        for (key, way) in [("TRANSLATOR_LR", "LR"), ("TRANSLATOR_RL", "RL")] {
            out.set(key, &format!("smd-translate -m {mode} -d {way} {endpoint}"));
        }
    }
    if !account.exclude.is_empty() {
        out.blank();
        out.check("the folders' names on the server are taken for those of Maildir++ (.Folder.Sub)");
        let below = |pattern: &String| match pattern.strip_prefix('!') {
            Some(pattern) => quote::word(format!("!{REMOTE}/{pattern}").as_bytes()),
            None => quote::word(format!("{REMOTE}/{pattern}").as_bytes()),
        };
        out.set("EXCLUDE_REMOTE", &account.exclude.iter().map(below).collect::<Vec<_>>().join(" "));
    }
    if !account.untold.is_empty() {
        out.blank();
        account.untold.iter().for_each(|text| out.check(text));
    }
    (out.text, out.checks)
}

#[derive(Default)]
struct Writer {
    text: String,
    checks: Vec<String>,
}

impl Writer {
    fn remark(&mut self, text: &str) {
        // What comes out of another file may hold line ends; a remark is one line.
        self.text.push_str(&format!("# {}\n", printable(text.replace(['\n', '\r'], " ").as_bytes())));
    }

    fn check(&mut self, text: &str) {
        self.remark(&format!("CHECK: {text}"));
        self.checks.push(text.to_owned());
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn set(&mut self, key: &str, value: &str) {
        self.text.push_str(&format!("{}\n", quote::assignment(key, value)));
    }
}

/// A path from the home directory, as our configs have it.
fn path(written: &str, user: &Path) -> String {
    let user = user.to_string_lossy();
    let below = ["~/", "$HOME/", "${HOME}/"].iter().find_map(|start| written.strip_prefix(start));
    let below = below.or_else(|| written.strip_prefix(&*user)?.strip_prefix('/'));
    let path = below.unwrap_or(written).trim_end_matches('/');
    if path.is_empty() { ".".to_owned() } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_client::config::Config;

    fn account() -> Account {
        Account {
            name: "my mail".to_owned(),
            server: "mail.example.org".to_owned(),
            ssh: Vec::new(),
            local: "/home/me/My Mail/".to_owned(),
            mode: Some("inbox"),
            exclude: vec!["*".to_owned(), r"!.\[x\] it's $HOME `y`".to_owned()],
            untold: vec!["a thing\nof two lines".to_owned()],
        }
    }

    #[test]
    fn the_config_is_read_back_as_it_was_meant() {
        let (text, checks) = config(Kind::Mbsync, "rc", &account(), "my-mail", Path::new("/home/me"));
        // Translators are looked at where they are used.
        let plain: String =
            text.lines().filter(|line| !line.starts_with("TRANSLATOR")).map(|line| format!("{line}\n")).collect();
        let read = Config::parse(Path::new("c"), plain.as_bytes(), Path::new("/home/me")).expect("a good config");
        assert_eq!(read.server.as_str(), "mail.example.org");
        assert_eq!((&read.mailboxes[0].local[..], &read.mailboxes[0].remote[..]), (&b"My Mail"[..], &b"Maildir"[..]));
        assert_eq!(read.exclude_remote, [&b"Maildir/*"[..], br"!Maildir/.\[x\] it's $HOME `y`"]);
        assert!(text.contains("TRANSLATOR_RL='smd-translate -m inbox -d RL my-mail'\n"), "{text}");
        assert_eq!(checks.len(), 4);
        assert_eq!(text.matches("\n# CHECK: ").count(), checks.len());
    }

    #[test]
    fn the_config_explains_itself() {
        let plain = Account { exclude: vec![".Spam".to_owned()], untold: Vec::new(), ..account() };
        let (text, _) = config(Kind::OfflineImap, "~/.offlineimaprc", &plain, "my-mail", Path::new("/home/me"));
        insta::assert_snapshot!(text, @r"
        # From my mail of ~/.offlineimaprc, by smd-check-conf --import offlineimap.
        # Each CHECK: is a thing that could not be told; then try:
        # smd-check-conf my-mail, smd-sync -d my-mail

        # CHECK: ssh must reach mail.example.org: it is the IMAP server's name, which may not be the one for ssh
        SERVERNAME=mail.example.org

        MAILBOX_LOCAL=My%20Mail
        # CHECK: path of the Maildir on mail.example.org: guessed, please check
        MAILBOX_REMOTE=Maildir

        # How folders are called here and there; smd-check-conf shows it.
        TRANSLATOR_LR='smd-translate -m inbox -d LR my-mail'
        TRANSLATOR_RL='smd-translate -m inbox -d RL my-mail'

        # CHECK: the folders' names on the server are taken for those of Maildir++ (.Folder.Sub)
        EXCLUDE_REMOTE=Maildir/.Spam
        ");
    }

    #[test]
    fn endpoints_have_names_of_their_own() {
        assert_eq!(endpoint("my mail", &[]), "my-mail");
        assert_eq!(endpoint("../x", &[]), "x".to_owned());
        assert_eq!(endpoint("é", &[]), "imported");
        assert_eq!(endpoint("a", &["a", "a-2"]), "a-3");
    }
}
