//! Random sequences of users, runs, faults and crashes on disks in memory (`smd_tests::model`), and the cases that once
//! broke a promise.
//!
//! `SMD_MODEL_SEQUENCES` sets how many sequences are played, `SMD_TEST_SEED` the first; `cargo run -p smd-tests --bin
//! soak` plays for a given time. Deliberately not here: real processes and disks (`kill`, `busy`, `trouble`).

use smd_tests::figures;
use smd_tests::model::Figures;
use smd_tests::model::act::{Act, Case, Event, Fault, Habit, Mishap, Way};
use smd_tests::model::many::{catch_panics, many, play_safely, report};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("it is a number"))
}

#[test]
fn no_sequence_of_users_runs_and_faults_breaks_a_promise() {
    catch_panics();
    let wanted = number("SMD_MODEL_SEQUENCES", 20_000);
    let enough = |tried: &Figures| tried.sequences >= wanted;
    let (tried, failures) = many(number("SMD_TEST_SEED", 1), enough, |report| eprintln!("{report}"));
    assert_eq!(failures, 0, "reports are above");
    figures::note(&format!(
        "sequences: {}, sessions: {}, faults: {}, looks between calls: {}",
        tried.sequences, tried.runs, tried.faults, tried.looks
    ));
}

/// A case that once failed.
#[track_caller]
fn kept(case: &Case) {
    if let Err(broken) = play_safely(case) {
        panic!("{}", report(case, &broken));
    }
}

fn run(way: Way, mishap: Mishap) -> Event {
    Event::Run { client: 0, way, keep: false, dry: false, depth: 0, mishap }
}

#[test]
fn a_file_with_all_stamps_of_one_that_is_gone_is_read() {
    // Two seconds of one stamp, no birth times, inodes used again: the new message had everything of the edited one.
    kept(&Case {
        seed: 991,
        clients: 2,
        habit: Habit::Named,
        disk: 5,
        events: vec![
            Event::User(2, Act::Deliver(169, 200, 144, 110), true),
            run(Way::Pull, Mishap::User(0, 36, Act::Deliver(12, 77, 147, 125))),
            Event::Settle(0),
            Event::User(2, Act::EditHeader(253, 237), true),
            Event::User(2, Act::Deliver(166, 1, 194, 203), true),
        ],
    });
}

#[test]
fn a_message_renamed_after_a_cut_run_is_there_once() {
    kept(&Case {
        seed: 5947,
        clients: 1,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(3, Act::Deliver(134, 115, 226, 146), true),
            Event::User(3, Act::Deliver(45, 53, 216, 129), true),
            run(Way::Sync, Mishap::None),
            Event::User(3, Act::Deliver(33, 19, 110, 9), true),
            Event::Settle(0),
            Event::User(1, Act::Flag(220, 225), true),
            run(Way::Push, Mishap::User(1, 182, Act::Deliver(42, 181, 55, 147))),
            run(Way::Sync, Mishap::Fault(1, Fault::Crash(1092))),
            Event::User(1, Act::Rename(143, 44), true),
        ],
    });
}

#[test]
fn a_batch_that_was_given_up_is_not_installed_again() {
    kept(&Case {
        seed: 5534,
        clients: 1,
        habit: Habit::Few,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(1, 171, 3, 39), true),
            Event::User(1, Act::Deliver(18, 13, 222, 99), true),
            Event::User(1, Act::MoveAnew(198, 146, 227), true),
            Event::Crash(1),
            Event::Settle(0),
            Event::User(0, Act::RemoveFolder(199), true),
            Event::User(0, Act::Copy(139, 125, 95), true),
            run(Way::Sync, Mishap::Fault(0, Fault::Once(627, 32))),
        ],
    });
}

#[test]
fn a_folder_removed_while_it_is_listed_again_is_gone_for_the_next_run() {
    kept(&Case {
        seed: 808_047,
        clients: 1,
        habit: Habit::Few,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(226, 116, 114, 47), true),
            Event::Wait(15),
            Event::Settle(0),
            Event::User(0, Act::Delete(74), true),
            run(Way::Sync, Mishap::Listing(0, 8, Act::RemoveFolder(151))),
        ],
    });
}

