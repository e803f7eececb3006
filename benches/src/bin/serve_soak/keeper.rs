//! The keeper: kills the server at its times, starts it again, and checks what it has kept.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use longtrainer_benches::HttpClient;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use crate::Flags;
use crate::check::{Checked, check};
use crate::figures::Figures;
use crate::report::{Kill, Summary};
use crate::server_process::{Program, ServerProcess};
use crate::soak::{Account, Soak};

/// The part of the time that kills fall into.
const KILLS_UNTIL: f64 = 0.6;
/// How long the last acts may take once the time is over.
const LAST_ACTS: Duration = Duration::from_secs(330);

/// Kills the server at its times, starts it again, and checks what it has kept.
pub(crate) struct Keeper {
    soak: Arc<Soak>,
    program: Program,
    accounts: Vec<Account>,
    server: ServerProcess,
    begun: Instant,
    kills: Vec<Kill>,
}

impl Keeper {
    /// A keeper of a server that runs.
    pub(crate) fn new(
        soak: &Arc<Soak>,
        program: Program,
        accounts: Vec<Account>,
        server: ServerProcess,
    ) -> Self {
        Self {
            soak: Arc::clone(soak),
            program,
            accounts,
            server,
            begun: Instant::now(),
            kills: Vec::new(),
        }
    }

    /// Does it all until the time is over and everybody has gone; the summary.
    pub(crate) async fn keep(
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
