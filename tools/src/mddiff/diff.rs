//! What makes one snapshot of files into another: a pure function.
//!
//! Commands are in an order in which they can be carried out one by one: what copies comes before what moves its source, and
//! deletes come last. Every target is a name that the old snapshot does not have.
//!
//! A *move* is a one-to-one match of a name that is gone and a new one with the same bytes: in one folder by uniq (which every
//! changed flag is), then by uniq anywhere, then by bytes that each has once. What is left of the new names is a copy of equal
//! bytes, a copy of an equal body, or an addition.
//!
//! Deliberately not here: what the other side has changed meanwhile (`smd_protocol::reconcile`).

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use smd_protocol::{Content, Digest};

use super::names::parts;

/// Files by their names.
pub type Files = BTreeMap<Vec<u8>, Content>;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new message.
    Add(Vec<u8>, Content),
    /// A new message with the bytes of another.
    Copy(Vec<u8>, Content, Vec<u8>),
    /// A new message with the body of another: that one, its body, the new name and its header.
    CopyBody(Vec<u8>, Digest, Vec<u8>, Digest),
    /// A message has another name.
    Move(Vec<u8>, Content, Vec<u8>),
    /// A message has another header.
    ReplaceHeader(Vec<u8>, Content, Digest),
    /// A message has other bytes.
    Replace(Vec<u8>, Content, Content),
    /// A message is gone.
    Delete(Vec<u8>, Content),
}

/// What is told.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Messages that are gone.
    pub deletes: bool,
    /// Moves; otherwise each is a copy and a delete.
    pub moves: bool,
}

/// What makes `old` into `new`.
pub fn diff(old: &Files, new: &Files, rules: Rules) -> Vec<Command> {
    let mut gone: Files = old.iter().filter(|(name, _)| !new.contains_key(*name)).map(owned).collect();
    let mut fresh: Files = new.iter().filter(|(name, _)| !old.contains_key(*name)).map(owned).collect();
    let mut moves = Vec::new();
    if rules.moves {
        let in_folder = |name: &[u8], content: Content| {
            let (folder, uniq) = parts(name);
            Some((folder.to_vec(), uniq.to_vec(), content))
        };
        pair(&mut gone, &mut fresh, in_folder, &mut moves);
        pair(&mut gone, &mut fresh, |name, content| Some((parts(name).1.to_vec(), content)), &mut moves);
        pair(&mut gone, &mut fresh, |_, content| (!content.is_empty()).then_some(content), &mut moves);
    }
    let sources = Sources::of(old, new);
    let (mut copies, mut bodies, mut adds) = (Vec::new(), Vec::new(), Vec::new());
    for (to, content) in fresh {
        if let Some(from) = sources.whole.get(&content) {
            copies.push(Command::Copy(from.to_vec(), content, to));
        } else if let Some(from) = sources.body.get(&content.body) {
            bodies.push(Command::CopyBody(from.to_vec(), content.body, to, content.header));
        } else {
            adds.push(Command::Add(to, content));
        }
    }
    let changed = old.iter().filter_map(|(name, was)| Some((name, was, new.get(name).filter(|is| *is != was)?)));
    let changed = changed.map(|(name, was, is)| match was.body == is.body && !is.is_empty() {
        true => Command::ReplaceHeader(name.clone(), *was, is.header),
        false => Command::Replace(name.clone(), *was, *is),
    });
    let deletes = gone.into_iter().filter(|_| rules.deletes).map(|(name, content)| Command::Delete(name, content));
    let moves = moves.into_iter().map(|(from, content, to)| Command::Move(from, content, to));
    copies.into_iter().chain(bodies).chain(moves).chain(changed).chain(adds).chain(deletes).collect()
}

fn owned((name, content): (&Vec<u8>, &Content)) -> (Vec<u8>, Content) {
    (name.clone(), *content)
}

