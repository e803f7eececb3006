//! How a vision model is run.

use longtrainer_images::{Detail, Limits};

use crate::device::SelectedDevice;
use crate::embedder::Precision;
use crate::vision::TOWER_PRECISION;

/// How a vision model is run. The default is the processor, with all its threads.
#[derive(Debug, Clone)]
pub struct VisionModelOptions {
    /// Where the tower runs; the text model has its own place.
    pub device: SelectedDevice,
    /// Threads of the processor that the tower may use; `None` uses all. The answer does not depend on
    /// it.
    pub threads: Option<usize>,
    /// In which numbers the tower computes.
    pub precision: Precision,
    /// How closely pictures are looked at where a request does not say; `None` is [`Detail::Low`] on a
    /// processor and [`Detail::High`] on a graphics card.
    pub detail: Option<Detail>,
    /// What pictures may cost.
    pub limits: Limits,
    /// Memory for what the tower made of pictures, in bytes; those used longest ago go first.
    pub feature_bytes: usize,
}

impl Default for VisionModelOptions {
    fn default() -> Self {
        Self {
            device: SelectedDevice::default(),
            threads: None,
            precision: TOWER_PRECISION,
            detail: None,
            limits: Limits::default(),
            feature_bytes: 64 << 20,
        }
    }
}
