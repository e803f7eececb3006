//! Measuring retrieval for questions that follow others in a chat.
//!
//! Each question is asked after those before it in its article, as it stands; with the names it
//! shares with the last of them or the article's title replaced by "it", as people do who go on
//! talking; and as it stands after questions from another part of the file, as people do who change
//! the subject. Each is searched for alone and as a chat searches for it.

use std::collections::HashSet;

use longtrainer_index::{FlatIndex, Hit, VectorIndex};
use serde::Serialize;

use super::{Paragraph, answerable, index_of, read_squad, share};
use crate::error::Result;
use crate::retrieval::follow_up::{EARLIER, with_context, with_earlier};
use crate::trainer::LongTrainer;

/// The place up to which a passage counts as found: the documented number of passages.
const AT: usize = 3;

/// How often the right passage is among the first 3 found for questions that follow others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FollowUpEvaluation {
    /// Passages searched.
    pub passages: usize,
    /// Questions as they stand, after others on the same subject.
    pub self_contained: FollowUpRecall,
    /// The same with shared names replaced by "it"; those that have one.
    pub elliptical: FollowUpRecall,
    /// Questions as they stand, after others from another part of the file.
    pub changed_subject: FollowUpRecall,
}

/// Recall at 3 of one kind of question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FollowUpRecall {
    /// Questions asked.
    pub questions: usize,
    /// Each searched for alone.
    pub alone: f64,
    /// Each searched for as in a chat.
    pub with_conversation: f64,
}

/// A question, those before it (newest first), and the passage that answers it.
struct FollowUp<'a> {
    question: String,
    before: Vec<&'a str>,
    right: u64,
}

impl LongTrainer {
    /// Measures the default embedding model on follow-up questions made from a file in SQuAD's
    /// layout. Nothing is stored.
    pub fn evaluate_follow_ups(&self, path: &std::path::Path) -> Result<FollowUpEvaluation> {
        let paragraphs = read_squad(path)?;
        let contexts: Vec<&str> = paragraphs.iter().map(|p| p.context.as_str()).collect();
        let index = index_of(self.inner.default_embedder()?.info().dimension)?;
        let ids: Vec<u64> = (0..contexts.len() as u64).collect();
        index.upsert(&ids, &self.embed_all(&contexts)?)?;
        Ok(FollowUpEvaluation {
            passages: contexts.len(),
            self_contained: self.recall(&index, &self_contained(&paragraphs))?,
            elliptical: self.recall(&index, &elliptical(&paragraphs))?,
            changed_subject: self.recall(&index, &changed_subject(&paragraphs))?,
        })
    }

    fn recall(&self, index: &FlatIndex, follow_ups: &[FollowUp<'_>]) -> Result<FollowUpRecall> {
        let max_tokens = self.inner.default_embedder()?.info().max_tokens;
        let alone: Vec<&str> = follow_ups.iter().map(|f| f.question.as_str()).collect();
        let together: Vec<String> = follow_ups
            .iter()
            .map(|f| {
                with_earlier(&f.question, &f.before, max_tokens)
                    .unwrap_or_else(|| f.question.clone())
            })
            .collect();
        let together: Vec<&str> = together.iter().map(String::as_str).collect();
        let alone = self.embed_all(&alone)?;
        let together = self.embed_all(&together)?;
        let dimension = index.dimension();
        let mixed: Vec<f32> = std::iter::zip(alone.chunks(dimension), together.chunks(dimension))
            .flat_map(|(question, context)| with_context(question, context))
            .collect();
        Ok(FollowUpRecall {
            questions: follow_ups.len(),
            alone: found(&index.search_batch(&alone, AT)?, follow_ups),
            with_conversation: found(&index.search_batch(&mixed, AT)?, follow_ups),
        })
    }
}

fn found(rankings: &[Vec<Hit>], follow_ups: &[FollowUp<'_>]) -> f64 {
    let pairs: Vec<_> = rankings.iter().zip(follow_ups).collect();
    share(&pairs, |(hits, follow_up)| {
        hits.iter().any(|hit| hit.id == follow_up.right)
    })
}

/// Each question that follows another in its article, as it stands.
fn self_contained(paragraphs: &[Paragraph]) -> Vec<FollowUp<'_>> {
    let article = |paragraph: u64| paragraphs[paragraph as usize].article;
    let questions: Vec<_> = answerable(paragraphs).collect();
    (1..questions.len())
        .map(|at| {
            let (question, right) = questions[at];
            let of_article = |(_, place): &&(&str, u64)| article(*place) == article(right);
            let before = questions[..at].iter().rev().take_while(of_article);
            FollowUp {
                question: question.to_owned(),
                before: before.take(EARLIER).map(|(before, _)| *before).collect(),
                right,
            }
        })
        .filter(|follow_up| !follow_up.before.is_empty())
        .collect()
}

/// Those of them that have a name to leave out, without it.
fn elliptical(paragraphs: &[Paragraph]) -> Vec<FollowUp<'_>> {
    self_contained(paragraphs)
        .into_iter()
        .filter_map(|follow_up| {
            let title = &paragraphs[follow_up.right as usize].title;
            let names = names(follow_up.before[0], title);
            let question = without_names(&follow_up.question, &names)?;
            Some(FollowUp {
                question,
                ..follow_up
            })
        })
        .collect()
}

/// Every question, after others that are taken half the file away.
fn changed_subject(paragraphs: &[Paragraph]) -> Vec<FollowUp<'_>> {
    let questions: Vec<_> = answerable(paragraphs).collect();
    let far = |at: usize| questions[(at + questions.len() / 2) % questions.len()].0;
    (0..questions.len())
        .map(|at| FollowUp {
            question: questions[at].0.to_owned(),
            before: (0..EARLIER).map(|back| far(at + EARLIER - back)).collect(),
            right: questions[at].1,
        })
        .collect()
}

/// What both speakers know: words of the title, and words with a capital letter in the question
/// before, the one that begins it apart.
fn names(before: &str, title: &str) -> HashSet<String> {
    let is_name = |word: &&str| word.starts_with(char::is_uppercase);
    let capital = before.split_whitespace().skip(1).map(core).filter(is_name);
    let title = title.split('_').map(core).filter(|word| word.len() > 3);
    capital.chain(title).map(folded).collect()
}

/// The question with each run of known names as "it"; `None` if it has none.
fn without_names(question: &str, names: &HashSet<String>) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let mut is_changed = false;
    for word in question.split_whitespace() {
        if words.is_empty() || !names.contains(&folded(core(word))) {
            words.push(word.to_owned());
            continue;
        }
        is_changed = true;
        let replaced = ["the", "a", "an", "it"];
        if words.len() > 1 && words.last().is_some_and(|word| replaced.contains(&&**word)) {
            words.pop();
        }
        let mark = if word.ends_with('?') { "?" } else { "" };
        words.push(format!("it{mark}"));
    }
    is_changed.then(|| words.join(" "))
}

/// A word without the marks around it and without a genitive.
fn core(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.strip_suffix("'s").unwrap_or(word)
}

/// Singular and plural are one name.
fn folded(word: &str) -> String {
    word.to_lowercase().trim_end_matches('s').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_both_questions_have_become_it() {
        let names = names("When did Rollo reach the Seine?", "The_Normans");
        let shortened = |question| without_names(question, &names);
        assert_eq!(
            shortened("What did the Norman Rollo build?").as_deref(),
            Some("What did it build?")
        );
        assert_eq!(
            shortened("Who crossed the Seine?").as_deref(),
            Some("Who crossed it?")
        );
        assert_eq!(shortened("Who wrote it down?"), None);
    }
}
