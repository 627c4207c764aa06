//! The queue between processes. The others are this test binary once more, as [`another_process`].

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc as words;

use tempfile::TempDir;

use super::*;

/// What tells the other process its base directory, its run and the number of slots.
const TASK: &str = "ENVRUN_TEST_STARTS";

/// The address of an engine that nobody asks.
const ENGINE: &str = "unix:///nowhere";

/// No test comes near this unless something hangs.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits for a slot, says so, and holds it until it is told to give it back: a line each, in and out.
#[test]
#[ignore = "it is the other process of these tests"]
fn another_process() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let mut task = task.split('|');
    let mut next = || task.next().expect("a task of three parts");
    let base = next().to_owned();
    let run = RunId::parse(next()).expect("a run");
    let slots = next().parse().expect("a number");
    let starts = Starts::open_in(Path::new(&base), run, ENGINE, slots).expect("opened");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let say = |word: &str| {
        writeln!(std::io::stderr(), "{word}").expect("written");
    };
    let mut input = std::io::stdin().lines();
    while let Some(line) = input.next() {
        line.expect("read");
        let slot = runtime.block_on(starts.take(&|news| match news {
            News::Waits { others } => say(&format!("waits {others}")),
            News::Unlimited { reason } => say(&reason),
        }));
        say("has");
        if input.next().is_none() {
            return;
        }
        drop(slot);
        say("gave");
    }
}

/// The other process.
struct Other {
    child: Child,
    input: ChildStdin,
    words: words::Receiver<String>,
}

impl Other {
    fn new(base: &TempDir, slots: usize) -> Self {
        let program = std::env::current_exe().expect("this program");
        let task = format!("{}|{}|{slots}", base.path().display(), RunId::random());
        let mut child = Command::new(program)
            .args(["host::starts::tests::another_process", "--exact"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(TASK, task)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        let errors = child.stderr.take().expect("piped");
        let (sender, words) = words::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            input: child.stdin.take().expect("piped"),
            child,
            words,
        }
    }

    fn tell(&mut self) -> &mut Self {
        self.input.write_all(b"\n").expect("told");
        self
    }

    fn says(&self) -> String {
        self.words.recv_timeout(LONGEST).expect("a word in time")
    }

    /// Whether it has said nothing so far.
    fn is_silent(&self) -> bool {
        self.words.try_recv().is_err()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn base() -> TempDir {
    tempfile::tempdir().expect("temporary directory")
}

fn open(base: &TempDir, slots: usize) -> Starts {
    Starts::open_in(base.path(), RunId::random(), ENGINE, slots).expect("opened")
}

/// The directory of the queue.
fn queue_directory(base: &TempDir) -> std::path::PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("starts-{:016x}", hash(ENGINE));
    base.path().join(format!("envrun-{uid}")).join(name)
}

/// Blocks until the kernel has so many waiting for the turnstile.
fn until_queued(base: &TempDir, count: usize) {
    use std::os::unix::fs::MetadataExt as _;
    let path = queue_directory(base).join("turnstile");
    let begun = std::time::Instant::now();
    loop {
        let inode = std::fs::metadata(&path)
            .map(|found| found.ino())
            .unwrap_or_default();
        let locks = std::fs::read_to_string("/proc/locks").expect("the kernel's locks");
        let end = format!(":{inode}");
        let waiting = locks.lines().filter(|line| {
            let mut fields = line.split_ascii_whitespace();
            fields.nth(1) == Some("->") && fields.any(|field| field.ends_with(&end))
        });
        if waiting.count() == count {
            return;
        }
        assert!(begun.elapsed() < LONGEST, "{locks}");
        std::thread::yield_now();
    }
}

fn quiet(_news: News) {}

#[test]
fn a_slot_that_is_given_back_goes_to_who_waits_first() {
    let base = base();
    let mut others: Vec<Other> = (0..4).map(|_| Other::new(&base, 1)).collect();
    assert_eq!(others[0].tell().says(), "has");
    for (number, other) in others.iter_mut().enumerate().skip(1) {
        assert_eq!(other.tell().says(), format!("waits {number}"));
        // The first of the queue holds the turnstile and waits for a slot.
        until_queued(&base, number - 1);
    }
    for number in 0..3 {
        assert_eq!(others[number].tell().says(), "gave");
        assert_eq!(others[number + 1].says(), "has");
        assert!(others[number + 2..].iter().all(Other::is_silent));
    }
}

#[test]
fn who_is_killed_gives_back_its_slot_and_its_place_in_the_queue() {
    let base = base();
    let mut others: Vec<Other> = (0..4).map(|_| Other::new(&base, 1)).collect();
    assert_eq!(others[0].tell().says(), "has");
    for (number, other) in others.iter_mut().enumerate().skip(1) {
        assert_eq!(other.tell().says(), format!("waits {number}"));
        until_queued(&base, number - 1);
    }
    // The head of the queue, one behind it, and at last the holder.
    for number in [1, 2, 0] {
        others[number].child.kill().expect("killed");
        others[number].child.wait().expect("ended");
    }
    assert_eq!(others[3].says(), "has");
    // Files of the dead count for nothing.
    let starts = open(&base, 1);
    assert_eq!(
        queue::others(&starts.queue.directory, starts.queue.run).expect("counted"),
        1
    );
    let files = starts.queue.directory.names().expect("names");
    assert_eq!(
        files.iter().filter(|name| name.starts_with("run-")).count(),
        1
    );
}

#[tokio::test]
async fn never_more_than_the_limit_at_once_and_each_gets_its_turn() {
    const SLOTS: usize = 3;
    const TURNS: usize = 5;
    let base = base();
    let held = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    // Each has files of its own, as another process would; locks are those of open files.
    let runs = (0..8).map(|_| {
        let starts = open(&base, SLOTS);
        let held = Arc::clone(&held);
        tokio::spawn(async move {
            for _ in 0..TURNS {
                let slot = starts.take(&quiet).await;
                assert!(slot.is_some());
                assert!(held.fetch_add(1, Ordering::SeqCst) < SLOTS);
                clock::pause(Duration::from_millis(1)).await;
                held.fetch_sub(1, Ordering::SeqCst);
            }
        })
    });
    for run in futures::future::join_all(runs).await {
        run.expect("no panic");
    }
}

#[tokio::test]
async fn a_wait_that_is_dropped_holds_up_nobody() {
    let base = base();
    let (one, two, three) = (open(&base, 1), open(&base, 1), open(&base, 1));
    let slot = one.take(&quiet).await;
    // Polled once, so that it waits; then dropped.
    for starts in [&two, &three] {
        let waiting = std::pin::pin!(starts.take(&quiet));
        assert!(futures::poll!(waiting).is_pending());
    }
    drop(slot);
    assert!(clock::within(LONGEST, three.take(&quiet)).await.is_ok());
}

#[tokio::test]
async fn starts_of_one_run_count_once_and_say_nothing_of_themselves() {
    let base = base();
    let one = open(&base, 2);
    let slots = [one.take(&quiet).await, one.take(&quiet).await];
    let said = Mutex::new(Vec::new());
    let tell = |news| lock(&said).push(news);
    // Its own third start waits for nobody else.
    let own = std::pin::pin!(one.take(&tell));
    assert!(clock::within(Duration::from_millis(50), own).await.is_err());
    assert!(lock(&said).is_empty());
    let two = open(&base, 2);
    let other = std::pin::pin!(two.take(&tell));
    assert!(
        clock::within(Duration::from_millis(50), other)
            .await
            .is_err()
    );
    assert_eq!(*lock(&said), [News::Waits { others: 1 }]);
    drop(slots);
}

#[tokio::test]
async fn a_queue_that_does_not_move_is_left_after_a_while_and_for_good() {
    let base = base();
    let mut other = Other::new(&base, 1);
    assert_eq!(other.tell().says(), "has");
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&other.child),
        rustix::process::Signal::STOP,
    )
    .expect("stopped");
    let starts = open(&base, 1);
    let said = Mutex::new(Vec::new());
    let tell = |news| lock(&said).push(news);
    tokio::time::pause();
    let begun = clock::now();
    assert!(starts.take(&tell).await.is_none());
    let waited = begun.elapsed();
    assert!(
        waited >= PATIENCE && waited < PATIENCE + BETWEEN_WORDS,
        "{waited:?}"
    );
    assert!(starts.take(&tell).await.is_none());
    let said = lock(&said);
    let (words, end) = said.split_at(said.len() - 1);
    assert!(
        words.iter().all(|news| *news == News::Waits { others: 1 }),
        "{said:?}"
    );
    let News::Unlimited { reason } = &end[0] else {
        panic!("{said:?}");
    };
    let holder = format!("(process {})", other.child.id());
    assert!(reason.contains(&holder), "{reason}");
}

