//! Paths at which there is no file of ours.

use std::fs::{self, File};
use std::path::Path;

use super::support::*;
use crate::Error;
use crate::file::*;

fn refused(path: &Path) -> Error {
    let error = Container::open(path).unwrap_err();
    let name = path.display().to_string();
    assert!(error.to_string().contains(&name), "{error}");
    error
}

#[test]
fn a_file_on_disk_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an.index");
    let sample = Sample::new();
    fs::write(&path, sample.file()).unwrap();
    let container = Container::open(&path).unwrap();
    // On Unix a file that is removed stays where it is mapped.
    fs::remove_file(&path).unwrap();
    assert_eq!(Sample::read(&container).unwrap(), sample);
}

/// Advice checks nothing and spoils nothing, whatever range it is about.
#[test]
fn any_range_can_be_prefetched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an.index");
    let sample = Sample::new();
    fs::write(&path, sample.file()).unwrap();
    let on_disk = Container::open(&path).unwrap();
    let in_memory = open_bytes(&sample.file()).unwrap();
    for vectors in [on_disk, in_memory].map(|file| file.section(VECTORS).unwrap()) {
        for _ in 0..2 {
            for start in [0, 1, 50, 51, 52, usize::MAX] {
                for end in [0, 3, 49, 51, 60, usize::MAX] {
                    vectors.prefetch(start..end);
                }
            }
            assert_eq!(vectors.checked(3..40).unwrap(), &sample.vectors[3..40]);
        }
        assert_eq!(vectors.all().unwrap(), sample.vectors);
        vectors.prefetch(0..51);
    }
}

#[test]
fn what_is_no_file_is_no_index() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refused(folder.path()), Error::NotAnIndex { .. }));
    let missing = folder.path().join("missing");
    assert!(matches!(refused(&missing), Error::Read { .. }));
    let empty = folder.path().join("empty");
    File::create(&empty).unwrap();
    assert!(matches!(
        refused(&empty),
        Error::Truncated { received: 0, .. }
    ));
    let below_a_file = empty.join("an.index");
    assert!(matches!(refused(&below_a_file), Error::Read { .. }));
}

/// A pipe that nobody writes to would be waited for.
#[cfg(unix)]
#[test]
fn a_pipe_and_a_device_are_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert!(matches!(refused(&pipe), Error::NotAnIndex { .. }));
    assert!(matches!(
        refused(Path::new("/dev/null")),
        Error::NotAnIndex { .. }
    ));
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let circle = folder.path().join("circle");
    symlink(&circle, &circle).unwrap();
    assert!(matches!(refused(&circle), Error::Read { .. }));
    let closed = folder.path().join("closed");
    fs::write(&closed, Sample::new().file()).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Permissions do not keep root out.
    match File::open(&closed) {
        Ok(_) => assert!(Container::open(&closed).is_ok()),
        Err(_) => assert!(matches!(refused(&closed), Error::Read { .. })),
    }
}
