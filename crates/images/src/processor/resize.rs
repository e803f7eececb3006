//! Resizing, by a library that picks the processor's vector instructions at run time.

use std::borrow::Cow;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{ResizeAlg, ResizeOptions, Resizer};

use super::layout::Size;
use super::{Filter, ProcessorError};
use crate::RgbImage;

/// A picture that is resized several times. Until the first, its pixels are borrowed.
pub(super) struct Canvas<'a> {
    size: Size,
    pixels: Cow<'a, [u8]>,
    resizer: Resizer,
    options: ResizeOptions,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(image: &'a RgbImage, filter: Filter) -> Self {
        Self {
            size: Size::of(image),
            pixels: Cow::Borrowed(image.pixels()),
            resizer: Resizer::new(),
            options: ResizeOptions::new()
                .resize_alg(ResizeAlg::Convolution(filter.kernel()))
                .use_alpha(false),
        }
    }

    /// Values of 8 bits in, values of 8 bits out. The same size is left as it is.
    pub(super) fn resize(&mut self, size: Size) -> Result<(), ProcessorError> {
        if size == self.size {
            return Ok(());
        }
        // Along rows first, as Pillow does: the values in between are rounded too.
        self.resize_in_one_pass(Size {
            width: size.width,
            ..self.size
        })?;
        self.resize_in_one_pass(size)
    }

    fn resize_in_one_pass(&mut self, size: Size) -> Result<(), ProcessorError> {
        if size == self.size {
            return Ok(());
        }
        // The typed calls: the others would build the library for every kind of pixel.
        let source =
            TypedImageRef::<U8x3>::from_buffer(self.size.width, self.size.height, &self.pixels)
                .map_err(|_| ProcessorError::Resize)?;
        let mut resized = vec![0; size.width as usize * size.height as usize * 3];
        let mut target = TypedImage::<U8x3>::from_buffer(size.width, size.height, &mut resized)
            .map_err(|_| ProcessorError::Resize)?;
        self.resizer
            .resize_typed(&source, &mut target, &self.options)
            .map_err(|_| ProcessorError::Resize)?;
        self.size = size;
        self.pixels = Cow::Owned(resized);
        Ok(())
    }

    /// `length` pixels of a row from a column on: red, green and blue of each.
    pub(super) fn row(&self, row: usize, column: usize, length: usize) -> &[[u8; 3]] {
        let start = (row * self.size.width as usize + column) * 3;
        let bytes = self.pixels.get(start..start + length * 3);
        bytes.unwrap_or_default().as_chunks::<3>().0
    }
}
