//! Runs that were cut, and what users do before the next.

use crate::model::scenario::Scenario;
use crate::model::scenario::words::*;

#[test]
fn a_message_renamed_after_a_cut_run_is_there_once() {
    // From its commit on the server may or may not have what the client got.
    at_every_call(&call("append", "the base").to_the_end(), |moment| {
        Scenario::tidy()
            .seed(5947)
            .client(1, deliver("A").to(".b"))
            .run(sync())
            .server(deliver("B"))
            .run(sync().crashes_before(SERVER, moment))
            .client(1, rename("B"))
    });
}

#[test]
fn a_batch_that_was_given_up_is_not_installed_again() {
    at_every_call(&whole_run(), |moment| {
        Scenario::few()
            .seed(5534)
            .client(1, deliver("A").to(".b").called("u3"))
            .client(1, deliver("B").called("u1"))
            .client(1, make_folder(".a"))
            .client(1, crash())
            .everybody_rests()
            .server(remove_folder(".a"))
            .server(copy("B", ".b").called("u0"))
            .run(sync().fails(CLIENT, moment, EIO))
    });
}

#[test]
fn a_message_renamed_after_a_failed_sync_is_there_once() {
    for folder in [".a", ".b"] {
        Scenario::tidy()
            .on(Disk::TwoSeconds)
            .seed(1_025_195)
            .server(deliver("A").to(".b").header("two"))
            .server(deliver("B").to(".a").header("two"))
            .run(sync().after_dry_run().stat().fails(CLIENT, call("sync_dir", &format!("new of {folder}")), EMFILE))
            .server(rename("B"))
            .plays();
    }
}

#[test]
fn a_message_brought_by_a_cut_run_waits_while_its_other_half_cannot_be_read() {
    at_every_call(&whole_run(), |moment| {
        Scenario::tidy()
            .seed(20_082_416)
            .client(1, deliver("A").header("two"))
            .everybody_rests()
            .client(1, deliver("B").to(".a").header("two"))
            .wait(Span::Seconds)
            .run(push().stat().crashes_before(CLIENT, moment))
            .client(1, rename("B"))
            .run(pull().fails(CLIENT, call("open_dir", ".a").nth(2), EIO))
            .everybody_rests()
    });
}

#[test]
fn what_a_cut_first_run_brought_waits_while_its_other_half_cannot_be_read() {
    // The client has the message when the server begins to write its base.
    at_every_call(&call("create", "the next of the base").to_the_end(), |moment| {
        Scenario::tidy()
            .on(Disk::Untrusted)
            .seed(40_014_962)
            .server(deliver("A"))
            .run(sync().fails_then_crashes(SERVER, moment, EACCES))
            .client(1, rename("A"))
            .run(push().stat().fails(SERVER, call("list", "new of INBOX"), EROFS))
    });
}

#[test]
fn a_message_edited_there_that_both_users_move_after_a_cut_run_is_one_message() {
    at_every_call(&whole_run(), |moment| {
        Scenario::tidy()
            .clients(2)
            .seed(40_031_721)
            .client(1, deliver("A").header("two"))
            .everybody_rests()
            .server(edit_header("A", "one"))
            .run(pull().of_client(2).fails_for_ever(CLIENT, moment, ENOSPC))
            .client(2, rename("A"))
            .server(move_to("A", ".b"))
            .everybody_rests()
    });
}

#[test]
fn a_message_of_a_run_that_was_cut_and_that_moves_during_the_next_look_is_one_message() {
    // The server has installed the message, and not said so.
    at_every_call(&call("sync_dir", "new of .b").to(call("append", "the base")), |moment| {
        Scenario::tidy()
            .seed(150_029_784)
            .client(1, deliver("A").to(".a").header("two"))
            .everybody_rests()
            .client(1, deliver("B").to(".b"))
            .run(push().stat().fails_for_ever(SERVER, moment, ENOSPC))
            .run(push().after_dry_run().stat().while_listing(SERVER, "cur of .a", 1, move_to("B", "INBOX")))
    });
}

#[test]
fn a_message_that_takes_the_place_of_one_whose_bytes_a_cut_run_brought_is_not_lost() {
    at_every_call(&whole_run(), |moment| {
        Scenario::few()
            .seed(191_020_538)
            .server(deliver("C").to(".b").called("u1").header("two"))
            .server(deliver("D").to(".a").called("u3").header("three"))
            .everybody_rests()
            .server(swap("C", "D"))
            .server(move_to("D", ".a"))
            .wait(Span::Seconds)
            .run(pull().fails_for_ever(SERVER, moment, ENOSPC))
            .server(move_anew("C", "INBOX").called("u0"))
            .server(edit_header("C", "three"))
    });
}

#[test]
fn a_rename_that_two_runs_of_one_direction_take_in_after_a_cut_one_leaves_no_copy() {
    at_every_call(&whole_run(), |moment| {
        Scenario::few()
            .seed(195_010_613)
            .server(deliver("D").to(".b").called("u0"))
            .server(copy("D", "INBOX").called("u2"))
            .everybody_rests()
            .server(make_folder(".a"))
            .client(1, delete(the("D").of(".b")))
            .run(sync())
            .client(1, deliver("D").called("u0").header("three"))
            .server(rename("D").called("u0"))
            .client(1, copy(the("D").of("INBOX").called("u0"), ".b").called("u3"))
            .run(push().fails_short(CLIENT, moment, EACCES))
            .everybody_rests_by(Order::PushPull)
    });
}
