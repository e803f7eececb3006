//! Pictures as a vision model needs them: read and checked, decoded, turned upright, resized and cut
//! into frames. Knows no model and no tensor library.

mod decode;
mod detail;
mod error;
mod format;
mod limits;
mod picture;
mod processor;
mod reading;
mod rgb_image;

pub use detail::Detail;
pub use error::{Error, Exceeded, Result};
pub use format::Format;
pub use limits::Limits;
pub use picture::{Picture, PictureHash};
pub use processor::{Filter, Frames, Processor, ProcessorError, ProcessorSettings};
pub use rgb_image::RgbImage;
