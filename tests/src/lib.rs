//! What the end-to-end tests share: finding the real binaries, running them over a fresh data
//! directory, and knowing whether the real models are here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "this is a test crate"
)]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// The default models, as the registry names them.
pub const MODELS: [&str; 2] = ["all-MiniLM-L6-v2", "SmolLM2-135M-Instruct-Q4_1"];

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// A binary of this workspace, built beside the test that asks.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is not built: run ./scripts/test",
        path.display()
    );
    path
}

/// Starts the `serve` binary over a data directory, on a port of its own; its address.
pub fn start_serve(data_dir: &Path, flags: &[&OsStr]) -> (Child, String) {
    let mut process = Command::new(binary("serve"))
        .args(["--port", "0", "--data-dir"])
        .arg(data_dir)
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let address = lines
        .find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("http://")?;
            Some(rest.split(['/', ' ']).next().unwrap().to_owned())
        })
        .expect("the server never said where it listens");
    std::thread::spawn(move || lines.for_each(drop));
    (process, address)
}

/// Whether both default models are here. `LONGTRAINER_REQUIRE_MODELS` makes their absence a
/// failure; without it the caller skips, and this says so.
pub fn models_are_here() -> bool {
    let absent: Vec<_> = MODELS.into_iter().filter(|name| !is_here(name)).collect();
    if absent.is_empty() {
        return true;
    }
    let required = std::env::var_os("LONGTRAINER_REQUIRE_MODELS").is_some();
    assert!(
        !required,
        "models {absent:?} are not here: run `longtrainer models pull`"
    );
    eprintln!("skipped: models {absent:?} are not here (`longtrainer models pull` fetches them)");
    false
}

fn is_here(model: &str) -> bool {
    Command::new(binary("longtrainer"))
        .args(["--offline", "models", "path", model])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

/// A data directory and the `longtrainer` command over it.
pub struct Shell {
    /// The data directory; gone with the value.
    pub data_dir: TempDir,
}

impl Default for Shell {
    fn default() -> Self {
        Self {
            data_dir: tempfile::tempdir().unwrap(),
        }
    }
}

impl Shell {
    /// The command, offline, with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("longtrainer"));
        command
            .arg("--offline")
            .arg("--data-dir")
            .arg(self.data_dir.path())
            .args(args);
        command.stdin(Stdio::null()).env_remove("LONGTRAINER_DATA");
        command
    }

    /// Runs the command.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed; returns what it prints.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Runs a command that must succeed and print JSON.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.ok(args);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// Runs a command that must fail with this exit code; returns what it says.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said
    }

    /// A bot that has read these files.
    pub fn bot(&self, files: &[&Path]) -> String {
        let bot = self.ok(&["bot", "create"]);
        for file in files {
            self.ok(&["add-doc", &bot, file.to_str().unwrap()]);
        }
        bot
    }
}

/// What a command said on its error stream.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
