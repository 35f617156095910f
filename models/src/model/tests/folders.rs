//! Folders that come, go and are renamed.

use crate::model::scenario::Scenario;
use crate::model::scenario::words::*;

#[test]
fn a_folder_removed_while_it_is_listed_again_is_gone_for_the_next_run() {
    for (dir, nth) in [("new of .a", 1), ("cur of .a", 1), ("new of .a", 2), ("cur of .a", 2)] {
        Scenario::few()
            .seed(808_047)
            .client(1, deliver("C").to(".a").called("u0").header("three"))
            .wait(Span::Hours)
            .everybody_rests()
            .server(delete("C"))
            .run(sync().while_listing(CLIENT, dir, nth, remove_folder(".a")))
            .plays();
    }
}

#[test]
fn a_folder_renamed_on_both_hosts_and_back_again_during_a_look_is_one_folder() {
    Scenario::named()
        .seed(140_059_398)
        .client(1, deliver("A").to(".a").called("u2").header("three"))
        .server(deliver("B").called("u1").header("two"))
        .server(deliver("C").to(".a").called("u1").header("two"))
        .run(sync().while_listing(SERVER, "INBOX", 1, flag("C", 'T')))
        .server(rename_folder(".a", ".b"))
        .client(1, rename_folder(".a", ".b"))
        .run(pull().stat().meanwhile(SERVER, call("list", ".b").nth(2), rename_folder(".b", ".a")))
        .plays();
}

#[test]
fn a_folder_that_cannot_go_in_a_push_is_made_again_by_the_pull() {
    at_every_call(&whole_run(), |moment| {
        Scenario::named()
            .clients(2)
            .seed(140_114_396)
            .everybody_rests()
            .client(2, deliver("A").to(".b").called("u1"))
            .wait(Span::Seconds)
            .run(push().of_client(2).crashes_before(SERVER, moment))
            .client(2, move_to("A", "INBOX"))
            .everybody_rests()
            .client(1, rename_folder(".b", ".a"))
            .everybody_rests_by(Order::PushPull)
    });
}

#[test]
fn a_message_moved_on_two_clients_and_deleted_at_the_server_is_one_message() {
    Scenario::tidy()
        .clients(2)
        .seed(20_085_270)
        .client(1, deliver("A").header("three"))
        .run(sync())
        .client(1, move_to("A", ".b"))
        .run(sync().of_client(2))
        .client(2, move_anew("A", ".a"))
        .server(delete("A"))
        .run(pull().of_client(2))
        .everybody_rests()
        .plays();
}

#[test]
fn a_folder_removed_while_a_run_looks_at_it_is_removed_at_the_other_host() {
    at_every_call(&whole_run(), |moment| {
        Scenario::few()
            .seed(555_029_290)
            .server(make_folder(".b"))
            .server(deliver("A").to(".a").called("u0"))
            .everybody_rests()
            .server(deliver("B").called("u1"))
            .everybody_rests()
            .run(pull().stat().meanwhile(CLIENT, moment, remove_folder(".b")))
    });
}

#[test]
fn a_folder_whose_unsynced_removal_a_crash_undoes_comes_to_the_other_host() {
    Scenario::few()
        .seed(630_007_414)
        .run(sync())
        .server(deliver("C").to(".a").called("u0").header("three").unsynced())
        .server(remove_folder(".a").unsynced())
        .run(push().after_dry_run().stat().fails(SERVER, call("open", "a part of the cache").nth(2), ENOSPC))
        .everybody_rests()
        .client(1, idle())
        .server(crash())
        .everybody_rests()
        .plays();
}