#[test]
fn a_message_that_moves_into_a_folder_of_the_same_tick_is_not_gone() {
    kept(&Case {
        seed: 2935,
        clients: 1,
        habit: Habit::Tidy,
        disk: 3,
        events: vec![
            Event::User(1, Act::Deliver(182, 130, 72, 158), true),
            run(Way::Sync, Mishap::Both(Fault::Once(545, 33), Fault::Kill(877))),
            Event::User(1, Act::Rename(197, 207), true),
            Event::Run {
                client: 0,
                way: Way::Sync,
                keep: false,
                dry: false,
                depth: 1,
                mishap: Mishap::User(1, 152, Act::Move(78, 252)),
            },
        ],
    });
}

#[test]
fn older_bytes_put_back_from_a_backup_replace_nothing() {
    kept(&Case {
        seed: 800_676,
        clients: 1,
        habit: Habit::Named,
        disk: 0,
        events: vec![
            Event::User(0, Act::Deliver(124, 111, 223, 112), true),
            run(Way::Sync, Mishap::None),
            Event::Keep(1),
            Event::User(0, Act::Replace(137, 35, 167), true),
            run(Way::Sync, Mishap::None),
            Event::RestoreTree(1),
        ],
    });
}

#[test]
fn a_message_redelivered_with_the_inode_of_the_old_one_is_read() {
    kept(&Case {
        seed: 1_017_620,
        clients: 1,
        habit: Habit::Few,
        disk: 3,
        events: vec![
            Event::User(1, Act::Deliver(98, 143, 145, 174), true),
            Event::Wait(241),
            Event::User(1, Act::MoveAnew(8, 36, 130), true),
            Event::User(1, Act::Deliver(42, 234, 231, 83), true),
            Event::Settle(0),
            Event::User(2, Act::Delete(178), true),
            Event::User(2, Act::Delete(15), true),
            Event::User(2, Act::Deliver(173, 99, 220, 140), true),
            Event::User(2, Act::Deliver(6, 22, 152, 39), true),
            Event::Settle(0),
        ],
    });
}

#[test]
fn a_message_that_a_user_did_not_sync_and_a_step_renamed_survives_a_crash() {
    let sync = || run(Way::Sync, Mishap::None);
    kept(&Case {
        seed: 1_022_745,
        clients: 1,
        habit: Habit::Named,
        disk: 5,
        events: vec![
            Event::User(1, Act::Deliver(253, 232, 28, 33), true),
            sync(),
            sync(),
            Event::Settle(0),
            Event::User(1, Act::Deliver(118, 131, 205, 93), true),
            sync(),
            Event::User(0, Act::Deliver(166, 159, 188, 133), true),
            Event::User(1, Act::Copy(171, 118, 236), false),
            sync(),
            sync(),
            Event::Settle(0),
            Event::Run {
                client: 0,
                way: Way::Push,
                keep: true,
                dry: false,
                depth: 0,
                mishap: Mishap::Both(Fault::Crash(771), Fault::Kill(519)),
            },
        ],
    });
}

#[test]
fn a_message_renamed_after_a_failed_sync_is_there_once() {
    kept(&Case {
        seed: 1_025_195,
        clients: 1,
        habit: Habit::Tidy,
        disk: 5,
        events: vec![
            Event::User(0, Act::Deliver(113, 120, 182, 232), true),
            Event::User(0, Act::Deliver(121, 27, 143, 124), true),
            Event::Run {
                client: 0,
                way: Way::Sync,
                keep: false,
                dry: true,
                depth: 1,
                mishap: Mishap::Fault(0, Fault::Once(649, 125)),
            },
            Event::User(0, Act::Rename(120, 192), true),
        ],
    });
}

#[test]
fn a_message_that_a_user_gives_the_name_of_its_copy_is_one_message() {
    kept(&Case {
        seed: 1_026_090,
        clients: 1,
        habit: Habit::Few,
        disk: 7,
        events: vec![
            Event::User(0, Act::Deliver(14, 75, 172, 239), true),
            Event::Run {
                client: 1,
                way: Way::Pull,
                keep: false,
                dry: true,
                depth: 1,
                mishap: Mishap::Listing(1, 5, Act::MoveAnew(161, 189, 90)),
            },
            Event::User(0, Act::Flag(194, 19), true),
            Event::User(0, Act::Rename(171, 198), true),
            Event::User(0, Act::Move(52, 226), true),
            Event::User(0, Act::HardLink(33, 162, 252), true),
            Event::Run {
                client: 1,
                way: Way::Sync,
                keep: false,
                dry: false,
                depth: 0,
                mishap: Mishap::Listing(0, 11, Act::MoveAnew(203, 124, 71)),
            },
        ],
    });
}

