//! The whole run: visitors at work, a keeper who kills the server and looks after it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use longtrainer_benches::{Asked, HttpClient};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::Flags;
use crate::check::{Checked, check};
use crate::figures::Figures;
use crate::ledger::Ledger;
use crate::report::{Kill, Summary};
use crate::server_process::{Program, ServerProcess};
use crate::tally::Tally;
use crate::visitor::{Visitor, tenant};
use crate::words::Words;

/// The part of the time that kills fall into.
const KILLS_UNTIL: f64 = 0.6;
/// How long the last acts may take once the time is over.
const LAST_ACTS: Duration = Duration::from_secs(330);

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
    let keeper = Keeper {
        soak: Arc::clone(&soak),
        program,
        accounts,
        server,
        begun: Instant::now(),
        kills: Vec::new(),
    };
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

/// Kills the server at its times, starts it again, and checks what it has kept.
struct Keeper {
    soak: Arc<Soak>,
    program: Program,
    accounts: Vec<Account>,
    server: ServerProcess,
    begun: Instant,
    kills: Vec<Kill>,
}

impl Keeper {
    async fn keep(
        mut self,
        flags: &Flags,
        mut visiting: JoinSet<()>,
        figures: Figures,
    ) -> Result<Summary> {
        let moments = moments(flags, self.soak.end - self.begun);
        for moment in moments {
            self.watch_until(self.begun + moment).await;
            self.kill_and_check().await?;
        }
        self.watch_until(self.soak.end).await;
        self.wait_for(&mut visiting).await;
        let last = self.check_all().await?;
        let left = figures.end(&self.soak).await;
        Ok(Summary::new(flags, &self.soak, self.kills, last, left))
    }

    /// Prints a line a minute. A server that ends by itself is the worst that can be.
    async fn watch_until(&mut self, moment: Instant) {
        let mut next_line = Instant::now() + Duration::from_secs(60);
        while Instant::now() < moment {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if Instant::now() >= next_line {
                self.print_line();
                next_line += Duration::from_secs(60);
            }
        }
        if !self.server.is_running() {
            self.soak
                .tally
                .complain("the server ended by itself".to_owned());
        }
    }

    fn print_line(&self) {
        let total = self.soak.tally.total();
        println!(
            "{:>5} s: server {}, acknowledged {}, done {}, left {}, refused {}, killed {}, wrong {}",
            self.begun.elapsed().as_secs(),
            self.kills.len() + 1,
            self.acknowledged(),
            total.done,
            total.left,
            total.refused,
            total.killed,
            total.wrong,
        );
    }

    async fn kill_and_check(&mut self) -> Result<()> {
        let soak = Arc::clone(&self.soak);
        let after = self.begun.elapsed();
        soak.is_being_killed.store(true, Ordering::SeqCst);
        self.server.kill()?;
        // Everybody who was asking something has noticed by now, or does soon.
        let mut site = soak.site.write().await;
        self.server = ServerProcess::start(&self.program).await?;
        site.address.clone_from(&self.server.address);
        site.life += 1;
        soak.is_being_killed.store(false, Ordering::SeqCst);
        let checked = self.check_all().await?;
        let kill = Kill {
            after_seconds: after.as_secs_f64(),
            acknowledged: self.acknowledged(),
            ready_after_ms: self.server.ready_after.as_secs_f64() * 1e3,
            checked: checked.things,
            lost: checked.lost,
        };
        println!("killed: {kill:?}");
        self.kills.push(kill);
        Ok(())
    }

    /// Looks for everything that was acknowledged to anybody. Nobody may be doing anything.
    async fn check_all(&self) -> Result<Checked> {
        let mut all = Checked::default();
        for account in &self.accounts {
            let mut client = HttpClient::new(&self.server.address).with_key(account.key.clone());
            let checked = check(&mut client, account).await?;
            for lost in &checked.complaints {
                self.soak.tally.complain(format!("lost: {lost}"));
            }
            all.add(checked);
        }
        Ok(all)
    }

    async fn wait_for(&self, visiting: &mut JoinSet<()>) {
        let everybody = async {
            while let Some(ended) = visiting.join_next().await {
                if let Err(error) = ended {
                    self.soak
                        .tally
                        .complain(format!("a visitor panicked: {error}"));
                }
            }
        };
        if tokio::time::timeout(LAST_ACTS, everybody).await.is_err() {
            let complaint = "a visitor waits for an answer and gets none";
            self.soak.tally.complain(complaint.to_owned());
        }
    }

    fn acknowledged(&self) -> usize {
        let ledgers = self.accounts.iter().map(|account| account.ledger.lock());
        ledgers
            .map(|ledger| ledger.unwrap_or_else(PoisonError::into_inner).count)
            .sum()
    }
}

/// When the server is killed: once at random in each of as many equal parts of the time.
fn moments(flags: &Flags, run_time: Duration) -> Vec<Duration> {
    let mut random = StdRng::seed_from_u64(flags.seed);
    let part = KILLS_UNTIL / flags.kills.max(1) as f64;
    (0..flags.kills)
        .map(|kill| run_time.mul_f64(part * (kill as f64 + random.random::<f64>())))
        .collect()
}
