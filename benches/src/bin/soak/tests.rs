//! What is wrong with an engine is found, and nothing else: engines that each do one thing wrong.

use std::time::{Duration, Instant};

use longtrainer_benches::MemoryLog;
use longtrainer_inference::{
    Error, FinishReason, GenerateRequest, Generation, Message, Result, StreamItem, TextModel,
    TextModelInfo, TextStream, Usage,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::Soak;
use crate::client::Client;
use crate::known::KnownAnswers;
use crate::plan::{Kind, Plan, Planner, Reader};
use crate::tally::{Ending, Tally};

type Items = Vec<Result<StreamItem>>;

type Script = Box<dyn Fn(&GenerateRequest) -> Result<Items> + Send + Sync>;

/// A model that answers by a script, all at once, or refuses.
struct Scripted {
    info: TextModelInfo,
    script: Script,
}

impl TextModel for Scripted {
    fn info(&self) -> &TextModelInfo {
        &self.info
    }

    fn count_tokens(
        &self,
        messages: &[Message],
        _detail: Option<longtrainer::Detail>,
    ) -> Result<usize> {
        Ok(messages.len())
    }

    fn generate(&self, request: GenerateRequest) -> Result<TextStream> {
        let (sender, receiver) = async_channel::unbounded();
        for item in (self.script)(&request)? {
            sender.try_send(item).unwrap();
        }
        Ok(TextStream::new(receiver))
    }
}

fn soak(script: impl Fn(&GenerateRequest) -> Result<Items> + Send + Sync + 'static) -> Soak {
    let text = "some words that make a text ".repeat(200);
    let info = TextModelInfo {
        model: "scripted".to_owned(),
        context_length: 1024,
        device: "cpu".to_owned(),
    };
    Soak {
        planner: Planner::new(&text, info.context_length, 1).unwrap(),
        model: Box::new(Scripted {
            info,
            script: Box::new(script),
        }),
        known: KnownAnswers::default(),
        tally: Tally::new(1),
        pause: Duration::ZERO,
        end: Instant::now() + Duration::from_millis(200),
    }
}

fn text(text: &str) -> Result<StreamItem> {
    Ok(StreamItem::Text(text.to_owned()))
}

fn done(completion_tokens: usize, finish_reason: FinishReason) -> Result<StreamItem> {
    Ok(StreamItem::Done(Generation {
        finish_reason,
        usage: Usage {
            prompt_tokens: 3,
            completion_tokens,
            ..Usage::default()
        },
    }))
}

fn plan(kind: Kind, reader: Reader) -> Plan {
    let message = Message::new(longtrainer_inference::Role::User, "Hello");
    Plan {
        request: GenerateRequest {
            stop: vec!["END".to_owned()],
            ..GenerateRequest::new(vec![message], 8)
        },
        kind,
        reader,
    }
}

const WHOLE: Reader = Reader::ToTheEnd(Duration::ZERO);

/// How one request ends, and what is complained of.
fn ask(soak: &Soak, kind: Kind, reader: Reader) -> (Ending, String) {
    let (ending, _) = Client::new(soak, 1, 0).ask(&plan(kind, reader));
    (ending, soak.tally.complaints().join("; "))
}

fn fails(items: impl Fn() -> Items + Send + Sync + 'static, problem: &str) {
    let soak = soak(move |_| Ok(items()));
    let (ending, complaints) = ask(&soak, Kind::Fresh, WHOLE);
    assert_eq!(ending, Ending::Failed, "{problem}");
    assert!(complaints.contains(problem), "{complaints}");
}

#[test]
fn whole_answers_are_done() {
    let soak = soak(|_| Ok(vec![text("Hi"), done(2, FinishReason::Stop)]));
    for kind in [Kind::Fresh, Kind::Repeated(1), Kind::Repeated(1)] {
        assert_eq!(ask(&soak, kind, WHOLE), (Ending::Done, String::new()));
    }
}

#[test]
fn an_answer_must_end_once() {
    fails(|| vec![text("Hi")], "without an end");
    fails(
        || {
            let end = || done(2, FinishReason::Stop);
            vec![text("Hi"), end(), end()]
        },
        "something came after its end",
    );
    let stopped = || Error::EngineStopped {
        model: "scripted".to_owned(),
    };
    fails(move || vec![text("Hi"), Err(stopped())], "has stopped");
}

#[test]
fn an_answer_must_be_what_was_asked_for() {
    fails(|| vec![done(9, FinishReason::Length)], "it has 9 tokens");
    fails(|| vec![done(7, FinishReason::Length)], "after 7 tokens");
    fails(
        || vec![text("The END"), done(2, FinishReason::Stop)],
        "stop string \"END\"",
    );
}

#[test]
fn a_repeated_question_gets_the_same_answer() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let soak = soak(move |_| {
        let number = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(vec![
            text(&format!("Answer {number}")),
            done(2, FinishReason::Stop),
        ])
    });
    assert_eq!(ask(&soak, Kind::Repeated(1), WHOLE).0, Ending::Done);
    assert_eq!(ask(&soak, Kind::Repeated(2), WHOLE).0, Ending::Done);
    let (ending, complaints) = ask(&soak, Kind::Repeated(1), WHOLE);
    assert_eq!(ending, Ending::Failed);
    assert!(
        complaints.contains("\"Answer 0\" and then \"Answer 2\""),
        "{complaints}"
    );
    let (ending, complaints) = ask(&soak, Kind::Repeated(1), Reader::LeavesAfter(1));
    assert_eq!(ending, Ending::Failed);
    assert!(complaints.contains("\"Answer 3\", cut off"), "{complaints}");
}

