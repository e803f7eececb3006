//! From a picture to its soft tokens.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longtrainer_images::{Detail, Limits, Picture, Processor, ProcessorSettings};

use super::features::{FeatureCache, Features, View};
use super::options::VisionModelOptions;
use super::{Question, soft_numbers};
use crate::error::{ComputeError, compute_failed};
use crate::prompt::PictureLayout;
use crate::vision::{VisionConfig, VisionTower};
use crate::{Error, Result};

/// A tower, what comes before it, and what it has made.
pub(super) struct Eyes {
    model: String,
    tower: Arc<dyn VisionTower>,
    processor: Processor,
    limits: Limits,
    detail: Detail,
    features: Mutex<FeatureCache>,
}

impl std::fmt::Debug for Eyes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut eyes = formatter.debug_struct("Eyes");
        eyes.field("model", &self.model).finish_non_exhaustive()
    }
}

impl Eyes {
    /// `checkpoint` is where the tower came from, for messages.
    pub(super) fn new(
        model: &str,
        tower: Arc<dyn VisionTower>,
        checkpoint: &Path,
        options: &VisionModelOptions,
    ) -> Result<Self> {
        let settings = processor_settings(tower.config());
        let processor = Processor::new(settings).map_err(|error| Error::BadModel {
            path: checkpoint.to_owned(),
            problem: error.to_string(),
        })?;
        let usual = match options.device.device().is_cpu() {
            true => Detail::Low,
            false => Detail::High,
        };
        Ok(Self {
            model: model.to_owned(),
            tower,
            processor,
            limits: options.limits,
            detail: options.detail.unwrap_or(usual),
            features: Mutex::new(FeatureCache::new(options.feature_bytes)),
        })
    }

    /// The frames that a picture will be cut into; only its header is read.
    pub(super) fn layout(
        &self,
        picture: &Picture,
        detail: Option<Detail>,
    ) -> Result<PictureLayout> {
        let (width, height) = picture.dimensions(&self.limits)?;
        let detail = detail.unwrap_or(self.detail);
        let (rows, columns) = self.processor.layout(width, height, detail);
        Ok(PictureLayout {
            rows,
            columns,
            tokens_a_frame: self.tower.config().tokens(),
        })
    }

    /// What is known of all pictures of a question, if all are known.
    pub(super) fn known(&self, question: &Question) -> Option<Vec<Arc<Features>>> {
        let mut features = self.features();
        let pictures = question.pictures.iter();
        let known = pictures.map(|picture| features.find(&self.view(picture, question)));
        known.collect()
    }

    /// That the new pictures of a question can be decoded.
    pub(super) fn check_pictures(&self, question: &Question) -> Result<()> {
        for picture in &question.pictures {
            let view = self.view(picture, question);
            if self.features().find(&view).is_none() {
                picture.decode(&self.limits)?;
            }
        }
        Ok(())
    }

    /// Looks at those pictures of a question that are not known. `None` if nobody waits any more.
    pub(super) fn look(&self, question: &Question) -> Result<Option<Vec<Arc<Features>>>> {
        let mut all = Vec::with_capacity(question.pictures.len());
        for picture in &question.pictures {
            let view = self.view(picture, question);
            let known = self.features().find(&view);
            let features = match known {
                Some(features) => features,
                None => {
                    let is_wanted = || !question.events.is_closed();
                    let Some(features) = self.see(picture, view.detail, is_wanted)? else {
                        return Ok(None);
                    };
                    let features = Arc::new(features);
                    self.features().keep(view, &features);
                    features
                }
            };
            all.push(features);
        }
        Ok(Some(all))
    }

    /// A picture through the tower, some frames after others, as long as it is wanted.
    fn see(
        &self,
        picture: &Picture,
        detail: Detail,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<Features>> {
        let image = picture.decode(&self.limits)?;
        let frames = self.processor.frames(&image, detail);
        let frames = frames.map_err(|error| self.failed(error.into()))?;
        drop(image);
        let mut rows = Vec::new();
        let all: Vec<&[f32]> = (0..frames.count())
            .map(|index| frames.frame(index).unwrap_or_default())
            .collect();
        for frames in all.chunks(self.tower.frames_at_once()) {
            if !is_wanted() {
                return Ok(None);
            }
            let encoded = self.tower.encode_frames(frames);
            rows.extend(encoded.map_err(|error| self.failed(error))?);
        }
        let tokens = self.tower.config().tokens();
        let first = soft_numbers::take(frames.count() * tokens);
        let first = first.ok_or(Error::PicturesUsedUp)?;
        Ok(Some(Features::new(first, tokens, rows)))
    }

    /// Memory of the tower and of what is kept.
    pub(super) fn memory_bytes(&self) -> usize {
        self.tower.memory_bytes() + self.features().bytes()
    }

    fn view(&self, picture: &Picture, question: &Question) -> View {
        View {
            hash: picture.hash(),
            detail: question.detail.unwrap_or(self.detail),
            scope: question.checked.cache_scope().cloned(),
        }
    }

    fn features(&self) -> MutexGuard<'_, FeatureCache> {
        self.features.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, source: ComputeError) -> Error {
        compute_failed(&self.model, source)
    }
}

/// What the processor needs to know of a tower.
fn processor_settings(config: &VisionConfig) -> ProcessorSettings {
    ProcessorSettings {
        tile: config.image_size as u32,
        longest_edge: config.longest_edge as u32,
        mean: config.mean,
        std: config.std,
        rescale: 1.0 / 255.0,
        filter: Default::default(),
        splits: true,
    }
}
