//! The answers that repeated questions got the first time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Answers by the number of the question.
#[derive(Debug, Default)]
pub(crate) struct KnownAnswers {
    answers: Mutex<HashMap<usize, String>>,
}

impl KnownAnswers {
    /// Compares a whole answer with the first one. Whether there was one, or what differs.
    pub(crate) fn check(&self, question: usize, answer: &str) -> Result<bool, String> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.get(&question) {
            None => {
                answers.insert(question, answer.to_owned());
                Ok(false)
            }
            Some(first) if first == answer => Ok(true),
            Some(first) => Err(format!(
                "question {question} was answered {first:?} and then {answer:?}"
            )),
        }
    }

    /// Compares the beginning of an answer whose reader left.
    pub(crate) fn check_beginning(&self, question: usize, answer: &str) -> Result<(), String> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        match answers.get(&question) {
            Some(first) if !first.starts_with(answer) => Err(format!(
                "question {question} was answered {first:?} and then {answer:?}, cut off"
            )),
            _ => Ok(()),
        }
    }
}
