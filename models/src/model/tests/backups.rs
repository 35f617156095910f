//! Mail put back from a backup.

use crate::model::scenario::Scenario;
use crate::model::scenario::words::*;

#[test]
fn older_bytes_put_back_from_a_backup_replace_nothing() {
    Scenario::named()
        .seed(800_676)
        .server(deliver("A").to(".a").called("u3").header("two"))
        .run(sync())
        .client(1, back_up())
        .server(replace("A", "B").header("three"))
        .run(sync())
        .client(1, put_mail_back())
        .plays();
}

#[test]
fn a_folder_put_back_that_could_not_be_looked_at_is_put_back_still_when_it_can_be() {
    at_every_call(&whole_run(), |moment| {
        Scenario::named()
            .clients(2)
            .seed(80_088_737)
            .client(2, deliver("A").to(".a").called("u1").header("two"))
            .client(2, move_to("A", ".b"))
            .everybody_rests()
            .client(1, delete("A"))
            .client(2, back_up())
            .client(1, deliver("B").to(".a").called("u3").header("two"))
            .everybody_rests()
            .client(2, put_mail_back())
            .run(sync().of_client(2).fails(CLIENT, moment, EACCES))
    });
}

#[test]
fn a_folder_put_back_that_could_not_be_listed_is_put_back_still_when_a_step_made_its_stamps_new() {
    at_every_call(&whole_run(), |moment| {
        Scenario::tidy()
            .seed(140_074_822)
            .client(1, deliver("A").header("two"))
            .client(1, back_up())
            .server(deliver("B").to(".b").header("three"))
            .client(1, deliver("C").header("three"))
            .everybody_rests_after_comparing(Order::PushPull)
            .server(see("A"))
            .client(1, put_mail_back())
            .run(sync().full().fails_late(CLIENT, moment, EIO))
    });
}

#[test]
fn a_message_that_moves_to_a_name_under_which_a_backup_has_another_is_not_lost() {
    Scenario::few()
        .seed(196_017_165)
        .client(1, deliver("B").to(".a").called("u3").header("two"))
        .client(1, back_up())
        .run(push())
        .client(1, deliver("B").to(".b").called("u2"))
        .server(delete("B"))
        .everybody_rests()
        .server(move_anew("B", ".a").called("u3"))
        .client(1, put_mail_back())
        .plays();
}

#[test]
fn a_message_that_moves_to_a_name_under_which_a_backup_has_its_older_header_is_not_lost() {
    Scenario::few()
        .seed(198_044_397)
        .server(deliver("C").to(".a").called("u1").header("two"))
        .server(move_anew("C", ".a").called("u2"))
        .everybody_rests()
        .server(edit_header("C", "three"))
        .server(move_anew("C", ".b").called("u2"))
        .client(1, back_up())
        .run(sync())
        .server(move_anew("C", ".a").called("u2"))
        .client(1, put_mail_back())
        .plays();
}

#[test]
fn a_folder_put_back_is_put_back_still_after_a_run_that_could_not_read_the_cache() {
    at_every_call(&whole_run(), |moment| {
        Scenario::tidy()
            .seed(555_080_671)
            .server(back_up())
            .client(1, deliver("A").header("three"))
            .everybody_rests()
            .server(put_mail_back())
            .run(push().full().fails(SERVER, moment, ESTALE))
    });
}
