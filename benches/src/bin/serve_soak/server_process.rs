//! The real server: started, killed, started again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use longtrainer_benches::{Asked, HttpClient};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a server is started.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) serve: PathBuf,
    pub(crate) data_dir: PathBuf,
    /// A folder that the server may read.
    pub(crate) allowed: PathBuf,
    pub(crate) log: Option<PathBuf>,
    pub(crate) flags: Vec<String>,
}

/// A running server. Dropping it kills it.
pub(crate) struct ServerProcess {
    process: Child,
    pub(crate) address: String,
    /// From the start to `/ready`.
    pub(crate) ready_after: Duration,
}

impl ServerProcess {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(program: &Program) -> Result<Self> {
        let begun = Instant::now();
        let mut process = Command::new(&program.serve)
            .args(["--offline", "--port", "0", "--data-dir"])
            .arg(&program.data_dir)
            .arg("--allow-dir")
            .arg(&program.allowed)
            .args(&program.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log(program.log.as_deref())?)
            .spawn()
            .with_context(|| format!("cannot start {}", program.serve.display()))?;
        let address = match address(&mut process) {
            Ok(address) => address,
            Err(error) => {
                // What has not started is not left behind; the error says what there is to say.
                let _ = process.kill();
                let _ = process.wait();
                return Err(error);
            }
        };
        let mut server = Self {
            process,
            address,
            ready_after: Duration::ZERO,
        };
        server.wait_until_ready(begun).await?;
        server.ready_after = begun.elapsed();
        Ok(server)
    }

    async fn wait_until_ready(&self, begun: Instant) -> Result<()> {
        let mut client = HttpClient::new(&self.address);
        while begun.elapsed() < PATIENCE {
            if client.ask(&Asked::get("/ready")).await?.status == 200 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bail!(
            "the server was not ready after {} seconds",
            PATIENCE.as_secs()
        );
    }

    /// Whether it runs. It must not end by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// SIGKILL: no destructor, no flush, no farewell.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill().context("cannot kill the server")?;
        self.process.wait().context("cannot wait for the server")?;
        Ok(())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log(path: Option<&Path>) -> Result<Stdio> {
    let Some(path) = path else {
        return Ok(Stdio::null());
    };
    let file: File = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.into())
}

/// Where the server says that it listens.
fn address(process: &mut Child) -> Result<String> {
    let stdout = process.stdout.take().context("no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next().transpose()? {
        let Some((_, rest)) = line.split_once("http://") else {
            continue;
        };
        // What else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let address = rest.split(['/', ' ']).next().unwrap_or_default();
        return Ok(address.to_owned());
    }
    bail!("the server ended without saying where it listens; its log says more")
}
