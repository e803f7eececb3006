//! Paths and directories: what is read, what is reported, and what must not hang.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail too")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::fixture;
use longtrainer_documents::{
    DirectoryLoad, Error, LoadOptions, list_directory, load_directory, load_json, load_path,
};

fn load(path: &Path) -> Result<Vec<longtrainer_documents::Document>, Error> {
    load_path(path, &LoadOptions::default())
}

fn directory(path: &Path, glob: &str) -> DirectoryLoad {
    load_directory(path, glob, &LoadOptions::default()).unwrap()
}

fn contents(load: &DirectoryLoad) -> Vec<&str> {
    load.documents
        .iter()
        .map(|document| document.page_content.as_str())
        .collect()
}

#[test]
fn the_source_is_the_path_as_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.txt");
    fs::write(&path, "text").unwrap();
    let documents = load(&path).unwrap();
    assert_eq!(documents[0].metadata["source"], path.to_str().unwrap());
}

#[test]
fn a_path_that_is_no_unicode_is_shown_without_loss() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join(std::ffi::OsStr::from_bytes(b"a\xff.txt"));
    fs::write(&path, "text").unwrap();
    let source = load(&path).unwrap()[0].metadata["source"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(source.contains(r"a\xFF.txt"), "{source}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.txt");
    let dangling = folder.path().join("dangling.txt");
    symlink(&missing, &dangling).unwrap();
    for path in [&missing, &dangling] {
        let error = load(path).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path: named, .. } if named == path),
            "{error}"
        );
    }
    let error = load(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
    let error = load_json(&missing, ".", &LoadOptions::default()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn a_pipe_does_not_wait_for_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.txt");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    assert!(matches!(load(&pipe), Err(Error::NotAFile { .. })));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.txt");
    // Sparse: it takes no space, and reading it would take long.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let error = load(&path).unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { bytes, limit, .. } if bytes == 1 << 40 && limit == 64 << 20)
    );
}

#[test]
fn json_is_loaded_from_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.dump");
    fs::write(&path, r#"[{"t": "a"}, {"t": "b"}]"#).unwrap();
    let documents = load_json(&path, ".[].t", &LoadOptions::default()).unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].metadata["seq_num"], 2);
}

/// A tree with files of every fate.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("sub/.git")).unwrap();
    fs::write(root.join("b.txt"), "b").unwrap();
    fs::write(root.join("a.md"), "a").unwrap();
    fs::write(root.join("sub/c.txt"), "c").unwrap();
    fs::write(root.join(".hidden.txt"), "hidden").unwrap();
    fs::write(root.join("sub/.git/d.txt"), "hidden").unwrap();
    fs::write(root.join("picture.png"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
    fs::write(root.join("sub/broken.pdf"), "no pdf").unwrap();
    folder
}

#[test]
fn a_directory_reports_every_file() {
    let folder = tree();
    let load = directory(folder.path(), "**/*");
    assert_eq!(contents(&load), ["a", "b", "c"]);
    assert_eq!(load.skipped, [folder.path().join("picture.png")]);
    assert_eq!(load.failures.len(), 1);
    assert!(
        load.failures[0]
            .to_string()
            .contains("broken.pdf is not PDF"),
        "{:?}",
        load.failures
    );
}

#[test]
fn a_glob_picks_files() {
    let folder = tree();
    assert_eq!(contents(&directory(folder.path(), "*.txt")), ["b"]);
    assert_eq!(contents(&directory(folder.path(), "**/*.txt")), ["b", "c"]);
    assert_eq!(
        contents(&directory(folder.path(), "**/*.{md,txt}")),
        ["a", "b", "c"]
    );
    assert_eq!(contents(&directory(folder.path(), "sub/*.txt")), ["c"]);
    assert!(directory(folder.path(), "*.nothing").documents.is_empty());
}

#[test]
fn links_are_followed_but_not_in_circles() {
    let folder = tree();
    let root = folder.path();
    symlink(root, root.join("sub/loop")).unwrap();
    symlink(root.join("gone"), root.join("dangling.txt")).unwrap();
    symlink(root.join("a.md"), root.join("z.md")).unwrap();
    let listing = list_directory(root, "**/*").unwrap();
    let names: Vec<_> = listing
        .files
        .iter()
        .map(|file| file.strip_prefix(root).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "a.md",
            "b.txt",
            "picture.png",
            "sub/broken.pdf",
            "sub/c.txt",
            "z.md"
        ]
    );
    let failures: Vec<_> = listing.failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(
        failures[0].contains("dangling.txt") && failures[1].contains("loop"),
        "{failures:?}"
    );
}

#[test]
fn a_directory_that_is_none_is_an_error() {
    let options = LoadOptions::default();
    let file = fixture("three-pages.pdf");
    assert!(matches!(
        load_directory(&file, "**/*", &options),
        Err(Error::NotADirectory { .. })
    ));
    let missing = fixture("missing");
    assert!(matches!(
        load_directory(&missing, "**/*", &options),
        Err(Error::Io { .. })
    ));
    let error = load_directory(Path::new("."), "a[", &options).unwrap_err();
    assert!(
        matches!(error, Error::BadGlob { .. }) && error.to_string().contains("a["),
        "{error}"
    );
}
