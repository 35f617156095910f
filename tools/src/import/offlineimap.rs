//! What `~/.offlineimaprc` tells: accounts, their two repositories, and filters that merely name folders.
//!
//! Deliberately not here: Python. A `folderfilter` that compares with a list is told; every other expression is named.

use super::Account;
use super::ini::Ini;
use super::rc::{INBOX, all_but, pattern};

/// The pairs of an IMAP server and a Maildir, and in a sentence each what was left out.
///
/// # Errors
/// What makes no sense, in a sentence.
pub fn accounts(text: &str) -> Result<(Vec<Account>, Vec<String>), String> {
    let ini = Ini::parse(text)?;
    let named = ini.value("general", "accounts").unwrap_or_default();
    let (mut accounts, mut left_out) = (Vec::new(), Vec::new());
    for name in named.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match account(&ini, name) {
            Ok(account) => accounts.push(account),
            Err(why) => left_out.push(format!("account {name} is left out: {why}")),
        }
    }
    Ok((accounts, left_out))
}

fn account(ini: &Ini, name: &str) -> Result<Account, String> {
    let section = format!("Account {name}");
    let repository = |key: &str| {
        let named = ini.value(&section, key).ok_or_else(|| format!("account {name} has no {key}"))?;
        let section = format!("Repository {named}");
        if ini.has(&section) { Ok(section) } else { Err(format!("there is no [{section}]")) }
    };
    let (here, there) = (repository("localrepository")?, repository("remoterepository")?);
    let (here, there) = (|key: &str| ini.value(&here, key), |key: &str| ini.value(&there, key));
    let mut account = Account { name: name.to_owned(), ..Account::default() };
    let mut untold = Vec::new();

    match (here("type").unwrap_or_default(), here("localfolders")) {
        (kind, Some(path)) if kind.eq_ignore_ascii_case("maildir") => account.local = path.to_owned(),
        (kind, Some(path)) if kind.eq_ignore_ascii_case("gmailmaildir") => {
            account.local = path.to_owned();
            untold.push("labels of Gmail (type = GmailMaildir) are not kept".to_owned());
        }
        (kind, _) => return Err(format!("the local repository of account {name} is not a Maildir (type = {kind})")),
    }
    account.mode = match here("sep").unwrap_or(".") {
        "." => Some("inbox"),
        "/" => Some("nodots-inbox"),
        other => {
            untold.push(format!("sep = {other}: no translator makes such names"));
            None
        }
    };
    match there("type").unwrap_or_default() {
        kind if kind.eq_ignore_ascii_case("gmail") => untold.push(
            "the server is Gmail (type = Gmail): smd needs a host with ssh and a Maildir, and Gmail is none".to_owned(),
        ),
        _ => {
            account.server = there("remotehost").unwrap_or_default().to_owned();
            if let Some(eval) = there("remotehosteval").filter(|_| account.server.is_empty()) {
                untold.push(format!("the server's name is Python: remotehosteval = {}", one_line(eval)));
            }
        }
    }
    for (side, value) in [("local", here("nametrans")), ("remote", there("nametrans"))] {
        if let Some(python) = value {
            untold.push(format!("nametrans of the {side} repository renames folders by Python: {}", one_line(python)));
        }
    }
    for (side, value) in [("remote", there("folderfilter")), ("local", here("folderfilter"))] {
        let Some(python) = value else { continue };
        match folder_list(python) {
            Some((false, names)) => {
                account.exclude.extend(names.iter().map(|name| pattern(name).unwrap_or_else(|| INBOX.to_owned())));
            }
            Some((true, names)) => {
                account.exclude.extend(all_but(names.iter().filter_map(|name| pattern(name))));
                let has_inbox = names.iter().any(|name| pattern(name).is_none());
                account.exclude.extend((!has_inbox).then(|| INBOX.to_owned()));
            }
            None => untold.push(format!("folderfilter of the {side} repository is Python: {}", one_line(python))),
        }
    }
    for key in ["folderincludes", "idlefolders", "presynchook", "postsynchook"] {
        let value = there(key).or_else(|| ini.value(&section, key));
        if let Some(value) = value {
            let what = match key {
                "presynchook" | "postsynchook" => "see hooks in the manual",
                "idlefolders" => "smd-loop watches all folders",
                _ => "all folders are taken that no pattern excludes",
            };
            untold.push(format!("{key} = {}: {what}", one_line(value)));
        }
    }
    let is = |value: Option<&str>, word: &str| value.is_some_and(|value| value.eq_ignore_ascii_case(word));
    if is(there("readonly"), "true") {
        untold.push("the server is readonly: run smd-pull, never smd-push or smd-sync".to_owned());
    }
    if is(here("readonly"), "true") {
        untold.push("the Maildir is readonly: run smd-push, never smd-pull or smd-sync".to_owned());
    }
    account.untold = untold;
    Ok(account)
}

