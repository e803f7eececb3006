//! Random calls, answered by the store and by a plain model of it, which must always agree.
//!
//! The ids are few and awkward (prefixes of each other, NUL, the last character of Unicode), so
//! that a range which reaches too far, or a key that ends too early, meets a neighbour.

// The helpers of a test may do what the test may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Fixture, at, bot, chat, document, indexed, job, picture, space, turn, vision_turn};
use longtrainer_store::{
    AddedDocuments, ChatKind, Error, JobRecord, Order, Result, Store, TurnKey, TurnStatus,
    VisionTurnRecord,
};
use proptest::prelude::*;

const BOTS: [&str; 6] = ["a", "ab", "a\0", "a\u{10FFFF}", "b", "\u{FF}"];
const CHATS: [&str; 5] = ["c", "c\0", "cd", "\u{10FFFF}", "d"];
const JOBS: [&str; 3] = ["j", "jk", "j\0"];
/// Bytes of pictures, of which their hashes are made, too.
const PICTURES: [u8; 3] = [0, 7, 255];

#[derive(Debug, Clone)]
enum Call {
    CreateBot(usize, i64),
    UpdateBot(usize, usize),
    DeleteBot(usize),
    AddDocuments(usize, Vec<u8>),
    RemoveDocuments(usize, Vec<u64>),
    /// Documents of a bot by place, each with a number of chunks; whether the space fits.
    Index(usize, Vec<(usize, usize)>, bool),
    ClearIndex(usize),
    CreateChat(usize, usize, bool, i64),
    RenameChat(usize, Option<u8>),
    DeleteChat(usize),
    AppendTurn(usize, i64, u8),
    /// With pictures, each by a byte and whether a copy goes with it.
    AppendVisionTurn(usize, i64, Vec<(u8, bool)>),
    Train(usize, Vec<(usize, u64)>, u8),
    PutJob(usize, usize, i64),
    Reopen,
}

fn calls() -> impl Strategy<Value = Call> {
    let bot = || 0..BOTS.len();
    let chat = || 0..CHATS.len();
    let time = || 0..4i64;
    prop_oneof![
        4 => (bot(), time()).prop_map(|(b, t)| Call::CreateBot(b, t)),
        1 => (bot(), 0..9usize).prop_map(|(b, k)| Call::UpdateBot(b, k)),
        1 => bot().prop_map(Call::DeleteBot),
        4 => (bot(), prop::collection::vec(0..8u8, 0..4)).prop_map(|(b, d)| Call::AddDocuments(b, d)),
        2 => (bot(), prop::collection::vec(0..12u64, 0..3))
            .prop_map(|(b, d)| Call::RemoveDocuments(b, d)),
        4 => (bot(), prop::collection::vec((0..4usize, 0..4usize), 0..3), prop::bool::weighted(0.9))
            .prop_map(|(b, d, fits)| Call::Index(b, d, fits)),
        1 => bot().prop_map(Call::ClearIndex),
        5 => (chat(), bot(), any::<bool>(), time())
            .prop_map(|(c, b, vision, t)| Call::CreateChat(c, b, vision, t)),
        1 => (chat(), any::<Option<u8>>()).prop_map(|(c, t)| Call::RenameChat(c, t)),
        1 => chat().prop_map(Call::DeleteChat),
        6 => (chat(), time(), 0..5u8).prop_map(|(c, t, k)| Call::AppendTurn(c, t, k)),
        3 => (chat(), time(), prop::collection::vec((0..3usize, any::<bool>()), 0..3)).prop_map(
            |(c, t, p)| {
                let byte = |(place, kept): &(usize, bool)| (PICTURES[*place], *kept);
                Call::AppendVisionTurn(c, t, p.iter().map(byte).collect())
            }
        ),
        3 => (bot(), prop::collection::vec((chat(), 0..3u64), 0..3), 0..8u8)
            .prop_map(|(b, t, d)| Call::Train(b, t, d)),
        3 => (0..JOBS.len(), bot(), time()).prop_map(|(j, b, t)| Call::PutJob(j, b, t)),
        1 => Just(Call::Reopen),
    ]
}

#[derive(Debug, Default)]
struct Model {
    bots: BTreeMap<&'static str, BotModel>,
    chats: BTreeMap<&'static str, ChatModel>,
    jobs: BTreeMap<&'static str, JobRecord>,
    next_document: u64,
    next_chunk: u64,
}

