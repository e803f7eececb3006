//! Questions about pictures: what the model is shown, what is stored, what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use std::path::PathBuf;

use longtrainer::models::Role;
use longtrainer::{
    Answer, BotId, BotOptions, ChatKind, Chunk, Defaults, Detail, Error, ErrorKind, ImageInput,
    LongTrainer, Order, ResponseOptions, Result, TextModel, TurnStatus, VisionChatId,
    VisionTurnRecord,
};
use support::{Behaviour, ScriptedModel, World, bitmap, bitmap_of, eventually};

const FACTS: [&str; 3] = [
    "The lighthouse was built in 1862 by Mary Field.",
    "Cheese is made from milk and patience.",
    "Granite forms when magma cools slowly.",
];
const RED: [u8; 3] = [0, 0, 255];
const BLUE: [u8; 3] = [255, 0, 0];
const NO_PICTURES: [&str; 0] = [];

fn options() -> ResponseOptions {
    ResponseOptions::default()
}

/// A bot with a vision chat, in a world of its own.
struct Gallery {
    world: World,
    bot: BotId,
    chat: VisionChatId,
}

impl Gallery {
    fn new() -> Self {
        Self::of(World::new(), BotOptions::default())
    }

    fn of(world: World, options: BotOptions) -> Self {
        let bot = world.bot_with(&FACTS, options);
        let chat = world.trainer.new_vision_chat(&bot).unwrap();
        Self { world, bot, chat }
    }