fn one_line(python: &str) -> String {
    python.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads `lambda x: x in ['a', "b"]` and `… not in …`: whether those alone are taken, and the names.
fn folder_list(python: &str) -> Option<(bool, Vec<String>)> {
    let (variable, rest) = python.trim().strip_prefix("lambda")?.split_once(':')?;
    let rest = rest.trim().strip_prefix(variable.trim())?.trim_start();
    let (wanted, list) = match rest.strip_prefix("not") {
        Some(rest) => (false, rest.trim_start().strip_prefix("in")?),
        None => (true, rest.strip_prefix("in")?),
    };
    let list = list.trim();
    let list = [('[', ']'), ('(', ')')].iter().find_map(|&(a, b)| list.strip_prefix(a)?.strip_suffix(b))?;
    let mut names = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|letter| matches!(letter, '\'' | '"'))?;
        let (name, after) = rest[1..].split_once(quote)?;
        if name.contains('\\') {
            return None;
        }
        names.push(name.to_owned());
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some((wanted, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The account of the notes that these tools were made after.
    const RC: &str = "[general]\naccounts = home, work\n\n[Account home]\nlocalrepository = hl\nremoterepository = hr\n\n\
        [Repository hl]\ntype = Maildir\nlocalfolders = ~/Mail\n\n\
        [Repository hr]\ntype = IMAP\nremotehost = mail.example.org\nremoteuser = me\n\
        folderfilter = lambda folder: folder not in ['Spam', \"Lists.big [old]\",\n    'INBOX.Trash']\n\n\
        [Account work]\nlocalrepository = wl\nremoterepository = wr\npostsynchook = notmuch new\n\n\
        [Repository wl]\ntype = Maildir\nlocalfolders = ~/Work Mail\nsep = /\nnametrans = lambda f: re.sub('^', 'x', f)\n\n\
        [Repository wr]\ntype: Gmail\nfolderfilter = lambda f: f in ('INBOX', '[Gmail]/Sent')\nreadonly = True\n";

    #[test]
    fn accounts_and_what_python_hides_are_told() {
        let [home, work] = &accounts(RC).expect("it parses").0[..] else { panic!("two accounts") };
        assert_eq!((&home.server[..], &home.local[..], home.mode), ("mail.example.org", "~/Mail", Some("inbox")));
        assert_eq!(home.exclude, [".Spam", r".Lists.big \[old\]", ".Trash"]);
        assert!(home.untold.is_empty(), "{:?}", home.untold);
        assert_eq!((&work.server[..], &work.local[..], work.mode), ("", "~/Work Mail", Some("nodots-inbox")));
        assert_eq!(work.exclude, ["*", r"!.\[Gmail\].Sent"]);
        let starts = ["the server is Gmail", "nametrans of the local", "postsynchook", "the server is readonly"];
        assert_eq!(work.untold.len(), starts.len(), "{:?}", work.untold);
        work.untold.iter().zip(starts).for_each(|(text, start)| assert!(text.starts_with(start), "{text}"));
    }

    #[test]
    fn an_inbox_that_is_left_out_is_left_out() {
        for (filter, exclude) in [("not in ['INBOX', 'a']", &["cur", ".a"][..]), ("in ['a']", &["*", "!.a", "cur"])] {
            let (accounts, _) = accounts(&RC.replace("in ('INBOX', '[Gmail]/Sent')", filter)).expect("it parses");
            assert_eq!(accounts[1].exclude, exclude, "{filter}");
        }
    }

    #[test]
    fn only_comparisons_with_a_list_are_taken_out_of_python() {
        assert_eq!(folder_list("lambda f: f in []"), Some((true, Vec::new())));
        assert_eq!(folder_list("lambda f: f not in ['a',]"), Some((false, vec!["a".to_owned()])));
        for python in [
            "lambda f: f != 'a'",
            "lambda f: g not in ['a']",
            "lambda f: f not in ['a'] and f",
            "lambda f: f not in ['a' 'b']",
            "lambda f: f in names",
            "lambda f: f not in [r'a\\b']",
            "f",
        ] {
            assert_eq!(folder_list(python), None, "{python}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let cut = |from: &str, to: &str| {
            let (good, left_out) = accounts(&RC.replace(from, to)).expect("it parses");
            assert_eq!((good.len(), left_out.len()), (1, 1), "the other account is told");
            left_out.concat()
        };
        assert!(cut("localrepository = hl", "").contains("account home has no localrepository"));
        assert!(cut("[Repository hl]", "[Repository x]").contains("there is no [Repository hl]"));
        assert!(cut("type = Maildir\nlocalfolders = ~/Mail\n", "type = IMAP\n").contains("is not a Maildir"));
    }
}
