//! A small disk that a test can fill: a tmpfs in a mount namespace of its own.

use std::{
    env,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Command,
};

use super::TestStore;

/// The disk of the test that runs in this process.
pub(crate) struct SmallDisk(PathBuf);

/// Runs one async test body in a process that alone has a [`SmallDisk`].
macro_rules! on_a_small_disk {
    ($(async fn $name:ident($disk:ident) $body:block)+) => {
        $(
            #[test]
            fn $name() {
                let name = concat!(module_path!(), "::", stringify!($name));
                $crate::testing::small_disk::run(name, async |$disk| $body);
            }
        )+
    };
}

pub(crate) use on_a_small_disk;

/// Runs the test of this name again in a process of its own, and there the story. The disk is gone when that
/// process ends, however it ends.
pub(crate) fn run(name: &str, story: impl AsyncFnOnce(SmallDisk)) {
    match env::var_os(DISK) {
        Some(path) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
            runtime.block_on(story(SmallDisk(path.into())));
        }
        None => run_apart(name),
    }
}

/// # Panics
/// If the test fails there, or is not run. To mount a tmpfs, a process needs a user namespace, which Linux
/// gives to everybody unless the machine forbids it.
fn run_apart(name: &str) {
    let (_, name) = name.split_once("::").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut apart = Command::new("unshare");
    apart.args(["--map-root-user", "--mount", "sh", "-c", MOUNT_AND_RUN]).arg(directory.path());
    apart.arg(env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]);
    let ran = apart.env(DISK, directory.path()).output().expect("the command unshare (util-linux) is there");
    let (told, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(
        ran.status.success() && told.contains("1 passed"),
        "{name} failed in a process of its own ({}). If it was not run, this machine permits no user namespace to \
         mount a tmpfs in:\n{told}\n{errors}",
        ran.status
    );
}

impl SmallDisk {
    /// A new database on this disk.
    pub(crate) fn database(&self) -> TestStore {
        TestStore::sqlite_in(tempfile::tempdir_in(&self.0).unwrap())
    }

    /// Leaves no room at all.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        loop {
            match filler.write(&[1; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        Path::new(&self.0).join("filler")
    }
}

/// The environment variable that names the directory of the disk.
const DISK: &str = "SWITCHYARD_SMALL_DISK";
/// Shell script: mounts the disk at $0, then runs the command behind it.
const MOUNT_AND_RUN: &str = r#"mount -t tmpfs -o size=8m small-disk "$0" && exec "$@""#;