#[test]
fn a_message_moved_during_the_second_listing_of_unproven_folders_is_one() {
    kept(&Case {
        seed: 3_000_213,
        clients: 1,
        habit: Habit::Tidy,
        disk: 4,
        events: vec![
            Event::User(0, Act::Deliver(129, 238, 102, 154), true),
            Event::User(0, Act::MakeFolder(145), true),
            run(Way::Pull, Mishap::None),
            Event::User(0, Act::MoveAnew(139, 39, 85), true),
            Event::User(1, Act::Rename(55, 58), true),
            Event::Run {
                client: 0,
                way: Way::Pull,
                keep: true,
                dry: false,
                depth: 0,
                mishap: Mishap::Listing(0, 11, Act::Move(40, 116)),
            },
        ],
    });
}

#[test]
fn a_state_directory_that_a_killed_run_made_survives_a_crash() {
    kept(&Case {
        seed: 10_001_162,
        clients: 1,
        habit: Habit::Tidy,
        disk: 6,
        events: vec![
            Event::User(0, Act::Deliver(19, 243, 58, 201), true),
            run(Way::Push, Mishap::Fault(0, Fault::Kill(38))),
            Event::Settle(0),
            Event::Crash(3),
            Event::User(0, Act::Delete(236), true),
            Event::Settle(0),
        ],
    });
}

#[test]
fn a_message_brought_by_a_cut_run_waits_while_its_other_half_cannot_be_read() {
    // The run is cut between its steps and its commit.
    for at in 890..930 {
        kept(&Case {
            seed: 20_082_416,
            clients: 1,
            habit: Habit::Tidy,
            disk: 0,
            events: vec![
                Event::User(1, Act::Deliver(30, 211, 161, 91), true),
                Event::Settle(0),
                Event::User(1, Act::Deliver(115, 152, 221, 253), true),
                Event::Wait(78),
                Event::Run {
                    client: 0,
                    way: Way::Push,
                    keep: false,
                    dry: false,
                    depth: 1,
                    mishap: Mishap::Fault(0, Fault::Crash(at)),
                },
                Event::User(1, Act::Rename(240, 245), true),
                run(Way::Pull, Mishap::Fault(0, Fault::Once(509, 176))),
                Event::Settle(0),
            ],
        });
    }
}

#[test]
fn a_message_moved_on_two_clients_and_deleted_at_the_server_is_one_message() {
    let sync = |client, way| Event::Run { client, way, keep: false, dry: false, depth: 0, mishap: Mishap::None };
    kept(&Case {
        seed: 20_085_270,
        clients: 2,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(228, 117, 33, 242), true),
            sync(0, Way::Sync),
            Event::User(1, Act::Move(186, 155), true),
            sync(1, Way::Sync),
            Event::User(2, Act::MoveAnew(69, 25, 39), true),
            Event::User(0, Act::Delete(198), true),
            sync(1, Way::Pull),
            Event::Settle(0),
        ],
    });
}

#[test]
fn a_record_of_the_base_whose_sync_failed_is_no_base_after_a_power_cut() {
    // Which call fails is in thousandths of a run's calls; these are those of the record and of what comes after it.
    let failing = |at| Event::Run {
        client: 0,
        way: Way::Sync,
        keep: false,
        dry: false,
        depth: 1,
        mishap: Mishap::Fault(1, Fault::Once(at, 62)),
    };
    let crashing = Event::Run {
        client: 0,
        way: Way::Sync,
        keep: false,
        dry: false,
        depth: 1,
        mishap: Mishap::Fault(1, Fault::Crash(845)),
    };
    for at in 1035..1065 {
        kept(&Case {
            seed: 30_032_896,
            clients: 1,
            habit: Habit::Named,
            disk: 0,
            events: vec![
                run(Way::Pull, Mishap::None),
                Event::User(1, Act::Deliver(152, 190, 122, 80), true),
                Event::User(1, Act::Delete(227), true),
                Event::Settle(0),
                Event::User(1, Act::Deliver(110, 235, 166, 190), true),
                Event::User(1, Act::Deliver(147, 197, 32, 177), true),
                Event::User(1, Act::MoveAnew(105, 95, 63), true),
                failing(at),
                run(Way::Pull, Mishap::None),
                Event::User(1, Act::Delete(101), true),
                crashing,
            ],
        });
    }
}

