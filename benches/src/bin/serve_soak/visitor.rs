//! One visitor: does things with bots of its own, and notes what it is promised.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use longtrainer_benches::{Asked, HttpClient, Pieces, Reply};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::acts;
use crate::ledger::{ChatKind, Ledger};
use crate::plan::Act;
use crate::soak::Soak;
use crate::tally::Ending;
use crate::trouble::Trouble;

/// A visitor.
pub(crate) struct Visitor {
    pub(crate) soak: Arc<Soak>,
    pub(crate) number: usize,
    pub(crate) random: StdRng,
    /// What it was promised; the server's keeper reads it while everybody waits.
    pub(crate) ledger: Arc<std::sync::Mutex<Ledger>>,
    pub(crate) client: HttpClient,
    key: Option<String>,
    /// Counts what it has named, so that every name and question is there once.
    serial: usize,
}

impl Visitor {
    pub(crate) fn new(soak: &Arc<Soak>, number: usize, seed: u64, key: Option<String>) -> Self {
        let own = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64;
        Self {
            soak: Arc::clone(soak),
            number,
            random: StdRng::seed_from_u64(own),
            ledger: Arc::default(),
            client: HttpClient::new(""),
            key,
            serial: 0,
        }
    }

    /// Does one thing after the other until the time is over.
    pub(crate) async fn run(mut self) {
        let soak = Arc::clone(&self.soak);
        let mut life = 0;
        while Instant::now() < soak.end {
            // Squared, so that requests come in bursts.
            let share: f64 = self.random.random();
            tokio::time::sleep(soak.pause.mul_f64(share * share)).await;
            // While the server is being killed and looked after, everybody waits here.
            let site = soak.site.read().await;
            if site.life != life {
                life = site.life;
                self.client = HttpClient::new(&site.address).with_key(self.key.clone());
            }
            let act = self.next_act();
            let acted = acts::act(&mut self, act).await;
            self.note(act, acted);
        }
    }

    /// Without a bot or a chat there is little to do.
    fn next_act(&mut self) -> Act {
        let ledger = self.ledger();
        let (bots, chats) = (
            ledger.bots.len(),
            ledger
                .bots
                .values()
                .map(|bot| bot.chats.len())
                .sum::<usize>(),
        );
        drop(ledger);
        match (bots, chats) {
            (0, _) => Act::NewBot,
            (_, 0) => Act::NewChat,
            _ => Act::draw(&mut self.random),
        }
    }

    fn note(&mut self, act: Act, acted: Result<Ending, Trouble>) {
        let tally = &self.soak.tally;
        let ending = match acted {
            Ok(ending) => ending,
            Err(Trouble::Gone(_)) if self.soak.is_being_killed.load(Ordering::SeqCst) => {
                Ending::Killed
            }
            Err(Trouble::Gone(error)) => {
                tally.complain(format!("{act:?}: {error:#}"));
                Ending::Wrong
            }
            Err(Trouble::Wrong(problem)) => {
                tally.complain(format!("{act:?}: {problem}"));
                Ending::Wrong
            }
        };
        tally.count(act, ending);
    }

    /// Asks; any other status than these is wrong.
    pub(crate) async fn ask(&mut self, asked: &Asked, statuses: &[u16]) -> Result<Reply, Trouble> {
        let reply = self.client.ask(asked).await?;
        match statuses.contains(&reply.status) {
            true => Ok(reply),
            false => Err(Trouble::unexpected(&asked.name(), &reply)),
        }
    }

    /// Asks for what must be had, as JSON.
    pub(crate) async fn get_done(&mut self, asked: &Asked) -> Result<Value, Trouble> {
        let reply = self.ask(asked, &[200, 202]).await?;
        let not_json = |_| Trouble::unexpected(&asked.name(), &reply);
        reply.json().map_err(not_json)
    }

    /// Asks for what comes in pieces.
    pub(crate) async fn pieces(&mut self, asked: &Asked) -> Result<Pieces, Trouble> {
        let mut pieces = self.client.pieces(asked).await?;
        if pieces.status == 200 {
            return Ok(pieces);
        }
        let (status, body) = (pieces.status, pieces.rest().await?);
        Err(Trouble::unexpected(&asked.name(), &Reply { status, body }))
    }

    /// What was promised so far. Not to be held while anything is waited for.
    pub(crate) fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        let ledger = self.ledger.lock();
        ledger.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whose keys it has.
    pub(crate) fn tenant(&self) -> String {
        tenant(self.number)
    }

    /// A word that nobody else uses.
    pub(crate) fn name(&mut self) -> String {
        self.serial += 1;
        format!("v{}n{}", self.number, self.serial)
    }

    /// Some words.
    pub(crate) fn words(&mut self, most: usize) -> String {
        let count = self.random.random_range(1..=most);
        self.soak.words.piece(&mut self.random, count)
    }

    /// One of its bots.
    pub(crate) fn any_bot(&mut self) -> Option<String> {
        let bots: Vec<_> = self.ledger().bots.keys().cloned().collect();
        bots.into_iter().choose(&mut self.random)
    }

    /// One of its chats of a kind, with the bot.
    pub(crate) fn any_chat(&mut self, kind: ChatKind) -> Option<(String, String)> {
        let mut chats = Vec::new();
        for (bot, known) in &self.ledger().bots {
            let of_kind = known.chats.iter().filter(|(_, chat)| chat.kind == kind);
            chats.extend(of_kind.map(|(chat, _)| (bot.clone(), chat.clone())));
        }
        chats.into_iter().choose(&mut self.random)
    }

    /// A short while: seldom anything, sometimes as long as a slow connection takes.
    pub(crate) fn dawdle(&mut self) -> Duration {
        match self.random.random_bool(0.2) {
            true => Duration::from_millis(self.random.random_range(1..80)),
            false => Duration::ZERO,
        }
    }
}

/// The tenant of a visitor.
pub(crate) fn tenant(number: usize) -> String {
    format!("visitor-{number}")
}

/// A field of an answer that is text.
pub(crate) fn text_of(asked: &Asked, value: &Value, field: &str) -> Result<String, Trouble> {
    let text = value[field].as_str().map(str::to_owned);
    text.ok_or_else(|| Trouble::lacks(&asked.name(), field, &value.to_string()))
}
