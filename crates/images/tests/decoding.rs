//! Every kind of file that is decoded, against what Pillow makes of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::{from_base64, names, picture};
use longtrainer_images::{Error, Limits, Picture, RgbImage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    width: u32,
    height: u32,
    pixels: String,
}

/// How far a value may be from Pillow's. Lossless files agree to the bit. JPEG decoders round the
/// cosine transform and blow up colours each in their own way, and so do WebP's.
fn tolerance(name: &str) -> u8 {
    match name.rsplit_once('.').unwrap().1 {
        "jpg" => 3,
        "webp" if name == "lossy.webp" || name == "alpha.webp" => 3,
        _ => 0,
    }
}

fn largest_difference(image: &RgbImage, expected: &[u8]) -> u8 {
    assert_eq!(image.pixels().len(), expected.len());
    let differences = image.pixels().iter().zip(expected);
    differences.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn files_of_all_formats_are_what_pillow_sees() {
    let expected = std::fs::read_to_string(common::path("decoded.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_str(&expected).unwrap();
    assert!(expected.len() > 40);

    let mut wrong = Vec::new();
    for (name, expected) in &expected {
        let picture = picture(name);
        let limits = Limits::default();
        let size = (expected.width, expected.height);
        assert_eq!(picture.dimensions(&limits).unwrap(), size, "{name}");

        let image = picture
            .decode(&limits)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!((image.width(), image.height()), size, "{name}");
        let difference = largest_difference(&image, &from_base64(&expected.pixels));
        if difference > tolerance(name) {
            wrong.push(format!("{name}: {difference}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_eight_orientations_are_eight_pictures_that_differ() {
    let plain = picture("plain.png").decode(&Limits::default()).unwrap();
    let upright = |number| {
        let name = format!("upright-{number}.png");
        picture(&name).decode(&Limits::default()).unwrap()
    };
    assert_eq!(upright(1), plain);
    for number in 2..=8 {
        assert_ne!(upright(number), upright(number - 1), "{number}");
    }
}

#[test]
fn the_format_is_that_of_the_bytes() {
    let png = picture("plain.png");
    let misnamed = Picture::new("photo.jpg", png.bytes());
    assert_eq!(misnamed.media_type(), Some("image/png"));
    assert!(misnamed.decode(&Limits::default()).is_ok());

    let types = [
        "plain.jpg",
        "lossy.webp",
        "plain.gif",
        "plain.bmp",
        "lzw.tiff",
    ]
    .map(|name| picture(name).media_type().unwrap());
    assert_eq!(
        types,
        [
            "image/jpeg",
            "image/webp",
            "image/gif",
            "image/bmp",
            "image/tiff"
        ]
    );
}

#[test]
fn a_text_is_no_picture_whatever_its_name() {
    let text = Picture::new("notes.png", *b"Buy milk.");
    assert_eq!(text.media_type(), None);
    let error = text.decode(&Limits::default()).unwrap_err();
    assert!(matches!(error, Error::UnknownFormat { .. }));
    let message = error.to_string();
    assert!(
        message.starts_with("notes.png is not a picture of a known format"),
        "{message}"
    );
}

#[test]
fn kinds_without_a_decoder_say_so() {
    for name in ["fractions.tiff", "palette.tiff"] {
        let error = picture(name).decode(&Limits::default()).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { .. }),
            "{name}: {error:?}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// A picture of which a part is missing is an error at every place where it can be cut off, unless
/// nothing was lost that belongs to the picture.
#[test]
fn cut_off_files_give_everything_or_nothing() {
    let limits = Limits::default();
    for name in names() {
        let whole = picture(&name);
        let Ok(image) = whole.decode(&limits) else {
            continue;
        };
        for length in 0..whole.bytes().len() {
            let cut = Picture::new(name.as_str(), &whole.bytes()[..length]);
            match cut.decode(&limits) {
                Ok(rest) => assert!(rest == image, "{name} cut off at {length}"),
                Err(error) => assert!(error.to_string().contains(&name), "{error}"),
            }
        }
    }
}

#[test]
fn a_cut_off_photo_is_called_cut_off() {
    for name in ["plain.jpg", "progressive.jpg", "plain.png", "lossy.webp"] {
        let whole = picture(name);
        let half = Picture::new(name, &whole.bytes()[..whole.bytes().len() * 3 / 4]);
        let error = half.decode(&Limits::default()).unwrap_err();
        assert!(
            matches!(error, Error::Truncated { .. }),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn stray_bytes_between_the_segments_of_a_photo_are_passed_over() {
    let photo = picture("plain.jpg");
    let plain = photo.decode(&Limits::default()).unwrap();
    let mut bytes = photo.bytes().to_vec();
    let quantisation = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xdb])
        .unwrap();
    bytes.splice(quantisation..quantisation, [0; 16]);
    let strayed = Picture::new("stray.jpg", bytes)
        .decode(&Limits::default())
        .unwrap();
    assert_eq!(strayed, plain);
}

#[test]
fn pictures_of_one_pixel_and_of_one_row() {
    for (width, height) in [(1, 1), (20_000, 1), (1, 20_000)] {
        let source =
            image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let mut file = std::io::Cursor::new(Vec::new());
        source.write_to(&mut file, image::ImageFormat::Png).unwrap();
        let picture = Picture::new("thin.png", file.into_inner());
        let image = picture.decode(&Limits::default()).unwrap();
        assert_eq!(image.pixels(), source.as_raw());
    }
}