    /// Writes a picture of one pixel.
    fn picture(&self, name: &str, colour: [u8; 3]) -> PathBuf {
        self.file(name, &bitmap(colour))
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.world.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn ask(
        &self,
        question: &str,
        images: impl IntoIterator<Item = impl Into<ImageInput>>,
    ) -> Result<Answer> {
        let trainer = &self.world.trainer;
        trainer.get_vision_response(question, images, &self.bot, &self.chat, options())
    }

    fn restart(self) -> Self {
        Self {
            world: self.world.restart(),
            ..self
        }
    }

    /// The turns, oldest first.
    fn turns(&self) -> Vec<VisionTurnRecord> {
        let trainer = &self.world.trainer;
        trainer
            .get_vision_chat_by_id(&self.chat, Order::Oldest)
            .unwrap()
    }

    /// The bytes of the pictures of each message of the last prompt.
    fn shown(&self) -> Vec<Vec<Vec<u8>>> {
        let messages = self.world.eyes.last_messages();
        let pictures = |one: &longtrainer::Message| {
            let pictures = one.pictures.iter();
            pictures.map(|picture| picture.bytes().to_vec()).collect()
        };
        messages.iter().map(pictures).collect()
    }
}

#[test]
fn the_documented_flow() {
    let gallery = Gallery::new();
    let (front, back) = (
        gallery.picture("front.bmp", RED),
        gallery.picture("back.bmp", BLUE),
    );
    gallery
        .world
        .eyes
        .behave(Behaviour::Say("A lighthouse.".to_owned()));

    let asked = "Is this the lighthouse of Mary Field?";
    let answer = gallery.ask(asked, [&front, &back]).unwrap();

    assert_eq!(answer.text, "A lighthouse.");
    assert_eq!(answer.sources[0].page_content, FACTS[0]);
    assert_eq!(answer.turn, 0);
    assert!(answer.missing_pictures.is_empty());
    let messages = gallery.world.eyes.last_messages();
    assert_eq!(messages.len(), 2);
    assert!(messages[1].content.contains(FACTS[0]), "{messages:?}");
    assert!(messages[1].content.ends_with(asked), "{messages:?}");
    let both = vec![bitmap(RED), bitmap(BLUE)];
    assert_eq!(gallery.shown(), [vec![], both.clone()]);
    assert!(
        gallery.world.model.requests().is_empty(),
        "the text model rests"
    );

    // A restart, and a question without pictures: the model sees the earlier ones.
    let gallery = gallery.restart();
    let answer = gallery.ask("Who built it?", NO_PICTURES).unwrap();
    assert_eq!(gallery.shown(), [vec![], both, vec![], vec![]]);
    assert_eq!((answer.history.included, answer.history.pictures), (1, 2));
    assert!(answer.retrieval.with_conversation);
    assert_eq!(
        answer.sources[0].page_content, FACTS[0],
        "a follow-up is searched for with its chat"
    );

    let trainer = &gallery.world.trainer;
    let list = trainer.list_chats(&gallery.bot).unwrap();
    assert_eq!(list.vision_chat_ids, std::slice::from_ref(&gallery.chat));
    assert!(list.chat_ids.is_empty());
    let turns = trainer
        .get_vision_chat_by_id(&gallery.chat, Order::Newest)
        .unwrap();
    assert_eq!(turns.len(), 2);
    assert_eq!(
        (&*turns[1].question, &*turns[1].response),
        (asked, "A lighthouse.")
    );
    assert_eq!(turns[1].sources[0].source, "text 0");
    let paths = [front, back].map(|path| path.display().to_string());
    assert_eq!(turns[1].image_paths, paths);
    let record = &turns[1].pictures[1];
    assert_eq!(record.path.as_deref(), Some(&*paths[1]));
    assert_eq!(record.media_type.as_deref(), Some("image/bmp"));
    assert_eq!(
        (record.size, record.kept, record.sha256.len()),
        (58, true, 64)
    );
    assert!(turns[0].pictures.is_empty());

    let report = trainer.train_chats(&gallery.bot).unwrap();
    assert_eq!(report.turns, 0, "vision turns are not trained on");
}

#[test]
fn an_answer_streams_for_threads_and_for_tasks() {
    use futures_lite::future;
    let gallery = Gallery::new();
    let path = gallery.picture("a.bmp", RED);
    let trainer = &gallery.world.trainer;
    let (bot, chat) = (&gallery.bot, &gallery.chat);
    let stream = trainer.stream_vision_response("What?", [&path], bot, chat, options());
    let chunks: Vec<_> = stream.unwrap().map(Result::unwrap).collect();
    assert!(matches!(&chunks[0], Chunk::Sources(sources) if sources.len() == 3));
    assert!(matches!(&chunks[1], Chunk::Text(text) if text == "an "));
    assert!(matches!(chunks.last(), Some(Chunk::Done(answer)) if answer.text == "an answer"));

    let stream = trainer.aget_vision_response("And?", NO_PICTURES, bot, chat, options());
    let last = future::block_on(futures_lite::StreamExt::last(stream.unwrap()))
        .unwrap()
        .unwrap();
    assert!(matches!(last, Chunk::Done(answer) if answer.turn == 1));
}

#[test]
fn pictures_come_as_paths_as_bytes_or_as_data_urls() {
    let gallery = Gallery::new();
    let path = gallery.picture("a.bmp", RED);
    let hex: String = bitmap(BLUE)
        .iter()
        .map(|byte| format!("%{byte:02x}"))
        .collect();
    let images = [
        ImageInput::from(path.as_path()),
        ImageInput::bytes("b", bitmap(BLUE)),
        format!("data:image/bmp,{hex}").into(),
    ];
    gallery.ask("What?", images).unwrap();
    let all = vec![bitmap(RED), bitmap(BLUE), bitmap(BLUE)];
    assert_eq!(gallery.shown()[1], all);
    let turn = &gallery.turns()[0];
    assert_eq!(turn.image_paths[1..], ["b", "picture 3"]);
    assert_eq!(turn.pictures[1].path, None);

    // No file to come back to, but a copy.
    let gallery = gallery.restart();
    gallery.ask("And?", NO_PICTURES).unwrap();
    assert_eq!(gallery.shown()[1], all);
}

#[test]
fn the_detail_asked_for_reaches_the_model() {
    let gallery = Gallery::new();
    let path = gallery.picture("a.bmp", RED);
    for detail in [None, Some(Detail::Low), Some(Detail::High)] {
        let asked = ResponseOptions {
            detail,
            ..options()
        };
        let trainer = &gallery.world.trainer;
        trainer
            .get_vision_response("What?", [&path], &gallery.bot, &gallery.chat, asked)
            .unwrap();
        assert_eq!(gallery.world.eyes.requests().last().unwrap().detail, detail);
    }
}

#[test]
fn a_bad_picture_is_named_and_stored_as_a_failed_turn_and_the_chat_lives_on() {
    let gallery = Gallery::new();
    let good = gallery.picture("good.bmp", RED);
    let text = gallery.file("text.png", b"not a picture");
    let empty = gallery.file("empty.png", b"");
    let bomb = gallery.file("bomb.bmp", &bitmap_of(60_000, 60_000, RED));
    let missing = gallery.world.dir.path().join("missing.png");
    let folder = gallery.world.dir.path().to_owned();
    let remote = PathBuf::from("https://example.org/cat.png");
    let bad = [text, empty, bomb, missing, folder, remote];
    for (number, path) in bad.iter().enumerate() {
        let error = gallery.ask("What?", [&good, path]).unwrap_err();
        assert!(matches!(error, Error::Picture(_)), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains(&path.display().to_string()),
            "{error}"
        );
        let turn = &gallery.turns()[number];
        assert_eq!(turn.status, TurnStatus::Failed);
        assert_eq!(turn.error.as_deref(), Some(&*error.to_string()));
        assert_eq!(turn.image_paths[1], path.display().to_string());
    }
    assert!(
        gallery.world.eyes.requests().is_empty(),
        "no model was asked"
    );

    let answer = gallery.ask("And this?", [&good]).unwrap();
    assert_eq!(answer.turn as usize, bad.len());
    assert_eq!(
        answer.history.included, 0,
        "failures say nothing to the model"
    );
}

#[test]
fn too_many_pictures_are_refused_before_one_is_read() {
    let gallery = Gallery::new();
    let missing = vec!["missing.png"; 30];
    let error = gallery.ask("What?", missing.clone()).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooManyPictures {
                given: 30,
                limit: 16
            }
        ),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(gallery.turns()[0].image_paths.len(), 30);
    assert_eq!(gallery.turns()[0].status, TurnStatus::Failed);

