//! Pictures as a vision model needs them: read and checked, decoded, turned upright, resized and cut
//! into frames. Knows no model and no tensor library.

mod detail;
mod picture;

pub use detail::Detail;
pub use picture::{Picture, PictureHash};
