use std::fs::{create_dir_all, write};
use std::os::unix::fs::symlink;

use super::*;

struct Account {
    temp: tempfile::TempDir,
    places: Places,
}

impl Account {
    fn new(dirs: &[&str]) -> Self {
        let temp = tempfile::tempdir().expect("temp");
        let user = temp.path().join("home");
        create_dir_all(&user).expect("makes");
        for dir in dirs {
            create_dir_all(user.join(dir)).expect("makes");
        }
        let places = Places { state: user.join(".smd"), user };
        Self { temp, places }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.places.user.join(path)
    }

    fn roots(&self, roots: &[&str]) -> Result<Roots, Unfit> {
        let args: Vec<RootArg> = roots
            .iter()
            .map(|root| root.split_once('=').unwrap_or((root, root)))
            .map(|(name, dir)| RootArg { name: name.into(), dir: dir.into() })
            .collect();
        super::roots(&args, &self.places, &Arc::new(Held::default()))
    }

    /// Why it is refused; empty when it is not.
    fn why(&self, root: &str) -> String {
        self.roots(&[root]).map_or_else(|unfit| unfit.text, |_| String::new())
    }

    fn find(&self, path: &str) -> Result<Place, Failure> {
        match self.roots(&[]).expect("a home") {
            Roots::Found(find) => find(path.as_bytes()),
            _ => panic!("no root was named"),
        }
    }
}

#[test]
fn a_root_exists_and_is_empty_or_has_mail() {
    let account =
        Account::new(&["Maildir/cur", "tree/.Sub/new", "empty", "buried/..smd-grave/x", "photos/2024", "deep/a/b/cur"]);
    write(account.at("photos/x.jpg"), "x").expect("writes");
    write(account.at("file"), "x").expect("writes");
    symlink(account.at("Maildir"), account.at("link")).expect("links");
    for good in ["Maildir", "tree", "empty", "buried", "link", "~/Maildir", "mail=Maildir", "mail=link"] {
        assert_eq!(account.why(good), "", "{good}");
    }
    let absolute = format!("mail={}", account.at("Maildir").display());
    assert_eq!(account.why(&absolute), "");
    for (bad, says) in [
        ("photos", "has no mail"),
        ("deep", "has no mail"),
        ("missing", "is not there"),
        ("file", "no directory"),
        ("../home/Maildir", "NAME=DIR"),
    ] {
        assert!(account.why(bad).contains(says), "{bad}: {}", account.why(bad));
    }
}

#[test]
fn no_root_lies_at_around_or_inside_of_what_programs_and_keys_live_in() {
    let account = Account::new(&[]);
    let mut places: Vec<String> = kept::AT_HOME.iter().map(|name| (*name).to_owned()).collect();
    places.push(".smd".to_owned());
    for name in &places {
        create_dir_all(account.at(name).join("mail/cur")).expect("makes");
        for root in [name.clone(), format!("{name}/mail"), format!("mail={name}/mail")] {
            assert!(account.why(&root).contains("choose a directory for mail alone"), "{root}: {}", account.why(&root));
        }
    }
    for around in [".", "~", "x=/", "x=/etc", "x=/usr/share"] {
        assert!(account.why(around).contains("choose a directory for mail alone"), "{around}: {}", account.why(around));
    }
    // Wherever a symlink leads, or comes from.
    symlink(account.at(".vim/mail"), account.at("link")).expect("links");
    assert!(account.why("link").contains(".vim"), "{}", account.why("link"));
    let elsewhere = account.temp.path().join("elsewhere");
    create_dir_all(elsewhere.join("cur")).expect("makes");
    std::fs::remove_dir_all(account.at(".config")).expect("removes");
    symlink(&elsewhere, account.at(".config")).expect("links");
    assert!(account.why(&format!("x={}", elsewhere.display())).contains(".config"));
}

#[test]
fn roots_are_apart_from_each_other() {
    let account = Account::new(&["Maildir/.Sub/cur", "Maildir/cur", "Mail/cur"]);
    assert!(account.roots(&["Maildir", "Mail"]).is_ok());
    for bad in [["Maildir", "Maildir"], ["Maildir", "x=Maildir"], ["Maildir/.Sub", "Maildir"], ["x=Mail", "x=Maildir"]]
    {
        assert_eq!(account.roots(&bad).expect_err("not apart").code, 78, "{bad:?}");
    }
}

#[test]
fn without_roots_maildir_trees_below_the_home_directory_are_found_and_nothing_else() {
    let account = Account::new(&[
        "Maildir/cur",
        "Maildir/new",
        "Mail/.Sub/new",
        ".maildir/cur",
        ".secret/cur",
        ".vim/cur",
        ".ssh/new",
        "empty",
        "photos/2024",
        "bin/new",
        "Maildir/cur/x/cur",
        ".smd/served/cur",
    ]);
    symlink(account.at("Maildir"), account.at("link")).expect("links");
    symlink("/", account.at("root")).expect("links");
    let absolute = account.at("Maildir").display().to_string();
    for good in ["Maildir", "~/Maildir/", "Mail", "Mail/.Sub", ".maildir", &absolute] {
        assert!(account.find(good).is_ok(), "{good}: {:?}", account.find(good));
    }
    let found = account.find("./Maildir").expect("it is there");
    assert_eq!(found.real, real(&account.at("Maildir")).expect("looks"));
    for bad in [
        ".",
        "~",
        "..",
        "/",
        "/etc",
        ".secret",
        ".vim",
        ".ssh",
        "empty",
        "photos",
        "bin",
        "missing",
        "link",
        "link/cur",
        "root/etc",
        "Maildir/cur/x",
        ".smd/served",
        "Maildir/new",
    ] {
        assert!(account.find(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_state_is_made_and_held() {
    let account = Account::new(&[]);
    let held = Held::default();
    state(&account.places, &held).expect("it can be made");
    assert!(held.open_root(&account.places.state).is_ok() && account.at(".smd/server-id").exists());
    assert!(held.open_root(&account.places.user).is_err());
}
