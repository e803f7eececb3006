use std::io::Cursor;

use super::*;
use crate::digest::sha256_of_file;

fn expected(contents: &[u8], folder: &Path) -> FileEntry {
    let path = folder.join("expected");
    std::fs::write(&path, contents).unwrap();
    let sha256 = sha256_of_file(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    FileEntry {
        path: "w.bin".to_owned(),
        size: Some(contents.len() as u64),
        sha256: Some(sha256),
    }
}

fn place_bytes(bytes: &[u8], folder: &Path, file: &FileEntry) -> Result<()> {
    let destination = folder.join(&file.path);
    place(
        &mut Cursor::new(bytes),
        Path::new("origin"),
        &destination,
        file,
        &mut |_| {},
    )
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn the_right_bytes_arrive_and_nothing_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let file = expected(b"weights", folder.path());
    place_bytes(b"weights", folder.path(), &file).unwrap();
    assert_eq!(
        std::fs::read(folder.path().join("w.bin")).unwrap(),
        b"weights"
    );
    assert_eq!(names_in(folder.path()), ["w.bin"]);
}

#[test]
fn wrong_bytes_leave_nothing_behind_and_the_old_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = expected(b"weights", folder.path());
    std::fs::write(folder.path().join("w.bin"), "old").unwrap();
    for (bytes, size) in [
        (&b"weight"[..], Some(6)),
        (b"weights and more", Some(16)),
        (b"Weights", None),
    ] {
        match (place_bytes(bytes, folder.path(), &file).unwrap_err(), size) {
            (
                Error::WrongSize {
                    expected: 7,
                    actual,
                    ..
                },
                Some(size),
            ) => assert_eq!(actual, size),
            (
                Error::WrongHash {
                    expected,
                    actual,
                    path,
                },
                None,
            ) => {
                assert_eq!(Some(&expected), file.sha256.as_ref());
                assert_ne!(actual, expected);
                assert_eq!(path, Path::new("origin"));
            }
            (other, _) => panic!("{other}"),
        }
        assert_eq!(names_in(folder.path()), ["w.bin"]);
        assert_eq!(std::fs::read(folder.path().join("w.bin")).unwrap(), b"old");
    }
}

#[test]
fn what_a_killed_process_left_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = expected(b"weights", folder.path());
    let left = temporary_path(&folder.path().join("w.bin"));
    std::fs::write(&left, "half of something much longer than the weights").unwrap();
    place_bytes(b"weights", folder.path(), &file).unwrap();
    assert_eq!(names_in(folder.path()), ["w.bin"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_to_be_full() {
    let folder = tempfile::tempdir().unwrap();
    let file = expected(b"weights", folder.path());
    let full = Path::new("/dev/full");
    let mut writer = File::options().write(true).open(full).unwrap();
    let mut reader = Cursor::new(b"weights");
    let error = copy_verified(
        &mut reader,
        Path::new("origin"),
        &mut writer,
        full,
        &file,
        &mut |_| {},
    )
    .unwrap_err();
    assert!(
        matches!(&error, Error::DiskFull { path, .. } if path == full),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "the disk is full: cannot write /dev/full"
    );
}
