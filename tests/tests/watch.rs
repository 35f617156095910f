//! A session that stays: several runs over one connection, and in between a rest that a change on either host ends.
//!
//! Silence is shown by rests that end with their time; a time that is too short could only hide a failure.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use smd_client::args::{self, Command};
use smd_client::connect::{self, Connection};
use smd_client::endpoint::{self, Endpoint};
use smd_client::home::SmdHome;
use smd_client::options::{Direction, RunOptions};
use smd_client::progress::Progress;
use smd_client::report::Report;
use smd_client::session::{Line, Open, SessionError, Waker, Woken};
use smd_maildir::fs::Disk;
use smd_server::link::{Inbox as _, Reader, Writer};
use smd_server::policy::Authority;
use smd_server::roots::Places;
use smd_server::session::{self, Session};
use smd_tests::populate::{self, Spec};
use smd_tests::processes;
use smd_tests::rng::Rng;
use smd_tests::user::User;
use smd_tests::world::{Link, World};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long silence is listened to.
const SILENCE: Duration = Duration::from_millis(400);

/// Two hosts, a session from one to the other, and somebody at each.
struct Desk {
    world: World,
    open: Option<Open<Disk>>,
    connection: Option<Connection>,
    options: RunOptions,
    waker: Waker,
    stop: Arc<AtomicBool>,
    us: User,
    them: User,
}

impl Desk {
    fn new(seed: u64) -> Self {
        Self::by(seed, |endpoint| {
            let (connection, link) = Connection::open(endpoint, true).expect("the server starts");
            (Some(connection), link)
        })
    }

    fn by(seed: u64, connect: impl FnOnce(&Endpoint) -> (Option<Connection>, connect::Link)) -> Self {
        let world = World::new(Link::Rsh);
        populate::populate(&world.server().maildir(), "first", Spec::plain(30, 6), &mut Rng::from_env_or(seed));
        let mut typed = world.link_options(world.server());
        // The script tells which process the server is.
        typed.extend(world.start_server_by(&format!("echo $$ >'{}'\nexec", world.dir().join("pid").display())));
        typed.extend([world.client().maildir().display().to_string(), "office:Maildir".to_owned()]);
        let args = args::parse(Command::Sync, typed.into_iter().map(Into::into)).expect("the line is understood");
        let home = &world.client().home;
        let resolved = endpoint::resolve(&args, Direction::Sync, SmdHome::new(home.join(".smd"), home));
        let resolved = resolved.expect("it resolves");
        let (connection, link) = connect(&resolved.endpoint);
        let stop = Arc::new(AtomicBool::new(false));
        let open = Open::new(Arc::new(Disk), resolved.endpoint, Line::over(link), stop.clone());
        let us = User::new(&world.client().maildir(), "us", Rng::from_env_or(seed + 1));
        let them = User::new(&world.server().maildir(), "them", Rng::from_env_or(seed + 2));
        let (open, options, waker) = (Some(open), resolved.options, Waker::default());
        Self { world, open, connection, options, waker, stop, us, them }
    }

    fn open(&mut self) -> &mut Open<Disk> {
        self.open.as_mut().expect("not closed")
    }

    #[track_caller]
    fn run(&mut self) -> Report {
        let options = self.options.clone();
        let report = self.open().run(&options, &mut Progress::hidden()).expect("it runs");
        assert_eq!(report.exit().code(), 0, "{report:?}");
        report
    }

    #[track_caller]
    fn rest(&mut self) -> Woken {
        let waker = self.waker.clone();
        self.open().rest(Some(Instant::now() + PATIENCE), &waker).expect("it rests")
    }

    /// Runs until nothing happens any more; gives the number of runs.
    #[track_caller]
    fn settle(&mut self) -> u32 {
        let mut runs = 0;
        loop {
            let waker = self.waker.clone();
            if self.open().rest(Some(Instant::now() + SILENCE), &waker).expect("it rests") == Woken::Time {
                return runs;
            }
            runs += 1;
            assert!(runs < 10, "the runs follow each other without end");
            self.run();
        }
    }

    /// Rests until this host is quiet; nobody else can be heard.
    #[track_caller]
    fn settle_alone(&mut self) {
        let waker = self.waker.clone();
        while self.open().rest(Some(Instant::now() + SILENCE), &waker).expect("it rests") != Woken::Time {}
    }

    fn server_pid(&self) -> u32 {
        let file = self.world.dir().join("pid");
        processes::wait_until("the server starts", || processes::written_pid(&file))
    }

    #[track_caller]
    fn close(mut self) {
        self.open.take().expect("not closed").close().expect("it says goodbye");
        let ending = self.connection.take().expect("there is one").finish();
        assert!(ending.status.is_some_and(|status| status.success()), "{ending:?}");
    }
}

#[test]
fn several_runs_go_over_one_connection_and_one_that_finds_nothing_takes_one_round_trip() {
    let mut desk = Desk::new(700);
    desk.run();
    desk.world.assert_equal();
    let idle = desk.run();
    assert_eq!(idle.traffic.round_trips, 1);
    assert!(idle.traffic.sent + idle.traffic.received < 4096, "{:?}", idle.traffic);
    desk.us.deliver("");
    desk.them.deliver("Work");
    desk.run();
    desk.world.assert_equal();
    let found = desk.them.any();
    desk.them.set_flags(&found, "S");
    desk.run();
    desk.world.assert_equal();
    assert_eq!(desk.open().unwatched(), []);
    desk.close();
}

