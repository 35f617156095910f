//! Small texts in, small texts out.
//!
//! In: a line `WHO NAME PLACE FLAGS HEADER BODY` puts a message into the trees of WHO, letters out of `b` (base), `o`
//! (ours), `t` (theirs), `n` (noted as what a cut run was bringing; `N` and `M`: by steps that the client, or the server, took alone; `g` and `G`: bytes that the client, or the server, was to be given for a message of the base, which `N` and `M` say of that name already); `-` is no flags; the words `0 0` are a message without bytes. A line `WHO FOLDER/` makes a
//! folder; every message makes its own, and the root is everywhere. A uniq `~HEADER.BODY` is the fresh uniq of these
//! bytes. A line `! WORD …` sets an option; `! adopt` says that there is no common base.
//!
//! Out: a line for each step, agreed value and note, in the order of the plan.

use std::collections::{BTreeSet, HashMap};

use super::world::{Tree, plan, plan_after, run_well, whole_digest};
use crate::digest::{Content, Digest};
use crate::flags::Flags;
use crate::names::{Folder, Name, Uniq};
use crate::reconcile::{
    Begun, Component, Direction, Exempt, Input, Lacking, Note, Past, Plan, Policy, Removal, Side, Stop,
    wait_for_other_roots,
};
use crate::snapshot::{Entry, Place, Snapshot};
use crate::step::{Bytes, Dress, Source, Step};

pub(super) struct Scene {
    pub(super) base: Option<Snapshot>,
    pub(super) trees: [Tree; 2],
    noted: [Tree; 5],
    pub(super) policy: Policy,
    pub(super) past: Past,
    /// Headers of one word, but for the stars behind it, differ by a mark alone.
    marks: bool,
    incomplete: [bool; 2],
    put_back: [BTreeSet<Folder>; 2],
    suspicious: [bool; 2],
    words: HashMap<Digest, String>,
    uniqs: HashMap<Vec<u8>, String>,
}

fn digest(word: &str) -> Digest {
    if word == "0" { Digest::of(b"") } else { Digest::of(word.as_bytes()) }
}

fn content(header: &str, body: &str) -> Content {
    Content { header: digest(header), body: digest(body) }
}

fn folder(text: &str) -> Folder {
    Folder::parse(text.as_bytes()).expect("a folder")
}

