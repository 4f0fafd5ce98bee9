//! Postgres servers of this test process, on Unix sockets in temporary directories. They end with the
//! process.

use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;

/// The URL of the server that the tests share.
pub(super) async fn url() -> String {
    shared().await.url()
}

/// The Unix socket of the shared server.
pub(super) async fn socket() -> PathBuf {
    shared().await.directory.join(super::proxy::SOCKET)
}

/// The shared server; the first call starts it.
async fn shared() -> &'static Server {
    static SERVER: OnceCell<Server> = OnceCell::const_new();
    SERVER.get_or_init(Server::own).await
}

/// A running server.
pub(crate) struct Server {
    directory: PathBuf,
    /// Ends the server when its standard input closes, which happens at any end of this process.
    _guard: Child,
}

impl Server {
    /// Starts a server.
    pub(crate) async fn own() -> Self {
        tokio::task::spawn_blocking(Self::start).await.unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://switchyard@localhost/postgres?host={}", self.directory.display())
    }

    /// Stops all processes of the server, so that connections stay open but get no answer.
    pub(crate) fn freeze(&self) {
        let parent = self.postmaster();
        signal("-STOP", std::slice::from_ref(&parent));
        signal("-STOP", &children(&parent));
    }

    pub(crate) fn thaw(&self) {
        let parent = self.postmaster();
        signal("-CONT", &children(&parent));
        signal("-CONT", &[parent]);
    }

    fn postmaster(&self) -> String {
        let file = fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap();
        file.lines().next().unwrap().to_owned()
    }

    fn start() -> Self {
        let binaries = binaries();
        let directory = tempfile::Builder::new().prefix("switchyard-pg-").tempdir().unwrap().keep();
        let account = Account::for_server();
        if let Some(account) = &account {
            chown(&directory, Some(account.uid), Some(account.gid)).unwrap();
        }
        let data = directory.join("data");
        let mut initdb = Command::new(binaries.join("initdb"));
        initdb.args([
            "--username=switchyard",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ]);
        let made = Account::run_as(account.as_ref(), initdb.arg(&data)).output().unwrap();
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));

        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD, "guard"]).arg(binaries.join("postgres")).arg(&directory);
        let guard = Account::run_as(account.as_ref(), &mut guard)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&directory, &binaries);
        Self { directory, _guard: guard }
    }
}

fn signal(name: &str, processes: &[String]) {
    assert!(Command::new("kill").arg(name).args(processes).status().unwrap().success());
}

fn children(parent: &str) -> Vec<String> {
    let threads = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    threads.split_whitespace().map(str::to_owned).collect()
}

/// The account for the server if the tests run as root, because Postgres refuses to run as root: the account
/// `postgres` of its package.
struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    fn for_server() -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        if fs::metadata("/proc/self").unwrap().uid() != 0 {
            return None;
        }
        let accounts = fs::read_to_string("/etc/passwd").unwrap();
        let line = accounts.lines().find(|line| line.starts_with("postgres:"));
        let fields: Vec<_> =
            line.expect("the PostgreSQL package makes the account `postgres`").split(':').collect();
        Some(Self { uid: fields[2].parse().unwrap(), gid: fields[3].parse().unwrap() })
    }

    fn run_as<'a>(account: Option<&Self>, command: &'a mut Command) -> &'a mut Command {
        command.current_dir("/");
        match account {
            Some(account) => command.uid(account.uid).gid(account.gid),
            None => command,
        }
    }
}

/// The programs of the newest installed server.
fn binaries() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .filter(|(_, path)| path.join("postgres").exists())
        .collect();
    versions.sort();
    let (_, newest) = versions.pop().expect(
        "these tests need PostgreSQL: no server in /usr/lib/postgresql/*/bin (Debian: apt-get install postgresql)",
    );
    newest
}

fn wait_for(directory: &Path, binaries: &Path) {
    let give_up = Instant::now() + Duration::from_secs(60);
    let ready = || {
        let mut ask = Command::new(binaries.join("pg_isready"));
        ask.arg("-q").arg("-h").arg(directory).status().unwrap().success()
    };
    while !ready() {
        assert!(Instant::now() < give_up, "Postgres does not start: see {}", directory.join("log").display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Shell script: runs the server until standard input closes, then removes its directory.
const GUARD: &str = r#"
    "$1" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c max_connections=400 >"$2/log" 2>&1 </dev/null &
    cat >/dev/null
    kill -INT $!
    wait
    rm -rf "$2"
"#;
