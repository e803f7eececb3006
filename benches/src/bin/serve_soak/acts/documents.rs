//! Documents: sent in, added by path, replaced, deleted.

use anyhow::Context;
use hyper::Method;
use longtrainer_benches::Asked;
use rand::Rng;
use rand::seq::IteratorRandom;
use serde_json::{Value, json};

use super::Acted;
use crate::tally::Ending;
use crate::trouble::Trouble;
use crate::visitor::{Visitor, text_of};

/// What stands between the parts of a form.
const BOUNDARY: &str = "a-boundary-that-no-text-has";
/// Words of a document at most.
const WORDS: usize = 300;
/// Documents of a bot at most, so that memory which grows is not that of more documents.
const MOST: usize = 60;

/// Sends files to any bot.
pub(super) async fn upload(visitor: &mut Visitor) -> Acted {
    match bot_with_room(visitor) {
        Some(bot) => upload_to(visitor, &bot).await,
        None => Ok(Ending::Idle),
    }
}

/// A bot that may have more documents.
fn bot_with_room(visitor: &mut Visitor) -> Option<String> {
    let bot = visitor.any_bot()?;
    let ledger = visitor.ledger();
    let known = ledger.bots.get(&bot)?;
    (known.files.len() + known.texts.len() < MOST).then_some(bot)
}

/// Sends one to three files to a bot.
pub(super) async fn upload_to(visitor: &mut Visitor, bot: &str) -> Acted {
    let count = visitor.random.random_range(1..=3);
    let mut files = Vec::new();
    for _ in 0..count {
        files.push((format!("{}.txt", visitor.name()), visitor.words(WORDS)));
    }
    let with_build = visitor.random.random_bool(0.2);
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let asked = Asked::new(Method::POST, format!("/bots/{bot}/documents/upload"))
        .body(content_type, form(&files, with_build));
    let begun = visitor.get_done(&asked).await?;
    let job = text_of(&asked, &begun, "job_id")?;
    let names = files.into_iter().map(|(name, _)| name);
    visitor.ledger().of_bot(bot, |bot| {
        bot.files.extend(names);
        bot.begun(job);
    });
    Ok(Ending::Done)
}

/// The files as a form.
fn form(files: &[(String, String)], with_build: bool) -> String {
    let mut form = String::new();
    for (name, text) in files {
        form += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n\
             {name} {text}\r\n"
        );
    }
    if with_build {
        form += &format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"build\"\r\n\r\ntrue\r\n"
        );
    }
    form + &format!("--{BOUNDARY}--\r\n")
}

/// Has the server read a file of its machine.
pub(super) async fn add_path(visitor: &mut Visitor) -> Acted {
    let Some(bot) = bot_with_room(visitor) else {
        return Ok(Ending::Idle);
    };
    let name = format!("{}.txt", visitor.name());
    let path = visitor.soak.allowed.join(&name);
    let text = format!("{name} {}", visitor.words(WORDS));
    std::fs::write(&path, text).context("a document cannot be written")?;
    let path = path.display().to_string();
    let asked = Asked::post(
        format!("/bots/{bot}/documents/path"),
        &json!({"path": path}),
    );
    let begun = visitor.get_done(&asked).await?;
    let job = text_of(&asked, &begun, "job_id")?;
    visitor.ledger().of_bot(&bot, |bot| {
        bot.files.push(path);
        bot.begun(job);
    });
    Ok(Ending::Done)
}

/// Puts a text in the place of a document.
pub(super) async fn replace(visitor: &mut Visitor) -> Acted {
    let Some((bot, id)) = take_document(visitor).await? else {
        return Ok(Ending::Idle);
    };
    let text = format!("{}: {}", visitor.name(), visitor.words(WORDS));
    let asked = Asked::new(Method::PUT, format!("/bots/{bot}/documents/{id}"))
        .json(&json!({"page_content": text}));
    let replaced = visitor.get_done(&asked).await?;
    let new = replaced["document_id"].as_u64();
    let new = new.ok_or_else(|| Trouble::lacks(&asked.name(), "new id", &replaced.to_string()))?;
    visitor.ledger().of_bot(&bot, |bot| {
        bot.gone_documents.push(id);
        bot.texts.insert(new, text);
    });
    Ok(Ending::Done)
}

/// Deletes a document.
pub(super) async fn delete(visitor: &mut Visitor) -> Acted {
    let Some((bot, id)) = take_document(visitor).await? else {
        return Ok(Ending::Idle);
    };
    let asked = Asked::new(Method::DELETE, format!("/bots/{bot}/documents/{id}"));
    visitor.get_done(&asked).await?;
    visitor
        .ledger()
        .of_bot(&bot, |bot| bot.gone_documents.push(id));
    Ok(Ending::Done)
}

/// Takes a document that is stored out of the ledger: its bot and id. One of them always stays, so that
/// the bot has something to answer from.
async fn take_document(visitor: &mut Visitor) -> Result<Option<(String, u64)>, Trouble> {
    let Some(bot) = visitor.any_bot() else {
        return Ok(None);
    };
    let listed = Asked::get(format!("/bots/{bot}/documents"));
    let listed = visitor.get_done(&listed).await?;
    let known = match visitor.ledger().bots.get(&bot) {
        Some(bot) => (bot.files.clone(), bot.texts.clone()),
        None => return Ok(None),
    };
    let documents = listed["documents"].as_array().into_iter().flatten();
    let ours: Vec<(u64, String)> = documents
        .filter_map(|document| {
            let id = document["document_id"].as_u64()?;
            let source = source(document);
            (known.0.contains(&source) || known.1.contains_key(&id)).then_some((id, source))
        })
        .collect();
    if ours.len() < 2 {
        return Ok(None);
    }
    let Some((id, source)) = ours.into_iter().choose(&mut visitor.random) else {
        return Ok(None);
    };
    visitor.ledger().of_bot(&bot, |bot| {
        if bot.texts.remove(&id).is_none() {
            bot.files.retain(|file| *file != source);
        }
    });
    Ok(Some((bot, id)))
}

/// Where a listed document came from.
pub(crate) fn source(document: &Value) -> String {
    let source = document["metadata"]["source"].as_str();
    source.unwrap_or_default().to_owned()
}