#[derive(Debug, Default, Clone)]
struct BotModel {
    created: i64,
    num_k: usize,
    dimension: Option<usize>,
    revision: u64,
    /// Text, and the chunk ids once searchable.
    documents: BTreeMap<u64, (u8, Option<Vec<u64>>)>,
}

#[derive(Debug, Clone)]
struct ChatModel {
    bot: &'static str,
    kind: ChatKind,
    created: i64,
    title: Option<String>,
    turns: Vec<TurnModel>,
    kept: BTreeSet<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct TurnModel {
    asked: i64,
    trainable: bool,
    trained: bool,
}

/// An error, by name.
type Refusal = &'static str;

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::BotNotFound { .. } => "bot",
        Error::ChatNotFound { .. } => "chat",
        Error::DocumentNotFound { .. } => "document",
        Error::TurnNotFound { .. } => "turn",
        Error::TurnAlreadyTrained { .. } => "trained",
        Error::TurnNotTrainable { .. } => "not trainable",
        Error::AlreadyExists { .. } => "exists",
        Error::WrongChatKind { .. } => "kind",
        Error::VectorSpaceMismatch { .. } => "space",
        other => panic!("unexpected: {other:?}"),
    }
}

fn refused<T>(result: Result<T>) -> Result<T, Refusal> {
    result.map_err(|error| refusal(&error))
}

/// The turn that call `kind` appends: one that can be trained on, and four that cannot.
fn turn_of_kind(asked: i64, kind: u8) -> longtrainer_store::TurnRecord {
    let mut turn = turn("t", asked);
    match kind {
        1 => turn.status = TurnStatus::Failed,
        2 => turn.status = TurnStatus::Cancelled,
        3 => turn.answer = " \n".to_owned(),
        4 => turn.trained = true,
        _ => {}
    }
    turn
}

impl Model {
    fn bot(&mut self, bot: usize) -> Result<&mut BotModel, Refusal> {
        self.bots.get_mut(BOTS[bot]).ok_or("bot")
    }

    fn chat(&mut self, chat: usize, kind: ChatKind) -> Result<&mut ChatModel, Refusal> {
        let chat = self.chats.get_mut(CHATS[chat]).ok_or("chat")?;
        if chat.kind == kind {
            Ok(chat)
        } else {
            Err("kind")
        }
    }

    fn create_bot(&mut self, bot: usize, created: i64) -> Result<(), Refusal> {
        if self.bots.contains_key(BOTS[bot]) {
            return Err("exists");
        }
        let model = BotModel {
            created,
            num_k: 4,
            ..BotModel::default()
        };
        self.bots.insert(BOTS[bot], model);
        Ok(())
    }

    fn delete_bot(&mut self, bot: usize) -> Result<(), Refusal> {
        self.bots.remove(BOTS[bot]).ok_or("bot")?;
        self.chats.retain(|_, chat| chat.bot != BOTS[bot]);
        self.jobs
            .retain(|_, job| job.bot_id.as_deref() != Some(BOTS[bot]));
        Ok(())
    }

    fn add(&mut self, bot: usize, texts: &[u8]) -> Result<AddedDocuments, Refusal> {
        let mut next = self.next_document;
        let bot = self.bot(bot)?;
        let mut result = AddedDocuments::default();
        for text in texts {
            if bot.documents.values().any(|(there, _)| there == text) {
                result.already_there += 1;
                continue;
            }
            bot.documents.insert(next, (*text, None));
            result.added.push(next);
            next += 1;
        }
        self.next_document = next;
        Ok(result)
    }

    fn remove(&mut self, bot: usize, ids: &[u64]) -> Result<Vec<u64>, Refusal> {
        let bot = self.bot(bot)?;
        if ids.iter().any(|id| !bot.documents.contains_key(id)) {
            return Err("document");
        }
        let ids: std::collections::BTreeSet<_> = ids.iter().collect();
        let removed: Vec<_> = ids
            .into_iter()
            .flat_map(|id| bot.documents.remove(id).unwrap().1.unwrap_or_default())
            .collect();
        bot.revision += u64::from(!removed.is_empty());
        Ok(removed)
    }

