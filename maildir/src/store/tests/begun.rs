//! The note of what the open batch brings.

use smd_protocol::reconcile::{Begun, Brought, Changed};

use super::*;

#[test]
fn a_note_of_what_a_batch_brings_counts_for_its_base_alone() {
    let world = World::new();
    let brought = |text: &str| -> Brought {
        let folders = changes(text).folders.into_iter();
        let entries = |(folder, change): (Folder, FolderDelta)| {
            change.set.into_iter().map(move |seen| (Name::new(&folder, &seen.entry.uniq), seen.entry))
        };
        folders.flat_map(entries).collect()
    };
    let brings =
        Begun { alone: [brought("a: +x"), brought("b: +z")], merged: brought("a: +y:2,S"), ..Begun::default() };
    let mut store = world.open();
    assert_eq!(store.begun().expect("none"), Begun::default());
    store.note_begun(&brings).expect("writes");
    assert_eq!(world.open().begun().expect("reads"), brings, "a first run that was cut");
    step(&mut store, 1, ": +a");
    let flat = Begun {
        merged: brings.entries().map(|(name, entry)| (name.clone(), entry.clone())).collect(),
        ..Begun::default()
    };
    assert_eq!(world.open().begun().expect("reads"), flat, "what has a base by now is none to go on from");
    store.note_begun(&brings).expect("writes");
    assert_eq!(world.open().begun().expect("reads"), brings);
    assert_eq!(world.dry().begun().expect("reads"), brings);
    assert!(matches!(world.dry().note_begun(&brings), Err(StoreError::ReadOnly { .. })));
    // Torn anywhere, it says nothing.
    let note = fs::read(world.file(".begun")).expect("reads");
    for len in 0..note.len() {
        fs::write(world.file(".begun"), &note[..len]).expect("writes");
        assert_eq!(world.open().begun().expect("reads"), Begun::default(), "{len}");
    }
    fs::write(world.file(".begun"), &note).expect("writes");
    step(&mut world.open(), 2, ": +b");
    assert_eq!(world.open().begun().expect("reads"), Begun::default());
    // Parts may be empty, and an earlier version wrote one only.
    let store = world.open();
    for (alone, merged) in [("a: +x", ""), ("", ""), ("", "a: +y")] {
        let brings = Begun { alone: [Brought::new(), brought(alone)], merged: brought(merged), ..Begun::default() };
        store.note_begun(&brings).expect("writes");
        assert_eq!(world.open().begun().expect("reads"), brings);
    }
    // What messages were to be given outlives the base, however much it is.
    let given = |text: &str, contents: &[&str]| {
        let contents = contents.iter().map(|text| Content::of(text.as_bytes())).collect();
        brought(text).into_keys().map(|name| (name, Clone::clone(&contents))).collect::<Changed>()
    };
    let two = given("a: +x +z", &["one", "two"]).into_iter().chain(given("b: +x", &["three"])).collect();
    for (counter, changed) in [(3, [two, Changed::new()]), (4, [Changed::new(), given(": +x", &["one"])])] {
        let brings =
            Begun { alone: [brought("a: +x"), Brought::new()], merged: Brought::new(), changed: changed.clone() };
        world.open().note_begun(&brings).expect("writes");
        assert_eq!(world.open().begun().expect("reads"), brings);
        let note = fs::read(world.file(".begun")).expect("reads");
        step(&mut world.open(), counter, &format!(": +{counter}"));
        fs::write(world.file(".begun"), note).expect("writes");
        assert_eq!(world.open().begun().expect("reads"), Begun { changed, ..Begun::default() });
    }
    let store = world.open();
    let mut payload = Vec::new();
    text::put_changes(&mut payload, &changes("a: +x"), None);
    fs::write(world.file(".begun"), tail::next_record(&store.ids().current.expect("a base"), &payload))
        .expect("writes");
    assert_eq!(world.open().begun().expect("reads"), Begun { merged: brought("a: +x"), ..Begun::default() });
    world.open().drop_begun().expect("removes");
    world.open().drop_begun().expect("is gone already");
    assert!(!world.file(".begun").exists());
}
