//! Adapters in the form in which a model computes with them, made once a model and adapter.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use candle_core::Device;
use longtrainer_kernels::Team;

use super::fit::{Fitted, Model};
use super::{Adapter, Inner};
use crate::Result;
use crate::decoder::{CandleAdapter, DecoderConfig};
use crate::error::{ComputeError, compute_failed};
use crate::kernel_decoder::KernelAdapter;

/// An adapter as a model of one kind computes with it.
#[derive(Debug)]
pub(crate) enum BoundAdapter {
    Kernels(KernelAdapter),
    Candle(CandleAdapter),
}

/// An adapter of a request.
#[derive(Debug, Clone)]
pub(crate) struct AppliedAdapter {
    bound: Arc<BoundAdapter>,
    /// What its changes are multiplied by, beside their own scales.
    pub(crate) scale: f32,
    /// Of the caches of its requests; another for each adapter and scale, never 0.
    pub(crate) kind: u64,
}

impl AppliedAdapter {
    /// For a model on our kernels.
    pub(crate) fn kernels(&self) -> Result<&KernelAdapter, ComputeError> {
        match &*self.bound {
            BoundAdapter::Kernels(adapter) => Ok(adapter),
            BoundAdapter::Candle(_) => Err(WRONG_KIND.into()),
        }
    }

    /// For a model over Candle.
    pub(crate) fn candle(&self) -> Result<&CandleAdapter, ComputeError> {
        match &*self.bound {
            BoundAdapter::Candle(adapter) => Ok(adapter),
            BoundAdapter::Kernels(_) => Err(WRONG_KIND.into()),
        }
    }
}

const WRONG_KIND: &str = "the adapter was bound to a model of another kind";

/// What a model computes with.
#[derive(Debug)]
pub(crate) enum Place {
    /// Our kernels, on these threads.
    Kernels(Arc<Team>),
    /// Candle, on this device.
    Candle(Device),
}

/// Binds adapters to one model, and keeps each for as long as somebody holds the adapter.
#[derive(Debug)]
pub(crate) struct AdapterBinder {
    model: String,
    architecture: String,
    config: DecoderConfig,
    place: Place,
    bound: Mutex<Bindings>,
}

#[derive(Debug, Default)]
struct Bindings {
    by_adapter: HashMap<u64, Binding>,
    /// The last kind that was given away.
    last_kind: u64,
}

#[derive(Debug)]
struct Binding {
    adapter: Weak<Inner>,
    bound: Arc<BoundAdapter>,
    /// Kinds of caches by the bits of scales.
    kinds: HashMap<u32, u64>,
}

impl AdapterBinder {
    /// For a model of this name and architecture, as `general.architecture` calls it.
    pub(crate) fn new(
        model: &str,
        architecture: &str,
        config: DecoderConfig,
        place: Place,
    ) -> Self {
        Self {
            model: model.to_owned(),
            architecture: architecture.to_owned(),
            config,
            place,
            bound: Mutex::default(),
        }
    }

    /// An adapter for a request.
    ///
    /// # Errors
    ///
    /// [`AdapterMismatch`](crate::Error::AdapterMismatch) naming the first tensor that does not fit.
    pub(crate) fn apply(&self, adapter: &Adapter) -> Result<AppliedAdapter> {
        let mut bindings = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let Bindings {
            by_adapter,
            last_kind,
        } = &mut *bindings;
        by_adapter.retain(|_, binding| binding.adapter.strong_count() > 0);
        let binding = match by_adapter.entry(adapter.id()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(self.bind(adapter)?),
        };
        let kind = binding.kinds.entry(adapter.scale().to_bits());
        let kind = *kind.or_insert_with(|| {
            *last_kind += 1;
            *last_kind
        });
        Ok(AppliedAdapter {
            bound: Arc::clone(&binding.bound),
            scale: adapter.scale(),
            kind,
        })
    }

    /// Memory of all adapters that are kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let bindings = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        let bindings = bindings.by_adapter.values();
        bindings
            .map(|binding| match &*binding.bound {
                BoundAdapter::Kernels(adapter) => adapter.bytes(),
                BoundAdapter::Candle(adapter) => adapter.bytes(),
            })
            .sum()
    }

    fn bind(&self, adapter: &Adapter) -> Result<Binding> {
        let model = Model {
            name: &self.model,
            architecture: &self.architecture,
            config: &self.config,
        };
        let fitted = model.fit(adapter)?;
        let bound = self.pack(&fitted);
        let bound = bound.map_err(|source| compute_failed(&self.model, source))?;
        tracing::info!(model = self.model, adapter = adapter.name(), "bound");
        Ok(Binding {
            adapter: adapter.downgrade(),
            bound: Arc::new(bound),
            kinds: HashMap::new(),
        })
    }

    fn pack(&self, fitted: &Fitted<'_>) -> Result<BoundAdapter, ComputeError> {
        Ok(match &self.place {
            Place::Kernels(team) => BoundAdapter::Kernels(KernelAdapter::pack(team, fitted)?),
            Place::Candle(device) => BoundAdapter::Candle(CandleAdapter::pack(device, fitted)?),
        })
    }
}