    fn index(
        &mut self,
        bot: usize,
        documents: &[(u64, usize)],
        dimension: usize,
    ) -> Result<Vec<Vec<u64>>, Refusal> {
        let mut next = self.next_chunk;
        let bot = self.bot(bot)?;
        if bot.dimension.is_some_and(|stored| stored != dimension) {
            return Err("space");
        }
        if documents
            .iter()
            .any(|(id, _)| !bot.documents.contains_key(id))
        {
            return Err("document");
        }
        let mut ids = Vec::new();
        for (document, count) in documents {
            let new: Vec<u64> = (next..next + *count as u64).collect();
            next += *count as u64;
            bot.documents.get_mut(document).unwrap().1 = Some(new.clone());
            ids.push(new);
        }
        if !documents.is_empty() {
            bot.dimension = Some(dimension);
            bot.revision += 1;
        }
        self.next_chunk = next;
        Ok(ids)
    }

    fn train(
        &mut self,
        bot: usize,
        turns: &[(usize, u64)],
        text: u8,
    ) -> Result<AddedDocuments, Refusal> {
        self.bot(bot)?;
        let before = self.chats.clone();
        for (chat, number) in turns {
            if let Err(refusal) = self.mark(BOTS[bot], *chat, *number) {
                self.chats = before;
                return Err(refusal);
            }
        }
        self.add(bot, &[text])
    }

    fn mark(&mut self, bot: &str, chat: usize, number: u64) -> Result<(), Refusal> {
        let chat = self.chat(chat, ChatKind::Text).map_err(|_| "turn")?;
        let turn = chat.turns.get_mut(number as usize);
        let turn = turn.filter(|_| chat.bot == bot).ok_or("turn")?;
        if turn.trained {
            return Err("trained");
        }
        if !turn.trainable {
            return Err("not trainable");
        }
        turn.trained = true;
        Ok(())
    }
}

/// Makes one call on both sides and compares the answers.
fn call(fixture: Fixture, model: &mut Model, call: &Call) -> Fixture {
    let store = &fixture.store;
    match call {
        Call::CreateBot(b, time) => assert_eq!(
            refused(store.create_bot(&bot(BOTS[*b], *time))),
            model.create_bot(*b, *time)
        ),
        Call::UpdateBot(b, num_k) => {
            let answer = refused(store.update_bot(BOTS[*b], &mut |bot| {
                bot.settings.num_k = Some(*num_k);
                bot.bot_id = "another".to_owned();
                bot.created_at = at(99);
                bot.vectors_revision = 99;
                bot.vector_space = Some(space(99));
            }));
            let expected = model.bot(*b).map(|bot| bot.num_k = *num_k);
            assert_eq!(answer.map(|_| ()), expected);
        }
        Call::DeleteBot(b) => {
            assert_eq!(refused(store.delete_bot(BOTS[*b])), model.delete_bot(*b));
        }
        Call::AddDocuments(b, texts) => {
            let documents: Vec<_> = texts.iter().map(|t| document(&t.to_string())).collect();
            let answer = refused(store.add_documents(BOTS[*b], &documents));
            assert_eq!(answer, model.add(*b, texts));
        }
        Call::RemoveDocuments(b, ids) => {
            let answer = refused(store.remove_documents(BOTS[*b], ids));
            assert_eq!(answer, model.remove(*b, ids));
        }
        Call::Index(b, places, fits) => index(store, model, *b, places, *fits),
        Call::ClearIndex(b) => {
            let expected = model.bot(*b).map(|bot| {
                bot.revision += 1;
                bot.dimension = None;
                bot.documents
                    .values_mut()
                    .for_each(|(_, chunks)| *chunks = None);
            });
            assert_eq!(refused(store.clear_index(BOTS[*b])), expected);
        }
        Call::PutJob(j, b, time) => {
            let record = job(JOBS[*j], BOTS[*b], *time);
            let expected = model.bot(*b).map(|_| ());
            assert_eq!(refused(store.put_job(&record)), expected);
            if expected.is_ok() {
                model.jobs.insert(JOBS[*j], record);
            }
        }
        Call::Train(b, turns, text) => {
            let keys: Vec<_> = turns
                .iter()
                .map(|(c, turn)| key(CHATS[*c], *turn))
                .collect();
            let answer = store.commit_training(BOTS[*b], &keys, &[document(&text.to_string())]);
            assert_eq!(refused(answer), model.train(*b, turns, *text));
        }
        Call::Reopen => return fixture.reopen(),
        chat_call => call_chat(store, model, chat_call),
    }
    fixture
}