/// Takes out of both what has a key that each has once.
fn pair<K: Hash + Eq>(
    gone: &mut Files,
    fresh: &mut Files,
    key: impl Fn(&[u8], Content) -> Option<K>,
    moves: &mut Vec<(Vec<u8>, Content, Vec<u8>)>,
) {
    // One name for each key that has only one.
    let index = |files: &Files| {
        let mut index: HashMap<K, Option<Vec<u8>>> = HashMap::new();
        for (name, content) in files {
            if let Some(key) = key(name, *content) {
                index.entry(key).and_modify(|one| *one = None).or_insert_with(|| Some(name.clone()));
            }
        }
        index
    };
    let mut to = index(fresh);
    let mut found: Vec<(Vec<u8>, Vec<u8>)> =
        index(gone).into_iter().filter_map(|(key, from)| Some((from?, to.remove(&key)??))).collect();
    found.sort();
    for (from, to) in found {
        if let (Some(content), Some(_)) = (gone.remove(&from), fresh.remove(&to)) {
            moves.push((from, content, to));
        }
    }
}

/// Where bytes can be copied from: names of the old snapshot, rather one that stays as it is.
struct Sources<'a> {
    whole: HashMap<Content, &'a [u8]>,
    body: HashMap<Digest, &'a [u8]>,
}

