//! JPEG, by the JPEG library itself: through the image library it cannot be told to be strict, and
//! would fill what is missing with grey.

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::failure::Failure;
use super::jpeg_markers::Markers;
use super::{Opened, pixels};
use crate::{Limits, RgbImage};

/// A JPEG whose header was read.
pub(super) struct Jpeg<'a> {
    bytes: &'a [u8],
    decoder: JpegDecoder<ZCursor<&'a [u8]>>,
    size: (u32, u32),
}

impl<'a> Jpeg<'a> {
    /// Reads the header. Stray bytes between its segments, which cameras leave, are passed over.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Failure> {
        let options = options().set_strict_mode(false);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(Failure::from_jpeg)?;
        let (width, height) = decoder
            .dimensions()
            .ok_or_else(|| Failure::malformed("it has no size"))?;
        Ok(Self {
            bytes,
            decoder,
            size: (width as u32, height as u32),
        })
    }

    /// What decoding takes, in bytes: the pixels, once more for turning them, and all coefficients
    /// where the file is gone over several times.
    fn memory_needed(&self, markers: &Markers) -> u64 {
        let pixels = u64::from(self.size.0) * u64::from(self.size.1);
        let components = self
            .decoder
            .input_colorspace()
            .map_or(3, |space| space.num_components() as u64);
        let coefficients = if markers.scans > 1 { 2 * components } else { 0 };
        pixels * (3 + 3 + coefficients)
    }
}

impl Opened for Jpeg<'_> {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn orientation(&mut self) -> Result<Orientation, Failure> {
        let exif = self.decoder.exif();
        Ok(exif
            .and_then(|exif| Orientation::from_exif_chunk(exif))
            .unwrap_or(Orientation::NoTransforms))
    }

    fn decode(mut self: Box<Self>, limits: &Limits) -> Result<RgbImage, Failure> {
        let markers = Markers::of(self.bytes);
        if !markers.complete {
            return Err(Failure::Truncated);
        }
        limits.check_memory(self.memory_needed(&markers))?;

        let (width, height) = self.size;
        let mut rgb = pixels::zeroed(u64::from(width) * u64::from(height) * 3, limits)?;
        self.decoder.set_options(options().set_strict_mode(true));
        self.decoder
            .decode_into(&mut rgb)
            .map_err(Failure::from_jpeg)?;
        RgbImage::new(width, height, rgb).ok_or_else(super::failure::wrong_length)
    }
}

/// RGB, whatever is stored, of any size: the limits are checked with those of all formats.
fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_max_width(u16::MAX as usize)
        .set_max_height(u16::MAX as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB)
}
