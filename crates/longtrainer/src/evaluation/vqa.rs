//! Measuring a vision model on questions about pictures whose answers are known.
//!
//! The layout is that of the Python package `easy-vqa` (Zhou 2019, MIT): `questions.json`, a list of
//! `[question, answer, number of the picture]`, and `images/<number>.png`.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;

use longtrainer_inference::{GenerateRequest, Message, Picture, Role, StreamItem, TextStream};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::trainer::LongTrainer;

/// Questions that the model works on at once.
const AT_ONCE: usize = 16;
/// Most tokens of an answer: all are single words.
const MAX_TOKENS: usize = 8;
const SHAPES: [&str; 3] = ["circle", "rectangle", "triangle"];

/// How many questions about pictures were answered rightly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VqaEvaluation {
    /// The model.
    pub model: String,
    /// Questions asked.
    pub questions: usize,
    /// Share of questions whose answer was exactly the right one.
    pub accuracy: f64,
    /// The same for each kind of question.
    pub kinds: BTreeMap<&'static str, VqaKind>,
    /// Pictures that the questions are about.
    pub pictures: usize,
    /// How long it took.
    pub seconds: f64,
}

/// How many questions of one kind were answered rightly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct VqaKind {
    /// Questions asked.
    pub questions: usize,
    /// Share of questions whose answer was exactly the right one.
    pub accuracy: f64,
}

/// One question, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VqaAnswer {
    /// Number of the picture.
    pub picture: u64,
    /// What was asked.
    pub question: String,
    /// The right answer.
    pub label: String,
    /// The model's answer.
    pub answer: String,
}

impl VqaAnswer {
    /// Whether the answer is exactly the right one.
    pub fn is_right(&self) -> bool {
        self.answer == self.label
    }
}

/// A question as the file has it: question, answer, number of the picture.
type Entry = (String, String, u64);

/// A question that the model works on.
struct Asked<'entry> {
    entry: &'entry Entry,
    stream: TextStream,
}