    let defaults = Defaults {
        max_pictures: 1,
        ..Defaults::default()
    };
    let gallery = Gallery::of(World::with_defaults(defaults), BotOptions::default());
    let path = gallery.picture("a.bmp", RED);
    gallery.ask("What?", [&path]).unwrap();
    let error = gallery.ask("What?", [&path, &path]).unwrap_err();
    assert!(
        matches!(error, Error::TooManyPictures { limit: 1, .. }),
        "{error}"
    );
    let none = Defaults {
        max_pictures: 0,
        ..Defaults::default()
    };
    assert!(
        none.check()
            .unwrap_err()
            .to_string()
            .contains("max_pictures")
    );
}

#[test]
fn what_the_model_refuses_and_what_breaks_off_is_a_failed_turn_with_its_pictures() {
    let gallery = Gallery::new();
    let cut_off = gallery.file("cut.bmp", &bitmap(RED)[..56]);
    let error = gallery.ask("What?", [&cut_off]).unwrap_err();
    assert!(error.to_string().contains("cut.bmp"), "{error}");

    let path = gallery.picture("a.bmp", RED);
    gallery.world.eyes.behave_once(Behaviour::FailMidway);
    gallery.ask("What?", [&path]).unwrap_err();
    gallery.world.eyes.behave_once(Behaviour::BreakOff);
    let error = gallery.ask("What?", [&path]).unwrap_err();
    assert!(error.to_string().contains(gallery.chat.as_str()), "{error}");

    let turns = gallery.turns();
    assert_eq!(turns.len(), 3);
    assert!(turns.iter().all(|turn| turn.status == TurnStatus::Failed));
    assert!(turns.iter().all(|turn| turn.pictures[0].kept));
    assert_eq!(turns[1].response, "half an");
}

