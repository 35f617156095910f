//! Peers that speak the wire and then deviate: a client that a test drives against the real `smd-server`, and a server that a
//! test plays to a real `smd-sync`.
//!
//! They say well-formed words by the types of `smd-protocol`, since only a peer that is understood can mean harm, and any bytes
//! besides. Deliberately not here: which deviations there are, and what must come of them (the tests).

pub mod raw;
pub mod stage;

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use smd_client::session::Words as ClientWords;
use smd_protocol::reconcile::Direction;
use smd_protocol::wire::{
    self, ClientHello, ContentEnd, ContentStart, Depth, Failure, Frame, FromClient, FromServer, Ids, Looked,
    RootAnswer, RootOffer, ServerHello,
};
use smd_protocol::{Step, codec};
use smd_server::link::{Event, Hearing, Inbox as _, Life, Outbox as _, Reader, Sign, Writer};
use smd_server::session::Words as ServerWords;

use crate::outcome::Outcome;
use crate::world::{Host, World};

/// So long is waited for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Hello that asks for nothing bad yet.
pub fn hello(path: &[u8]) -> ClientHello {
    let offer = RootOffer {
        path: path.to_vec(),
        pair: "pair".to_owned(),
        root: None,
        ids: Ids::default(),
        damaged: Vec::new(),
        excludes: Vec::new(),
    };
    ClientHello {
        features: Vec::new(),
        client: "stranger".to_owned(),
        direction: Direction::Sync,
        dry_run: false,
        depth: Depth::Quick,
        compress: false,
        grave_days: 7,
        roots: vec![offer],
    }
}

/// Signs of life are heard like anything else.
fn every(_: &[u8]) -> Sign {
    Sign::Message
}

/// Memory that a program gets which meets somebody who means harm, in KiB: the budget of one who knows nothing, what is read ahead,
/// a stream's window, and the program itself. With more it ends by SIGABRT.
const MEMORY_KIB: u32 = 400 << 10;

/// The same command, with no more memory than that.
pub fn capped(command: &Command) -> Command {
    let mut all = Command::new("/bin/sh");
    all.arg("-c").arg(format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"")).arg(command.get_program());
    all.args(command.get_args()).env_clear().stdin(Stdio::null());
    // Else each thread reserves room for a heap of its own, which counts as well.
    all.env("MALLOC_ARENA_MAX", "1");
    for (name, value) in command.get_envs() {
        value.map(|value| all.env(name, value));
    }
    if let Some(dir) = command.get_current_dir() {
        all.current_dir(dir);
    }
    all
}

/// A client of the real server at a host.
#[derive(Debug)]
pub struct Client {
    child: Child,
    inbox: Reader,
    outbox: Option<Writer>,
}

impl Client {
    /// Starts the server at this host.
    #[track_caller]
    pub fn at(world: &World, host: &Host) -> Self {
        Self::start(world, host, false)
    }

    /// As [`Client::at`], for a Hello that asks for compression: the server is understood, and said what one likes.
    #[track_caller]
    pub fn compressing(world: &World, host: &Host) -> Self {
        Self::start(world, host, true)
    }

    #[track_caller]
    fn start(world: &World, host: &Host, compressed: bool) -> Self {
        Self::by(capped(&world.command("smd-server", host)), compressed)
    }