impl Scene {
    #[track_caller]
    pub(super) fn parse(text: &str) -> Self {
        let mut scene = Self {
            base: None,
            trees: Default::default(),
            noted: Default::default(),
            policy: Policy::plain(Direction::Sync),
            past: Past::default(),
            marks: false,
            incomplete: [false; 2],
            put_back: Default::default(),
            suspicious: [false; 2],
            words: HashMap::new(),
            uniqs: HashMap::new(),
        };
        let (mut base, mut adopt, mut adopting) = (Tree::default(), false, BTreeSet::new());
        for line in text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).filter(|line| !line.is_empty())
        {
            match &line[..] {
                ["!", "adopt"] => adopt = true,
                ["!", "adopting", name] => drop(adopting.insert(folder(name))),
                ["!", option @ ..] => scene.option(option),
                [who, path] => {
                    let path = folder(path.strip_suffix('/').expect("a folder ends with a slash"));
                    for tree in scene.of(&mut base, who) {
                        tree.folders.insert(path.clone());
                    }
                }
                [who, path, place, flags, header, body] => {
                    let name = scene.name(path);
                    let entry = Entry {
                        uniq: name.uniq.clone(),
                        place: if *place == "new" { Place::New } else { Place::Cur },
                        flags: Flags::from_letters(flags),
                        content: content(header, body),
                    };
                    scene.words.insert(digest(header), (*header).to_owned());
                    scene.words.insert(digest(body), (*body).to_owned());
                    let letters = whole_digest(&entry).letters().to_vec();
                    scene.uniqs.insert(letters, format!("~{header}.{body}"));
                    for tree in scene.of(&mut base, who) {
                        tree.add(name.clone(), entry.clone());
                    }
                }
                line => panic!("no such line: {line:?}"),
            }
        }
        scene.base = (!adopt).then(|| base.snapshot(&adopting));
        scene
    }

    fn option(&mut self, words: &[&str]) {
        let side = |word: &str| usize::from(word == "theirs");
        match words {
            ["pull"] => self.policy.direction = Direction::Pull,
            ["push"] => self.policy.direction = Direction::Push,
            ["no-delete"] => self.policy.no_delete = true,
            ["allow-bulk-delete"] => self.policy.allow_bulk_delete = true,
            ["adopt-other-headers"] => self.policy.adopt_other_headers = true,
            ["marks"] => self.marks = true,
            ["tripped"] => self.past.tripped = true,
            ["except", names @ ..] => self.policy.exempt = Exempt::new(names.iter().map(|name| name.as_bytes())),
            ["elsewhere", who, body, count] => {
                let count = count.parse().expect("a number");
                self.past.elsewhere[side(who)].insert(digest(body), count);
            }
            ["removed", who, path, body, section, base] => {
                let number = |word: &str| word.parse().expect("a number");
                let (name, body) = (self.name(path), digest(body));
                let removal = Removal { name, body, section: number(section), base: number(base) };
                self.past.removed[side(who)].push(removal);
            }
            ["doubled", path, body] => {
                let (name, body) = (self.name(path), digest(body));
                self.past.doubled.push(Removal { name, body, section: 1, base: 1 });
            }
            ["incomplete", who] => self.incomplete[side(who)] = true,
            ["suspicious", who] => self.suspicious[side(who)] = true,
            ["put-back", who, name] => drop(self.put_back[side(who)].insert(folder(name))),
            words => panic!("no such option: {words:?}"),
        }
    }

    fn of<'a>(&'a mut self, base: &'a mut Tree, who: &str) -> Vec<&'a mut Tree> {
        let [ours, theirs] = &mut self.trees;
        let [noted, by_us, by_them, given, given_there] = &mut self.noted;
        let noted = [('n', noted), ('N', by_us), ('M', by_them), ('g', given), ('G', given_there)];
        [('b', base), ('o', ours), ('t', theirs)]
            .into_iter()
            .chain(noted)
            .filter(|(letter, _)| who.contains(*letter))
            .map(|(_, tree)| tree)
            .collect()
    }

    fn name(&self, path: &str) -> Name {
        let (dir, uniq) = path.rsplit_once('/').unwrap_or(("", path));
        let uniq = match uniq.strip_prefix('~').map(|rest| rest.split_once('.').expect("~HEADER.BODY")) {
            Some((header, body)) => {
                let content = content(header, body);
                Digest::of(&[content.header.0, content.body.0].concat()).letters().to_vec()
            }
            None => uniq.as_bytes().to_vec(),
        };
        Name::new(&folder(dir), &Uniq::parse(&uniq).expect("a uniq"))
    }

    /// The plan when another root of the endpoint lacks this content at a host.
    #[track_caller]
    pub(super) fn plan_while_lacking(&self, side: Side, header: &str, body: &str) -> String {
        let mut elsewhere = Plan::default();
        let (dress, bytes) = (Dress { place: Place::Cur, flags: Flags::default() }, content(header, body));
        let bytes = Bytes { content: bytes, source: Source::Wire, mtime: None };
        let mut component = Component::default();
        let part = if side == Side::Ours { &mut component.ours } else { &mut component.theirs };
        part.steps.push(Step::Put { to: self.name("elsewhere"), dress, bytes });
        part.supply.push(None);
        elsewhere.components.push(component.clone());
        let mut lacking = Lacking::default();
        lacking.add_plan(&elsewhere);
        assert!(lacking.is_empty(), "what is yet to be tried is not lacking");
        let done = |side_of: Side| if side_of == side { &[false][..] } else { &[][..] };
        lacking.add_failed(&component, [done(Side::Ours), done(Side::Theirs)]);
        let mut plan = self.plan();
        self.with_input(|input| wait_for_other_roots(input, &lacking, &mut plan, 0));
        self.show_plan(&plan)
    }

    #[track_caller]
    pub(super) fn plan(&self) -> Plan {
        self.with_input(|input| {
            let bare = |side: Side, name: &Name| {
                let header = self.trees[side as usize].mail.get(name)?.content.header;
                Some(self.words.get(&header).map(|word| digest(word.trim_end_matches('*'))))
            };
            plan_after(input, &self.policy, &self.past, self.marks.then_some(&bare))
        })
    }

    /// Which bytes a run that takes all steps notes that messages of the base are given: `HOST NAME HEADER BODY`, in lines.
    pub(super) fn given(&self) -> String {
        let mut begun = Begun::default();
        self.with_input(|input| {
            plan(input, &self.policy).components.iter().for_each(|one| begun.bring(input, one, |_, _| true));
        });
        self.show_given(&begun)
    }

    /// What is still told of a cut run when the looks were seen: what was brought (`past` at a host), then as [`Self::given`].
    pub(super) fn told(&self) -> String {
        let begun = self.with_input(|input| {
            let mut begun = input.begun.clone();
            begun.forget_seen(input);
            begun
        });
        let parts = [("past ours", &begun.alone[0]), ("past theirs", &begun.alone[1]), ("brought", &begun.merged)];
        let each = parts.iter().flat_map(|(word, part)| part.iter().map(move |one| (word, one)));
        let mut lines: Vec<String> =
            each.map(|(word, (name, entry))| format!("{word} {}", self.show_entry(name, Some(entry)))).collect();
        lines.push(self.show_given(&begun));
        lines.join("\n")
    }

    fn show_given(&self, begun: &Begun) -> String {
        let mut lines = Vec::new();
        for (host, changed) in ["ours", "theirs"].iter().zip(&begun.changed) {
            let each = changed.iter().flat_map(|(name, given)| given.iter().map(move |content| (name, content)));
            lines.extend(
                each.map(|(name, content)| format!("{host} {} {}", self.show_name(name), self.show_content(content))),
            );
        }
        lines.join("\n")
    }

    fn with_input<T>(&self, then: impl FnOnce(&Input<'_>) -> T) -> T {
        let empty = Snapshot::default();
        let base = self.base.as_ref().unwrap_or(&empty);
        let mut views = [0, 1].map(|at| self.trees[at].view(base));
        for (at, view) in views.iter_mut().enumerate() {
            view.incomplete = self.incomplete[at];
            view.put_back = self.put_back[at].clone();
            view.suspicious = self.suspicious[at].then(|| "is another directory".to_owned());
        }
        let [merged, by_us, by_them, given, given_there] = self.noted.clone().map(|tree| tree.mail);
        let changed = [(&by_us, &given), (&by_them, &given_there)].map(|(alone, given)| {
            let changed =
                alone.iter().filter(|(name, new)| base.entry(name).is_some_and(|old| old.content != new.content));
            changed.chain(given).map(|(name, entry)| (name.clone(), BTreeSet::from([entry.content]))).collect()
        });
        let begun = Begun { alone: [by_us, by_them], merged, changed };
        then(&Input { base, adopt: self.base.is_none(), ours: &views[0], theirs: &views[1], begun: &begun })
    }

    fn show_name(&self, name: &Name) -> String {
        let uniq = name.uniq.as_bytes();
        let known = (0..=uniq.len()).rev().find_map(|end| Some((self.uniqs.get(&uniq[..end])?, &uniq[end..])));
        let uniq = match known {
            Some((word, counter)) => format!("{word}{}", String::from_utf8_lossy(counter)),
            None if uniq.starts_with(b"smd-") => "PARKED".to_owned(),
            None => name.uniq.to_string(),
        };
        if name.folder.is_root() { uniq } else { format!("{}/{uniq}", name.folder) }
    }

    fn show_dress(&self, dress: &Dress) -> String {
        let place = if dress.place == Place::New { "new" } else { "cur" };
        if dress.flags.is_empty() { format!("{place} -") } else { format!("{place} {}", dress.flags) }
    }

    fn show_content(&self, content: &Content) -> String {
        let word = |digest| self.words.get(digest).map_or("?", String::as_str);
        format!("{} {}", word(&content.header), word(&content.body))
    }

    fn show_bytes(&self, bytes: &Bytes) -> String {
        let source = match &bytes.source {
            Source::Wire => "wire".to_owned(),
            Source::Copy(name) => format!("copy {}", self.show_name(name)),
            Source::Body(name) => format!("body {}", self.show_name(name)),
        };
        format!("{} from {source}", self.show_content(&bytes.content))
    }

    fn show_step(&self, step: &Step) -> String {
        let name = |name| self.show_name(name);
        match step {
            Step::MakeFolder(folder) => format!("make {folder}/"),
            Step::RemoveFolder(folder) => format!("remove {folder}/"),
            Step::Put { to, dress, bytes } => {
                format!("put {} {} {}", name(to), self.show_dress(dress), self.show_bytes(bytes))
            }
            Step::Replace { at, dress, bytes } => {
                format!("replace {} {} {}", name(at), self.show_dress(dress), self.show_bytes(bytes))
            }
            Step::Move { from, to, dress } if from == to => format!("flags {} {}", name(to), self.show_dress(dress)),
            Step::Move { from, to, dress } => format!("move {} to {} {}", name(from), name(to), self.show_dress(dress)),
            Step::Delete(at) => format!("delete {}", name(at)),
            Step::Part(twin) => format!("part {} as {}", name(&twin.from), name(&twin.name())),
        }
    }

    pub(super) fn show_entry(&self, name: &Name, entry: Option<&Entry>) -> String {
        match entry {
            Some(entry) => {
                let dress = Dress { place: entry.place, flags: entry.flags.clone() };
                format!("{} {} {}", self.show_name(name), self.show_dress(&dress), self.show_content(&entry.content))
            }
            None => format!("{} gone", self.show_name(name)),
        }
    }

    fn show_note(&self, note: &Note) -> String {
        let side = |side: &Side| if *side == Side::Ours { "ours" } else { "theirs" };
        match note {
            Note::KeptBoth { name, fresh } => {
                format!("kept both: {} and {}", self.show_name(name), self.show_name(fresh))
            }
            Note::MovedTwice { kept, left } => {
                format!("moved twice: {}, not {}", self.show_name(kept), self.show_name(left))
            }
            Note::Returned { to, name } => format!("returned to {}: {}", side(to), self.show_name(name)),
            Note::Healed { on, name } => format!("healed on {}: {}", side(on), self.show_name(name)),
            Note::FolderKept(folder) => format!("folder kept: {folder}/"),
            Note::MovedAway { edited, name, root } => format!("edited by {edited:?} and moved to {root}: {name}"),
        }
    }

    pub(super) fn show_plan(&self, plan: &Plan) -> String {
        let mut out = Vec::new();
        for component in &plan.components {
            for (word, part) in [("ours", &component.ours), ("theirs", &component.theirs)] {
                let held = part.held.map_or_else(String::new, |hold| format!(" ({hold:?})"));
                out.extend(part.steps.iter().map(|step| format!("{word}: {}{held}", self.show_step(step))));
            }
        }
        out.extend(
            plan.agreed.iter().map(|(name, entry)| format!("agreed: {}", self.show_entry(name, entry.as_ref()))),
        );
        out.extend(
            plan.agreed_folders
                .iter()
                .map(|(folder, there)| format!("agreed: {folder}/ {}", if *there { "there" } else { "gone" })),
        );
        out.extend(plan.guard.iter().map(|trip| {
            let folder = trip.folder.as_ref().map(|folder| format!(" in {folder}/")).unwrap_or_default();
            let earlier = if trip.earlier > 0 { format!(", {} earlier", trip.earlier) } else { String::new() };
            let stands = if trip.stands { ", stands" } else { "" };
            format!("guard: {} of {}{folder}{earlier}{stands}", trip.removals, trip.messages)
        }));
        out.extend(plan.stop.iter().map(|stop| match stop {
            Stop::Suspicious { side, why } => format!("stop: {side:?} {why}"),
            Stop::OtherHeaders { messages, of, .. } => format!("stop: {messages} of {of} with another header"),
            Stop::Doubles { at, folder, messages, earlier, of, .. } => {
                let earlier = if *earlier > 0 { format!(", {earlier} earlier") } else { String::new() };
                format!("stop: {messages} of {of} twice in {folder}/ at {at:?}{earlier}")
            }
        }));
        out.extend(plan.notes.iter().map(|note| format!("note: {}", self.show_note(note))));
        out.join("\n")
    }

    pub(super) fn show_base(&self) -> String {
        let base = self.base.as_ref().expect("a base");
        let mut out = Vec::new();
        for (folder, section) in &base.folders {
            if !folder.is_root() || section.adopting() {
                out.push(format!("{folder}/{}", if section.adopting() { " adopting" } else { "" }));
            }
            out.extend(
                section.entries().iter().map(|entry| self.show_entry(&Name::new(folder, &entry.uniq), Some(entry))),
            );
        }
        out.join("\n")
    }
}

