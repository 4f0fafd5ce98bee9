//! The file of an SQLite database: whether it can be one, told before SQLite tries and waits.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Why a file cannot be the database.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    #[error("{0} is a directory, not a database")]
    Directory(PathBuf),
    #[error("{0} is not an SQLite database")]
    Foreign(PathBuf),
    #[error("{0} cannot be written")]
    ReadOnly(PathBuf),
    #[error("the directory {0} does not exist")]
    NoDirectory(PathBuf),
    #[error("{path} cannot be used: {reason}")]
    Io { path: PathBuf, reason: io::Error },
}

/// Looks at the file and its directory, without changing anything.
pub(super) fn check(path: &Path) -> Result<(), FileFault> {
    let fault = |reason| FileFault::Io { path: path.to_owned(), reason };
    match fs::metadata(path) {
        Ok(file) if file.is_dir() => Err(FileFault::Directory(path.to_owned())),
        Ok(file) if file.permissions().readonly() => Err(FileFault::ReadOnly(path.to_owned())),
        Ok(_) => {
            let file = OpenOptions::new().read(true).write(true).open(path).map_err(fault)?;
            let mut start = Vec::new();
            file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(fault)?;
            // An empty file becomes a database.
            if start.is_empty() || start == MAGIC { Ok(()) } else { Err(FileFault::Foreign(path.to_owned())) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_directory(directory_of(path)),
        Err(error) => Err(fault(error)),
    }
}

/// As [`check`], and tries to write beside the file, as SQLite has to.
pub(super) fn try_writing(path: &Path) -> Result<(), FileFault> {
    check(path)?;
    let mut probe = OsString::from(path);
    probe.push("-probe");
    let probe = PathBuf::from(probe);
    let written = File::create(&probe).and_then(|_| fs::remove_file(&probe));
    written.map_err(|reason| FileFault::Io { path: directory_of(path).to_owned(), reason })
}

fn check_directory(directory: &Path) -> Result<(), FileFault> {
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => Err(FileFault::NoDirectory(directory.to_owned())),
        Ok(found) if found.permissions().readonly() => Err(FileFault::ReadOnly(directory.to_owned())),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(FileFault::NoDirectory(directory.to_owned()))
        }
        Err(reason) => Err(FileFault::Io { path: directory.to_owned(), reason }),
    }
}

/// The directory of the file; a relative name without one is in the working directory.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        Some(_) | None => Path::new("."),
    }
}

/// The first bytes of each database (SQLite file format §1.3.1).
const MAGIC: &[u8] = b"SQLite format 3\0";

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_file_is_a_database_or_can_become_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("calls.db");
        try_writing(&path).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing stays");
        fs::write(&path, "").unwrap();
        try_writing(&path).unwrap();
        fs::write(&path, [MAGIC, b"and so on"].concat()).unwrap();
        try_writing(&path).unwrap();
    }

    #[test]
    fn whatever_can_be_no_database_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("calls.db");
        assert!(matches!(check(directory.path()), Err(FileFault::Directory(_))));
        assert!(matches!(check(&directory.path().join("no/calls.db")), Err(FileFault::NoDirectory(_))));
        fs::write(&path, "a letter to a friend").unwrap();
        assert!(matches!(check(&path), Err(FileFault::Foreign(_))));
        assert!(check(&path).unwrap_err().to_string().contains(path.to_str().unwrap()));
        assert!(matches!(check(&path.join("below")), Err(FileFault::Io { .. } | FileFault::NoDirectory(_))));
        fs::write(&path, MAGIC).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(check(&path), Err(FileFault::ReadOnly(_))));
    }
}
