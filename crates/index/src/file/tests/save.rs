//! Saves that fail, and what they leave behind.

use std::env;
use std::fs::{self, File};
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::support::*;
use crate::Error;
use crate::file::write::write;
use crate::file::*;

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A disk that is full after some bytes.
struct FullAfter {
    room: usize,
    written: Cursor<Vec<u8>>,
}

impl Write for FullAfter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.room.min(bytes.len()) {
            0 => Err(io::ErrorKind::StorageFull.into()),
            taken => {
                self.room -= taken;
                self.written.write(&bytes[..taken])
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for FullAfter {
    fn seek(&mut self, place: SeekFrom) -> io::Result<u64> {
        self.written.seek(place)
    }
}

/// Header and table are written twice: as zeros, and at last.
#[test]
fn a_full_disk_is_noticed_at_every_byte_and_leaves_no_index() {
    let sample = Sample::new();
    let needed = sample.file().len() + entry_at(4);
    for room in 0..=needed {
        let mut disk = FullAfter {
            room,
            written: Cursor::default(),
        };
        let result = write(&mut disk, &sample.fields(), &sample.sources(64));
        let written = disk.written.into_inner();
        if room == needed {
            result.unwrap();
            assert_eq!(written, sample.file());
        } else {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{room}");
            // The last bytes of the table are zeros, before and after.
            assert!(
                open_bytes(&written).is_err() || written == sample.file(),
                "{room}"
            );
        }
    }
}

#[test]
fn a_save_replaces_the_file_and_leaves_those_who_have_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an.index");
    let (old, mut new) = (Sample::new(), Sample::new());
    new.vectors[7] = 0.125;
    write_container(&path, &old.fields(), &old.sources(64)).unwrap();
    let opened = Container::open(&path).unwrap();
    write_container(&path, &new.fields(), &new.sources(64)).unwrap();
    assert_eq!(Sample::read(&opened).unwrap(), old);
    let reopened = Container::open(&path).unwrap();
    assert_eq!(Sample::read(&reopened).unwrap(), new);
    assert_eq!(names(folder.path()), ["an.index"]);
}

#[test]
fn sections_come_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an.index");
    let sample = Sample::new();
    let mut sources = sample.sources(64);
    sources.reverse();
    write_container(&path, &sample.fields(), &sources).unwrap();
    assert_eq!(fs::read(&path).unwrap(), sample.file());
}

#[test]
fn what_would_not_read_back_is_not_put_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an.index");
    fs::write(&path, "what was there").unwrap();
    let sample = Sample::new();
    let mut twice = sample.sources(64);
    twice.extend(sample.sources(64));
    let nothing = Fields {
        dimension: 0,
        ..sample.fields()
    };
    for (fields, sources) in [
        (sample.fields(), twice),
        (nothing, sample.sources(64)),
        (sample.fields(), sample.sources(63)),
    ] {
        let error = write_container(&path, &fields, &sources).unwrap_err();
        assert!(matches!(error, Error::Unverified { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"what was there");
        assert_eq!(names(folder.path()), ["an.index"]);
    }
}

#[test]
fn only_abandoned_unfinished_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let aged = |name: &str, hours: u64| {
        let file = File::create(folder.path().join(name)).unwrap();
        let age = Duration::from_secs(hours * 3600);
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    aged(".longtrainer-index-old", 25);
    aged(".longtrainer-index-new", 23);
    aged(".longtrainer-other", 1000);
    aged("other.index", 1000);
    fs::create_dir(folder.path().join(".longtrainer-index-folder")).unwrap();
    let sample = Sample::new();
    let path = folder.path().join("an.index");
    write_container(&path, &sample.fields(), &sample.sources(64)).unwrap();
    assert_eq!(
        names(folder.path()),
        [
            ".longtrainer-index-folder",
            ".longtrainer-index-new",
            ".longtrainer-other",
            "an.index",
            "other.index"
        ]
    );
}

/// Where a child process of the next test is to save, again and again.
const SAVE_TO: &str = "LONGTRAINER_TEST_SAVE_AGAIN_TO";

/// What the child process saves in its round: all components are the round's number.
fn of_round(round: u64) -> (Fields, Vec<f32>) {
    let fields = Fields {
        revision: round,
        ..fields(crate::Metric::L2, 16, 20_000)
    };
    (fields, vec![round as f32; 16 * 20_000])
}

fn save_round(path: &Path, round: u64) {
    let (fields, vectors) = of_round(round);
    let source = SectionSource::new(VECTORS, vectors.chunks(1000));
    write_container(path, &fields, &[source]).unwrap();
}

fn revision_of(path: &Path) -> u64 {
    Container::open(path).unwrap().fields().revision
}

/// The child process is this test program, started again. It does nothing but save, so it is killed
/// somewhere in a save.
#[test]
fn a_process_that_is_killed_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("an.index");
    for wait in 0..12 {
        save_round(&path, 1);
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--ignored"])
            .arg("file::tests::save::saves_until_killed")
            .env(SAVE_TO, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while revision_of(&path) == 1 && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(Duration::from_millis(3 * wait));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        assert_is_whole(&path);
    }
    for name in names(folder.path()) {
        assert!(
            name == "an.index" || name.starts_with(".longtrainer-index-"),
            "{name}"
        );
    }
}

fn assert_is_whole(path: &Path) {
    let container = Container::open(path).unwrap();
    let round = container.fields().revision;
    assert!(round > 1, "the child saved nothing");
    let (expected, vectors) = of_round(round);
    assert_eq!(*container.fields(), expected);
    let read = container.required(VECTORS, 16 * 20_000).unwrap();
    assert_eq!(read.all().unwrap(), vectors);
}

#[test]
#[ignore = "the child process of a_process_that_is_killed_leaves_a_whole_file"]
fn saves_until_killed() {
    let path = PathBuf::from(env::var_os(SAVE_TO).expect("set by the test that starts this one"));
    for round in 2..=u64::MAX {
        save_round(&path, round);
    }
}
