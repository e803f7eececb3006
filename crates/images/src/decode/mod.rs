//! From the bytes of a file to upright pixels.
//!
//! The limits are checked on the header; only then does a decoder get to work. ICC profiles are
//! ignored: the numbers in the file are taken for sRGB, as the models' own processors take them. What
//! is odd becomes plain: alpha is laid over white, 16 bits a channel are rounded to the nearest 8,
//! CMYK is multiplied out, and the orientation that a camera noted (EXIF) is applied.
//!
//! A decoder that breaks off is an error, never half a picture, and so is one that panics.

mod codec;
mod failure;
mod jpeg;
mod jpeg_markers;
mod pixels;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::DynamicImage;
use image::metadata::Orientation;

use crate::{Error, Format, Limits, Picture, Result, RgbImage};
use codec::Codec;
use failure::Failure;
use jpeg::Jpeg;

/// A picture whose header was read and found within the limits.
trait Opened {
    /// Width and height in pixels, as they lie in the file.
    fn size(&self) -> (u32, u32);

    /// How it must be turned to stand upright.
    fn orientation(&mut self) -> Result<Orientation, Failure>;

    /// Decodes the pixels, as they lie in the file.
    fn decode(self: Box<Self>, limits: &Limits) -> Result<RgbImage, Failure>;
}

impl Picture {
    /// What the bytes are: `image/png` and the like, by what they begin with. None for what is not
    /// decoded here.
    pub fn media_type(&self) -> Option<&'static str> {
        Format::of(self.bytes()).map(Format::media_type)
    }

    /// Its width and height in pixels once it stands upright, from the header alone.
    ///
    /// # Errors
    ///
    /// As [`Picture::decode`], as far as the header shows it.
    pub fn dimensions(&self, limits: &Limits) -> Result<(u32, u32)> {
        self.guarded(|format| {
            let mut opened = open(format, self.bytes(), limits)?;
            let orientation = opened.orientation()?;
            Ok(upright_size(opened.size(), orientation))
        })
    }

    /// Its pixels, upright: the first frame or page, alpha laid over white, 16 bits rounded to the
    /// nearest 8, everything as RGB. ICC profiles are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownFormat`], [`Error::TooLarge`], [`Error::Unsupported`], [`Error::Truncated`],
    /// [`Error::Malformed`].
    pub fn decode(&self, limits: &Limits) -> Result<RgbImage> {
        self.guarded(|format| {
            let mut opened = open(format, self.bytes(), limits)?;
            let orientation = opened.orientation()?;
            let image = opened.decode(limits)?;
            upright(image, orientation)
        })
    }

    /// Runs decoders on the picture. Their failures get its name; their panics become failures.
    fn guarded<T>(&self, run: impl FnOnce(Format) -> Result<T, Failure>) -> Result<T> {
        let Some(format) = Format::of(self.bytes()) else {
            return Err(Error::UnknownFormat {
                name: self.name().into(),
            });
        };
        catch_unwind(AssertUnwindSafe(|| run(format)))
            .unwrap_or_else(|_| Err(Failure::malformed("the decoder panicked")))
            .map_err(|failure| failure.of(self.name(), format))
    }
}

/// Reads a header and holds it against the limits.
fn open<'a>(
    format: Format,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Box<dyn Opened + 'a>, Failure> {
    let opened: Box<dyn Opened + 'a> = match format {
        Format::Jpeg => Box::new(Jpeg::open(bytes)?),
        Format::Png => Box::new(Codec::png(bytes, limits)?),
        Format::WebP => Box::new(Codec::webp(bytes, limits)?),
        Format::Gif => Box::new(Codec::gif(bytes, limits)?),
        Format::Bmp => Box::new(Codec::bmp(bytes, limits)?),
        Format::Tiff => Box::new(Codec::tiff(bytes, limits)?),
    };
    let (width, height) = opened.size();
    if width == 0 || height == 0 {
        return Err(Failure::malformed("it has no pixels"));
    }
    limits.check_size(width, height)?;
    Ok(opened)
}

/// The size after turning.
fn upright_size((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

/// Turns the pixels upright.
fn upright(image: RgbImage, orientation: Orientation) -> Result<RgbImage, Failure> {
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    let (width, height) = (image.width(), image.height());
    let mut turned = image::RgbImage::from_raw(width, height, image.into_pixels())
        .map(DynamicImage::ImageRgb8)
        .ok_or_else(failure::wrong_length)?;
    turned.apply_orientation(orientation);
    let (width, height) = (turned.width(), turned.height());
    RgbImage::new(width, height, turned.into_bytes()).ok_or_else(failure::wrong_length)
}