#[test]
fn a_reader_that_leaves_ends_the_turn_as_cancelled_with_its_pictures() {
    let gallery = Gallery::new();
    let path = gallery.picture("a.bmp", RED);
    gallery.world.eyes.behave_once(Behaviour::Ramble);
    let trainer = &gallery.world.trainer;
    let stream =
        trainer.stream_vision_response("What?", [&path], &gallery.bot, &gallery.chat, options());
    let mut stream = stream.unwrap();
    while !matches!(stream.next(), Some(Ok(Chunk::Text(_)))) {}
    stream.cancel();
    eventually("the turn is stored", || gallery.turns().len() == 1);
    let turn = &gallery.turns()[0];
    assert_eq!(turn.status, TurnStatus::Cancelled);
    assert!(turn.pictures[0].kept);
    // What had been said is remembered, with the picture.
    let answer = gallery.ask("Go on.", NO_PICTURES).unwrap();
    assert_eq!((answer.history.included, answer.history.pictures), (1, 1));
}

#[test]
fn a_file_that_goes_does_not_matter_when_copies_are_kept() {
    let gallery = Gallery::new();
    let path = gallery.picture("a.bmp", RED);
    gallery.ask("What?", [&path]).unwrap();
    std::fs::remove_file(&path).unwrap();
    let answer = gallery.ask("And?", NO_PICTURES).unwrap();
    assert!(answer.missing_pictures.is_empty());
    assert_eq!(gallery.shown()[1], [bitmap(RED)]);
}

#[test]
fn without_copies_a_file_that_is_gone_or_changed_is_left_out_and_told() {
    let forgetful = BotOptions {
        keep_pictures: Some(false),
        ..BotOptions::default()
    };
    let gallery = Gallery::of(World::new(), forgetful);
    let (stays, goes) = (
        gallery.picture("stays.bmp", RED),
        gallery.picture("goes.bmp", BLUE),
    );
    let bytes = ImageInput::bytes("loose", bitmap([9, 9, 9]));
    let images = [(&stays).into(), (&goes).into(), bytes];
    gallery.ask("What?", images).unwrap();
    let turn = &gallery.turns()[0];
    assert!(turn.pictures.iter().all(|picture| !picture.kept));

    let missing = |question: &str| {
        let answer = gallery.ask(question, NO_PICTURES).unwrap();
        assert_eq!(gallery.shown()[1][0], bitmap(RED), "what is there is seen");
        let missing = answer.missing_pictures;
        assert!(missing.iter().all(|one| one.turn == 0));
        missing
            .into_iter()
            .map(|one| (one.name, one.reason))
            .collect::<Vec<_>>()
    };
    let told = missing("All there?");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "loose");
    assert!(told[0].1.contains("no copy was kept"), "{told:?}");

    gallery.picture("goes.bmp", [1, 2, 3]);
    let told = missing("And now?");
    assert!(
        told[0].0.ends_with("goes.bmp") && told[0].1.contains("changed"),
        "{told:?}"
    );
    std::fs::remove_file(&goes).unwrap();
    let told = missing("And now?");
    assert!(
        told[0].0.ends_with("goes.bmp") && told[0].1.contains("no such file"),
        "{told:?}"
    );
    gallery.picture("goes.bmp", BLUE);
    assert_eq!(
        missing("And now?").len(),
        1,
        "back in its place it is seen again"
    );
}

#[test]
fn whether_copies_are_kept_is_the_bots_choice_and_then_the_programs() {
    let defaults = Defaults {
        keep_pictures: false,
        ..Defaults::default()
    };
    for (chosen, kept) in [(None, false), (Some(true), true)] {
        let options = BotOptions {
            keep_pictures: chosen,
            ..BotOptions::default()
        };
        let gallery = Gallery::of(World::with_defaults(defaults.clone()), options);
        let path = gallery.picture("a.bmp", RED);
        gallery.ask("What?", [&path]).unwrap();
        assert_eq!(gallery.turns()[0].pictures[0].kept, kept);
    }
}