#[test]
fn a_message_that_only_the_first_round_of_a_look_met_is_looked_for() {
    kept(&Case {
        seed: 30_035_857,
        clients: 1,
        habit: Habit::Tidy,
        disk: 4,
        events: vec![
            Event::User(1, Act::Deliver(136, 66, 225, 81), true),
            Event::Run {
                client: 0,
                way: Way::Sync,
                keep: true,
                dry: true,
                depth: 0,
                mishap: Mishap::Fault(1, Fault::Once(678, 111)),
            },
            run(Way::Sync, Mishap::Listing(0, 9, Act::MoveAnew(77, 21, 1))),
        ],
    });
}

#[test]
fn what_a_cut_first_run_brought_waits_while_its_other_half_cannot_be_read() {
    let event = |way, depth, mishap| Event::Run { client: 0, way, keep: false, dry: false, depth, mishap };
    kept(&Case {
        seed: 40_014_962,
        clients: 1,
        habit: Habit::Tidy,
        disk: 6,
        events: vec![
            Event::User(0, Act::Deliver(76, 76, 49, 66), true),
            Event::User(0, Act::Move(84, 57), true),
            event(Way::Sync, 0, Mishap::Both(Fault::Crash(775), Fault::ThenCrash(382, 252))),
            Event::User(1, Act::Rename(244, 108), true),
            event(Way::Push, 1, Mishap::Fault(1, Fault::Once(194, 167))),
        ],
    });
}

#[test]
fn a_message_edited_there_that_both_users_move_after_a_cut_run_is_one_message() {
    let event = |way, mishap| Event::Run { client: 1, way, keep: false, dry: false, depth: 0, mishap };
    kept(&Case {
        seed: 40_031_721,
        clients: 2,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(3, 29, 168, 151), true),
            Event::Settle(0),
            Event::User(0, Act::EditHeader(243, 144), true),
            event(Way::Pull, Mishap::Fault(0, Fault::Forever(990, 74))),
            Event::User(2, Act::Rename(255, 131), true),
            Event::User(0, Act::Move(18, 137), true),
            Event::Settle(0),
        ],
    });
}

#[test]
fn bytes_written_anew_that_equal_the_base_are_durable_after_a_run() {
    // Soak 60026550; and where file by file is synced.
    for (disk, seed) in [0, 6].into_iter().flat_map(|disk| (0..20).map(move |seed| (disk, 60_026_550 + seed))) {
        kept(&Case {
            seed,
            clients: 1,
            habit: Habit::Tidy,
            disk,
            events: vec![
                Event::User(0, Act::Deliver(4, 184, 23, 214), true),
                Event::Settle(0),
                Event::User(1, Act::EditHeader(148, 174), true),
                Event::User(1, Act::EditHeader(127, 112), false),
                run(Way::Push, Mishap::None),
                Event::Crash(1),
                Event::Settle(0),
            ],
        });
    }
}

#[test]
fn a_folder_put_back_that_could_not_be_looked_at_is_put_back_still_when_it_can_be() {
    kept(&Case {
        seed: 80_088_737,
        clients: 2,
        habit: Habit::Named,
        disk: 0,
        events: vec![
            Event::User(2, Act::Deliver(163, 161, 85, 112), true),
            Event::User(2, Act::Move(125, 146), true),
            Event::Settle(0),
            Event::User(1, Act::Delete(91), true),
            Event::Keep(2),
            Event::User(1, Act::Deliver(106, 111, 156, 232), true),
            Event::Settle(0),
            Event::RestoreTree(2),
            Event::Run {
                client: 1,
                way: Way::Sync,
                keep: false,
                dry: false,
                depth: 0,
                mishap: Mishap::Fault(0, Fault::Once(963, 76)),
            },
        ],
    });
}

#[test]
fn a_folder_renamed_on_both_hosts_and_back_again_during_a_look_is_one_folder() {
    kept(&Case {
        seed: 140_059_398,
        clients: 1,
        habit: Habit::Named,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(34, 198, 118, 110), true),
            Event::User(0, Act::Deliver(69, 229, 246, 139), true),
            Event::User(0, Act::Deliver(133, 173, 145, 217), true),
            Event::Run {
                client: 0,
                way: Way::Sync,
                keep: false,
                dry: false,
                depth: 0,
                mishap: Mishap::Listing(1, 0, Act::Flag(120, 45)),
            },
            Event::RenameBoth(0, 82, 20),
            Event::Run {
                client: 0,
                way: Way::Pull,
                keep: false,
                dry: false,
                depth: 1,
                mishap: Mishap::User(1, 242, Act::RenameFolder(170, 37)),
            },
        ],
    });
}