#[test]
fn only_a_directory_of_this_user_alone_is_used() {
    let refused = |prepare: &dyn Fn(&Path)| {
        let base = base();
        let uid = rustix::process::geteuid().as_raw();
        prepare(&base.path().join(format!("envrun-{uid}")));
        let error = Starts::open_in(base.path(), RunId::random(), ENGINE, 1).expect_err("refused");
        error
            .to_string()
            .replace(&*base.path().to_string_lossy(), "")
    };
    let elsewhere = base();
    let link = refused(&|path| symlink(elsewhere.path(), path).expect("linked"));
    assert!(link.ends_with("it is a link or a file"), "{link}");
    let file = refused(&|path| std::fs::write(path, "").expect("written"));
    assert!(file.ends_with("it is a link or a file"), "{file}");
    let open_to_all = refused(&|path| {
        std::fs::create_dir(path).expect("made");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("set");
    });
    assert!(
        open_to_all.ends_with("others may use it (mode 777)"),
        "{open_to_all}"
    );
    if rustix::process::geteuid().is_root() {
        let foreign = refused(&|path| {
            std::fs::create_dir(path).expect("made");
            std::os::unix::fs::chown(path, Some(12345), None).expect("given away");
        });
        assert!(foreign.ends_with("it belongs to user 12345"), "{foreign}");
    }
    let missing = Path::new("/nowhere/at/all");
    let error = Starts::open_in(missing, RunId::random(), ENGINE, 1).expect_err("nothing there");
    assert!(
        error
            .to_string()
            .starts_with("cannot use `/nowhere/at/all/"),
        "{error}"
    );
    assert_eq!(
        std::fs::read_dir(elsewhere.path()).expect("read").count(),
        0
    );
}

#[test]
fn each_engine_has_a_queue_of_its_own() {
    let base = base();
    for engine in ["unix:///one", "unix:///two", "unix:///one"] {
        Starts::open_in(base.path(), RunId::random(), engine, 1).expect("opened");
    }
    let queues = queue_directory(&base);
    let queues = queues.parent().expect("a directory");
    assert_eq!(std::fs::read_dir(queues).expect("read").count(), 2);
}
