//! The bulk guard: what a run would remove of a root, together with what runs removed there within a day, is held back when
//! it is more than a person is likely to have meant.
//!
//! The hosts are counted apart. Counted are messages that are deleted, or given another body: not a healed one, a move, a folder
//! renamed, or another header. A delete is *excused* as long as the host that deleted has another message with the same body:
//! it was saved elsewhere by a program that writes headers of its own. Each such survivor excuses one delete of the day. Which
//! deletes are excused is asked anew each time, of what is there then, so that nobody excuses a delete and goes as well.
//!
//! Deliberately not here: where the day's removals are kept (the hosts do), and the clock that the day is counted by.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::hold::removes;
use super::{Component, Hold, Input, Plan, Policy, Side};
use crate::digest::{Content, Digest};
use crate::names::{Folder, Name};
use crate::seeded;
use crate::step::{Source, Step};

/// Where the bulk guard trips: more than `percent` of a root's messages *and* more than `count`; or, by
/// whatever limit, all of more than five.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Share of the base's messages, 0 to 100.
    pub percent: u32,
    /// Messages that may always go.
    pub count: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self { percent: 50, count: 20 }
    }
}

/// So few may all go without a question.
const ALL_OF: u64 = 5;
/// So few may be all of a folder without a question.
const ALL_OF_FOLDER: u64 = 20;

impl Limit {
    /// Whether so many removals out of so many messages are too many.
    pub fn trips(&self, removals: u64, messages: u64) -> bool {
        let share = removals.saturating_mul(100) > messages.saturating_mul(u64::from(self.percent));
        let many = (share && removals > self.count) || (removals >= messages && removals > ALL_OF);
        many && !seeded::is("no-bulk-guard")
    }

    /// Whether so many removals are too many of a folder with so many messages.
    fn trips_in_folder(&self, removals: u64, messages: u64) -> bool {
        removals >= messages && removals > ALL_OF_FOLDER.max(self.count) && !seeded::is("folders-may-be-emptied")
    }
}

/// Folders that a person empties as a whole: all of them may go without a question of its own, as far as the root allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exempt(BTreeSet<Vec<u8>>);

/// What a trash is usually called.
const TRASH: [&str; 4] = ["trash", "deleted messages", "deleted items", "deleted"];
/// What a folder of junk is usually called.
const JUNK: [&str; 4] = ["junk", "junk e-mail", "junk email", "spam"];

impl Default for Exempt {
    fn default() -> Self {
        Self(TRASH.into_iter().chain(JUNK).map(|name| name.as_bytes().to_vec()).collect())
    }
}

impl Exempt {
    /// Folders of these names, whatever the case of their letters; `\Trash` and `\Junk` stand for the usual names of such.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut all = BTreeSet::new();
        for name in names {
            let name = name.to_ascii_lowercase();
            let usual: &[&str] = match &name[..] {
                b"\\trash" => &TRASH,
                b"\\junk" => &JUNK,
                _ => &[],
            };
            all.extend(usual.iter().map(|name| name.as_bytes().to_vec()));
            if usual.is_empty() {
                all.insert(plain(&name).to_vec());
            }
        }
        Self(all)
    }

    /// Whether this folder is called so: its path, its last component, or what follows the last dot of that.
    fn has(&self, folder: &Folder) -> bool {
        let whole = plain(folder.as_bytes()).to_ascii_lowercase();
        let last = whole.rsplit(|&byte| byte == b'/').next().unwrap_or(&whole);
        let leaf = last.rsplit(|&byte| byte == b'.').next().unwrap_or(last);
        [&whole[..], plain(last), leaf].iter().any(|name| !name.is_empty() && self.0.contains(*name))
    }
}

/// A name without the dot that Maildir++ puts before it.
fn plain(name: &[u8]) -> &[u8] {
    name.strip_prefix(b".").unwrap_or(name)
}

