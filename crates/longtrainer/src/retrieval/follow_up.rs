//! Questions that only their conversation makes clear: "And its capital?"
//!
//! A model that rewrites such a question costs seconds before the first token. Embedding the
//! question once more, together with the questions before it, costs a millisecond, and the sum of the
//! two vectors is one search: its similarity to a passage is the weighted sum of theirs. Fusing two
//! rankings by reciprocal rank was measured, too: at the same cost to questions that change the
//! subject it found less (`longtrainer eval follow-ups` measures; ARCHITECTURE.md has the figures).

/// How much the question with its conversation counts beside the question alone. With less than a
/// half, the question decides when it has a subject of its own, and the conversation when it has none;
/// more finds more follow-ups and loses more questions that change the subject.
pub(crate) const WEIGHT: f32 = 0.4;

/// Questions before this one that are searched for with it. The last alone would do for one follow-up,
/// but not for the next: "Where is Malta?", "And its capital?", "How old is it?"
pub(crate) const EARLIER: usize = 2;

/// Bytes of a text for each token that the embedder looks at; more would only be tokenised and cut
/// off.
const BYTES_A_TOKEN: usize = 16;

/// `question` with `earlier` ones, newest first. The embedder cuts off what it cannot hold at the
/// end, so the oldest goes first.
pub(crate) fn with_earlier(question: &str, earlier: &[&str], max_tokens: usize) -> Option<String> {
    let mut text = question.trim().to_owned();
    let earlier: Vec<_> = earlier
        .iter()
        .map(|earlier| earlier.trim())
        .filter(|earlier| !earlier.is_empty() && *earlier != question.trim())
        .collect();
    if earlier.is_empty() {
        return None;
    }
    for earlier in earlier {
        text.push('\n');
        text.push_str(earlier);
    }
    cut_off(&mut text, max_tokens.saturating_mul(BYTES_A_TOKEN));
    Some(text)
}

/// Leaves at most `most` bytes, and no half character.
fn cut_off(text: &mut String, most: usize) {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

/// The vector of a question with some of that of the question with its conversation, of length 1.
pub(crate) fn with_context(question: &[f32], context: &[f32]) -> Vec<f32> {
    let sum: Vec<f32> = std::iter::zip(question, context)
        .map(|(question, context)| question + WEIGHT * context)
        .collect();
    let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    match length > 0.0 {
        true => sum.iter().map(|x| x / length).collect(),
        // Opposites cancel each other; then the question stands.
        false => question.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_leads_and_the_length_is_one() {
        let mixed = with_context(&[1.0, 0.0], &[0.0, 1.0]);
        assert!(mixed[0] > mixed[1] && mixed[1] > 0.0, "{mixed:?}");
        assert!((mixed[0].hypot(mixed[1]) - 1.0).abs() < 1e-6);
        assert_eq!(with_context(&[0.0], &[0.0]), [0.0]);
    }

    #[test]
    fn the_newest_question_stays_nearest() {
        let text = with_earlier("And its capital?", &["Where is Malta?", "Hello?"], 256);
        assert_eq!(
            text.as_deref(),
            Some("And its capital?\nWhere is Malta?\nHello?")
        );
    }

    #[test]
    fn without_another_question_there_is_nothing_to_add() {
        assert_eq!(with_earlier("Who?", &[], 256), None);
        assert_eq!(with_earlier("Who?", &["Who? ", " "], 256), None);
    }

    #[test]
    fn what_the_embedder_would_not_read_is_cut_off_between_characters() {
        let text = with_earlier("é?", &["ü".repeat(100).as_str()], 2);
        assert_eq!(text.map(|text| text.len()), Some(32));
    }
}
