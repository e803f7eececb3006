//! What an answer cost.

use longtrainer::Usage;
use serde_json::{Value, json};

/// As chat and text completions tell it.
pub(super) fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    })
}

/// As responses tell it.
pub(super) fn of_response(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    })
}

/// The sum of several answers' costs, as far as it is told.
pub(super) fn sum(usages: impl IntoIterator<Item = Usage>) -> Usage {
    usages.into_iter().fold(Usage::default(), |sum, one| Usage {
        prompt_tokens: sum.prompt_tokens + one.prompt_tokens,
        cached_tokens: sum.cached_tokens + one.cached_tokens,
        completion_tokens: sum.completion_tokens + one.completion_tokens,
        ..sum
    })
}
