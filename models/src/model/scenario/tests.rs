//! A scenario that asks for what is not there is broken, and a scenario is said in its own words.

use std::collections::BTreeSet;

use super::super::act::Case;
use super::super::play::calls::OVER;
use super::super::play::{in_words, play_told};
use super::words::*;
use super::{Moment, Plan, Scenario, Step};

/// Why it breaks.
fn broken(scenario: &Scenario) -> String {
    play_told(scenario, None).err().unwrap_or_else(|| "(nothing is broken)".to_owned())
}

fn one_message(plan: Plan) -> Scenario {
    Scenario::tidy().client(1, deliver("A").to(".a")).run(plan)
}

#[test]
fn a_call_that_the_run_does_not_make_breaks_the_scenario_with_those_that_it_makes() {
    let why = broken(&one_message(sync().crashes_before(SERVER, call("sync_dir", "new of .a").nth(9))));
    assert!(why.starts_with("absent: in this run the server had no sync_dir of \"new of .a\", number 9"), "{why}");
    assert!(why.contains("sync_dir of \"new of .a\" x"), "{why}");
    let why = broken(&one_message(sync().meanwhile(CLIENT, call("sync_dir", "new of .c"), delete("A"))));
    assert!(why.starts_with("absent: in this run the client had no sync_dir of \"new of .c\", number 1"), "{why}");
}

#[test]
fn a_listing_that_the_run_does_not_make_breaks_the_scenario() {
    let why = broken(&one_message(sync().while_listing(SERVER, "cur of .a", 9, delete("A"))));
    assert!(why.starts_with("absent: in this run the server had no listing 9 of \"cur of .a\""), "{why}");
}

#[test]
fn a_line_that_is_not_cut_breaks_the_scenario() {
    assert!(broken(&one_message(sync().cut_after(1_000_000))).starts_with("absent: the line was not cut"));
}

#[test]
fn a_message_that_is_not_there_or_not_the_only_one_breaks_the_scenario() {
    let why = broken(&Scenario::tidy().client(1, deliver("A")).client(1, delete("B")));
    assert!(why.starts_with("absent: host 1") && why.contains("A called m1 in INBOX/new"), "{why}");
    let why = broken(&one_message(sync()).server(deliver("B")).client(1, delete("B")));
    assert!(why.starts_with("absent: host 1"), "{why}");
    let twice = Scenario::few().client(1, deliver("A").called("u0")).client(1, deliver("A").called("u1"));
    assert!(broken(&twice.clone().client(1, delete("A"))).contains("more than one message"));
    assert_eq!(broken(&twice.client(1, delete(the("A").called("u1")))), "(nothing is broken)");
}

#[test]
fn a_deed_that_comes_to_nothing_breaks_the_scenario() {
    let there = Scenario::tidy().client(1, deliver("A")).client(1, see("A"));
    for deal in [see("A"), move_to("A", "INBOX"), edit_header("A", "one"), remove_folder(".b"), make_folder("INBOX")] {
        let why = broken(&there.clone().client(1, deal.clone()));
        assert!(why.starts_with("absent: host 1"), "{deal:?}: {why}");
    }
}

#[test]
fn a_stretch_ends_where_the_run_has_no_further_call_and_is_broken_where_it_has_none_at_all() {
    let at =
        |stretch: super::Stretch, nth| broken(&one_message(sync().killed_before(SERVER, Moment::Within(stretch, nth))));
    let record = || call("append", "the base").to(call("sync_file", "the base"));
    assert_eq!(at(record(), 1), "(nothing is broken)");
    assert!(at(record(), 90).starts_with(OVER));
    assert!(at(whole_run(), 4_000).starts_with(OVER));
    assert!(at(call("append", "the moon").to_the_end(), 1).starts_with("absent: "));
    assert!(at(call("append", "the moon").to_the_end(), 2).starts_with("absent: "));
    assert!(at(call("append", "the base").to(call("append", "the moon")), 90).starts_with("absent: "));
}

/// The line with paths that were printed byte by byte as text.
fn as_text(line: &str) -> String {
    let mut out = String::new();
    for part in line.split_inclusive(']') {
        let list = part.rsplit_once('[').and_then(|(before, list)| {
            let bytes = list.strip_suffix(']')?.split(", ").map(|byte| byte.parse().ok());
            Some((before, bytes.collect::<Option<Vec<u8>>>()?))
        });
        match list {
            Some((before, bytes)) => out.extend([before, &String::from_utf8_lossy(&bytes)]),
            None => out.push_str(part),
        }
    }
    out
}

/// The line without ids of hosts, which are random: 26 letters and digits each.
fn without_ids(line: &str) -> String {
    let line = as_text(line);
    let is_id = |word: &str| word.len() == 26 && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let shown = |word: &str| if is_id(word) { "ID".to_owned() } else { word.to_owned() };
    line.split_inclusive(['/', '+', '"', ' '])
        .map(|word| match word.char_indices().last() {
            Some((at, end)) if !end.is_ascii_alphanumeric() => shown(&word[..at]) + &word[at..],
            _ => shown(word),
        })
        .collect()
}

/// The trees after every step, and what runs came to. Names in the grave tell of the process, and no two are equal.
fn story(scenario: &Scenario) -> Vec<String> {
    let mut all = Vec::new();
    let mut hear = |line: String| {
        if line.starts_with("  ") && !line.contains("/grave/") {
            all.push(without_ids(&line));
        }
    };
    // A broken one would be found by the random model.
    let _ = play_told(scenario, Some(&mut hear));
    all
}

#[test]
fn a_random_case_in_words_is_the_same_story() {
    for seed in 1..60 {
        let mut case = Scenario::from(&Case::random(seed));
        // A copy that was never made is put back by number alone.
        let mut kept = BTreeSet::new();
        case.steps.retain(|step| match step {
            Step::Keep(host) => {
                kept.insert(*host);
                true
            }
            Step::RestoreState(host) | Step::RestoreTree(host) => kept.contains(host),
            _ => true,
        });
        let (words, result) = in_words(&case);
        assert_eq!(result, Ok(()));
        let (told, again) = (story(&case), story(&words));
        let other = told.iter().zip(&again).find(|(one, two)| one != two);
        assert!(told.len() == again.len() && other.is_none(), "seed {seed}: {other:#?} in {words}");
    }
}

#[test]
fn a_scenario_is_said_in_its_own_words() {
    let scenario = Scenario::named()
        .clients(2)
        .on(Disk::Ticks)
        .folders_named_otherwise()
        .seed(7)
        .client(2, deliver("A").to(".a").called("u1").header("two").unsynced())
        .run(sync().of_client(2).no_delete().stat())
        .client(1, crash())
        .run(pull().fails(SERVER, call("stat_dir", "cur of .a").nth(2), EIO))
        .wait(Span::Hours)
        .everybody_rests_by(Order::PushPull);
    let (words, result) = in_words(&scenario);
    assert_eq!((result, &words), (Ok(()), &scenario));
    let text = "Scenario::named().clients(2).on(Disk::Ticks).folders_named_otherwise().seed(7)
    .client(2, deliver(\"A\").to(\".a\").called(\"u1\").header(\"two\").unsynced())
    .run(sync().of_client(2).no_delete().stat())
    .client(1, crash())
    .run(pull().fails(SERVER, call(\"stat_dir\", \"cur of .a\").nth(2), EIO))
    .wait(Span::Hours)
    .everybody_rests_by(Order::PushPull)
    .plays();";
    assert_eq!(words.to_string(), text);
}