#[test]
fn a_folder_put_back_that_could_not_be_listed_is_put_back_still_when_a_step_made_its_stamps_new() {
    kept(&Case {
        seed: 140_074_822,
        clients: 1,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(210, 47, 8, 253), true),
            Event::Keep(1),
            Event::User(0, Act::Deliver(200, 105, 4, 107), true),
            Event::User(1, Act::Deliver(48, 33, 55, 134), true),
            Event::Settle(206),
            Event::User(0, Act::See(244), true),
            Event::RestoreTree(1),
            Event::Run {
                client: 0,
                way: Way::Sync,
                keep: false,
                dry: false,
                depth: 2,
                mishap: Mishap::Fault(0, Fault::Once(602, 225)),
            },
        ],
    });
}

#[test]
fn a_folder_put_back_is_put_back_still_after_a_run_that_could_not_read_the_cache() {
    // All moments of the fault about the one that once broke it: the run does not always make as many calls.
    for fault in 90..150 {
        kept(&Case {
            seed: 555_080_671,
            clients: 1,
            habit: Habit::Tidy,
            disk: 0,
            events: vec![
                Event::Keep(0),
                Event::User(1, Act::Deliver(99, 188, 176, 122), true),
                Event::Settle(0),
                Event::RestoreTree(0),
                Event::Run {
                    client: 0,
                    way: Way::Push,
                    keep: false,
                    dry: false,
                    depth: 2,
                    mishap: Mishap::Fault(1, Fault::Once(fault, 38)),
                },
            ],
        });
    }
}

#[test]
fn a_folder_that_cannot_go_in_a_push_is_made_again_by_the_pull() {
    kept(&Case {
        seed: 140_114_396,
        clients: 2,
        habit: Habit::Named,
        disk: 0,
        events: vec![
            Event::Settle(0),
            Event::User(2, Act::Deliver(107, 249, 175, 132), true),
            Event::Wait(242),
            Event::Run {
                client: 1,
                way: Way::Push,
                keep: false,
                dry: false,
                depth: 0,
                mishap: Mishap::Both(Fault::Once(962, 18), Fault::Crash(763)),
            },
            Event::User(2, Act::Move(164, 168), true),
            Event::Settle(0),
            Event::User(1, Act::RenameFolder(194, 100), true),
            Event::Settle(86),
        ],
    });
}

#[test]
fn a_message_of_a_run_that_was_cut_and_that_moves_during_the_next_look_is_one_message() {
    kept(&Case {
        seed: 150_029_784,
        clients: 1,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(202, 204, 19, 124), true),
            Event::Settle(0),
            Event::User(1, Act::Deliver(182, 254, 236, 6), true),
            Event::Run {
                client: 0,
                way: Way::Push,
                keep: false,
                dry: false,
                depth: 1,
                mishap: Mishap::Fault(1, Fault::Forever(1043, 155)),
            },
            Event::Run {
                client: 0,
                way: Way::Push,
                keep: false,
                dry: true,
                depth: 1,
                mishap: Mishap::Listing(1, 6, Act::Move(41, 78)),
            },
        ],
    });
}

#[test]
fn a_message_that_takes_the_place_of_one_whose_bytes_a_cut_run_brought_is_not_lost() {
    kept(&Case {
        seed: 191_020_538,
        clients: 1,
        habit: Habit::Few,
        disk: 0,
        events: vec![
            Event::Wait(245),
            Event::User(0, Act::Deliver(101, 217, 18, 196), true),
            Event::User(0, Act::Deliver(13, 243, 51, 155), true),
            Event::Settle(0),
            Event::User(0, Act::Swap(93, 142), true),
            Event::User(0, Act::Move(25, 244), true),
            Event::Wait(202),
            Event::Run {
                client: 0,
                way: Way::Pull,
                keep: false,
                dry: false,
                depth: 0,
                mishap: Mishap::Fault(1, Fault::Forever(787, 18)),
            },
            Event::User(0, Act::MoveAnew(9, 84, 164), true),
            Event::User(0, Act::EditHeader(25, 146), true),
        ],
    });
}