/// A message that a run removed, or is about to; or that it brought although it was there (`Plan::doubled`). Named and counted
/// once within a day, however often a run is cut before it could say so, and planned again.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Removal {
    /// Its name.
    pub name: Name,
    /// Its body.
    pub body: Digest,
    /// Messages of that folder in the base then.
    pub section: u64,
    /// Messages of the root in the base then.
    pub base: u64,
}

/// What the guard knows beside the plan. By host, the client first.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// It tripped before, and nobody has said anything since.
    pub tripped: bool,
    /// What runs removed at each host within a day.
    pub removed: [Vec<Removal>; 2],
    /// How many messages each host has with a body, in other roots than this.
    pub elsewhere: [HashMap<Digest, u64>; 2],
    /// What runs brought within a day although it was there.
    pub doubled: Vec<Removal>,
    /// The client's key may remove nothing at the server for now.
    pub spent: bool,
}

/// The bulk guard tripped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuardTrip {
    /// The host that would lose them.
    pub side: Side,
    /// Removals, those of the day before among them.
    pub removals: u64,
    /// How many of them were done within the day.
    pub earlier: u64,
    /// Messages in the base, or in the folder: as many as there were within the day.
    pub messages: u64,
    /// The folder, when it is all of one.
    pub folder: Option<Folder>,
    /// It tripped in an earlier run, and stands.
    pub stands: bool,
}

/// What the open steps of these components remove at a host.
pub fn removals<'a>(
    input: &Input<'_>,
    components: impl IntoIterator<Item = &'a Component>,
    side: Side,
) -> Vec<Removal> {
    let base = input.base.messages() as u64;
    let open = components.into_iter().filter(|component| component.part(side).held.is_none());
    open.flat_map(|component| removals_of(input, component, side, base)).collect()
}

fn removals_of(input: &Input<'_>, component: &Component, side: Side, base: u64) -> Vec<Removal> {
    // Most parts bring something in, and remove nothing.
    if !removes(component, side) {
        return Vec::new();
    }
    let nothing = Digest::of(b"");
    let taken = component.part(side).taken_out(input, side).into_iter();
    let counted = taken.filter(|(_, old, new)| {
        let other_header = new.is_some_and(|new| new.body == old.body && old.body != nothing);
        !other_header || seeded::is("headers-count-as-removals")
    });
    let removal = |(name, old, _): (&Name, Content, Option<Content>)| {
        let section = input.base.folders.get(&name.folder).map_or(0, |section| section.entries().len() as u64);
        Removal { name: name.clone(), body: old.body, section, base }
    };
    counted.map(removal).collect()
}

impl Plan {
    /// Whether anything is to be removed at a host now.
    pub fn removes(&self, side: Side) -> bool {
        self.components.iter().any(|component| component.part(side).held.is_none() && removes(component, side))
    }

    /// Whether a budget for removal at the server is asked for anything.
    pub fn costs(&self, input: &Input<'_>) -> bool {
        let open = |component: &&Component| component.theirs.held.is_none();
        self.components.iter().filter(open).any(|component| costs(input, component, Side::Theirs))
    }

    /// Whether any message is to be brought to a host now.
    pub fn brings(&self) -> bool {
        let mut open = self.components.iter().flat_map(|one| Side::BOTH.map(|side| one.part(side).open())).flatten();
        open.any(|step| matches!(step, Step::Put { .. }))
    }

    /// The bodies of what would be removed at a host now, or was within the day; none where the guard would not trip even if
    /// nothing excused anything: then nobody need look for survivors.
    pub fn wanted(&self, input: &Input<'_>, policy: &Policy, past: &Past, side: Side) -> HashSet<Digest> {
        let day = Day::of(removals(input, &self.components, side), past, side);
        match policy.allow_bulk_delete || day.judge(input, policy, side).is_none() {
            true => HashSet::new(),
            false => day.bodies(),
        }
    }
}

/// How many messages a host has with each of these bodies.
pub fn survivors(input: &Input<'_>, side: Side, wanted: &HashSet<Digest>) -> HashMap<Digest, u64> {
    let mut found = HashMap::new();
    if !wanted.is_empty() {
        for (_, entry) in input.present(side).iter().filter(|(_, entry)| wanted.contains(&entry.content.body)) {
            *found.entry(entry.content.body).or_default() += 1;
        }
    }
    found
}