fn lines(text: &str) -> String {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

#[track_caller]
pub(super) fn same(got: &str, expect: &str) {
    let (got, expect) = (lines(got), lines(expect));
    assert!(got == expect, "\n--- planned\n{got}\n--- expected\n{expect}\n");
}

/// Compares the plan with a text, and does not carry it out.
#[track_caller]
pub(super) fn planned(scene: &str, expect: &str) {
    let scene = Scene::parse(scene);
    same(&scene.show_plan(&scene.plan()), expect);
}

/// Compares the plan with a text; then carries it out, after which both hosts and the base must be equal and nothing left to do.
#[track_caller]
pub(super) fn check(scene: &str, expect: &str) {
    let mut scene = Scene::parse(scene);
    same(&scene.show_plan(&scene.plan()), expect);
    let policy = scene.policy.clone();
    let [ours, theirs] = &mut scene.trees;
    run_well(&mut scene.base, ours, theirs, &policy);
    assert_eq!(ours, theirs, "both hosts are equal afterwards");
    assert_eq!(scene.base, Some(ours.snapshot(&BTreeSet::new())), "the base is what both hosts have");
    scene.put_back = Default::default();
    let second = scene.plan();
    assert!(second.is_empty(), "a second run plans {}", scene.show_plan(&second));
}