#[test]
fn a_delivery_on_either_host_ends_the_rest_and_then_there_is_silence() {
    let mut desk = Desk::new(710);
    desk.run();
    desk.settle();
    desk.us.deliver("Work");
    assert_eq!(desk.rest(), Woken::Here);
    desk.run();
    desk.world.assert_equal();
    assert!(desk.settle() <= 1, "a run costs one idle run at most");
    desk.them.deliver("");
    assert_eq!(desk.rest(), Woken::There);
    desk.run();
    desk.world.assert_equal();
    assert!(desk.settle() <= 1, "a run costs one idle run at most");
    // Whether it rests already or not.
    let mut other = User::new(&desk.world.server().maildir(), "other", Rng::from_env_or(713));
    let woken = thread::scope(|scope| {
        scope.spawn(move || other.deliver("Work"));
        desk.rest()
    });
    assert_eq!(woken, Woken::There);
    desk.run();
    desk.world.assert_equal();
    desk.close();
}

#[test]
fn a_new_folder_is_synced_and_watched() {
    let mut desk = Desk::new(720);
    desk.run();
    desk.settle();
    desk.them.make_folder("later/deep");
    assert_eq!(desk.rest(), Woken::There);
    desk.run();
    desk.settle();
    desk.world.assert_equal();
    desk.them.deliver("later/deep");
    assert_eq!(desk.rest(), Woken::There);
    desk.run();
    desk.settle();
    desk.us.deliver("later/deep");
    assert_eq!(desk.rest(), Woken::Here);
    desk.run();
    desk.world.assert_equal();
    desk.close();
}

#[test]
fn nothing_is_locked_at_rest_and_what_another_program_syncs_ends_it() {
    let mut desk = Desk::new(730);
    desk.run();
    desk.settle();
    desk.us.deliver("");
    desk.world.sync(&[]).ok();
    desk.world.assert_equal();
    assert_ne!(desk.rest(), Woken::Time);
    desk.run();
    desk.settle();
    desk.world.assert_equal();
    desk.close();
}

#[test]
fn a_rest_ends_when_asked_when_stopped_and_in_time() {
    let mut desk = Desk::new(740);
    desk.run();
    desk.settle();
    let waker = desk.waker.clone();
    waker.wake();
    assert_eq!(desk.rest(), Woken::Asked, "what was asked for before is not forgotten");
    let woken = thread::scope(|scope| {
        scope.spawn(|| waker.wake());
        desk.rest()
    });
    assert_eq!(woken, Woken::Asked);
    let now = Instant::now();
    assert_eq!(desk.open().rest(Some(now), &waker).expect("it rests"), Woken::Time);
    let stop = desk.stop.clone();
    let stopped = thread::scope(|scope| {
        scope.spawn(|| {
            stop.store(true, Ordering::Relaxed);
            waker.wake();
        });
        desk.open().rest(None, &Waker::clone(&waker))
    });
    assert!(matches!(stopped, Err(SessionError::Interrupted)), "{stopped:?}");
    desk.close();
}

#[test]
fn a_link_that_is_cut_during_a_rest_is_lost() {
    let mut desk = Desk::new(750);
    desk.run();
    desk.settle();
    let pid = desk.server_pid();
    let waker = desk.waker.clone();
    let lost = thread::scope(|scope| {
        scope.spawn(move || assert!(processes::kill(pid), "it runs"));
        desk.open().rest(Some(Instant::now() + PATIENCE), &waker)
    });
    assert!(matches!(lost, Err(SessionError::Lost { met: true, .. })), "{lost:?}");
    assert!(desk.open().is_over());
}

/// A server that was built before there was a rest, in a thread of this process.
fn old_server(world_home: PathBuf) -> connect::Link {
    let (reads, writer) = io::pipe().expect("a pipe");
    let (reader, writes) = io::pipe().expect("a pipe");
    thread::spawn(move || {
        let inbox = Reader::start(Box::new(reads), |_| false);
        let places = Places { state: world_home.join(".smd"), user: world_home };
        // It is given nothing that could end its waits, so it offers no rest.
        let mut session =
            Session::new(Arc::new(Disk), &places, Authority::owner(), Writer::start(Box::new(writes), session::Words));
        while session.hear(inbox.next(PATIENCE)).is_ok_and(|flow| flow.is_continue()) {}
        session.finish();
    });
    connect::Link { reader: Box::new(reader), writer: Box::new(writer), local: true }
}

#[test]
fn with_an_old_server_only_this_host_is_watched_and_each_run_has_a_connection_of_its_own() {
    let mut desk = Desk::by(760, |endpoint| {
        let home = endpoint.home.user().parent().expect("homes lie together").join("office");
        (None, old_server(home))
    });
    desk.run();
    desk.world.assert_equal();
    assert!(desk.open().is_over());
    desk.settle_alone();
    desk.them.deliver("");
    desk.settle_alone();
    desk.us.deliver("");
    assert_eq!(desk.rest(), Woken::Here);
    let options = desk.options.clone();
    let again = desk.open().run(&options, &mut Progress::hidden());
    assert!(matches!(again, Err(SessionError::Bug { .. })), "{again:?}");
}

#[test]
fn a_root_that_a_run_makes_is_watched_from_the_rest_on() {
    let mut desk = Desk::new(770);
    std::fs::remove_dir_all(desk.world.client().maildir()).expect("removes");
    desk.run();
    desk.settle();
    assert_eq!(desk.open().unwatched(), [], "the run made the root, and the rest watches it");
    desk.world.assert_equal();
    desk.close();
}