/// Whether a host's part removes anything that counts.
fn counts(input: &Input<'_>, component: &Component, side: Side) -> bool {
    !removals_of(input, component, side, 0).is_empty()
}

/// Whether a host's part takes of a budget for removal: by a message whose body goes, or that gets the flag `T`.
fn costs(input: &Input<'_>, component: &Component, side: Side) -> bool {
    let present = input.present(side);
    let marks = |step: &Step| match step {
        Step::Move { from, dress, .. } => {
            dress.flags.has(b'T') && !present.entry(from).is_some_and(|entry| entry.flags.has(b'T'))
        }
        _ => false,
    };
    counts(input, component, side) || component.part(side).steps.iter().any(marks)
}

/// Holds back at the server what its budget no longer pays for, so that nothing is tried that it refuses.
pub(super) fn spare(input: &Input<'_>, past: &Past, plan: &mut Plan) {
    if !past.spent || seeded::is("a-spent-budget-is-tried-again") {
        return;
    }
    for component in &mut plan.components {
        if component.theirs.held.is_none() && costs(input, component, Side::Theirs) {
            component.theirs.held = Some(Hold::Budget);
        }
    }
}

/// Holds back what removes when it is too much. `suspicious` roots are not asked for here.
pub(super) fn guard(input: &Input<'_>, policy: &Policy, past: &Past, plan: &mut Plan) {
    let left = |side| plan.components.iter().any(|component| counts(input, component, side));
    plan.removals_left = Side::BOTH.into_iter().any(left);
    if policy.allow_bulk_delete {
        return;
    }
    let planned = Side::BOTH.map(|side| removals(input, &plan.components, side));
    let [here, there] = [planned[0].len() as u64, planned[1].len() as u64];
    let trip =
        Side::BOTH.into_iter().zip(planned).find_map(|(side, planned)| tripped(input, policy, past, side, planned));
    let stands = || {
        let side = if here > 0 { Side::Ours } else { Side::Theirs };
        let standing = past.tripped && here + there > 0 && !seeded::is("the-guard-forgets");
        let messages = input.base.messages() as u64;
        standing.then_some(GuardTrip { side, removals: here + there, earlier: 0, messages, folder: None, stands: true })
    };
    plan.guard = trip.or_else(stands);
    if plan.guard.is_none() {
        return;
    }
    for component in &mut plan.components {
        for side in Side::BOTH {
            let counts = counts(input, component, side);
            let part = component.part_mut(side);
            if counts && part.held.is_none() {
                part.held = Some(Hold::Guard);
            }
        }
    }
}

/// Whether it is too much at one host.
fn tripped(input: &Input<'_>, policy: &Policy, past: &Past, side: Side, planned: Vec<Removal>) -> Option<GuardTrip> {
    let mut day = Day::of(planned, past, side);
    // Mostly it is not, whoever survives.
    day.judge(input, policy, side)?;
    let deleter = side.other();
    let mut left = survivors(input, deleter, &day.bodies());
    for (body, count) in &past.elsewhere[deleter as usize] {
        *left.entry(*body).or_default() += count;
    }
    day.excuse(left);
    day.judge(input, policy, side)
}

/// The removals of a day at one host: what is planned, then what runs removed earlier.
struct Day<'a> {
    planned: Vec<Removal>,
    earlier: Vec<&'a Removal>,
    /// Whether each is excused, in that order.
    excused: Vec<bool>,
}

impl<'a> Day<'a> {
    fn of(planned: Vec<Removal>, past: &'a Past, side: Side) -> Self {
        let again: HashSet<(&Name, Digest)> = planned.iter().map(|one| (&one.name, one.body)).collect();
        let earlier = past.removed[side as usize].iter();
        let earlier = earlier.filter(|one| {
            !seeded::is("the-guard-has-no-past")
                && (!again.contains(&(&one.name, one.body)) || seeded::is("planned-again-counts-twice"))
        });
        let earlier: Vec<&Removal> = earlier.collect();
        let excused = vec![false; planned.len() + earlier.len()];
        Self { planned, earlier, excused }
    }

