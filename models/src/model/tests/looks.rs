//! Users who act while a run looks at a tree, or right before it changes it.

use crate::model::scenario::Scenario;
use crate::model::scenario::words::*;

#[test]
fn a_message_that_moves_into_a_folder_of_the_same_tick_is_not_gone() {
    // The run that was cut leaves the message at both hosts and in no base. The user moves it at any call of the server's
    // look, and of its step.
    let look = call("open_root", "INBOX").to(call("append", "the base"));
    at_every_call(&look, |moment| {
        Scenario::tidy()
            .on(Disk::Ticks)
            .seed(2935)
            .client(1, deliver("A").to(".b").header("three"))
            .run(sync().killed_before(SERVER, call("create", "the next of the base")))
            .client(1, rename("A"))
            .run(sync().stat().meanwhile(SERVER, moment, move_to("A", "INBOX")))
    });
}

#[test]
fn a_message_that_a_user_gives_the_name_of_its_copy_is_one_message() {
    Scenario::few()
        .on(Disk::Reusing)
        .seed(1_026_090)
        .server(deliver("A").to(".b").called("u3").header("three"))
        .run(pull().after_dry_run().stat().while_listing(SERVER, "cur of .b", 1, move_anew("A", "INBOX").called("u2")))
        .server(flag("A", 'R'))
        .server(rename("A").called("u3"))
        .server(move_to("A", ".a"))
        .server(hard_link("A", "INBOX").called("u0"))
        .run(sync().while_listing(
            CLIENT,
            "cur of .a",
            1,
            move_anew(the("A").of("INBOX").called("u2"), ".a").called("u3"),
        ))
        .plays();
}

#[test]
fn a_message_moved_during_the_second_listing_of_unproven_folders_is_one() {
    Scenario::tidy()
        .on(Disk::Seconds)
        .seed(3_000_213)
        .server(deliver("A").header("two"))
        .server(make_folder(".a"))
        .run(pull())
        .server(move_anew("A", "INBOX"))
        .client(1, rename("A"))
        .run(pull().no_delete().while_listing(CLIENT, "cur of .a", 2, move_to("A", ".b")))
        .plays();
}

#[test]
fn a_message_that_only_the_first_round_of_a_look_met_is_looked_for() {
    // The sync on the way to the first base, when the message is installed: before it come those of what else is new there.
    let sync_of_way = call("sync_dir", "the state directory").nth(4);
    Scenario::tidy()
        .on(Disk::Seconds)
        .seed(30_035_857)
        .client(1, deliver("A").to(".a"))
        .run(sync().no_delete().after_dry_run().fails(SERVER, sync_of_way, EROFS))
        .run(sync().while_listing(CLIENT, "cur of INBOX", 2, move_anew("A", "INBOX")))
        .plays();
}

#[test]
fn a_message_renamed_while_a_run_deletes_it_and_moved_elsewhere_is_one_message() {
    // Until the last look before it goes into the grave.
    let until_it_goes = call("open_root", "the state directory").to(call("stat", "A in new of INBOX").nth(3));
    at_every_call(&until_it_goes, |moment| {
        Scenario::tidy()
            .clients(2)
            .seed(90_037_236)
            .client(2, deliver("A"))
            .everybody_rests()
            .server(delete("A"))
            .client(1, move_anew("A", ".a"))
            .run(sync().of_client(2).meanwhile(CLIENT, moment, rename("A")))
    });
}

#[test]
fn a_message_moved_during_the_scan_out_of_a_clean_folder_is_found_where_stamps_prove_nothing() {
    Scenario::tidy()
        .on(Disk::Ticks)
        .seed(100_025_993)
        .client(1, deliver("A").to(".a").header("three"))
        .wait(Span::Seconds)
        .everybody_rests()
        .client(1, deliver("B").header("three"))
        .server(rename("A"))
        .run(sync().while_listing(CLIENT, "cur of INBOX", 2, move_to("A", "INBOX")))
        .plays();
}

#[test]
fn a_message_of_no_base_moved_during_the_scan_is_found() {
    Scenario::tidy()
        .seed(100_082_205)
        .client(1, deliver("A").to(".b").header("two"))
        .run(sync().after_dry_run().stat().fails(SERVER, call("sync_dir", "INBOX"), ENOSPC))
        .run(sync().while_listing(CLIENT, "new of INBOX", 1, move_to("A", ".a")))
        .plays();
}