#[test]
fn wrong_requests_must_be_refused_and_others_not() {
    let obliging = soak(|_| Ok(vec![done(1, FinishReason::Stop)]));
    let (ending, complaints) = ask(&obliging, Kind::Wrong, WHOLE);
    assert_eq!(ending, Ending::Failed);
    assert!(complaints.contains("should have been refused"));

    let strict = soak(|_| {
        Err(Error::InvalidRequest {
            field: "max_tokens",
            value: "0".to_owned(),
            expected: "1 or more",
        })
    });
    assert_eq!(ask(&strict, Kind::Wrong, WHOLE).0, Ending::Rejected);
    assert_eq!(ask(&strict, Kind::Fresh, WHOLE).0, Ending::Failed);

    let full = soak(|_| {
        Err(Error::QueueFull {
            model: "scripted".to_owned(),
            waiting: 4,
        })
    });
    assert_eq!(
        ask(&full, Kind::Fresh, WHOLE),
        (Ending::Refused, String::new())
    );
}

#[test]
fn readers_leave() {
    let soak = soak(|_| Ok(vec![text("Hi"), text(" there"), text("!")]));
    for reader in [Reader::Leaves(Duration::ZERO), Reader::LeavesAfter(2)] {
        let cancelled = (Ending::Cancelled, String::new());
        assert_eq!(ask(&soak, Kind::Fresh, reader), cancelled);
    }
}

#[test]
fn clients_ask_until_the_end_and_nothing_is_counted_as_running_then() {
    let soak = soak(|_| Ok(vec![done(1, FinishReason::Stop)]));
    Client::new(&soak, 1, 0).run();
    assert!(Instant::now() >= soak.end);
    assert_eq!(soak.tally.longest_silence(), None);
    assert!(soak.tally.ended() > 1);
}

#[test]
fn plans_are_of_all_kinds_and_the_same_for_a_seed() {
    let soak = soak(|_| Ok(Vec::new()));
    let draw = || -> Vec<_> {
        let mut random = StdRng::seed_from_u64(7);
        (0..500)
            .map(|_| soak.planner.next(&mut random, 1024))
            .collect()
    };
    let plans = draw();
    let count = |is: fn(&Plan) -> bool| plans.iter().filter(|plan| is(plan)).count();
    assert!(count(|plan| plan.kind == Kind::Wrong) > 5);
    assert!(count(|plan| matches!(plan.kind, Kind::Repeated(_))) > 100);
    assert!(count(|plan| matches!(plan.reader, Reader::Leaves(_))) > 50);
    assert!(count(|plan| matches!(plan.reader, Reader::LeavesAfter(_))) > 20);
    let again = draw();
    let requests = |plans: &[Plan]| {
        format!(
            "{:?}",
            plans.iter().map(|plan| &plan.request).collect::<Vec<_>>()
        )
    };
    assert_eq!(requests(&plans), requests(&again));
}

#[test]
fn memory_may_grow_at_first_but_not_later() {
    let grown = |later: u64| {
        let mut log = MemoryLog::new(Instant::now() + Duration::from_secs(60));
        let first = (0..50).map(|second| second * (20 << 20));
        let settled = (0..50).map(|second| (1000 << 20) + second * later);
        first.chain(settled).for_each(|bytes| log.note(Some(bytes)));
        log.complaint()
    };
    assert_eq!(grown(0), None);
    assert_eq!(grown(1 << 20), None);
    assert!(grown(4 << 20).is_some());
}