fn key(chat_id: &str, turn: u64) -> TurnKey {
    TurnKey {
        chat_id: chat_id.to_owned(),
        turn,
    }
}

fn index(store: &dyn Store, model: &mut Model, b: usize, places: &[(usize, usize)], fits: bool) {
    let known: Vec<u64> = match model.bot(b) {
        Ok(bot) => bot.documents.keys().copied().collect(),
        Err(_) => vec![],
    };
    // Distinct documents of the bot; one beyond its last is unknown.
    let mut documents: Vec<(u64, usize)> = Vec::new();
    for (place, count) in places {
        let id = known.get(*place).copied().unwrap_or(1_000);
        if documents.iter().all(|(other, _)| *other != id) {
            documents.push((id, *count));
        }
    }
    let dimension = if fits { 2 } else { 3 };
    let vector = vec![0.5; dimension];
    let given: Vec<_> = documents
        .iter()
        .map(|(id, count)| indexed(*id, &vec![vector.as_slice(); *count]))
        .collect();
    let answer = refused(store.index_documents(BOTS[b], &space(dimension), &given));
    assert_eq!(answer, model.index(b, &documents, dimension));
}

fn call_chat(store: &dyn Store, model: &mut Model, call: &Call) {
    match call {
        Call::CreateChat(c, b, vision, time) => {
            let kind = if *vision {
                ChatKind::Vision
            } else {
                ChatKind::Text
            };
            let answer = refused(store.create_chat(&chat(CHATS[*c], BOTS[*b], kind, *time)));
            let expected = match (model.bot(*b).is_ok(), model.chats.contains_key(CHATS[*c])) {
                (false, _) => Err("bot"),
                (true, true) => Err("exists"),
                (true, false) => Ok(()),
            };
            assert_eq!(answer, expected);
            if expected.is_ok() {
                let chat = ChatModel {
                    bot: BOTS[*b],
                    kind,
                    created: *time,
                    title: None,
                    turns: vec![],
                    kept: BTreeSet::new(),
                };
                model.chats.insert(CHATS[*c], chat);
            }
        }
        Call::RenameChat(c, title) => {
            let title = title.map(|title| title.to_string());
            let answer = refused(store.rename_chat(CHATS[*c], title.as_deref()));
            let chat = model.chats.get_mut(CHATS[*c]).ok_or("chat");
            assert_eq!(
                answer.map(|chat| chat.title),
                chat.map(|chat| {
                    chat.title = title.clone();
                    title
                })
            );
        }
        Call::DeleteChat(c) => {
            let expected = model.chats.remove(CHATS[*c]).map(|_| ()).ok_or("chat");
            assert_eq!(refused(store.delete_chat(CHATS[*c])), expected);
        }
        Call::AppendTurn(c, asked, kind) => {
            let turn = turn_of_kind(*asked, *kind);
            let expected = model.chat(*c, ChatKind::Text).map(|chat| {
                chat.turns.push(TurnModel {
                    asked: *asked,
                    trainable: matches!(kind, 0 | 4),
                    trained: *kind == 4,
                });
                chat.turns.len() as u64 - 1
            });
            assert_eq!(refused(store.append_turn(CHATS[*c], &turn)), expected);
        }
        Call::AppendVisionTurn(c, asked, pictures) => {
            let shown = pictures.iter().map(|(byte, _)| picture(*byte).0);
            let given = pictures.iter().filter(|(_, kept)| *kept);
            let copies: Vec<_> = given.map(|(byte, _)| picture(*byte).1).collect();
            let turn = VisionTurnRecord {
                pictures: shown.collect(),
                ..vision_turn("v", *asked)
            };
            let expected = model.chat(*c, ChatKind::Vision).map(|chat| {
                chat.turns.push(TurnModel {
                    asked: *asked,
                    trainable: false,
                    trained: false,
                });
                chat.kept.extend(copies.iter().map(|copy| copy.bytes[0]));
                chat.turns.len() as u64 - 1
            });
            let answer = store.append_vision_turn(CHATS[*c], &turn, &copies);
            assert_eq!(refused(answer), expected);
        }
        other => panic!("not a call about chats: {other:?}"),
    }
}

