//! Who is told what the engines do. Whoever watches may come after a model was loaded, as a server
//! does that is started over a trainer, so each engine is given this relay and never a watcher.

use std::sync::{Arc, PoisonError, RwLock, Weak};

use longtrainer_inference::{EngineMetrics, RequestFigures, StepFigures};

/// Passes the figures of all engines on.
#[derive(Default)]
pub(super) struct Observers {
    /// Who was named when the trainer was opened.
    first: Option<Arc<dyn EngineMetrics>>,
    /// Who came later, and is forgotten when gone.
    later: RwLock<Vec<Weak<dyn EngineMetrics>>>,
}

impl Observers {
    pub(super) fn new(first: Option<Arc<dyn EngineMetrics>>) -> Arc<Self> {
        Arc::new(Self {
            first,
            later: RwLock::default(),
        })
    }

    /// Adds one.
    pub(super) fn add(&self, observer: &Arc<dyn EngineMetrics>) {
        let mut later = self.later.write().unwrap_or_else(PoisonError::into_inner);
        later.retain(|observer| observer.strong_count() > 0);
        later.push(Arc::downgrade(observer));
    }

    fn tell(&self, tell: impl Fn(&dyn EngineMetrics)) {
        if let Some(first) = &self.first {
            tell(&**first);
        }
        let later = self.later.read().unwrap_or_else(PoisonError::into_inner);
        for observer in later.iter().filter_map(Weak::upgrade) {
            tell(&*observer);
        }
    }
}

impl EngineMetrics for Observers {
    fn step(&self, model: &str, figures: &StepFigures) {
        self.tell(|observer| observer.step(model, figures));
    }

    fn request(&self, model: &str, figures: &RequestFigures) {
        self.tell(|observer| observer.request(model, figures));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl EngineMetrics for Heard {
        fn step(&self, model: &str, _figures: &StepFigures) {
            self.0.lock().unwrap().push(model.to_owned());
        }

        fn request(&self, _model: &str, _figures: &RequestFigures) {}
    }

    #[test]
    fn all_are_told_until_they_go() {
        let (first, second) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        let observers = Observers::new(Some(Arc::clone(&first) as Arc<dyn EngineMetrics>));
        observers.step("a", &StepFigures::default());
        let later: Arc<dyn EngineMetrics> = second.clone();
        observers.add(&later);
        observers.step("b", &StepFigures::default());
        drop(later);
        let heard = Arc::try_unwrap(second).ok().unwrap();
        observers.step("c", &StepFigures::default());
        assert_eq!(*heard.0.lock().unwrap(), ["b"]);
        assert_eq!(*first.0.lock().unwrap(), ["a", "b", "c"]);
    }
}
