//! The table: each bug, the promise that it breaks (README), what it does to somebody who has mail, and the cheapest test
//! that catches it. By the room of the code that the bug is in.

use super::{Seed, Test};

const fn seed(bug: &'static str, promise: u8, harm: &'static str, test: Test) -> Seed {
    Seed { bug, promise, harm, test }
}

const fn unit(package: &'static str, name: &'static str) -> Test {
    Test { package, file: None, name, sequences: None }
}

/// A test of whole programs.
const fn whole(file: &'static str, name: &'static str) -> Test {
    Test { package: "smd-tests", file: Some(file), name, sequences: None }
}

/// So many sequences of the random model; it ends at the first that breaks a promise.
const fn model(sequences: u32) -> Test {
    let name = "no_sequence_of_users_runs_and_faults_breaks_a_promise";
    Test { package: "smd-tests", file: Some("model"), name, sequences: Some(sequences) }
}

const PROTOCOL: &str = "smd-protocol";
const MAILDIR: &str = "smd-maildir";
/// The order of syncs as the kernel saw it.
const ORDER: Test = whole("durability", "both_hosts_of_a_run_make_things_durable_in_order");
/// Enough for most bugs.
const FEW: u32 = 1_000;

/// All bugs.
#[rustfmt::skip]
pub(super) const TABLE: &[Seed] = &[
    // Scan.
    seed("unreadable-message-is-gone", 6, "a message that cannot be read for a moment is deleted at the other host",
        unit(MAILDIR, "scan::tests::errors::a_message_that_cannot_be_read_is_kept_as_it_was")),
    seed("one-look-at-folders", 6, "a folder that became a symlink is deleted at the other host",
        unit(MAILDIR, "scan::tests::errors::a_folder_that_became_a_symlink_or_file_is_unknown")),
    seed("one-pass-scan", 6, "a message that a mail program moves during the scan is deleted at the other host",
        unit(MAILDIR, "scan::tests::movement::a_message_that_moves_behind_the_scan_is_found_by_the_second_look")),
    seed("first-round-is-forgotten", 3, "a message moved while it is looked for, after a run that was cut, is there twice",
        whole("model", "a_message_that_only_the_first_round_of_a_look_met_is_looked_for")),
    seed("restless-folder-deletes", 6, "in a folder that is being changed messages seem gone, and are deleted",
        unit(MAILDIR, "scan::tests::movement::a_folder_that_never_stands_still_only_adds")),
    seed("incomplete-look-is-proof", 3, "a message moved to where it cannot be seen is deleted, and comes back as a second one",
        unit(MAILDIR, "scan::tests::errors::what_a_new_folder_or_message_hides_may_be_what_is_missing")),
    seed("unlistable-hides-nothing", 3, "a message moved to a folder that cannot be listed is deleted, and comes back as a second one",
        unit(MAILDIR, "scan::tests::errors::a_folder_that_cannot_be_listed_may_hide_what_is_missing")),
    seed("backup-by-mtime-alone", 13, "a folder put back with the mtime it has now deletes what the backup did not have",
        unit(MAILDIR, "scan::stamps::tests::a_directory_went_back_by_either_stamp")),
    seed("any-stamp-is-proof", 11, "mail that arrived in the same tick of the clock as the last look is never seen",
        model(FEW)),
    seed("cache-of-any-base", 11, "after a lost state changes are overlooked, since an older cache calls the folder clean",
        unit(MAILDIR, "scan::tests::quick::under_another_base_everything_is_dirty_and_nothing_is_read")),
    seed("changes-are-clean", 11, "what a run could not finish is overlooked by every later one",
        model(FEW)),
    seed("inode-tells-all", 4, "a new message that got the inode of an old one is taken for it",
        unit(MAILDIR, "scan::tests::movement::a_file_with_an_inode_used_again_is_read")),
    seed("half-written-is-read", 2, "a message that is being written while it is read gets to the other host half",
        unit(MAILDIR, "scan::tests::errors::a_message_that_is_written_while_it_is_read_has_no_digest_yet")),
    seed("backup-is-a-delete", 13, "a folder put back from a backup deletes at every other host what the backup did not have",
        whole("lost_state", "a_folder_put_back_at_the_server_is_put_back_for_every_client")),
    seed("any-directory-is-the-root", 13, "another, empty disk in the place of the mail's deletes all mail at the other host",
        whole("options", "a_root_that_is_missing_or_empty_or_another_directory_deletes_nothing")),

    // Apply.
    seed("renames-over", 4, "mail that is delivered under a name at the wrong moment is overwritten",
        unit(MAILDIR, "apply::tests::races::a_target_that_appears_while_we_install_is_not_overwritten")),
    seed("skips-sync-of-staged", 2, "after a power cut a message has its name and no bytes",
        model(FEW)),
    seed("skips-sync-of-batch", 2, "after a power cut many messages have their names and no bytes",
        ORDER),
    seed("skips-sync-of-names", 1, "after a power cut messages that were reported as delivered have no names",
        model(FEW)),
    seed("retries-a-failed-sync", 2, "bytes that a disk could not write count as written since the second sync said nothing",
        unit(MAILDIR, "apply::tests::sources::a_failed_sync_is_not_tried_again")),
    seed("failed-sync-is-no-failure", 2, "messages whose bytes could not be written get their names",
        unit(MAILDIR, "apply::tests::sources::after_a_failed_sync_nothing_is_installed")),
    seed("installs-whatever-came", 2, "bytes that were damaged or cut on their way become a message",
        model(FEW)),
    seed("takes-more-than-announced", 16, "a hostile peer fills the disk",
        unit(MAILDIR, "apply::tests::sources::contents_that_nobody_awaits_or_that_are_too_long_are_a_fault_of_the_peer")),
    seed("loses-mtime", 7, "every message that was transferred shows the date of the transfer",
        model(FEW)),
    seed("reuses-tmp-names", 12, "what a crash left in `tmp/` stays there for ever",
        unit(MAILDIR, "apply::tests::sources::only_our_own_leftovers_are_swept")),
    seed("deletes-first", 1, "a message that moves is deleted before its new copy is there",
        unit(MAILDIR, "apply::tests::races::a_message_goes_only_when_all_that_comes_is_there")),
    seed("deletes-without-a-look", 5, "a message that was edited in the last moment is deleted",
        unit(MAILDIR, "apply::tests::checks::a_message_edited_since_the_scan_is_neither_replaced_nor_deleted")),
    seed("replaces-without-a-look", 5, "an edit of the last moment is replaced by the other host's",
        unit(MAILDIR, "apply::tests::checks::a_message_edited_since_the_scan_is_neither_replaced_nor_deleted")),
    seed("overwrites-flags", 8, "a message that was read in the last moment is unread again",
        unit(MAILDIR, "apply::tests::checks::flags_changed_meanwhile_stop_a_flag_change_and_a_replace_but_no_delete")),
    seed("edited-bytes-rest-in-the-grave", 5, "an edit whose name was taken meanwhile is buried",
        unit(MAILDIR, "apply::tests::races::edited_bytes_displaced_by_a_replace_are_kept_when_the_name_changes_once_more")),
    seed("leftovers-rest", 1, "a message that was taken when the run was killed stays in the grave",
        unit(MAILDIR, "apply::tests::races::an_edited_message_in_the_grave_of_a_crashed_run_comes_back")),
    seed("buries-unknown-files", 4, "files that are no mail are buried with the folder that they lie in",
        unit(MAILDIR, "apply::tests::tree::a_folder_with_anything_unknown_stays_whole")),
    seed("removes-ours-unread", 1, "an edit of a copy that a run takes back is removed with it",
        unit(MAILDIR, "apply::tests::races::a_carried_copy_that_somebody_edits_stays_when_its_move_is_taken_back")),
    seed("carries-names-unsynced", 1, "a power cut takes a message that crossed to another disk, whose old name is gone",
        unit(MAILDIR, "apply::tests::races::a_message_is_carried_only_when_its_new_name_is_durable")),
    seed("found-bytes-are-durable", 1, "a power cut takes a message that a run found there already and counted",
        unit(MAILDIR, "apply::tests::races::a_put_that_finds_its_bytes_there_makes_them_durable_or_fails")),
    seed("failures-are-not-told", 11, "what could not be done at the server is taken for done, and never tried again",
        model(FEW)),

    // Grave.
    seed("grave-keeps-nothing", 4, "nothing that was deleted by mistake can be brought back",
        whole("undo", "deleted_messages_come_back_as_they_were_and_the_next_run_gives_them_to_the_other_host")),
    seed("notes-back-first", 5, "after a power cut a message is neither back nor known to rest in the grave",
        unit(MAILDIR, "apply::tests::back::nothing_is_noted_as_back_before_its_name_is_durable")),
    seed("index-is-not-synced", 5, "after a power cut nobody knows where a buried message belongs",
        ORDER),
    seed("grave-gives-up-the-young", 4, "what was deleted an hour ago goes for good when the grave is large",
        unit(MAILDIR, "grave::tests::a_grave_that_is_too_large_loses_the_oldest_but_nothing_of_the_last_day")),
    seed("client-empties-the-grave", 17, "one client empties the grave in which another client's messages rest",
        whole("undo", "a_client_cannot_empty_the_servers_grave")),

    // State and its commit.
    seed("skips-sync-of-others", 1, "a mail program's message that a power cut took is deleted at the other host",
        ORDER),
    seed("one-disk-is-all", 1, "a mail program's message on a disk mounted in the root is lost in a power cut, and deleted at the other host",
        unit("smd-tests", "memory::tests::runs::what_others_wrote_is_durable_before_it_counts_also_on_a_disk_mounted_in_the_root")),
    seed("base-is-not-synced", 9, "a power cut takes back a base that the other host was promised",
        model(FEW)),
    seed("state-is-not-synced", 9, "a power cut leaves an empty state file under the name of a good one",
        ORDER),
    seed("says-committed-and-does-not", 9, "the two hosts are at different bases after a run that said all is well",
        ORDER),
    seed("promotes-before-the-other-host-is-ready", 9, "a crash of the server leaves the two hosts without a common base",
        ORDER),
    seed("ids-are-not-compared", 9, "two hosts that computed different bases go on as if they had one",
        unit("smd-client", "session::agree::tests::bases_that_differ_are_committed_by_neither_host")),
    seed("trusts-itself-after-a-difference", 12, "hosts that differ once differ in every later run",
        unit(MAILDIR, "run::tests::hosts_that_differ_read_everything_and_if_that_does_not_help_adopt")),
    seed("stale-next-stays", 9, "a base that was given up comes back in a later handshake",
        unit(MAILDIR, "store::tests::promoting_what_is_current_writes_nothing_and_drops_another_next")),
    seed("handshake-forgets-next", 9, "a run that was cut at the wrong moment is not recognised, and deleted mail returns",
        unit(PROTOCOL, "wire::tests::the_common_base_is_the_highest_that_both_have")),
    seed("writes-after-a-failed-write", 9, "a base is written behind one that may not be on the disk",
        unit(MAILDIR, "store::tests::after_a_failed_write_nothing_more_is_written")),
    seed("damage-is-not-noticed", 9, "a state file with a flipped bit is believed",
        unit(MAILDIR, "store::tests::a_damaged_section_is_empty_and_adopting_until_it_was_started_afresh")),
    seed("what-left-a-clean-folder-is-no-change", 4, "a message moved during a scan, into a folder with stamps too young to prove anything, is missed in both",
        whole("model", "a_message_moved_during_the_scan_out_of_a_clean_folder_is_found_where_stamps_prove_nothing")),
    seed("last-look-is-forgotten", 4, "a message of no base that was moved during a scan is missed in both folders, and comes back as a second one",
        whole("model", "a_message_of_no_base_moved_during_the_scan_is_found")),
    seed("gone-is-deleted", 4, "a message renamed here while a run was about to delete it, and renamed elsewhere, is two messages",
        whole("model", "a_message_renamed_while_a_run_deletes_it_and_moved_elsewhere_is_one_message")),
    seed("unseen-is-put-back", 13, "a folder put back that could not be read in that run: its mail is deleted at the other host in the next",
        whole("model", "a_folder_put_back_that_could_not_be_looked_at_is_put_back_still_when_it_can_be")),
    seed("adopts-in-memory-alone", 12, "an --adopt that was cut: the ordinary run after it deletes what was to be brought back",
        whole("cut", "an_ordinary_run_after_an_adopt_that_was_cut_adopts_too")),
    seed("deals-with-notes-for-ever", 9, "the cache is lost: what was deleted since a folder was put back, months ago, returns",
        unit(MAILDIR, "run::tests::a_folder_put_back_is_dealt_with_once_whatever_becomes_of_the_cache")),
    seed("what-equals-the-base-is-durable", 1, "a message that a mail program wrote anew with the same bytes is damaged by a power cut, everywhere",
        whole("model", "bytes_written_anew_that_equal_the_base_are_durable_after_a_run")),
    seed("failed-record-stays", 9, "a base whose sync failed is believed by the next run, and a power cut takes it: deleted mail returns",
        whole("model", "a_record_of_the_base_whose_sync_failed_is_no_base_after_a_power_cut")),
    seed("newer-state-is-overwritten", 9, "an older program destroys the state of a newer one",
        unit(MAILDIR, "store::tests::a_later_version_is_neither_read_nor_overwritten")),
    seed("takes-no-state-lock", 9, "two runs at once write one base",
        unit(MAILDIR, "lock::tests::one_run_at_a_time_has_the_state_of_a_peer_and_root")),
    seed("takes-no-root-lock", 4, "two clients change one root of the server at once",
        unit(MAILDIR, "run::tests::one_run_at_a_time_changes_a_root")),
    seed("dry-run-writes", 14, "a dry run leaves traces",
        whole("options", "a_first_dry_run_makes_no_state_and_no_root")),
    seed("always-well", 14, "the exit code says that all is well when a message was left",
        unit("smd-client", "report::tests::a_left_message_is_partly_done")),

    // Reconcile.
    seed("flags-last-writer-wins", 8, "a flag set here is taken away because another was set there",
        model(FEW)),
    seed("drops-unknown-flags", 8, "what another mail program keeps in the file name is lost",
        whole("merge", "unknown_flags_and_what_follows_a_comma_are_carried_along")),
    seed("trashed-by-one-host", 8, "after a lost state a message is in the trash that only one host had trashed",
        unit(PROTOCOL, "flags::tests::without_a_base_flags_unite_but_trash_needs_both")),
    seed("delete-beats-edit", 5, "a message that was deleted here and edited there is gone with its edit",
        model(FEW)),
    seed("empty-is-an-edit", 6, "a message that a crash emptied is emptied at the other host too",
        unit(PROTOCOL, "reconcile::tests::holds::a_message_that_lost_its_bytes_gets_them_back")),
    seed("adopt-renames-the-servers", 9, "after a lost state every client renames the server's messages as it likes",
        unit(PROTOCOL, "reconcile::tests::adopt::what_has_another_uniq_is_matched_by_folder_and_content_and_follows_the_server")),
    seed("clash-keeps-one", 1, "of two messages that want one name one is gone",
        model(FEW)),
    seed("fresh-uniq-without-a-look", 4, "a message kept beside another one overwrites a third",
        unit(PROTOCOL, "reconcile::tests::clashes::a_fresh_uniq_that_holds_other_bytes_gets_a_counter")),
    seed("guesses-moves", 8, "a message gets the flags of another one with the same bytes",
        unit(PROTOCOL, "reconcile::tests::moves::an_ambiguous_move_is_copy_and_delete_and_sends_nothing")),
    seed("forgets-moved-and-edited", 3, "a run that was cut leaves two copies of a message that was moved here and edited there",
        unit(PROTOCOL, "reconcile::tests::moves::moved_here_changed_there_cut_after_our_half_is_one_message")),
    seed("adopt-doubles", 3, "after a lost state every message with another uniq is there twice",
        unit(PROTOCOL, "reconcile::tests::adopt::what_has_another_uniq_is_matched_by_folder_and_content_and_follows_the_server")),
    seed("adopt-is-over-at-once", 3, "a first sync that was cut doubles messages when it goes on",
        unit(PROTOCOL, "reconcile::tests::model::an_adopt_that_is_cut_goes_on_as_an_adopt")),
    seed("failed-step-is-forgotten", 11, "what failed once is never tried again",
        unit(PROTOCOL, "reconcile::tests::bases::a_failed_delete_is_not_forgotten")),
    seed("deleted-there-is-forgotten", 3, "a message moved on two clients and deleted at the server is there twice",
        unit(PROTOCOL, "reconcile::tests::bases::a_message_moved_here_and_deleted_there_keeps_its_entry_until_it_is_back")),
    seed("cut-run-is-no-past", 8, "a run after one that was cut takes back what its user did meanwhile",
        unit(PROTOCOL, "reconcile::tests::adopt::what_a_cut_run_took_over_is_the_past_of_what_users_do_next")),
    seed("cut-run-is-no-past-of-new-mail", 8, "a flag taken back after a run that was cut is set again on a new message",
        unit(PROTOCOL, "reconcile::tests::adopt::what_a_cut_run_took_over_is_the_past_of_what_users_do_next")),
    seed("cut-run-brought-nothing", 3, "a message that a cut run brought and a user renamed is there twice",
        whole("model", "a_message_brought_by_a_cut_run_waits_while_its_other_half_cannot_be_read")),
    seed("lost-bytes-enter-the-base", 6, "the good copy of an emptied message seems to be the change",
        unit(PROTOCOL, "reconcile::tests::bases::bytes_that_were_lost_never_enter_the_base")),
    seed("no-bulk-guard", 13, "a thousand messages removed by a slip are removed at the other host unasked",
        whole("guard", "all_of_five_is_not_too_many_and_all_of_six_is")),
    seed("trusts-any-root", 13, "a disk that is not mounted deletes all mail at the other host",
        whole("options", "a_root_that_is_missing_or_empty_or_another_directory_deletes_nothing")),
    seed("copies-without-their-delete", 3, "a move that the guard held back leaves two messages",
        unit(PROTOCOL, "reconcile::tests::holds::a_copy_waits_with_the_removal_that_matches_it")),
    seed("folders-go-before-their-mail", 13, "a folder of which the guard held the mail back is made again on the host that removed it",
        unit(PROTOCOL, "reconcile::tests::holds::a_folder_stays_while_a_delete_in_it_waits")),
    seed("pull-changes-the-server", 17, "a run that may only fetch deletes at the server",
        whole("options", "a_pull_changes_nothing_at_the_server_and_a_push_nothing_here")),

    // Hooks.
    seed("hooks-after-every-run", 10, "an indexer that renames what it finds is started by its own renames, for ever",
        whole("hooks", "an_indexer_that_renames_what_it_finds_does_not_feed_itself_for_ever")),
    seed("hooks-of-hooks", 16, "a hook that syncs starts itself for ever",
        whole("hooks", "a_hook_that_syncs_does_not_start_itself_for_ever_and_what_it_brought_is_told_later")),
    seed("pre-hook-stops-nothing", 14, "mail is synchronised although the user's own program forbade it",
        whole("hooks", "a_pre_hook_that_fails_stops_the_run_and_nothing_is_changed")),
    seed("changes-are-forgotten", 12, "after a run that was killed, an index lacks the messages that it had brought",
        whole("hooks", "what_a_killed_run_changed_is_told_after_the_next")),

    // Wire and roots.
    seed("new-bytes-are-not-told", 11, "an edited message never gets to the other host",
        model(FEW)),
    seed("frames-of-any-size", 16, "a hostile peer makes the program ask for 4 GiB of memory",
        unit(PROTOCOL, "wire::tests::lengths_over_the_cap_are_refused")),
    seed("dot-dot-is-a-folder", 15, "a hostile peer writes outside the mailbox",
        unit(PROTOCOL, "names::tests::hostile_folders_are_refused")),
    seed("root-around-our-state", 15, "a client syncs the server's own state and keys as if they were mail",
        unit("smd-server", "roots::tests::roots_inside_one_another_or_around_our_state_are_refused")),
];