    /// A client of the server that this command leads to.
    #[track_caller]
    pub fn by(mut command: Command, compressed: bool) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("a server can be started");
        let stdout: ChildStdout = child.stdout.take().expect("a pipe");
        let stdin: ChildStdin = child.stdin.take().expect("a pipe");
        let compressed = if compressed { |_: &[u8]| true } else { |_: &[u8]| false };
        let inbox = Reader::start(Box::new(stdout), Hearing { compressed, sign: every }, Life::default());
        Self { child, inbox, outbox: Some(Writer::start(Box::new(stdin), ClientWords, Life::default())) }
    }

    /// Starts the server at this host, and sends it these bytes and no others. Gives how it ended.
    #[track_caller]
    pub fn bytes_alone(world: &World, host: &Host, bytes: &[u8]) -> Outcome {
        let mut command = capped(&world.command("smd-server", host));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("smd-server can be started");
        // It may have ended before it has read them all.
        let _ = child.stdin.take().expect("a pipe").write_all(bytes);
        Outcome::new("smd-server".to_owned(), &child.wait_with_output().expect("it ends"))
    }

    /// Sends bytes as they are.
    pub fn bytes(&self, bytes: &[u8]) {
        // A server that has ended already is asked for its words.
        let _ = self.outbox.as_ref().expect("open").frame(bytes.to_vec());
    }

    /// Says a message.
    pub fn say(&self, message: &FromClient) {
        self.bytes(&wire::message(message).expect("it fits"));
    }

    /// What the server says next; none when it has ended.
    #[track_caller]
    pub fn hear(&self) -> Option<FromServer> {
        match self.inbox.next(PATIENCE).expect("the server says something") {
            Event::Frame(Frame::Message(bytes)) => Some(codec::decode(&bytes).expect("the server keeps to the wire")),
            Event::Frame(Frame::Piece(_)) | Event::Rung => self.hear(),
            Event::End | Event::Broken(_) => None,
        }
    }

    /// Hears the server until this picks something out, or it says that it fails.
    ///
    /// # Errors
    /// How it fails.
    #[track_caller]
    pub fn until<T>(&self, pick: impl Fn(FromServer) -> Option<T>) -> Result<T, Failure> {
        loop {
            match self.hear().expect("the server answers") {
                FromServer::Fail(failure) => return Err(failure),
                other => {
                    if let Some(found) = pick(other) {
                        return Ok(found);
                    }
                }
            }
        }
    }

    /// Says Hello and hears the server's.
    ///
    /// # Errors
    /// How the server fails.
    #[track_caller]
    pub fn greet(&self, hello: &ClientHello) -> Result<ServerHello, Failure> {
        self.say(&FromClient::Hello(hello.clone()));
        self.until(|said| if let FromServer::Hello(hello) = said { Some(hello) } else { None })
    }

    /// Says Hello, again under the names that the server has for the roots, and hears the looks at all of them.
    ///
    /// # Errors
    /// How the server fails.
    #[track_caller]
    pub fn open(&self, hello: &ClientHello) -> Result<ServerHello, Failure> {
        let mut hello = hello.clone();
        let first = self.greet(&hello)?;
        for (offer, answer) in hello.roots.iter_mut().zip(&first.roots) {
            offer.root = Some(answer.root.clone());
        }
        let second = self.greet(&hello)?;
        for _ in &hello.roots {
            self.until(|said| matches!(said, FromServer::Looked { .. }).then_some(()))?;
        }
        Ok(second)
    }

    /// A whole batch for the first root: steps, and contents by step. Gives the steps that were not done.
    ///
    /// # Errors
    /// How the server fails.
    #[track_caller]
    pub fn batch(&self, steps: Vec<Step>, contents: &[(u32, &[u8])]) -> Result<Vec<u32>, Failure> {
        for steps in steps.chunks(wire::ITEMS_IN_FRAME) {
            self.say(&FromClient::Batch { root: 0, steps: steps.to_vec(), fetch: Vec::new() });
        }
        self.say(&FromClient::BatchReady { root: 0 });
        for &(step, bytes) in contents {
            let mtime = smd_protocol::delta::Mtime { sec: 1_700_000_000, nsec: 0 };
            self.say(&FromClient::Content(ContentStart { step, size: bytes.len() as u64, mtime }));
            self.bytes(&[&wire::piece_head(bytes.len())[..], bytes].concat());
            self.say(&FromClient::ContentEnd(ContentEnd { step, failed: None }));
        }
        self.say(&FromClient::BatchEnd { root: 0 });
        let mut failed = Vec::new();
        loop {
            match self.until(Some)? {
                FromServer::Outcomes { failed: more, .. } => failed.extend(more.into_iter().map(|(step, _)| step)),
                FromServer::BatchDone { .. } => return Ok(failed),
                _ => {}
            }
        }
    }

    /// Lets go of the server. Gives its exit code and what it said to stderr.
    #[track_caller]
    pub fn end(mut self) -> Outcome {
        drop(self.outbox.take());
        let mut stderr = Vec::new();
        self.child.stderr.take().expect("a pipe").read_to_end(&mut stderr).expect("it can be read");
        let status = self.child.wait().expect("it ends");
        Outcome::new("smd-server".to_owned(), &std::process::Output { status, stdout: Vec::new(), stderr })
    }
}

/// A server that a test plays.
#[derive(Debug)]
pub struct Server {
    inbox: Reader,
    outbox: Writer,
    /// The client has ended.
    gone: Cell<bool>,
}

