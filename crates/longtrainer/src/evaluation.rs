//! Measuring retrieval on questions whose right passages are known, and vision models on questions whose
//! answers are.

mod follow_ups;
mod vqa;

use std::path::Path;

use longtrainer_index::{FlatIndex, Metric, VectorIndex};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::trainer::LongTrainer;

pub use follow_ups::{FollowUpEvaluation, FollowUpRecall};
pub use vqa::{VqaAnswer, VqaEvaluation, VqaKind};

/// Texts embedded in one call.
const BATCH: usize = 256;

/// How often the right passage is among the first 1, 3 and 10 found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RetrievalEvaluation {
    /// Passages searched.
    pub passages: usize,
    /// Questions asked: those that have an answer.
    pub questions: usize,
    /// Share of questions whose passage came first.
    #[serde(rename = "recall@1")]
    pub recall_at_1: f64,
    /// Share of questions whose passage was among the first 3.
    #[serde(rename = "recall@3")]
    pub recall_at_3: f64,
    /// Share of questions whose passage was among the first 10.
    #[serde(rename = "recall@10")]
    pub recall_at_10: f64,
}

/// SQuAD's JSON layout (Rajpurkar et al. 2016, 2018), as far as retrieval needs it.
#[derive(Deserialize)]
struct Squad {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    #[serde(default)]
    title: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Question>,
    /// Title and number of its article.
    #[serde(skip)]
    title: String,
    #[serde(skip)]
    article: usize,
}

#[derive(Deserialize)]
struct Question {
    question: String,
    #[serde(default)]
    is_impossible: bool,
    #[serde(default)]
    answers: Vec<serde::de::IgnoredAny>,
}

impl LongTrainer {
    /// Measures the default embedding model on a file in SQuAD's layout: every paragraph is one
    /// passage, every question that has an answer is asked, and the paragraph it stands under is
    /// the right one. Nothing is stored.
    pub fn evaluate_retrieval(&self, path: &Path) -> Result<RetrievalEvaluation> {
        let paragraphs = read_squad(path)?;
        let embedder = self.inner.default_embedder()?;
        let contexts: Vec<&str> = paragraphs.iter().map(|p| p.context.as_str()).collect();
        let (questions, right): (Vec<&str>, Vec<u64>) = answerable(&paragraphs).unzip();
        let index = index_of(embedder.info().dimension)?;
        let ids: Vec<u64> = (0..contexts.len() as u64).collect();
        index.upsert(&ids, &self.embed_all(&contexts)?)?;
        let found = index.search_batch(&self.embed_all(&questions)?, 10)?;
        let ranks = found
            .iter()
            .zip(&right)
            .map(|(hits, right)| hits.iter().position(|hit| hit.id == *right))
            .collect::<Vec<_>>();
        let recall = |at: usize| share(&ranks, |rank| rank.is_some_and(|rank| rank < at));
        Ok(RetrievalEvaluation {
            passages: contexts.len(),
            questions: questions.len(),
            recall_at_1: recall(1),
            recall_at_3: recall(3),
            recall_at_10: recall(10),
        })
    }

    fn embed_all(&self, texts: &[&str]) -> Result<Vec<f32>> {
        let embedder = self.inner.default_embedder()?;
        let mut vectors = Vec::with_capacity(texts.len() * embedder.info().dimension);
        for batch in texts.chunks(BATCH) {
            vectors.extend(embedder.embed(batch)?.into_iter().flatten());
        }
        Ok(vectors)
    }
}

fn read_squad(path: &Path) -> Result<Vec<Paragraph>> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    let squad: Squad = serde_json::from_slice(&bytes).map_err(|source| Error::NotSquad {
        path: path.to_owned(),
        source,
    })?;
    let paragraphs: Vec<_> = squad
        .data
        .into_iter()
        .enumerate()
        .flat_map(|(number, article)| with_article(number, article))
        .collect();
    if answerable(&paragraphs).next().is_none() {
        return Err(Error::NoQuestions {
            path: path.to_owned(),
        });
    }
    Ok(paragraphs)
}

fn with_article(number: usize, article: Article) -> impl Iterator<Item = Paragraph> {
    article
        .paragraphs
        .into_iter()
        .map(move |paragraph| Paragraph {
            title: article.title.clone(),
            article: number,
            ..paragraph
        })
}

fn index_of(dimension: usize) -> Result<FlatIndex> {
    Ok(FlatIndex::new(dimension, Metric::InnerProduct)?)
}

/// Each question that has an answer, with the number of its paragraph.
fn answerable(paragraphs: &[Paragraph]) -> impl Iterator<Item = (&str, u64)> {
    paragraphs.iter().zip(0..).flat_map(|(paragraph, number)| {
        paragraph
            .qas
            .iter()
            .filter(|question| !question.is_impossible && !question.answers.is_empty())
            .map(move |question| (question.question.as_str(), number))
    })
}

fn share<T>(items: &[T], holds: impl Fn(&T) -> bool) -> f64 {
    items.iter().filter(|item| holds(item)).count() as f64 / items.len() as f64
}