impl<'a> Sources<'a> {
    fn of(old: &'a Files, new: &Files) -> Self {
        let mut sources = Self { whole: HashMap::new(), body: HashMap::new() };
        let nothing = Digest::of(b"");
        let stays = |(name, content): &(&Vec<u8>, &Content)| new.get(*name) == Some(*content);
        for (name, content) in old.iter().filter(stays).chain(old.iter().filter(|one| !stays(one))) {
            if !content.is_empty() {
                sources.whole.entry(*content).or_insert(name);
            }
            if content.body != nothing {
                sources.body.entry(content.body).or_insert(name);
            }
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files as `name=header|body`; several words.
    fn files(text: &str) -> Files {
        let one = |word: &str| {
            let (name, bytes) = word.split_once('=').expect("a name");
            (name.as_bytes().to_vec(), Content::of(bytes.replace('|', "\n\n").as_bytes()))
        };
        text.split_whitespace().map(one).collect()
    }

    fn words(commands: &[Command]) -> Vec<String> {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let word = |command: &Command| match command {
            Command::Add(name, _) => format!("ADD {}", text(name)),
            Command::Copy(from, _, to) => format!("COPY {} {}", text(from), text(to)),
            Command::CopyBody(from, _, to, _) => format!("COPYBODY {} {}", text(from), text(to)),
            Command::Move(from, _, to) => format!("MOVE {} {}", text(from), text(to)),
            Command::ReplaceHeader(name, ..) => format!("REPLACEHEADER {}", text(name)),
            Command::Replace(name, ..) => format!("REPLACE {}", text(name)),
            Command::Delete(name, _) => format!("DELETE {}", text(name)),
        };
        commands.iter().map(word).collect()
    }

    /// Carries the commands out on a snapshot, one by one.
    fn carried_out(mut files: Files, commands: &[Command]) -> Files {
        for command in commands {
            match command.clone() {
                Command::Add(name, content) => assert_eq!(files.insert(name, content), None),
                Command::Copy(from, content, to) => {
                    assert_eq!(files.get(&from), Some(&content));
                    assert_eq!(files.insert(to, content), None);
                }
                Command::CopyBody(from, body, to, header) => {
                    assert_eq!(files.get(&from).map(|one| one.body), Some(body));
                    assert_eq!(files.insert(to, Content { header, body }), None);
                }
                Command::Move(from, content, to) => {
                    assert_eq!(files.remove(&from), Some(content));
                    assert_eq!(files.insert(to, content), None);
                }
                Command::ReplaceHeader(name, was, header) => {
                    assert_eq!(files.insert(name, Content { header, ..was }), Some(was));
                }
                Command::Replace(name, was, is) => assert_eq!(files.insert(name, is), Some(was)),
                Command::Delete(name, content) => assert_eq!(files.remove(&name), Some(content)),
            }
        }
        files
    }

    const ALL: Rules = Rules { deletes: true, moves: true };

    #[track_caller]
    fn check(old: &str, new: &str, expected: &[&str]) {
        let (old, new) = (files(old), files(new));
        let commands = diff(&old, &new, ALL);
        assert_eq!(words(&commands), expected);
        assert_eq!(carried_out(old, &commands), new);
    }

    #[test]
    fn each_difference_has_its_command() {
        check("cur/a=1|x", "cur/a=1|x", &[]);
        check("", "cur/a=1|x new/b=", &["ADD cur/a", "ADD new/b"]);
        check("cur/a=1|x new/b=", "", &["DELETE cur/a", "DELETE new/b"]);
        check("new/a=1|x", "cur/a:2,S=1|x", &["MOVE new/a cur/a:2,S"]);
        check("cur/a=1|x", ".b/cur/c=1|x", &["MOVE cur/a .b/cur/c"]);
        check("cur/a=1|x", "cur/a=1|x cur/b=1|x", &["COPY cur/a cur/b"]);
        check("cur/a=1|x", "cur/a=1|x cur/b=2|x", &["COPYBODY cur/a cur/b"]);
        check("cur/a=1|x", "cur/b=2|x", &["COPYBODY cur/a cur/b", "DELETE cur/a"]);
        check("cur/a=1|x", "cur/a=2|x", &["REPLACEHEADER cur/a"]);
        check("cur/a=1|x", "cur/a=1|y", &["REPLACE cur/a"]);
        check("cur/a=1|x", "cur/a=", &["REPLACE cur/a"]);
        check("cur/a=", "cur/a= cur/b=", &["ADD cur/b"]);
    }

    #[test]
    fn moves_are_one_to_one() {
        // Two went and two came: by uniq each has its own.
        check("cur/a=1|x cur/b=1|x", ".f/cur/a=1|x .g/cur/b=1|x", &["MOVE cur/a .f/cur/a", "MOVE cur/b .g/cur/b"]);
        // Which of them came is not known, so it is a copy.
        check("cur/a=1|x cur/b=1|x", ".f/cur/c=1|x", &["COPY cur/a .f/cur/c", "DELETE cur/a", "DELETE cur/b"]);
        check("cur/a=1|x", "cur/b=1|x cur/c=1|x", &["COPY cur/a cur/b", "COPY cur/a cur/c", "DELETE cur/a"]);
        // The source of a copy moves: the copy comes first.
        check("cur/a=1|x", ".f/cur/a=1|x cur/c=1|x", &["COPY cur/a cur/c", "MOVE cur/a .f/cur/a"]);
        // A copy is made of what stays rather than of what goes.
        check(
            "cur/a=1|x cur/b=1|x cur/c=1|x",
            "cur/b=1|x cur/d=1|x cur/e=1|x",
            &["COPY cur/b cur/d", "COPY cur/b cur/e", "DELETE cur/a", "DELETE cur/c"],
        );
    }

    #[test]
    fn deletes_and_moves_can_be_left_out() {
        let (old, new) = (files("cur/a=1|x cur/b=2|y"), files("new/a=1|x"));
        let told = |deletes, moves| words(&diff(&old, &new, Rules { deletes, moves }));
        assert_eq!(told(false, true), ["MOVE cur/a new/a"]);
        assert_eq!(told(true, false), ["COPY cur/a new/a", "DELETE cur/a", "DELETE cur/b"]);
    }

    #[test]
    fn whatever_changed_the_commands_make_the_one_into_the_other() {
        // All pairs of snapshots of two folders, two names and two kinds of bytes.
        let names = ["cur/a", "new/a", ".f/cur/b", ".f/cur/a"];
        let contents = ["", "1|x", "2|x", "2|y"];
        let snapshot = |mut number: usize| {
            let mut files = Files::new();
            for name in names {
                let which = number % (contents.len() + 1);
                number /= contents.len() + 1;
                if which > 0 {
                    files.insert(
                        name.as_bytes().to_vec(),
                        Content::of(contents[which - 1].replace('|', "\n\n").as_bytes()),
                    );
                }
            }
            files
        };
        let all: Vec<Files> = (0..(contents.len() + 1).pow(4)).step_by(3).map(snapshot).collect();
        for old in &all {
            for new in &all {
                let commands = diff(old, new, ALL);
                assert_eq!(&carried_out(old.clone(), &commands), new, "{:?}", words(&commands));
            }
        }
    }
}
