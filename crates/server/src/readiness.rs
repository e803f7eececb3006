//! Whether the server is ready for questions, which is more than being up: its store can be read,
//! and the models that bots use by default are in memory or can be loaded.

use std::sync::{Mutex, PoisonError};

use longtrainer::models::Role;
use longtrainer::{DefaultModel, LongTrainer, with_causes};

/// What a server knows of its own way from start to stop.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    phase: Mutex<Phase>,
}

#[derive(Debug, Default, Clone)]
enum Phase {
    /// Nothing was to be done first, or it is done.
    #[default]
    Serving,
    /// The models are being loaded.
    Warming,
    /// They could not be.
    Cold(String),
    Stopping,
}

impl Readiness {
    /// Models are about to be loaded.
    pub(crate) fn warming(&self) {
        self.turn(Phase::Warming);
    }

    /// They are loaded, or not for this reason.
    pub(crate) fn warmed(&self, outcome: &longtrainer::Result<()>) {
        self.turn(match outcome {
            Ok(()) => Phase::Serving,
            Err(error) => Phase::Cold(with_causes(error)),
        });
    }

    /// From now on no request is promised an answer.
    pub(crate) fn stopping(&self) {
        self.turn(Phase::Stopping);
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        phase.clone()
    }

    /// A server that stops does not become ready again by what it was still doing.
    fn turn(&self, to: Phase) {
        let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*phase, Phase::Stopping) {
            *phase = to;
        }
    }

    /// Why the server is not ready; nothing if it is. It looks at the store and at files, but loads
    /// nothing.
    pub(crate) fn reasons(&self, trainer: &LongTrainer) -> Vec<String> {
        let phase = self.phase();
        match phase {
            Phase::Stopping => return vec!["the server is stopping".to_owned()],
            Phase::Warming => return vec!["the models are being loaded".to_owned()],
            Phase::Cold(_) | Phase::Serving => {}
        }
        let warmed = match phase {
            Phase::Cold(reason) => Err(format!("the models could not be loaded: {reason}")),
            _ => Ok(()),
        };
        let store = trainer.store_figures().map(drop);
        let store =
            store.map_err(|error| format!("the store cannot be read: {}", with_causes(&error)));
        let models = expected_models(trainer).into_iter().map(|model| {
            let checked = trainer.check_model(&model.name, model.role);
            checked.map_err(|error| with_causes(&error))
        });
        let checks = [warmed, store].into_iter().chain(models);
        checks.filter_map(Result::err).collect()
    }
}

/// Loads the models that the server is expected to have.
pub(crate) fn warm(trainer: &LongTrainer) -> longtrainer::Result<()> {
    expected_models(trainer)
        .iter()
        .try_for_each(|model| trainer.load_model(&model.name, model.role))
}

/// The models without which a server is not ready. Most bots never look at a picture, so a vision
/// model is expected only where somebody named one.
fn expected_models(trainer: &LongTrainer) -> Vec<DefaultModel> {
    let mut models = trainer.default_models();
    models.retain(|model| model.role != Role::Vision || model.chosen);
    models
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stops_stays_that_way() {
        let readiness = Readiness::default();
        readiness.warming();
        readiness.stopping();
        readiness.warmed(&Ok(()));
        assert!(matches!(readiness.phase(), Phase::Stopping));
    }
}