/// Plays the server of a run of `smd-sync` with these options. Gives how the run ended.
#[track_caller]
pub fn serve(world: &World, options: &[&str], play: impl FnOnce(&mut Server) + Send) -> Outcome {
    serve_bytes(world, options, |write, read| {
        let compressed = |first: &[u8]| matches!(codec::decode(first), Ok(FromClient::Hello(hello)) if hello.compress);
        let inbox = Reader::start(Box::new(read), Hearing { compressed, sign: every }, Life::default());
        let outbox = Writer::start(Box::new(write), ServerWords, Life::default());
        play(&mut Server { inbox, outbox, gone: Cell::new(false) });
    })
}

/// As [`serve`], for a server that has only the ends of the pipes, to write to and to read from.
#[track_caller]
pub fn serve_bytes(world: &World, options: &[&str], play: impl FnOnce(File, File) + Send) -> Outcome {
    let [to, from, script] = ["to-client", "from-client", "hostile"].map(|name| world.dir().join(name));
    for fifo in [&to, &from] {
        // What a server before this one could not get rid of ends with its own pipe.
        let _ = std::fs::remove_file(fifo);
        rustix::fs::mknodat(rustix::fs::CWD, fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a pipe can be made");
    }
    // `cat` from the pipe ends with this server, `cat` into it with the client.
    let text = format!("#!/bin/sh\ncat '{}' &\ncat >'{}'\nkill $! 2>/dev/null\n", to.display(), from.display());
    write_script(&script, &text);
    let mut command = world.command("smd-sync", world.client());
    command.arg("-e").arg(&script).args(options).arg(world.client().maildir()).arg("office:Maildir");
    let mut command = capped(&command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    std::thread::scope(|scope| {
        let run = scope.spawn(|| crate::world::finish(&mut command));
        let open = |path: &Path, write: bool| -> File {
            OpenOptions::new().read(!write).write(write).open(path).expect("the client opens the other end")
        };
        let (write, read) = (open(&to, true), open(&from, false));
        play(write, read);
        run.join().expect("the run ends")
    })
}

fn write_script(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o755).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a script");
}

impl Server {
    /// Sends bytes as they are.
    pub fn bytes(&self, bytes: &[u8]) {
        // A client that has ended already is asked for its exit code.
        self.gone.set(self.outbox.frame(bytes.to_vec()).is_err());
    }

    /// Whether the client took what was last sent.
    pub fn still_there(&self) -> bool {
        !self.gone.get()
    }

    /// Says a message.
    pub fn say(&self, message: &FromServer) {
        self.bytes(&wire::message(message).expect("it fits"));
    }

    /// Compresses from here on.
    pub fn compress(&self) {
        let _ = self.outbox.compress();
    }

    /// What the client says next; none when it has ended.
    pub fn hear(&self) -> Option<FromClient> {
        match self.inbox.next(PATIENCE).expect("the client says something") {
            Event::Frame(Frame::Message(bytes)) => Some(codec::decode(&bytes).expect("the client keeps to the wire")),
            Event::Frame(Frame::Piece(_)) | Event::Rung => self.hear(),
            Event::End | Event::Broken(_) => None,
        }
    }

    /// Hears Hellos and answers them with this for the only root, until the client has its name; compresses as it wishes.
    pub fn meet(&self, features: &[&str], answer: &RootAnswer) -> ClientHello {
        let mut compressed = false;
        loop {
            let Some(FromClient::Hello(hello)) = self.hear() else { panic!("the client says Hello") };
            let features = features.iter().map(|&feature| feature.into()).collect();
            self.say(&FromServer::Hello(ServerHello { features, roots: vec![answer.clone()] }));
            if hello.compress && !std::mem::replace(&mut compressed, true) {
                self.compress();
            }
            if hello.roots[0].root.as_ref() == Some(&answer.root) {
                return hello;
            }
        }
    }

    /// Says that nothing was found but this.
    pub fn looked(&self, looked: Looked) {
        self.say(&FromServer::Looked { root: 0, looked });
    }
}

/// An answer for a root of which this server knows nothing.
pub fn answer() -> RootAnswer {
    RootAnswer { root: "hostile".to_owned(), ids: Ids::default(), earlier: Vec::new(), counter: 0, damaged: Vec::new() }
}