#[test]
fn mail_that_a_pull_only_read_is_durable_before_its_digest_is_remembered() {
    // All moments of the crash: the run does not always make as many calls.
    for crash in (0..1000).step_by(25) {
        kept(&Case {
            seed: 194_225_645,
            clients: 1,
            habit: Habit::Tidy,
            disk: 4,
            events: vec![
                Event::Settle(0),
                Event::User(1, Act::Deliver(173, 232, 88, 198), false),
                Event::Wait(91),
                run(Way::Pull, Mishap::None),
                run(Way::Sync, Mishap::Fault(0, Fault::Crash(crash))),
            ],
        });
    }
}

#[test]
fn a_rename_that_two_runs_of_one_direction_take_in_after_a_cut_one_leaves_no_copy() {
    // All moments of the fault: the run does not always make as many calls.
    for fault in (0..1000).step_by(25).chain([816]) {
        kept(&Case {
            seed: 195_010_613,
            clients: 1,
            habit: Habit::Few,
            disk: 0,
            events: vec![
                Event::User(0, Act::Deliver(29, 108, 195, 60), true),
                Event::User(0, Act::Copy(248, 9, 14), true),
                Event::Settle(0),
                Event::User(0, Act::MakeFolder(217), true),
                Event::User(1, Act::Delete(68), true),
                run(Way::Sync, Mishap::None),
                Event::User(1, Act::Deliver(255, 156, 19, 125), true),
                Event::User(0, Act::Rename(24, 184), true),
                Event::User(1, Act::Copy(158, 95, 219), true),
                run(Way::Push, Mishap::Fault(0, Fault::Once(fault, 156))),
                Event::Settle(8),
            ],
        });
    }
}

#[test]
fn a_message_that_moves_to_a_name_under_which_a_backup_has_another_is_not_lost() {
    kept(&Case {
        seed: 196_017_165,
        clients: 1,
        habit: Habit::Few,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(7, 11, 5, 85), true),
            Event::Keep(1),
            run(Way::Push, Mishap::None),
            Event::User(1, Act::Deliver(164, 62, 85, 63), true),
            Event::User(0, Act::Delete(153), true),
            Event::Settle(0),
            Event::User(0, Act::MoveAnew(153, 163, 67), true),
            Event::RestoreTree(1),
        ],
    });
}

#[test]
fn a_message_that_moves_to_a_name_under_which_a_backup_has_its_older_header_is_not_lost() {
    kept(&Case {
        seed: 198_044_397,
        clients: 1,
        habit: Habit::Few,
        disk: 0,
        events: vec![
            Event::User(0, Act::Deliver(49, 189, 54, 142), true),
            Event::User(0, Act::MoveAnew(66, 91, 202), true),
            Event::Settle(0),
            Event::User(0, Act::EditHeader(74, 20), true),
            Event::User(0, Act::MoveAnew(58, 188, 46), true),
            Event::Keep(1),
            run(Way::Sync, Mishap::None),
            Event::User(0, Act::MoveAnew(253, 124, 50), true),
            Event::RestoreTree(1),
        ],
    });
}

#[test]
fn a_message_renamed_while_a_run_deletes_it_and_moved_elsewhere_is_one_message() {
    kept(&Case {
        seed: 90_037_236,
        clients: 2,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(2, Act::Deliver(195, 198, 164, 219), true),
            Event::Settle(0),
            Event::User(0, Act::Delete(84), true),
            Event::User(1, Act::MoveAnew(13, 43, 144), true),
            Event::Run {
                client: 1,
                way: Way::Sync,
                keep: false,
                dry: false,
                depth: 0,
                mishap: Mishap::User(0, 640, Act::Rename(66, 20)),
            },
        ],
    });
}

#[test]
fn a_message_moved_during_the_scan_out_of_a_clean_folder_is_found_where_stamps_prove_nothing() {
    kept(&Case {
        seed: 100_025_993,
        clients: 1,
        habit: Habit::Tidy,
        disk: 3,
        events: vec![
            Event::User(1, Act::Deliver(226, 161, 19, 155), true),
            Event::Wait(78),
            Event::Settle(0),
            Event::User(1, Act::Deliver(231, 34, 218, 92), true),
            Event::User(0, Act::Rename(83, 231), true),
            run(Way::Sync, Mishap::Listing(0, 3, Act::Move(246, 123))),
        ],
    });
}

