//! Whether what was acknowledged is there.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use longtrainer_benches::{Asked, HttpClient};
use serde_json::Value;

use crate::acts::source;
use crate::ledger::{Bot, Chat, ChatKind, Ledger};
use crate::soak::Account;

/// How long jobs may take that are taken up again.
const PATIENCE: Duration = Duration::from_secs(300);

/// What was looked for.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// How many things.
    pub(crate) things: usize,
    /// How many of them are not as they must be.
    pub(crate) lost: usize,
    /// Which.
    pub(crate) complaints: Vec<String>,
}

impl Checked {
    /// Looks at one thing.
    fn that(&mut self, is_there: bool, complaint: impl FnOnce() -> String) {
        self.things += 1;
        if !is_there {
            self.lost += 1;
            self.complaints.push(complaint());
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.things += other.things;
        self.lost += other.lost;
        self.complaints.extend(other.complaints);
    }
}

/// Looks for everything in a visitor's ledger, once no job of it is at work.
pub(crate) async fn check(client: &mut HttpClient, account: &Account) -> Result<Checked> {
    settle(client).await?;
    // Nobody else has it while this runs, but it is not held while the server is asked.
    let ledger = std::mem::take(
        &mut *account
            .ledger
            .lock()
            .unwrap_or_else(PoisonError::into_inner),
    );
    let checked = check_ledger(client, &ledger).await;
    *account
        .ledger
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = ledger;
    checked
}

/// Waits until no job waits or is at work.
async fn settle(client: &mut HttpClient) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let jobs = client.get_done(&Asked::get("/jobs")).await?;
        let is_ended = |job: &Value| job["status"] != "pending" && job["status"] != "processing";
        if list(&jobs, "jobs").iter().all(is_ended) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("jobs did not end in {} seconds", PATIENCE.as_secs())
}

async fn check_ledger(client: &mut HttpClient, ledger: &Ledger) -> Result<Checked> {
    let mut checked = Checked::default();
    for (id, bot) in &ledger.bots {
        check_bot(client, &mut checked, id, bot).await?;
    }
    for id in &ledger.gone_bots {
        check_gone(client, &mut checked, format!("/bots/{id}")).await?;
    }
    for (id, key) in &ledger.keys {
        let status = status_with(client, key).await?;
        checked.that(status == 200, || format!("key {id}: {status}"));
    }
    for key in &ledger.revoked {
        let status = status_with(client, key).await?;
        // The documented status of a wrong key; 401 is for none.
        checked.that(status == 403, || format!("a revoked key: {status}"));
    }
    Ok(checked)
}

async fn check_bot(
    client: &mut HttpClient,
    checked: &mut Checked,
    id: &str,
    bot: &Bot,
) -> Result<()> {
    let reply = client.ask(&Asked::get(format!("/bots/{id}"))).await?;
    checked.that(reply.status == 200, || format!("{id}: {}", reply.text()));
    if reply.status != 200 {
        return Ok(());
    }
    check_documents(client, checked, id, bot).await?;
    for job in &bot.jobs {
        let found = client.ask(&Asked::get(format!("/jobs/{job}"))).await?;
        let is_done = found.status == 200 && found.json()?["status"] == "success";
        checked.that(is_done, || format!("job {job} of {id}: {}", found.text()));
    }
    let chats = client
        .get_done(&Asked::get(format!("/bots/{id}/chats")))
        .await?;
    for (chat_id, chat) in &bot.chats {
        check_chat(client, checked, &chats, chat_id, chat).await?;
    }
    for (kind, chat) in &bot.gone_chats {
        check_gone(client, checked, format!("/{}/{chat}", kind.path())).await?;
    }
    Ok(())
}

async fn check_documents(
    client: &mut HttpClient,
    checked: &mut Checked,
    id: &str,
    bot: &Bot,
) -> Result<()> {
    let listed = Asked::get(format!("/bots/{id}/documents"));
    let listed = client.get_done(&listed).await?;
    let documents = list(&listed, "documents");
    for file in &bot.files {
        let is_there = documents.iter().any(|document| source(document) == *file);
        checked.that(is_there, || format!("document {file} of {id}"));
    }
    for gone in &bot.gone_documents {
        let is_there = documents
            .iter()
            .any(|document| document["document_id"] == *gone);
        checked.that(!is_there, || format!("document {gone} of {id} is back"));
    }
    for (document, text) in &bot.texts {
        let asked = Asked::get(format!("/bots/{id}/documents/{document}"));
        let found = client.ask(&asked).await?;
        let is_there = found.status == 200 && found.json()?["page_content"] == **text;
        checked.that(is_there, || {
            format!("text {document} of {id}: {}", found.text())
        });
    }
    Ok(())
}

async fn check_chat(
    client: &mut HttpClient,
    checked: &mut Checked,
    chats: &Value,
    id: &str,
    chat: &Chat,
) -> Result<()> {
    let asked = Asked::get(format!("/{}/{id}?order=oldest", chat.kind.path()));
    let found = client.ask(&asked).await?;
    checked.that(found.status == 200, || format!("{id}: {}", found.text()));
    if found.status != 200 {
        return Ok(());
    }
    let found = found.json()?;
    let turns = list(&found, "messages");
    for (question, answer) in &chat.turns {
        let is_it = |turn: &&Value| turn["question"] == **question;
        let turn = turns.iter().find(is_it);
        let field = chat.kind.answer_field();
        let is_whole = |turn: &Value| turn[field] == **answer && turn["status"] == "complete";
        checked.that(turn.is_some_and(is_whole), || {
            format!("a turn of {id}: {question:?} was answered {answer:?}, stored is {turn:?}")
        });
    }
    if let Some(title) = &chat.title {
        let of_kind = match chat.kind {
            ChatKind::Text => "chats",
            ChatKind::Vision => "vision_chats",
        };
        let is_it = |known: &Value| known["chat_id"] == id && known["title"] == **title;
        let is_there = list(chats, of_kind).iter().any(is_it);
        checked.that(is_there, || format!("title {title} of {id}"));
    }
    Ok(())
}

async fn check_gone(client: &mut HttpClient, checked: &mut Checked, path: String) -> Result<()> {
    let status = client.ask(&Asked::get(&path)).await?.status;
    checked.that(status == 404, || format!("{path} is back: {status}"));
    Ok(())
}

/// What a key is told that asks for the bots of its tenant.
async fn status_with(client: &HttpClient, key: &str) -> Result<u16> {
    let mut client = HttpClient::new(client.address()).with_key(Some(key.to_owned()));
    Ok(client.ask(&Asked::get("/bots")).await?.status)
}

fn list<'value>(value: &'value Value, field: &str) -> &'value [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}
