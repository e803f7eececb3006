//! PNG, WebP, GIF, BMP and TIFF, by the image library.

use std::io::Cursor;

use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder,
};
use image::metadata::Orientation;
use image::{ImageDecoder, ImageResult};

use super::failure::Failure;
use super::{Opened, pixels, webp};
use crate::{Limits, RgbImage};

/// What EXIF data begins with in some files and not in others.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// A picture opened by the image library.
pub(super) struct Codec<'a> {
    decoder: Box<dyn ImageDecoder + 'a>,
    /// How often the decoder's pixels are in memory while it works.
    copies: u64,
    /// Whether the decoder knows the orientation otherwise than from EXIF data.
    knows_orientation: bool,
    memory: u64,
}

impl<'a> Codec<'a> {
    /// A PNG. Its size is checked before: the decoder allocates rows as soon as it is opened.
    pub(super) fn png(bytes: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        check_png_header(bytes, limits)?;
        let opened = PngDecoder::with_limits(Cursor::new(bytes), library_limits(limits));
        Self::new(opened, 1, limits)
    }

    /// A WebP.
    pub(super) fn webp(bytes: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        webp::check_chunks(bytes, limits)?;
        Self::new(WebPDecoder::new(Cursor::new(bytes)), 2, limits)
    }

    /// A GIF.
    pub(super) fn gif(bytes: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        Self::new(GifDecoder::new(Cursor::new(bytes)), 2, limits)
    }

    /// A bitmap.
    pub(super) fn bmp(bytes: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        Self::new(BmpDecoder::new(Cursor::new(bytes)), 1, limits)
    }

    /// A TIFF.
    pub(super) fn tiff(bytes: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        let codec = Self::new(TiffDecoder::new(Cursor::new(bytes)), 2, limits)?;
        Ok(Self {
            knows_orientation: true,
            ..codec
        })
    }

    fn new<D: ImageDecoder + 'a>(
        opened: ImageResult<D>,
        copies: u64,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::from_image(error, limits.memory);
        let mut decoder = opened.map_err(failed)?;
        decoder.set_limits(library_limits(limits)).map_err(failed)?;
        Ok(Self {
            decoder: Box::new(decoder),
            copies,
            knows_orientation: false,
            memory: limits.memory,
        })
    }

    /// What decoding takes, in bytes: what the decoder gives and copies, and the pixels as RGB.
    fn memory_needed(&self) -> u64 {
        let (width, height) = self.decoder.dimensions();
        let rgb = u64::from(width) * u64::from(height) * 3;
        self.decoder
            .total_bytes()
            .saturating_mul(self.copies)
            .saturating_add(rgb)
    }
}

impl Opened for Codec<'_> {
    fn size(&self) -> (u32, u32) {
        self.decoder.dimensions()
    }

    fn orientation(&mut self) -> Result<Orientation, Failure> {
        let failed = |error| Failure::from_image(error, self.memory);
        if self.knows_orientation {
            return self.decoder.orientation().map_err(failed);
        }
        let exif = self.decoder.exif_metadata().map_err(failed)?;
        Ok(exif
            .as_deref()
            .and_then(|exif| {
                Orientation::from_exif_chunk(exif.strip_prefix(EXIF_PREFIX).unwrap_or(exif))
            })
            .unwrap_or(Orientation::NoTransforms))
    }

    fn decode(self: Box<Self>, limits: &Limits) -> Result<RgbImage, Failure> {
        let (width, height) = self.decoder.dimensions();
        let color = self.decoder.color_type();
        pixels::check_color(color)?;
        limits.check_memory(self.memory_needed())?;

        let mut native = pixels::zeroed(self.decoder.total_bytes(), limits)?;
        self.decoder
            .read_image_boxed(&mut native)
            .map_err(|error| Failure::from_image(error, limits.memory))?;
        pixels::to_rgb(width, height, color, native)
    }
}

/// The library's own limits, for what it allocates by itself. Sizes are checked with a better message.
fn library_limits(limits: &Limits) -> image::Limits {
    let mut library_limits = image::Limits::no_limits();
    library_limits.max_alloc = Some(limits.memory);
    library_limits
}

/// The size in a PNG's first chunk.
fn check_png_header(bytes: &[u8], limits: &Limits) -> Result<(), Failure> {
    let header = bytes.get(12..24).ok_or(Failure::Truncated)?;
    let &[b'I', b'H', b'D', b'R', w0, w1, w2, w3, h0, h1, h2, h3] = header else {
        return Err(Failure::malformed("it does not begin with a header"));
    };
    let width = u32::from_be_bytes([w0, w1, w2, w3]);
    let height = u32::from_be_bytes([h0, h1, h2, h3]);
    Ok(limits.check_size(width, height)?)
}
