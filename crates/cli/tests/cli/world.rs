//! A fresh data folder, and the binary run in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longtrainer::{BotId, LongTrainer};
use serde_json::Value;
use tempfile::TempDir;

/// A fresh folder with a data folder and an empty models folder, and no network.
pub(crate) struct World {
    root: TempDir,
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join("models")).unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Writes a file below the root.
    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The binary with this world's folders, and none of the caller's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longtrainer"));
        command.args(arguments).current_dir(self.root.path());
        for name in [
            "LONGTRAINER_CONFIG",
            "LONGTRAINER_DEVICE",
            "HF_HUB_OFFLINE",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command
            .env("LONGTRAINER_DATA", self.data())
            .env("LONGTRAINER_MODELS", self.path("models"))
            .env("LONGTRAINER_OFFLINE", "1");
        command
    }

    /// Runs to the end with an empty standard input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with_stdin(arguments, b"")
    }

    pub(crate) fn run_with_stdin(&self, arguments: &[&str], stdin: &[u8]) -> Run {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses at once may not read it.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs and returns standard output; anything but success fails the test.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).expect(0, &[]).stdout
    }

    /// Runs and parses standard output.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ok(arguments)).unwrap()
    }

    /// Makes a bot.
    pub(crate) fn bot(&self) -> String {
        self.ok(&["bot", "create"]).trim().to_owned()
    }

    /// The data folder through the library: what a test cannot make without a model otherwise. No
    /// command may run while it is open.
    pub(crate) fn library(&self) -> LongTrainer {
        LongTrainer::builder(self.data()).build().unwrap()
    }
}

impl Run {
    /// Checks the exit code and that standard error says all of `words`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, words: &[&str]) -> Self {
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !self.stderr.contains(**word))
            .collect();
        assert!(
            self.code == Some(code) && missing.is_empty(),
            "expected exit code {code}, got {:?}\nmissing on standard error: {missing:?}\n\
             --- stdout ---\n{}\n--- stderr ---\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// An id of the right form that nothing has.
pub(crate) const NO_BOT: &str = "bot-00000000-0000-4000-8000-000000000000";
/// An id of the right form that nothing has.
pub(crate) const NO_CHAT: &str = "chat-00000000-0000-4000-8000-000000000000";
/// An id of the right form that nothing has.
pub(crate) const NO_VISION_CHAT: &str = "vision-00000000-0000-4000-8000-000000000000";

pub(crate) fn bot_id(text: &str) -> BotId {
    text.parse().unwrap()
}

pub(crate) fn text_of(path: &Path) -> String {
    path.display().to_string()
}
