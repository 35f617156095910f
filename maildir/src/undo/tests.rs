//! What rests in the graves of a real root, under the root's lock.

use std::path::PathBuf;

use smd_protocol::{Content, FileName, Folder, Place};

use super::*;
use crate::fs::Disk;
use crate::grave::Record;
use crate::home::Access;

const ONCE: Wait<'static> = Wait { ms: 0, stop: &|| false };

struct World {
    temp: tempfile::TempDir,
}

impl World {
    /// A root that lost these messages from `cur`.
    fn without(messages: &[(&str, &str)]) -> Self {
        let world = Self { temp: tempfile::tempdir().expect("temp") };
        ["cur", "new", "tmp"].iter().for_each(|part| std::fs::create_dir_all(world.mail().join(part)).expect("makes"));
        let (root, home) = (Root::open(Arc::new(Disk), &world.mail()).expect("opens"), world.home());
        let stem = stem(world.mail().as_os_str().as_bytes());
        let grave = Grave::open(&root, home.dir().cloned().map(|dir| (dir, stem.as_str())), "me+k7-1700000000");
        for (file, bytes) in messages {
            std::fs::write(world.mail().join("cur").join(file), bytes).expect("writes");
            let record = Record {
                why: Why::Deleted,
                folder: Folder::root(),
                place: Some(Place::Cur),
                file: file.as_bytes().to_vec(),
                content: Some(Content::of(bytes.as_bytes())),
                instead: None,
                renamed: None,
            };
            let ticket = grave.announce(vec![record]).expect("announces").remove(0);
            let cur = root.folder(&Folder::root()).expect("a folder").cur.expect("a directory");
            grave.take(&ticket, &cur, file.as_bytes()).expect("takes");
            grave.keep(&ticket).expect("keeps");
        }
        world
    }

    fn mail(&self) -> PathBuf {
        self.temp.path().join("mail")
    }

    fn home(&self) -> Home<Disk> {
        Home::open(Arc::new(Disk), &self.temp.path().join(".smd"), Access::ReadWrite).expect("opens")
    }

    fn yard(&self) -> Yard<Disk> {
        let kept = places::kept(&self.home(), self.temp.path());
        assert_eq!(kept, [self.mail()].into());
        Yards::open(&Arc::new(Disk), kept).into_all().remove(0)
    }

    fn ids(&self) -> Vec<String> {
        self.yard().look(&self.home()).expect("looks").told().map(|one| one.id).collect()
    }

    fn bring_back(&self, ids: &[String], wait: &Wait<'_>) -> Result<Vec<Undone>, LockError> {
        self.yard().bring_back(&self.home(), self.temp.path(), ids, wait)
    }

    fn there(&self) -> usize {
        std::fs::read_dir(self.mail().join("cur")).expect("a directory").count()
    }
}

#[test]
fn what_rests_is_told_with_its_head_and_comes_back_by_its_id_once() {
    let world = World::without(&[("a:2,S", "Subject: one\n\n1"), ("b:2,", "Subject: two\n\n2")]);
    let found = world.yard().look(&world.home()).expect("looks");
    let told: Vec<Rests> = found.told().collect();
    assert_eq!((told.len(), found.rest), (2, Rest::default()));
    assert!(told.iter().all(|one| one.run() == told[0].run() && owner(one.run()) == "me+k7" && !one.back));
    let subject = |id: &str| found.heads([id])[0].subject.clone();
    for one in &told {
        let name = FileName::parse(&one.file).expect("a name").uniq.to_string();
        assert_eq!(subject(&one.id), if name == "a" { "one" } else { "two" });
    }
    assert_eq!(subject("no such id"), "");
    let ids = [told[0].id.clone(), "no such id".to_owned()];
    let done = world.bring_back(&ids, &ONCE).expect("nobody else is here");
    assert!(matches!(&done[..], [Undone::Returned, Undone::Failed(_)]), "{done:?}");
    assert_eq!((world.bring_back(&ids[..1], &ONCE).expect("free"), world.there()), (vec![Undone::Before], 1));
}

#[test]
fn nothing_comes_back_while_a_run_holds_the_root() {
    let world = World::without(&[("a:2,S", "1")]);
    let ids = world.ids();
    let held = lock::root_lock(&world.yard().root, &world.home(), &ONCE).expect("free");
    assert!(matches!(world.bring_back(&ids, &ONCE), Err(LockError::Held { .. })));
    assert_eq!(world.there(), 0);
    drop(held);
    assert_eq!((world.bring_back(&ids, &ONCE).expect("free"), world.there()), (vec![Undone::Returned], 1));
}

#[test]
fn a_root_that_cannot_be_opened_is_lost_and_two_names_of_one_are_one() {
    let world = World::without(&[]);
    let link = world.temp.path().join("link");
    std::os::unix::fs::symlink(world.mail(), &link).expect("links");
    let yards = Yards::open(&Arc::new(Disk), [world.mail(), link.clone(), world.temp.path().join("none")]);
    assert_eq!(yards.lost.len(), 1);
    assert!(yards.at(&link).is_some() && yards.at(Path::new("/elsewhere")).is_none());
    assert_eq!(yards.into_all().len(), 1);
}
