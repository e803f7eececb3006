//! The index file from outside: what comes back, what stays when a save fails, and the file of
//! each format version that must open for ever.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

use std::fs;
use std::path::{Path, PathBuf};

use longtrainer_index::{Error, FlatIndex, Hit, Metric, VectorIndex};

const FIXTURE: &str = "tests/fixtures/version-2.index";
const FIXTURES: [&str; 2] = ["tests/fixtures/version-1.index", FIXTURE];

/// What each fixture holds: seven vectors, written once with revision 2026.
fn fixture_index() -> FlatIndex {
    let index = FlatIndex::new(3, Metric::InnerProduct).unwrap();
    let ids = [1, 2, 3, 5, 8, 13, u64::MAX];
    let vectors: Vec<f32> = (0..21).map(|i| i as f32 / 2.0 - 3.0).collect();
    index.upsert(&ids, &vectors).unwrap();
    index
}

fn everything(index: &FlatIndex) -> Vec<Hit> {
    let query = vec![0.75; index.dimension()];
    index.search(&query, usize::MAX).unwrap()
}

/// A folder with a sound index in it, and the other names in the folder.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("a.index")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

#[test]
fn what_was_saved_opens_with_its_revision() {
    for metric in [Metric::InnerProduct, Metric::Cosine, Metric::L2] {
        let place = Place::new();
        let index = FlatIndex::new(5, metric).unwrap();
        for revision in [0, 1, u64::MAX] {
            let id = 10 + revision / 2;
            index
                .upsert(
                    &[id, 7],
                    &[1.0, -2.0, 0.5, 1e-3, 3.0, 9.0, 8.0, 7.0, 6.0, 5.0],
                )
                .unwrap();
            index.save(&place.path(), revision).unwrap();
            let (opened, found) = FlatIndex::open(place.path()).unwrap();
            assert_eq!(
                (opened.dimension(), opened.metric(), found),
                (5, metric, revision)
            );
            assert_eq!(everything(&opened), everything(&index));
        }
        assert_eq!(place.names(), ["a.index"]);
    }
}

#[test]
fn an_opened_index_goes_on_and_saves_again() {
    let place = Place::new();
    fixture_index().save(&place.path(), 1).unwrap();
    let (index, _) = FlatIndex::open(place.path()).unwrap();
    assert_eq!(index.remove(&[2, 4, 13]).unwrap(), 2);
    index.upsert(&[3, 4], &[1.0; 6]).unwrap();
    index.save(&place.path(), 2).unwrap();
    let (again, revision) = FlatIndex::open(place.path()).unwrap();
    assert_eq!((again.len(), revision), (6, 2));
    assert_eq!(everything(&again), everything(&index));
}

#[test]
fn the_fixtures_open() {
    for fixture in FIXTURES {
        let (index, revision) = FlatIndex::open(fixture).unwrap();
        assert_eq!(
            (index.metric(), index.dimension(), revision),
            (Metric::InnerProduct, 3, 2026)
        );
        assert_eq!(
            everything(&index),
            everything(&fixture_index()),
            "{fixture}"
        );
    }
}

/// As long as version 2 is what is written, it is written as it always was.
#[test]
fn version_2_is_written_byte_for_byte() {
    let place = Place::new();
    fixture_index().save(&place.path(), 2026).unwrap();
    assert_eq!(fs::read(place.path()).unwrap(), fs::read(FIXTURE).unwrap());
}

/// Opens a file and looks at all that it holds.
fn read_all(path: &Path) -> Result<(), Error> {
    let (index, _) = FlatIndex::open(path)?;
    let query = vec![1.0; index.dimension()];
    index.search(&query, index.len()).map(drop)
}

#[test]
fn every_changed_byte_on_disk_is_an_error() {
    let place = Place::new();
    for fixture in FIXTURES {
        let whole = fs::read(fixture).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] = !changed[at];
            fs::write(place.path(), &changed).unwrap();
            let error = read_all(&place.path()).expect_err("a changed byte");
            assert!(error.to_string().contains("a.index"), "byte {at}: {error}");
        }
    }
}

#[test]
fn what_is_no_file_of_ours_is_named() {
    let place = Place::new();
    let missing = FlatIndex::open(place.path()).unwrap_err();
    assert!(
        matches!(&missing, Error::Read { path, .. } if *path == place.path()),
        "{missing}"
    );
    let folder = FlatIndex::open(place.folder.path()).unwrap_err();
    assert!(matches!(folder, Error::NotAnIndex { .. }), "{folder}");
    fs::write(place.path(), "id,vector\n1,0.5\n").unwrap();
    let foreign = FlatIndex::open(place.path()).unwrap_err();
    assert!(matches!(foreign, Error::NotAnIndex { .. }), "{foreign}");
    fs::write(place.path(), "").unwrap();
    let empty = FlatIndex::open(place.path()).unwrap_err();
    assert!(
        matches!(empty, Error::Truncated { received: 0, .. }),
        "{empty}"
    );
}

#[test]
fn a_save_that_fails_names_the_path_and_leaves_nothing() {
    let place = Place::new();
    let nowhere = place.folder.path().join("missing").join("a.index");
    let error = fixture_index().save(&nowhere, 1).unwrap_err();
    assert!(
        matches!(&error, Error::Write { path, .. } if *path == nowhere),
        "{error}"
    );
    let error = fixture_index().save(place.folder.path(), 1).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error}");
    assert!(place.names().is_empty());
}

/// Where a child process of the next test is to save.
const SAVE_TO: &str = "LONGTRAINER_TEST_SAVE_TO";

/// A file that may not grow beyond some blocks fails like a full disk. The limit holds for a
/// whole process, so the save happens in one of its own: this test program, started again.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file() {
    let place = Place::new();
    fixture_index().save(&place.path(), 5).unwrap();
    let script = r#"trap "" XFSZ; ulimit -f 8; exec "$0" --exact --ignored saves_too_much"#;
    let output = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(SAVE_TO, place.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    let (index, revision) = FlatIndex::open(place.path()).unwrap();
    assert_eq!(revision, 5);
    assert_eq!(everything(&index), everything(&fixture_index()));
    assert_eq!(place.names(), ["a.index"]);
}

#[test]
#[ignore = "the child process of a_full_disk_leaves_the_old_file"]
fn saves_too_much() {
    let path = std::env::var_os(SAVE_TO).expect("set by the test that starts this one");
    let index = FlatIndex::new(64, Metric::L2).unwrap();
    let ids: Vec<u64> = (0..1000).collect();
    index.upsert(&ids, &vec![1.0; 64_000]).unwrap();
    let error = index
        .save(Path::new(&path), 6)
        .expect_err("the limit is far below the size");
    assert!(matches!(error, Error::Write { .. }), "{error}");
}

/// Makes the fixture again; only before a release may the format of version 2 change.
#[test]
#[ignore = "writes the fixture"]
fn write_the_fixture() {
    fixture_index().save(Path::new(FIXTURE), 2026).unwrap();
}