/// Compares everything that the store lists with the model.
fn compare(store: &dyn Store, model: &Model) {
    let mut bots: Vec<_> = model
        .bots
        .iter()
        .map(|(id, bot)| (bot.created, *id))
        .collect();
    bots.sort_unstable();
    let listed: Vec<_> = store
        .bots()
        .unwrap()
        .into_iter()
        .map(|bot| bot.bot_id)
        .collect();
    assert_eq!(listed, bots.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    for id in BOTS {
        match model.bots.get(id) {
            Some(bot) => compare_bot(store, model, id, bot),
            None => assert_unknown(store, id),
        }
    }
    for id in CHATS {
        compare_chat(store, id, model.chats.get(id));
    }
    for id in JOBS {
        match model.jobs.get(id) {
            Some(job) => assert_eq!(store.job(id).unwrap(), *job),
            None => assert!(matches!(store.job(id), Err(Error::JobNotFound { .. }))),
        }
    }
}

fn assert_unknown(store: &dyn Store, id: &str) {
    assert_eq!(refused(store.bot(id)).unwrap_err(), "bot");
    assert_eq!(refused(store.documents(id, None, 9)).unwrap_err(), "bot");
    assert_eq!(refused(store.chunks(id, &[])).unwrap_err(), "bot");
    assert_eq!(
        refused(store.visit_vectors(id, &mut |_, _| ())).unwrap_err(),
        "bot"
    );
    assert_eq!(refused(store.chats(id, ChatKind::Text)).unwrap_err(), "bot");
    assert_eq!(refused(store.untrained_turns(id)).unwrap_err(), "bot");
    assert_eq!(refused(store.jobs(id)).unwrap_err(), "bot");
}

fn compare_bot(store: &dyn Store, model: &Model, id: &str, bot: &BotModel) {
    let record = store.bot(id).unwrap();
    assert_eq!(record.created_at, at(bot.created));
    assert_eq!(record.settings.num_k, Some(bot.num_k));
    assert_eq!(record.vector_space, bot.dimension.map(space));
    assert_eq!(record.vectors_revision, bot.revision);

    let listed = store.documents(id, None, usize::MAX).unwrap();
    let documents: Vec<_> = listed
        .iter()
        .map(|d| {
            assert_eq!(d.bot_id, id);
            let chunks = d.chunks.map(|span| (span.first, span.count));
            (d.document_id, d.page_content.clone(), chunks)
        })
        .collect();
    let expected: Vec<_> = bot
        .documents
        .iter()
        .map(|(number, (text, chunks))| {
            let span = chunks
                .as_ref()
                .map(|ids| (ids.first().copied(), ids.len() as u64));
            (*number, text.to_string(), span)
        })
        .collect();
    assert_eq!(documents.len(), expected.len());
    for (found, expected) in documents.iter().zip(&expected) {
        assert_eq!((found.0, &found.1), (expected.0, &expected.1));
        assert_eq!(found.2.map(|span| span.1), expected.2.map(|span| span.1));
        if let Some((Some(first), _)) = expected.2 {
            assert_eq!(found.2.unwrap().0, first);
        }
    }
    // The pages of a listing are the listing.
    let mut paged = Vec::new();
    while let Some(page) = Some(
        store
            .documents(
                id,
                paged
                    .last()
                    .map(|d: &longtrainer_store::DocumentRecord| d.document_id),
                2,
            )
            .unwrap(),
    )
    .filter(|page| !page.is_empty())
    {
        paged.extend(page);
    }
    assert_eq!(paged, listed);

    let mut chunk_ids: Vec<u64> = bot
        .documents
        .values()
        .flat_map(|(_, ids)| ids.clone().unwrap_or_default())
        .collect();
    chunk_ids.sort_unstable();
    let mut visited = Vec::new();
    let revision = store.visit_vectors(id, &mut |chunk, vector| {
        assert_eq!(vector.len(), bot.dimension.unwrap());
        visited.push(chunk);
    });
    assert_eq!(revision.unwrap(), bot.revision);
    assert_eq!(visited, chunk_ids);
    chunk_ids.reverse();
    let chunks = store.chunks(id, &chunk_ids).unwrap();
    assert_eq!(
        chunks.iter().map(|c| c.chunk_id).collect::<Vec<_>>(),
        chunk_ids
    );

    for kind in [ChatKind::Text, ChatKind::Vision] {
        let mut expected: Vec<_> = model
            .chats
            .iter()
            .filter(|(_, chat)| chat.bot == id && chat.kind == kind)
            .map(|(chat_id, chat)| (chat.created, *chat_id))
            .collect();
        expected.sort_unstable();
        let listed: Vec<_> = store
            .chats(id, kind)
            .unwrap()
            .into_iter()
            .map(|chat| chat.chat_id)
            .collect();
        assert_eq!(
            listed,
            expected.iter().map(|(_, id)| *id).collect::<Vec<_>>()
        );
    }

    let mut untrained: Vec<_> = model
        .chats
        .iter()
        .filter(|(_, chat)| chat.bot == id)
        .flat_map(|(chat_id, chat)| {
            (0..)
                .zip(&chat.turns)
                .map(move |(number, turn)| (turn, *chat_id, number))
        })
        .filter(|(turn, _, _)| turn.trainable && !turn.trained)
        .map(|(turn, chat_id, number)| (turn.asked, chat_id, number))
        .collect();
    untrained.sort_unstable();
    let listed: Vec<_> = store
        .untrained_turns(id)
        .unwrap()
        .into_iter()
        .map(|(key, turn)| {
            assert_eq!((key.turn, turn.trained), (turn.turn, false));
            key
        })
        .collect();
    let expected = untrained
        .iter()
        .map(|(_, chat_id, number)| key(chat_id, *number));
    assert_eq!(listed, expected.collect::<Vec<_>>());

    let mut jobs: Vec<_> = model
        .jobs
        .values()
        .filter(|job| job.bot_id.as_deref() == Some(id))
        .cloned()
        .collect();
    jobs.sort_by(|a, b| (a.created_at, &a.job_id).cmp(&(b.created_at, &b.job_id)));
    assert_eq!(store.jobs(id).unwrap(), jobs);
}

fn compare_chat(store: &dyn Store, id: &str, chat: Option<&ChatModel>) {
    let Some(chat) = chat else {
        assert_eq!(refused(store.chat(id)).unwrap_err(), "chat");
        assert_eq!(
            refused(store.turns(id, Order::Newest, None)).unwrap_err(),
            "chat"
        );
        return;
    };
    let record = store.chat(id).unwrap();
    assert_eq!((record.bot_id.as_str(), record.kind), (chat.bot, chat.kind));
    assert_eq!(
        (&record.title, record.turns),
        (&chat.title, chat.turns.len() as u64)
    );
    let times: Vec<_> = (0..)
        .zip(&chat.turns)
        .map(|(n, turn)| (n, at(turn.asked)))
        .collect();
    let (oldest, newest): (Vec<_>, Vec<_>) = match chat.kind {
        ChatKind::Text => {
            let oldest = store.turns(id, Order::Oldest, None).unwrap();
            let trained: Vec<_> = oldest.iter().map(|turn| turn.trained).collect();
            assert_eq!(
                trained,
                chat.turns.iter().map(|t| t.trained).collect::<Vec<_>>()
            );
            let newest = store.turns(id, Order::Newest, Some(2)).unwrap();
            let place = |turn: longtrainer_store::TurnRecord| (turn.turn, turn.timestamp);
            (
                oldest.into_iter().map(place).collect(),
                newest.into_iter().map(place).collect(),
            )
        }
        ChatKind::Vision => {
            let oldest = store.vision_turns(id, Order::Oldest, None).unwrap();
            let newest = store.vision_turns(id, Order::Newest, Some(2)).unwrap();
            for byte in PICTURES {
                let copy = store.picture(id, &picture(byte).0.sha256);
                let expected = chat.kept.contains(&byte).then(|| vec![byte]);
                assert_eq!(copy.ok(), expected, "{byte} of {id:?}");
            }
            let place = |turn: VisionTurnRecord| (turn.turn, turn.timestamp);
            (
                oldest.into_iter().map(place).collect(),
                newest.into_iter().map(place).collect(),
            )
        }
    };
    assert_eq!(oldest, times);
    assert_eq!(newest, times.into_iter().rev().take(2).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_the_model(calls in prop::collection::vec(calls(), 20..80)) {
        let mut fixture = Fixture::new();
        let mut model = Model::default();
        for (place, one) in calls.iter().enumerate() {
            fixture = call(fixture, &mut model, one);
            if place % 8 == 7 {
                compare(&fixture.store, &model);
            }
        }
        compare(&fixture.store, &model);
        compare(&fixture.reopen().store, &model);
    }
}
