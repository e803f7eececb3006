//! The models: an encoder that turns texts into vectors and a decoder that turns messages into a
//! stream of text, both through Candle.
//!
//! [`Embedder`] and [`TextModel`] are the seam: the facade sees only them, so that a test can use a
//! fake and a large deployment can put a cluster behind the same calls. [`BertEmbedder`] and
//! [`GgufTextModel`] are what runs on this machine, on a device from [`select_device`].

mod adapter;
mod answer_text;
mod bare;
mod decoder;
mod device;
mod device_rows;
mod embedder;
mod engine;
mod error;
mod gguf;
mod grammar;
mod hub_folder;
mod kernel_decoder;
mod message;
mod model_file;
mod prompt;
mod request;
mod rows;
mod sampling;
mod seam;
mod soft;
mod stream;
mod synthetic;
mod template;
mod tensor_blocks;
mod text_model;
mod threads;
mod tokenizer;
mod vision;
mod vision_model;

#[cfg(test)]
mod chosen_on_device_tests;
#[cfg(test)]
#[path = "../tests/support/hub.rs"]
mod hub;
#[cfg(test)]
mod on_device_tests;
#[cfg(test)]
mod test_device;
#[cfg(test)]
#[allow(dead_code, reason = "each of the tests uses its part")]
#[path = "../tests/support/models.rs"]
mod test_models;
#[cfg(test)]
#[path = "../tests/support/tiny.rs"]
mod tiny;

pub use adapter::Adapter;
pub use bare::BareTextModel;
pub use device::{
    DeviceChoice, DeviceDetails, DeviceMemory, DeviceProblem, DeviceRates, SelectedDevice,
    built_devices, select_device,
};
pub use device_rows::{DeviceRows, MOST_GREATEST};
pub use embedder::{BertEmbedder, CardPrecision, EmbedderOptions, Precision};
pub use engine::{EngineMetrics, EngineOptions, Outcome, RequestFigures, StepFigures};
pub use error::{Error, Result, with_causes};
pub use gguf::GgufKind;
pub use grammar::{JsonProblem, validate_json};
pub use longtrainer_images::{Detail, Picture, PictureHash};
pub use message::{Message, Role, Tool, ToolCall};
pub use request::{GenerateRequest, Grammar, RawText, Tagged};
pub use sampling::{Dry, Sampling};
pub use seam::{Embedder, EmbedderInfo, TextModel, TextModelInfo, TokenizedText};
pub use stream::{
    FinishReason, Generation, StreamItem, TextStream, TokenChoice, TokenLogprob, Usage,
};
pub use synthetic::{EncoderShape, TextShape, VisionShape, WeightType};
pub use text_model::{GgufTextModel, TextModelOptions};
pub use vision::{TOWER_PRECISION, VisionCheckpoint, VisionConfig, VisionTower, load_tower};
pub use vision_model::{VisionModel, VisionModelOptions};