impl LongTrainer {
    /// Measures the default vision model on a folder in easy-vqa's layout: each question (the first
    /// `limit` of them, if given) is asked alone, with its picture, and its answer must be exactly the
    /// right word. `each` hears of every answer, in the order of the file. Nothing is stored.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::NotVqa`] for a folder without such files, [`Error::NoQuestions`],
    /// those of pictures that cannot be read, and the model's.
    pub fn evaluate_vqa(
        &self,
        folder: &Path,
        limit: Option<usize>,
        each: &mut dyn FnMut(&VqaAnswer),
    ) -> Result<VqaEvaluation> {
        let mut entries = read(&folder.join("questions.json"))?;
        entries.truncate(limit.unwrap_or(usize::MAX));
        let model = self.inner.default_vision_model()?;
        let started = Instant::now();
        let mut pictures = Pictures::new(folder.join("images"));
        let mut tally = Tally::default();
        let mut asked = VecDeque::new();
        for entry in &entries {
            if asked.len() == AT_ONCE {
                finish_one(&mut asked, &mut tally, each)?;
            }
            let stream = model.generate(request(entry, pictures.get(entry.2)?))?;
            asked.push_back(Asked { entry, stream });
        }
        while !asked.is_empty() {
            finish_one(&mut asked, &mut tally, each)?;
        }
        Ok(VqaEvaluation {
            model: model.info().model.clone(),
            questions: entries.len(),
            accuracy: tally.all.accuracy(),
            kinds: tally.kinds(),
            pictures: pictures.read.len(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|source| Error::NotVqa {
        path: path.to_owned(),
        source,
    })?;
    match entries.is_empty() {
        false => Ok(entries),
        true => Err(Error::NoQuestions {
            path: path.to_owned(),
        }),
    }
}

/// The pictures that questions are about, each read once.
struct Pictures {
    folder: PathBuf,
    read: BTreeMap<u64, Picture>,
}

impl Pictures {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            read: BTreeMap::new(),
        }
    }

    fn get(&mut self, number: u64) -> Result<Picture> {
        if let Some(picture) = self.read.get(&number) {
            return Ok(picture.clone());
        }
        let path = self.folder.join(format!("{number}.png"));
        let picture = Picture::open(path, &Default::default())?;
        Ok(self.read.entry(number).or_insert(picture).clone())
    }
}

fn request((question, _, _): &Entry, picture: Picture) -> GenerateRequest {
    let message = Message::new(Role::User, question).with_pictures(vec![picture]);
    GenerateRequest::new(vec![message], MAX_TOKENS)
}

fn finish_one(
    asked: &mut VecDeque<Asked<'_>>,
    tally: &mut Tally,
    each: &mut dyn FnMut(&VqaAnswer),
) -> Result<()> {
    let Some(Asked { entry, stream }) = asked.pop_front() else {
        return Ok(());
    };
    let (question, label, picture) = entry;
    let answer = VqaAnswer {
        picture: *picture,
        question: question.clone(),
        label: label.clone(),
        answer: text_of(stream)?.trim().to_owned(),
    };
    tally.count(kind_of(question), answer.is_right());
    each(&answer);
    Ok(())
}

fn text_of(stream: TextStream) -> Result<String> {
    let mut text = String::new();
    for item in stream {
        match item? {
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Token(_) => {}
            StreamItem::Done(_) => return Ok(text),
        }
    }
    Err(Error::VqaBrokeOff)
}

/// The rule of the demo model's card: questions that begin with `what` ask for a colour if they say
/// `color`, else for a shape; the others are about a shape if they name one, else about a colour, and are
/// negated if they say `not` or `no`.
fn kind_of(question: &str) -> &'static str {
    let question = question.to_lowercase().replace('?', " ");
    let words: Vec<&str> = question.split_whitespace().collect();
    let says = |word: &&str| words.contains(word);
    let is_about_shape = SHAPES.iter().any(says);
    let is_negated = ["not", "no"].iter().any(says);
    match (words.first(), is_about_shape, is_negated) {
        (Some(&"what"), _, _) if says(&"color") => "what-colour",
        (Some(&"what"), _, _) => "what-shape",
        (_, true, false) => "shape",
        (_, true, true) => "shape-negated",
        (_, false, false) => "colour",
        (_, false, true) => "colour-negated",
    }
}

#[derive(Default)]
struct Tally {
    all: Count,
    by_kind: BTreeMap<&'static str, Count>,
}

#[derive(Clone, Copy, Default)]
struct Count {
    questions: usize,
    right: usize,
}

impl Tally {
    fn count(&mut self, kind: &'static str, is_right: bool) {
        for count in [&mut self.all, self.by_kind.entry(kind).or_default()] {
            count.questions += 1;
            count.right += usize::from(is_right);
        }
    }

    fn kinds(&self) -> BTreeMap<&'static str, VqaKind> {
        let kind = |count: &Count| VqaKind {
            questions: count.questions,
            accuracy: count.accuracy(),
        };
        let kinds = self.by_kind.iter();
        kinds.map(|(name, count)| (*name, kind(count))).collect()
    }
}

impl Count {
    fn accuracy(&self) -> f64 {
        self.right as f64 / self.questions.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_the_rule_of_the_card() {
        for (question, kind) in [
            ("what is the red shape?", "what-shape"),
            ("what is the color of the triangle?", "what-colour"),
            ("does the image contain a circle?", "shape"),
            ("is there not a black shape in the image?", "colour-negated"),
            ("is no rectangle present?", "shape-negated"),
            ("is a green shape present?", "colour"),
            ("", "colour"),
        ] {
            assert_eq!(kind_of(question), kind, "{question}");
        }
    }

    #[test]
    fn shares_are_of_the_questions_of_a_kind() {
        let mut tally = Tally::default();
        tally.count("shape", true);
        tally.count("shape", false);
        tally.count("colour", true);
        assert_eq!(tally.kinds()["shape"].accuracy, 0.5);
        assert_eq!(tally.kinds()["colour"].questions, 1);
        assert!((tally.all.accuracy() - 2.0 / 3.0).abs() < 1e-9);
    }
}