#[test]
fn a_message_of_no_base_moved_during_the_scan_is_found() {
    kept(&Case {
        seed: 100_082_205,
        clients: 1,
        habit: Habit::Tidy,
        disk: 0,
        events: vec![
            Event::User(1, Act::Deliver(155, 93, 64, 64), true),
            Event::Run {
                client: 0,
                way: Way::Sync,
                keep: false,
                dry: true,
                depth: 1,
                mishap: Mishap::Fault(1, Fault::Once(563, 83)),
            },
            run(Way::Sync, Mishap::Listing(0, 2, Act::Move(113, 151))),
        ],
    });
}

#[test]
fn a_folder_removed_while_a_run_looks_at_it_is_removed_at_the_other_host() {
    kept(&Case {
        seed: 555_029_290,
        clients: 1,
        habit: Habit::Few,
        disk: 0,
        events: vec![
            Event::User(0, Act::MakeFolder(185), true),
            Event::User(2, Act::Deliver(73, 72, 98, 97), true),
            Event::Settle(0),
            Event::User(0, Act::Deliver(135, 168, 145, 165), true),
            Event::Settle(0),
            Event::Run {
                client: 0,
                way: Way::Pull,
                keep: false,
                dry: false,
                depth: 1,
                mishap: Mishap::User(0, 683, Act::RemoveFolder(68)),
            },
        ],
    });
}

#[test]
fn a_message_deleted_after_a_run_that_gave_its_old_bytes_back_and_committed_nothing_stays_deleted() {
    // All moments of the crash: the run does not always make as many calls.
    for crash in (900..1000).step_by(4) {
        kept(&Case {
            seed: 777_121_133,
            clients: 1,
            habit: Habit::Named,
            disk: 0,
            events: vec![
                Event::User(0, Act::Deliver(242, 207, 216, 228), true),
                run(Way::Sync, Mishap::Listing(1, 1, Act::Deliver(214, 31, 239, 29))),
                Event::User(0, Act::Replace(251, 89, 164), true),
                run(Way::Push, Mishap::None),
                Event::User(0, Act::EditHeader(136, 127), false),
                Event::Run {
                    client: 0,
                    way: Way::Sync,
                    keep: false,
                    dry: false,
                    depth: 2,
                    mishap: Mishap::Fault(1, Fault::Crash(crash)),
                },
                Event::Settle(211),
                Event::User(1, Act::Delete(98), true),
            ],
        });
    }
}

/// A message that both hosts have is changed at the server and not synced; a run that was to bring the change to the client is cut
/// by a power cut at the server, which may take the change back. Then comes what follows.
fn after_a_run_whose_news_a_power_cut_took(act: Act, follows: &[Event]) {
    for (seed, crash) in (1..4).flat_map(|seed| (500..1000).step_by(25).map(move |crash| (seed, crash))) {
        let cut = [
            Event::User(0, Act::Deliver(0, 1, 2, 3), true),
            Event::Settle(0),
            Event::User(0, act, false),
            run(Way::Sync, Mishap::Fault(1, Fault::Crash(crash))),
        ];
        let events = cut.into_iter().chain(follows.iter().copied()).collect();
        kept(&Case { seed, clients: 1, habit: Habit::Tidy, disk: 0, events });
    }
}

#[test]
fn a_message_deleted_after_a_run_that_found_nothing_to_do_stays_deleted_whatever_a_cut_run_was_bringing() {
    let follows = [Event::Settle(0), Event::User(1, Act::Delete(0), true)];
    after_a_run_whose_news_a_power_cut_took(Act::EditHeader(0, 127), &follows);
}

#[test]
fn a_flag_set_after_a_run_that_found_nothing_to_do_stays_set_whatever_a_cut_run_was_bringing() {
    let follows = [Event::Settle(0), Event::User(1, Act::Flag(0, 1), true)];
    after_a_run_whose_news_a_power_cut_took(Act::Flag(0, 1), &follows);
}

#[test]
fn a_message_deleted_after_a_cut_run_comes_back_once_at_most() {
    let delete = Event::User(1, Act::Delete(0), true);
    after_a_run_whose_news_a_power_cut_took(Act::EditHeader(0, 127), &[delete, Event::Settle(0), delete]);
}