#[test]
fn a_turn_that_is_left_out_takes_its_pictures_along() {
    // Of 900 tokens, 512 are the answer's; a turn with two pictures takes some 140.
    let gallery = Gallery::of(World::with_context(900), BotOptions::default());
    let both = [
        gallery.picture("a.bmp", RED),
        gallery.picture("b.bmp", BLUE),
    ];
    for _ in 0..4 {
        gallery.ask("What is to be seen here?", &both).unwrap();
    }
    let answer = gallery.ask("And?", NO_PICTURES).unwrap();
    let history = answer.history;
    assert_eq!(history.included + history.left_out, 4, "{history:?}");
    assert!(history.included > 0 && history.left_out > 0, "{history:?}");
    assert_eq!(history.pictures, 2 * history.included);
    assert_eq!(history.pictures_left_out, 2 * history.left_out);
    let shown: usize = gallery.shown().iter().map(Vec::len).sum();
    assert_eq!(shown, history.pictures);

    let too_long = "many words ".repeat(300);
    let error = gallery.ask(&too_long, &both).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { .. }), "{error}");
    assert_eq!(gallery.turns().last().unwrap().status, TurnStatus::Failed);
}

#[test]
fn a_bot_without_documents_is_asked_all_the_same() {
    let world = World::new();
    let bot = world.trainer.initialize_bot_id().unwrap();
    let chat = world.trainer.new_vision_chat(&bot).unwrap();
    let gallery = Gallery { world, bot, chat };
    let path = gallery.picture("a.bmp", RED);
    let answer = gallery.ask("What?", [&path]).unwrap();
    assert!(answer.sources.is_empty());
    assert_eq!(gallery.shown()[1], [bitmap(RED)]);
}

#[test]
fn without_the_files_of_a_vision_model_the_question_is_a_failed_turn() {
    let gallery = Gallery::of(World::blind(), BotOptions::default());
    let path = gallery.picture("a.bmp", RED);
    let error = gallery.ask("What?", [&path]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("SmolLM2-135M-Instruct.Q4_1.gguf"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(gallery.turns()[0].status, TurnStatus::Failed);
}

#[test]
fn a_model_that_does_not_see_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let blind = ScriptedModel::new(4096) as std::sync::Arc<dyn TextModel>;
    let built = LongTrainer::builder(dir.path()).vision_model(blind).build();
    let error = built.err().unwrap();
    assert!(
        matches!(&error, Error::ModelDoesNotSee { name } if name == "scripted"),
        "{error}"
    );
}

#[test]
fn a_vision_model_is_a_model_like_any_other() {
    let world = World::new();
    let bot = world.bot(&FACTS);
    let record = world.trainer.bot(&bot).unwrap();
    assert_eq!(world.trainer.vision_model_name(&record).unwrap(), "eyes");
    world.trainer.load_model("eyes", Role::Vision).unwrap();
    let loaded = world.trainer.loaded_models();
    let eyes = loaded.iter().find(|model| model.name == "eyes").unwrap();
    assert_eq!(
        (eyes.role, eyes.in_use, eyes.pinned),
        (Role::Vision, false, true)
    );
    let error = world.trainer.unload_model("eyes").unwrap_err();
    assert!(matches!(error, Error::ModelPinned { .. }), "{error}");
}

#[test]
fn unknown_ids_and_questions_without_text_leave_no_turn() {
    let gallery = Gallery::new();
    let path = gallery.picture("a.bmp", RED);
    assert!(matches!(
        gallery.ask(" ", [&path]),
        Err(Error::EmptyQuestion)
    ));
    let other = gallery.world.bot(&FACTS);
    let trainer = &gallery.world.trainer;
    let elsewhere = trainer.get_vision_response("?", [&path], &other, &gallery.chat, options());
    assert_eq!(elsewhere.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(gallery.turns().is_empty());
    let chats = trainer.chats(&gallery.bot, ChatKind::Vision).unwrap();
    assert_eq!(chats[0].turns, 0);
}