    fn all(&self) -> impl Iterator<Item = &Removal> {
        self.planned.iter().chain(self.earlier.iter().copied())
    }

    /// The bodies that would excuse something.
    fn bodies(&self) -> HashSet<Digest> {
        let nothing = Digest::of(b"");
        self.all().map(|removal| removal.body).filter(|body| *body != nothing).collect()
    }

    /// Each survivor excuses one.
    fn excuse(&mut self, mut survivors: HashMap<Digest, u64>) {
        let excuse = |removal: &Removal| {
            let left = survivors.get_mut(&removal.body).filter(|left| **left > 0 && !seeded::is("nothing-excuses"));
            left.map(|left| *left -= u64::from(!seeded::is("one-survivor-excuses-all"))).is_some()
        };
        let excused = self.all().map(excuse).collect();
        self.excused = excused;
    }

    /// Counts what is not excused.
    fn judge(&self, input: &Input<'_>, policy: &Policy, side: Side) -> Option<GuardTrip> {
        if self.planned.is_empty() {
            return None;
        }
        let all = || self.all().zip(&self.excused).enumerate().filter(|(_, (_, excused))| !**excused);
        let is_earlier = |at: usize| at >= self.planned.len();
        // What was removed earlier alone is no matter of this run.
        if !all().any(|(at, _)| !is_earlier(at)) {
            return None;
        }
        let removals = all().count() as u64;
        let largest = self.earlier.iter().map(|removal| removal.base).max().unwrap_or(0);
        let messages = largest.max(input.base.messages() as u64);
        let trip = |removals, earlier, messages, folder| GuardTrip {
            side,
            removals,
            earlier,
            messages,
            folder,
            stands: false,
        };
        if policy.limit.trips(removals, messages) {
            return Some(trip(removals, all().filter(|(at, _)| is_earlier(*at)).count() as u64, messages, None));
        }
        // By folder: removals, those of them that were earlier, and messages.
        let mut folders: HashMap<&Folder, (u64, u64, u64)> = HashMap::new();
        for (at, (removal, _)) in all() {
            let (count, earlier, most) = folders.entry(&removal.name.folder).or_default();
            *count += 1;
            *earlier += u64::from(is_earlier(at));
            *most = removal.section.max(*most);
        }
        let stays = |folder: &Folder| input.present(side.other()).has_folder(folder);
        let emptied = folders.into_iter().filter(|(folder, (count, earlier, most))| {
            let too_many = count > earlier && policy.limit.trips_in_folder(*count, *most);
            too_many && !policy.exempt.has(folder) && stays(folder)
        });
        let (folder, (count, earlier, most)) = emptied.min_by_key(|(folder, _)| *folder)?;
        Some(trip(count, earlier, most, Some(folder.clone())))
    }
}

/// Deletes at a host that are one half of a move by a program that writes headers of its own: the other half is a message new
/// in this plan with the same body.
pub(super) fn dressed_moves(input: &Input<'_>, plan: &Plan) -> [HashSet<Name>; 2] {
    Side::BOTH.map(|side| {
        let mut copies: HashMap<Digest, u64> = HashMap::new();
        let steps = || plan.components.iter().flat_map(|component| component.part(side).open());
        for step in steps() {
            if let Step::Put { bytes, .. } = step
                && matches!(bytes.source, Source::Body(_))
            {
                *copies.entry(bytes.content.body).or_default() += 1;
            }
        }
        let mut moved = HashSet::new();
        if copies.is_empty() {
            return moved;
        }
        for step in steps() {
            let Step::Delete(name) = step else { continue };
            let body = input.present(side).entry(name).map(|entry| entry.content.body);
            if let Some(left) = body.and_then(|body| copies.get_mut(&body)).filter(|left| **left > 0) {
                *left -= 1;
                moved.insert(name.clone());
            }
        }
        moved
    })
}
