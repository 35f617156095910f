//! What stamps and inode numbers prove, and what a crash of a host leaves.

use crate::model::scenario::words::*;
use crate::model::scenario::{Plan, Scenario};

#[test]
fn a_file_with_all_stamps_of_one_that_is_gone_is_read() {
    // Two seconds of one stamp, no birth times, inodes used again: the new message has everything of the edited one.
    Scenario::named()
        .clients(2)
        .on(Disk::TwoSeconds)
        .seed(991)
        .client(2, deliver("A").to(".a").called("u0").header("three"))
        .run(pull().meanwhile(
            CLIENT,
            call("make_dir", "the state of the peer"),
            deliver("B").called("u1").header("three"),
        ))
        .everybody_rests()
        .client(2, edit_header("B", "one"))
        .client(2, deliver("C").to(".a").called("u1").header("three"))
        .plays();
}

#[test]
fn a_message_redelivered_with_the_inode_of_the_old_one_is_read() {
    Scenario::few()
        .on(Disk::Ticks)
        .seed(1_017_620)
        .client(1, deliver("B").to(".b").called("u3"))
        .wait(Span::Ticks)
        .client(1, move_anew("B", "INBOX").called("u2"))
        .client(1, deliver("D").called("u3").header("three"))
        .everybody_rests()
        .server(delete("B"))
        .server(delete("D"))
        .server(deliver("A").to(".b").called("u3").header("three"))
        .server(deliver("A").called("u2"))
        .everybody_rests()
        .plays();
}

#[test]
fn a_message_that_a_user_did_not_sync_and_a_step_renamed_survives_a_crash() {
    at_every_call(&whole_run(), |moment| {
        Scenario::named()
            .on(Disk::TwoSeconds)
            .seed(1_022_745)
            .client(1, deliver("A").to(".a").called("u0"))
            .run(sync())
            .everybody_rests()
            .client(1, deliver("B").to(".a").called("u3"))
            .run(sync())
            .server(deliver("C").to(".a").called("u1").header("two"))
            .client(1, copy("B", ".a").called("u1").unsynced())
            .run(sync())
            .run(sync())
            .everybody_rests()
            .run(push().no_delete().crashes_after(CLIENT, moment))
    });
}

#[test]
fn a_state_directory_that_a_killed_run_made_survives_a_crash() {
    at_every_call(&whole_run(), |moment| {
        Scenario::tidy()
            .on(Disk::Untrusted)
            .seed(10_001_162)
            .server(deliver("A").to(".a"))
            .run(push().killed_before(CLIENT, moment))
            .everybody_rests()
            .client(1, crash())
            .server(delete("A"))
            .everybody_rests()
    });
}

/// A record of the base fails at the server, and a later run is cut there: mail that was deleted between must not return.
fn with_a_record_that_failed(fails: Plan, is_cut: Plan) -> Scenario {
    Scenario::named()
        .seed(30_032_896)
        .run(pull())
        .client(1, deliver("A").to(".b").called("u2").header("three"))
        .client(1, delete("A"))
        .everybody_rests()
        .client(1, deliver("B").to(".b").called("u3").header("two"))
        .client(1, deliver("C").to(".b").called("u0"))
        .run(fails)
        .run(pull())
        .client(1, delete("B"))
        .run(is_cut)
}

#[test]
fn a_record_of_the_base_whose_sync_failed_is_no_base_after_a_power_cut() {
    at_every_call(&call("append", "the base").to_the_end(), |moment| {
        let is_cut = sync().stat().crashes_after(SERVER, call("stat_dir", "cur of .b").nth(3));
        with_a_record_that_failed(sync().stat().fails(SERVER, moment, ESTALE), is_cut)
    });
    at_every_call(&whole_run(), |moment| {
        let fails = sync().stat().fails(SERVER, call("sync_file", "the base"), ESTALE);
        with_a_record_that_failed(fails, sync().stat().crashes_after(SERVER, moment))
    });
}

#[test]
fn bytes_written_anew_that_equal_the_base_are_durable_after_a_run() {
    // Where the whole file system is synced and where file by file is; what a crash leaves is up to the seed.
    for (disk, seed) in
        [Disk::Plain, Disk::Untrusted].into_iter().flat_map(|disk| (0..20).map(move |seed| (disk, seed)))
    {
        Scenario::tidy()
            .on(disk)
            .seed(60_026_550 + seed)
            .server(deliver("A").to(".a").header("two"))
            .everybody_rests()
            .client(1, edit_header("A", "one"))
            .client(1, edit_header("A", "two").unsynced())
            .run(push())
            .client(1, crash())
            .everybody_rests()
            .plays();
    }
}

#[test]
fn mail_that_a_pull_only_read_is_durable_before_its_digest_is_remembered() {
    at_every_call(&whole_run(), |moment| {
        Scenario::tidy()
            .on(Disk::Seconds)
            .seed(194_225_645)
            .everybody_rests()
            .client(1, deliver("A").to(".b").unsynced())
            .wait(Span::Hours)
            .run(pull())
            .run(sync().crashes_before(CLIENT, moment))
    });
}
