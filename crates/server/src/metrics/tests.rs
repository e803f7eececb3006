use std::time::Duration;

use longtrainer::{MemoryBudget, Outcome, RequestFigures, StepFigures, Usage};

use super::*;

fn page(registry: &Registry) -> String {
    let mut page = String::new();
    text::encode(&mut page, registry).unwrap();
    page
}

fn figures(outcome: Outcome, completion_tokens: usize) -> RequestFigures {
    RequestFigures {
        outcome,
        usage: Usage {
            completion_tokens,
            time_to_first_token: Duration::from_millis(30),
            decode_time: Duration::from_millis(90),
            ..Usage::default()
        },
        longest_gap: Duration::from_millis(50),
    }
}

#[test]
fn what_an_engine_tells_is_counted_for_its_model() {
    let mut registry = Registry::with_prefix(PREFIX);
    let engine = EngineFigures::register(&mut registry);
    let step = StepFigures {
        waiting: 2,
        running: 3,
        decoding: 3,
        prompt_tokens: 40,
        cached_tokens: 10,
        chosen_tokens: 3,
        drafted_tokens: 4,
        accepted_tokens: 1,
        duration: Duration::from_millis(7),
        cache_bytes: 4096,
        kept_tokens: 64,
    };
    engine.step("small", &step);
    engine.step("small", &StepFigures { waiting: 0, ..step });
    engine.request("small", &figures(Outcome::Complete, 10));
    engine.request("small", &figures(Outcome::Refused, 0));
    engine.step("other", &step);
    let page = page(&registry);
    for line in [
        "longtrainer_engine_waiting{model=\"small\"} 0",
        "longtrainer_engine_waiting{model=\"other\"} 2",
        "longtrainer_engine_running{model=\"small\"} 3",
        "longtrainer_engine_prompt_tokens_total{model=\"small\"} 80",
        "longtrainer_engine_cached_tokens_total{model=\"small\"} 20",
        "longtrainer_engine_generated_tokens_total{model=\"small\"} 6",
        "longtrainer_engine_drafted_tokens_total{model=\"small\"} 8",
        "longtrainer_engine_accepted_tokens_total{model=\"small\"} 2",
        "longtrainer_engine_cache_bytes{model=\"small\"} 4096",
        "longtrainer_engine_kept_tokens{model=\"small\"} 64",
        "longtrainer_engine_batch_size_bucket{le=\"2.0\",model=\"small\"} 0",
        "longtrainer_engine_batch_size_bucket{le=\"4.0\",model=\"small\"} 2",
        "longtrainer_engine_step_duration_seconds_bucket{le=\"0.01\",model=\"small\"} 2",
        // Ten tokens have nine times between them.
        "longtrainer_engine_time_between_tokens_seconds_bucket{le=\"0.005\",model=\"small\"} 0",
        "longtrainer_engine_time_between_tokens_seconds_bucket{le=\"0.01\",model=\"small\"} 1",
        "longtrainer_engine_longest_token_gap_seconds_bucket{le=\"0.08\",model=\"small\"} 1",
        "longtrainer_engine_time_to_first_token_seconds_count{model=\"small\"} 1",
        "longtrainer_engine_requests_total{model=\"small\",outcome=\"complete\"} 1",
        "longtrainer_engine_requests_total{model=\"small\",outcome=\"refused\"} 1",
    ] {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
}

#[test]
fn a_model_that_is_gone_has_no_state_but_its_work_stays_counted() {
    let mut registry = Registry::with_prefix(PREFIX);
    let engine = EngineFigures::register(&mut registry);
    let step = StepFigures {
        chosen_tokens: 5,
        cache_bytes: 10,
        ..StepFigures::default()
    };
    engine.step("gone", &step);
    engine.keep_only(&HashSet::new());
    let left = page(&registry);
    assert!(!left.contains("cache_bytes{"), "{left}");
    assert!(
        left.contains("generated_tokens_total{model=\"gone\"} 5"),
        "{left}"
    );
    engine.step("gone", &step);
    let again = page(&registry);
    assert!(again.contains("cache_bytes{model=\"gone\"} 10"), "{again}");
    assert!(
        again.contains("generated_tokens_total{model=\"gone\"} 10"),
        "{again}"
    );
}

#[test]
fn a_budget_is_told_if_there_is_one() {
    for (budget, told) in [
        (
            MemoryBudget::Bytes(5),
            Some("longtrainer_models_memory_budget_bytes 5"),
        ),
        (MemoryBudget::Unlimited, None),
    ] {
        let mut registry = Registry::with_prefix(PREFIX);
        scraped::residency(&mut registry, budget, &[]);
        let page = page(&registry);
        let line = page
            .lines()
            .find(|line| line.starts_with("longtrainer_models_memory_budget"));
        assert_eq!(line, told, "{page}");
    }
}
