//! From the pixels of a decoder to 8 bits of red, green and blue.

use image::ColorType;

use super::failure::{Failure, wrong_length};
use crate::{Exceeded, Limits, RgbImage};

/// Refuses pixels that are not whole numbers: what would be white in them is not said.
pub(super) fn check_color(color: ColorType) -> Result<(), Failure> {
    match color {
        ColorType::L8
        | ColorType::La8
        | ColorType::Rgb8
        | ColorType::Rgba8
        | ColorType::L16
        | ColorType::La16
        | ColorType::Rgb16
        | ColorType::Rgba16 => Ok(()),
        _ => Err(Failure::unsupported("its pixels are fractions")),
    }
}

/// A buffer of zeros, or an error where there is no room for it.
pub(super) fn zeroed(bytes: u64, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let no_room = || {
        Failure::TooLarge(Exceeded::Memory {
            limit: limits.memory,
        })
    };
    let length = usize::try_from(bytes).map_err(|_| no_room())?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).map_err(|_| no_room())?;
    buffer.resize(length, 0);
    Ok(buffer)
}

/// RGB of what a decoder gave: channels of 8 bits, or of 16 in the order of this machine.
pub(super) fn to_rgb(
    width: u32,
    height: u32,
    color: ColorType,
    native: Vec<u8>,
) -> Result<RgbImage, Failure> {
    let pixels = match color {
        ColorType::Rgb8 => native,
        ColorType::L8 | ColorType::La8 | ColorType::Rgba8 => over_white(color, &native),
        _ => over_white(color, &to_eight_bits(&native)),
    };
    RgbImage::new(width, height, pixels).ok_or_else(wrong_length)
}

/// 16 bits to the nearest 8: 257 steps of the one are a step of the other.
fn to_eight_bits(native: &[u8]) -> Vec<u8> {
    let (values, _) = native.as_chunks::<2>();
    let nearest = |&value: &[u8; 2]| (u32::from(u16::from_ne_bytes(value)) + 128) / 257;
    values.iter().map(|value| nearest(value) as u8).collect()
}

/// Grey becomes red, green and blue; alpha is laid over white.
fn over_white(color: ColorType, values: &[u8]) -> Vec<u8> {
    let grey = |value| [value; 3];
    match color.channel_count() {
        1 => values.iter().copied().flat_map(grey).collect(),
        2 => {
            let (pixels, _) = values.as_chunks::<2>();
            let on_white = |&[value, alpha]: &[u8; 2]| grey(blended(value, alpha));
            pixels.iter().flat_map(on_white).collect()
        }
        3 => values.to_vec(),
        _ => {
            let (pixels, _) = values.as_chunks::<4>();
            let on_white = |&[red, green, blue, alpha]: &[u8; 4]| {
                [red, green, blue].map(|value| blended(value, alpha))
            };
            pixels.iter().flat_map(on_white).collect()
        }
    }
}

/// A value over white, to the nearest.
fn blended(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_go_to_the_nearest_eight() {
        let rounded = |value: u16| to_eight_bits(&value.to_ne_bytes())[0];
        for value in 0..=u16::MAX {
            let nearest = (f64::from(value) / 257.0).round() as u8;
            assert_eq!(rounded(value), nearest, "{value}");
        }
    }

    #[test]
    fn alpha_is_laid_over_white() {
        for value in 0..=255u8 {
            assert_eq!(blended(value, 255), value);
            assert_eq!(blended(value, 0), 255);
            let exact = (f64::from(value) * 100.0 + 255.0 * 155.0) / 255.0;
            assert_eq!(blended(value, 100), exact.round() as u8);
        }
        assert_eq!(
            over_white(ColorType::La8, &[10, 255, 10, 0]),
            [10, 10, 10, 255, 255, 255]
        );
    }
}
