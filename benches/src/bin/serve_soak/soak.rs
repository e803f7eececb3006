//! The whole run: a server is started, visitors are sent, and a keeper kills it and looks after it.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longtrainer_benches::{Asked, HttpClient};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::Flags;
use crate::figures::Figures;
use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::report::Summary;
use crate::server_process::{Program, ServerProcess};
use crate::tally::Tally;
use crate::visitor::{Visitor, tenant};
use crate::words::Words;

/// What visitors share.
pub(crate) struct Soak {
    /// Held for reading while something is done, and for writing while the server is started anew.
    pub(crate) site: RwLock<Site>,
    /// Whether a broken connection is the killer's work.
    pub(crate) is_being_killed: AtomicBool,
    pub(crate) tally: Tally,
    pub(crate) words: Words,
    /// A picture as a data URL.
    pub(crate) picture: String,
    /// A folder that the server may read.
    pub(crate) allowed: PathBuf,
    pub(crate) text_model: String,
    pub(crate) embedding_model: String,
    pub(crate) owner_key: Option<String>,
    pub(crate) pause: Duration,
    pub(crate) end: Instant,
}

/// Where the server is.
pub(crate) struct Site {
    pub(crate) address: String,
    /// Which of the servers it is, from 1.
    pub(crate) life: usize,
}

/// A visitor's promises and the key to look after them.
pub(crate) struct Account {
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) key: Option<String>,
}

/// Runs everything as the flags say.
pub(crate) async fn run(flags: &Flags) -> Result<Summary> {
    ensure!(flags.visitors > 0, "--visitors starts at 1");
    let temporary = tempfile::tempdir()?;
    let folder = flags.folder.as_deref().unwrap_or(temporary.path());
    let program = program(flags, folder)?;
    let server = ServerProcess::start(&program).await?;
    let (soak, keys) = open(flags, &program, &server).await?;
    let soak = Arc::new(soak);
    let (accounts, visiting) = send(&soak, flags.seed, keys);
    let keeper = Keeper::new(&soak, program, accounts, server);
    let figures = Figures::watch(&soak);
    keeper.keep(flags, visiting, figures).await
}

fn program(flags: &Flags, folder: &std::path::Path) -> Result<Program> {
    let allowed = folder.join("allowed");
    std::fs::create_dir_all(&allowed)
        .with_context(|| format!("cannot make {}", allowed.display()))?;
    Ok(Program {
        serve: flags.serve.clone(),
        data_dir: folder.join("data"),
        allowed: allowed.canonicalize()?,
        log: flags.log.clone(),
        flags: flags.serve_flags.clone(),
    })
}

/// What visitors share, and their keys.
async fn open(
    flags: &Flags,
    program: &Program,
    server: &ServerProcess,
) -> Result<(Soak, Vec<Option<String>>)> {
    let mut client = HttpClient::new(&server.address);
    let models = client.get_done(&Asked::get("/models")).await?;
    let owner_key = match flags.keys {
        true => Some(new_key(&mut client, json!({"name": "the owner"})).await?),
        false => None,
    };
    let mut owner = HttpClient::new(&server.address).with_key(owner_key.clone());
    let mut keys = Vec::new();
    for number in 0..flags.visitors {
        keys.push(match flags.keys {
            true => {
                let body = json!({"name": "a visitor", "tenant": tenant(number)});
                Some(new_key(&mut owner, body).await?)
            }
            false => None,
        });
    }
    let picture = std::fs::read(&flags.picture)
        .with_context(|| format!("cannot read {}", flags.picture.display()))?;
    let run_time = Duration::try_from_secs_f64(flags.minutes * 60.0).context("--minutes")?;
    let soak = Soak {
        site: RwLock::new(Site {
            address: server.address.clone(),
            life: 1,
        }),
        is_being_killed: AtomicBool::new(false),
        tally: Tally::default(),
        words: Words::read(&flags.text)?,
        picture: format!("data:image/png;base64,{}", STANDARD.encode(picture)),
        allowed: program.allowed.clone(),
        text_model: default_model(&models, "text")?,
        embedding_model: default_model(&models, "embedding")?,
        owner_key,
        pause: Duration::try_from_secs_f64(flags.pause).context("--pause")?,
        end: Instant::now() + run_time,
    };
    Ok((soak, keys))
}

async fn new_key(client: &mut HttpClient, body: Value) -> Result<String> {
    let made = client.get_done(&Asked::post("/keys", &body)).await?;
    let key = made["key"].as_str().map(str::to_owned);
    key.context("POST /keys: no key in the answer")
}

fn default_model(listed: &Value, role: &str) -> Result<String> {
    let mut models = listed["models"].as_array().into_iter().flatten();
    let found = models.find(|model| model["role"] == role && model["default"] == true);
    let name = found.and_then(|model| model["name"].as_str());
    let name = name.with_context(|| format!("GET /models: no default {role} model in {listed}"));
    Ok(name?.to_owned())
}

fn send(soak: &Arc<Soak>, seed: u64, keys: Vec<Option<String>>) -> (Vec<Account>, JoinSet<()>) {
    let (mut accounts, mut visiting) = (Vec::new(), JoinSet::new());
    for (number, key) in keys.into_iter().enumerate() {
        let visitor = Visitor::new(soak, number, seed, key.clone());
        let ledger = Arc::clone(&visitor.ledger);
        accounts.push(Account { ledger, key });
        visiting.spawn(visitor.run());
    }
    (accounts, visiting)
}
