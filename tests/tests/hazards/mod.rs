//! What has cost people mail, or let somebody in, with tools of this kind: each case and what proves that ours does
//! otherwise, or why it cannot happen here.
//!
//! Each test is written as `FILE::NAME`, from the root of the repository; a test below sees to it that all of them
//! exist. A case that is shown where it is decided is not shown again through the whole programs. Deliberately not
//! here: what a peer may send that means harm, beyond the few lines below.
//!
//! # Lost and doubled mail
//!
//! * *Two runs at once*; a second start that clears what the first works with, a lock that is asked for too late: the
//!   lock comes before any state is read. `tests/tests/hazards/runs.rs::a_second_start_changes_nothing_of_the_first`,
//!   `tests/tests/two_at_once.rs::of_two_runs_at_the_same_instant_one_works_and_nothing_is_harmed_20_times`,
//!   `tests/tests/two_at_once.rs::three_clients_that_reach_one_server_at_the_same_instant_do_no_harm`.
//! * *The tree looks empty*: a disk that is not mounted, a wrong path, a symlink that leads nowhere, another disk in
//!   its place.
//!   `tests/tests/guard.rs::a_root_that_is_missing_here_stops_everything_and_has_three_ways_out`,
//!   `tests/tests/guard.rs::a_root_whose_disk_is_not_mounted_stops_everything_until_it_is_back`,
//!   `tests/tests/guard.rs::a_folder_whose_disk_is_not_mounted_here_stops_everything_however_few_messages_it_held`,
//!   `tests/tests/guard.rs::a_folder_that_became_a_symlink_keeps_its_mail_at_the_other_host`; and a limit on what one
//!   run may delete, `tests/tests/guard.rs::half_is_not_too_many_and_one_more_is`. It holds its peace where both sides
//!   are empty: `tests/tests/guard.rs::both_roots_emptied_by_their_users_trip_nothing`.
//! * *`readdir` misses or repeats a file that is renamed meanwhile*:
//!   `maildir/src/scan/tests/movement.rs::a_flag_that_changes_while_names_are_read_hides_no_message`,
//!   `maildir/src/scan/tests/movement.rs::a_folder_that_never_stands_still_only_adds`, and on a real file system, where
//!   a naive listing is seen to miss messages,
//!   `tests/tests/busy.rs::nothing_is_lost_doubled_or_revived_while_mail_programs_never_rest`.
//! * *What cannot be read counts as deleted*: `tests/tests/trouble.rs::what_may_not_be_read_is_not_gone`,
//!   `maildir/src/scan/tests/errors.rs::a_folder_that_cannot_be_opened_is_unknown_with_all_below`,
//!   `maildir/src/scan/tests/errors.rs::a_message_that_cannot_be_read_is_kept_as_it_was`.
//! * *File systems that do not tell the kind of an entry*:
//!   `maildir/src/scan/tests/changes.rs::kinds_that_readdir_does_not_tell_are_asked_for`.
//! * *Flags changed on both hosts*:
//!   `tests/tests/merge.rs::flags_changed_on_both_sides_merge_letter_by_letter_and_nothing_is_duplicated`,
//!   `protocol/src/flags.rs::each_letter_merges_by_the_side_that_changed_it`.
//! * *Moved on both, moved and deleted, taken in and flagged*: every pair of changes is a test of
//!   `protocol/src/reconcile/tests/table.rs`; through the programs
//!   `tests/tests/merge.rs::a_message_moved_on_both_sides_is_one_message_at_the_servers_place`,
//!   `tests/tests/merge.rs::a_message_deleted_here_and_moved_there_stays_at_its_new_place`.
//! * *State says that a message is there, and a crash took it*; copies straight to the final name; write errors that
//!   nobody asked for: `tests/tests/durability.rs::both_hosts_of_a_run_make_things_durable_in_order`,
//!   `models/src/memory/tests/runs.rs::a_run_cut_at_any_call_keeps_all_bytes_and_the_next_one_goes_on`,
//!   `tests/tests/kill.rs::a_client_killed_before_any_call_that_changes_a_name_costs_nothing`,
//!   `maildir/src/apply/tests/sources.rs::after_a_failed_sync_nothing_is_installed`.
//! * *A state file of zeros, or cut*:
//!   `tests/tests/hazards/runs.rs::state_full_of_zeros_or_cut_is_damage_and_never_an_empty_mailbox`,
//!   `maildir/src/store/tests.rs::no_damage_panics_or_passes_for_another_base`.
//! * *State that goes ahead of the mail*:
//!   `protocol/src/reconcile/tests/bases.rs::a_failed_put_does_not_become_a_delete`,
//!   `protocol/src/reconcile/tests/bases.rs::a_failed_delete_is_not_forgotten`,
//!   `tests/tests/trouble.rs::a_full_disk_under_the_state_ends_the_run_and_nothing_is_lost`.
//! * *A source removed before its target is safe*: rule 2 of `tests/tests/durability.rs`,
//!   `maildir/src/apply/tests/races.rs::a_move_between_file_systems_copies_first`.
//! * *An interrupted first run starts over*: `tests/tests/hazards/runs.rs::an_interrupted_first_run_goes_on`,
//!   `protocol/src/reconcile/tests/model.rs::an_adopt_that_is_cut_goes_on_as_an_adopt`.
//! * *Coarse stamps, clocks that step or disagree*:
//!   `maildir/src/scan/stamps.rs::a_stamp_of_the_same_tick_proves_nothing`,
//!   `maildir/src/scan/stamps.rs::a_stamp_of_the_future_proves_nothing`,
//!   `models/src/model/tests/disks.rs::a_file_with_all_stamps_of_one_that_is_gone_is_read`. The clocks of two hosts are never
//!   compared: no message of the wire carries the time of day.
//! * *Times of messages*: `tests/tests/hazards/messages.rs::mtimes_arrive_to_the_nanosecond_whatever_the_year`.
//! * *An edit in place under the same mtime*:
//!   `maildir/src/scan/tests/quick.rs::an_edit_that_keeps_size_and_mtime_is_found_by_its_ctime`,
//!   `tests/tests/hazards/messages.rs::an_edit_that_keeps_size_and_mtime_arrives`; under no new stamp at all,
//!   `tests/tests/verify.rs::bytes_that_changed_behind_every_stamp_are_found`.
//! * *NFS*: its left-over names (`.nfs…`) begin with a dot and are no messages, as in
//!   `tests/tests/options.rs::files_that_are_no_messages_are_left_alone`; ESTALE is an error like any other and no
//!   absence; stamps prove nothing there, `maildir/src/scan/tests/quick.rs::untrusted_file_systems_are_always_listed`;
//!   a file system without `flock` is told from one that fails,
//!   `maildir/src/lock.rs::only_a_missing_flock_counts_as_unsupported`. No test mounts a real one.
//! * *The colon in names* (exFAT, Windows, Android): one spelling alone is read and written, so two cannot coexist;
//!   where a colon cannot be written a first run sends nothing, and a later step fails and is reported; a name that reads
//!   back otherwise is undone,
//!   `maildir/src/apply/tests/races.rs::a_name_that_reads_back_otherwise_is_undone`.
//! * *Case and normalisation of names* (also macOS, on which these programs do not run):
//!   `maildir/src/apply/tests/tree.rs::a_folder_under_another_spelling_is_not_made`.
//! * *Long names*: `tests/tests/hazards/names.rs::a_name_without_room_for_the_merged_flags_is_reported_and_never_cut`.
//! * *Newlines and odd bytes in names*: no line of text is parsed, names travel with their length.
//!   `tests/tests/everything.rs::everything_that_users_do_to_5000_messages_arrives_over_a_real_sshd`,
//!   `maildir/src/scan/tests/changes.rs::names_are_bytes`,
//!   `protocol/src/told.rs::what_a_terminal_obeys_or_an_eye_misses_is_escaped`.
//! * *Symlinks*, also in a ring:
//!   `tests/tests/hazards/names.rs::symlinks_in_a_ring_are_not_followed_and_nothing_goes_through_them`; nor left out in silence,
//!   `tests/tests/hazards/names.rs::symlinks_are_said_once_by_every_run_and_what_is_equal_is_so_but_for_them`.
//! * *What lies too deep, or has too long a path, is passed over*:
//!   `tests/tests/hazards/names.rs::a_tree_is_synchronised_however_deep_and_wide_it_is_with_few_descriptors`,
//!   `tests/tests/hazards/names.rs::a_path_that_no_program_can_name_is_said_and_what_went_there_is_not_gone`.
//! * *A wrong path finds nothing, and all is well*:
//!   `tests/tests/hazards/names.rs::a_root_that_is_a_part_of_a_maildir_is_refused_with_the_right_path`.
//! * *Empty mail, CRLF, no blank line, no header, one byte*:
//!   `tests/tests/hazards/messages.rs::crlf_mail_and_mail_without_a_blank_line_arrive_identical`,
//!   `tests/tests/hazards/messages.rs::a_message_that_loses_its_blank_line_stays_and_its_new_bytes_arrive`,
//!   `protocol/src/digest.rs::the_header_ends_after_the_first_empty_line`. A message that *became* empty is damage,
//!   `tests/tests/merge.rs::a_message_that_became_empty_is_given_back_its_bytes`.
//! * *A new header breaks the body*:
//!   `tests/tests/hazards/messages.rs::a_header_edit_leaves_a_body_of_any_bytes_alone_and_does_not_send_it`.
//! * *`rename` overwrites*: rule 1 of `tests/tests/durability.rs`,
//!   `maildir/src/apply/tests/races.rs::a_target_that_appears_while_we_install_is_not_overwritten`,
//!   `maildir/src/apply/tests/races.rs::without_noreplace_names_are_linked_and_still_not_replaced`.
//! * *The same mail twice in a folder, one Message-ID*: no Message-ID is ever read.
//!   `tests/tests/hazards/messages.rs::equal_messages_stay_as_many_as_they_are`,
//!   `protocol/src/reconcile/tests/model.rs::equal_messages_are_not_multiplied`.
//! * *Two messages of one name in a folder*: the second gets another by a step, not by a look:
//!   `tests/tests/hazards/messages.rs::the_second_of_two_messages_of_one_name_gets_one_by_a_step_that_is_shown_and_logged`,
//!   `tests/tests/hazards/messages.rs::a_run_that_may_not_change_a_host_leaves_out_its_second_message_of_one_name_and_says_so`.
//! * *Names change on their way*: `tests/tests/hazards/messages.rs::a_name_arrives_as_it_is_spelled_where_it_is_free`.
//! * *A digest that is trusted too far*, a body taken from any copy:
//!   `maildir/src/apply/tests/sources.rs::a_copy_whose_source_is_gone_or_differs_asks_for_the_bytes`,
//!   `maildir/src/apply/tests/sources.rs::bytes_that_are_not_those_announced_are_not_installed`,
//!   `tests/tests/hazards/messages.rs::equal_bodies_under_other_headers_and_equal_headers_over_other_bodies_stay_apart`.
//! * *One name in two folders*:
//!   `tests/tests/hazards/messages.rs::one_name_in_two_folders_is_two_messages_also_when_they_change_places`.
//! * *A full disk*: `tests/tests/trouble.rs::a_full_disk_under_a_root_costs_nothing_and_the_rest_is_done`,
//!   `tests/tests/trouble.rs::a_message_is_not_deleted_when_there_is_no_room_for_the_line_in_the_index_of_the_grave`.
//! * *Folders that are renamed or removed*:
//!   `tests/tests/hazards/names.rs::folders_that_change_names_places_and_depth_keep_their_mail_and_send_none_of_it`,
//!   `maildir/src/apply/tests/tree.rs::sub_folders_stay_when_a_folder_is_removed`,
//!   `maildir/src/apply/tests/tree.rs::a_folder_with_anything_unknown_stays_whole`.
//! * *Mail that arrives or changes while a run is at work*:
//!   `tests/tests/busy.rs::nothing_is_lost_doubled_or_revived_while_mail_programs_never_rest`,
//!   `maildir/src/apply/tests/checks.rs::a_message_edited_since_the_scan_is_neither_replaced_nor_deleted`,
//!   `maildir/src/apply/tests/races.rs::a_message_whose_flags_change_in_the_last_moment_keeps_them`.
//! * *Deleted mail comes back*: after a lost state it may, and is named,
//!   `tests/tests/lost_state.rs::mail_deleted_at_one_host_since_its_state_was_lost_may_return_and_is_listed`; else it
//!   does not, `models/src/model/tests/mod.rs::no_sequence_of_users_runs_and_faults_breaks_a_promise`.
//! * *Folder names in UTF-7 and UTF-8*: names are bytes; what a translator makes of them is translated back, and two
//!   folders that become one are refused: `client/src/translate/tests.rs::hostile_programs_give_errors`,
//!   `tests/tests/translate.rs::a_folder_without_a_name_ends_the_run_before_anything_changes_on_either_host`.
//! * *Huge folders*: `protocol/src/reconcile/tests/size.rs::every_message_moved_is_planned_in_no_time`,
//!   `protocol/src/reconcile/tests/size.rs::many_equal_messages_are_planned_in_no_time`,
//!   `maildir/src/scan/tests/quick.rs::one_new_message_costs_one_listing_and_one_read`.
//! * *A lock that outlives its process*: locks are the kernel's, no file means anything.
//!   `tests/tests/kill.rs::a_client_or_server_or_ssh_killed_at_random_costs_nothing`.
//! * *A dry run that writes*:
//!   `tests/tests/options.rs::a_dry_run_says_what_it_would_do_names_the_deletions_and_touches_nothing`,
//!   `tests/tests/options.rs::a_first_dry_run_makes_no_state_and_no_root`.
//! * *Another version at the other end*: `protocol/src/wire.rs::versions_meet_or_say_so`,
//!   `maildir/src/store/tests.rs::a_later_version_is_neither_read_nor_overwritten`.
//! * *A peer that means harm*: `protocol/src/names.rs::hostile_folders_are_refused`,
//!   `protocol/src/codec.rs::a_claimed_length_beyond_the_cap_is_refused_before_allocating`,
//!   `server/src/link/reader.rs::a_frame_cut_at_every_byte_is_an_error_and_never_a_frame`,
//!   `server/src/roots.rs::roots_inside_one_another_or_around_our_state_are_refused`. A test program that plays such a
//!   peer is still to come.
//!
//! # What the predecessor did
//!
//! 1. *A second start wiped the work area of the running one, which then saw an empty tree*: there is no work area;
//!    "two runs at once" above.
//! 2. *The lock was a number in a file*: "a lock that outlives its process" above.
//! 3. *Errors became deletions*: "what cannot be read counts as deleted", "file systems that do not tell", "the tree
//!    looks empty".
//! 4. *CRLF mail was never synced, mail that lost its blank line was deleted*: "empty mail, CRLF" above.
//! 5. *Flags changed on both hosts made two messages*: "flags changed on both hosts" above.
//! 6. *Nothing was synced to the disk, write errors were ignored*: "state says that a message is there" above.
//! 7. *No mtimes, whole seconds, clock steps*: "coarse stamps" and "times of messages" above.
//! 8. *SHA-1, and bodies trusted alone*: digests are BLAKE3 of header and body together; "a digest that is trusted too
//!    far" above.
//! 9. *New headers rewrote the body by lines*: "a new header breaks the body" above.
//! 10. *A restricted shell that looked at the first word; names pasted into shell commands; newlines that became
//!     protocol*: there is no restricted shell yet, `server/src/roots.rs` is where its limits will be asked; and no
//!     shell between us and ssh.
//!     `tests/tests/hazards/names.rs::a_server_that_is_given_any_argument_says_so_and_does_nothing`,
//!     `tests/tests/hazards/names.rs::names_that_a_shell_would_obey_are_only_names`,
//!     `tests/tests/config.rs::an_error_in_a_config_names_file_and_line_and_runs_nothing`,
//!     `client/src/address.rs::what_ssh_would_take_for_an_option_is_refused`,
//!     `tests/tests/ssh.rs::a_key_restricted_to_the_server_is_enough_for_pull_push_and_sync`.
//! 11. *State files that differ were to be removed by hand*:
//!     `tests/tests/lost_state.rs::without_any_state_the_next_run_adopts_and_transfers_nothing`,
//!     `tests/tests/lost_state.rs::a_damaged_base_adopts_and_needs_no_person`,
//!     `maildir/src/run/tests.rs::hosts_that_differ_read_everything_and_if_that_does_not_help_adopt`.
//! 12. *One conflict stopped everything*: `tests/tests/hazards/runs.rs::a_conflict_stops_nothing_and_asks_nobody`.
//! 13. *An interrupted first run began again*: above.
//! 14. *A dry run of 97,450 lines*:
//!     `tests/tests/hazards/runs.rs::a_dry_run_of_thousands_of_messages_fits_a_screen_and_shows_each_deletion`.
//! 15. *Excludes that nobody got right*:
//!     `tests/tests/hazards/names.rs::an_exclude_with_a_space_an_ampersand_and_a_percent_sign_excludes`,
//!     `maildir/src/exclude/tests.rs::a_path_as_configured_excludes_that_folder_and_what_is_below`.
//! 16. *The inbox of Maildir++ translated wrongly*: the root is a folder like the others
//!     with an empty path, `maildir/src/scan/tests/changes.rs::a_first_scan_finds_every_message_of_both_layouts`, and has a
//!     name of its own in the modes that call it so,
//!     `tests/tests/translate.rs::every_change_arrives_under_the_other_name_and_then_nothing_is_left_to_do`.

mod messages;
mod named;
mod names;
mod runs;
