//! Files that promise more than they hold are refused by their headers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::Cursor;
use std::time::{Duration, Instant};

use common::picture;
use image::codecs::gif::GifEncoder;
use image::{Frame, RgbaImage};
use longtrainer_images::{Error, Exceeded, Limits, Picture};

/// A file of the test data with some bytes overwritten.
fn patched(name: &str, places: &[(usize, &[u8])]) -> Picture {
    let mut bytes = picture(name).bytes().to_vec();
    for (at, new) in places {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    Picture::new(name, bytes)
}

/// Where some bytes are in a file of the test data.
fn place(name: &str, wanted: &[u8]) -> usize {
    let picture = picture(name);
    let mut windows = picture.bytes().windows(wanted.len());
    windows.position(|bytes| bytes == wanted).unwrap()
}

fn tiff_with_sides(side: u32) -> Picture {
    // Entries of the directory: a tag, the type of four bytes, one value.
    let value = |tag: u16| {
        let tag = tag.to_le_bytes();
        place("plain.tiff", &[tag[0], tag[1], 4, 0, 1, 0, 0, 0]) + 8
    };
    let side = side.to_le_bytes();
    // Width, height, and the rows of the one strip.
    let places = [256, 257, 278].map(|tag| (value(tag), &side[..]));
    patched("plain.tiff", &places)
}

fn bombs() -> Vec<Picture> {
    let sixty = 60_000u32;
    let both = |bytes: [u8; 4]| [bytes, bytes].concat();
    let frame_header = place("plain.jpg", &[0xff, 0xc0]) + 5;
    vec![
        patched("plain.png", &[(16, &both(sixty.to_be_bytes()))]),
        patched("plain.bmp", &[(18, &both(sixty.to_le_bytes()))]),
        patched("plain.gif", &[(6, &[0xff; 4])]),
        patched("plain.jpg", &[(frame_header, &[0xff, 0xdc, 0xff, 0xdc])]),
        tiff_with_sides(60_000),
        // The canvas of an extended WebP: 24 bits a side, less one.
        patched("animated.webp", &[(24, &[0x5f, 0xea, 0, 0x5f, 0xea, 0])]),
        patched("alpha.webp", &[(24, &[0xff, 0x3f, 0, 0xff, 0x3f, 0])]),
    ]
}

#[test]
fn bombs_are_refused_unlit() {
    for bomb in bombs() {
        let name = bomb.name().to_owned();
        let start = Instant::now();
        for error in [
            bomb.decode(&Limits::default()).unwrap_err(),
            bomb.dimensions(&Limits::default()).unwrap_err(),
        ] {
            let pixels = matches!(
                error,
                Error::TooLarge {
                    exceeded: Exceeded::Pixels { .. },
                    ..
                }
            );
            assert!(pixels, "{name}: {error:?}");
            assert!(error.to_string().contains(&name), "{error}");
        }
        assert!(start.elapsed() < Duration::from_secs(1), "{name}");
    }
}

/// The canvas is small, and the lossy frame within is not what it says.
#[test]
fn a_frame_larger_than_its_canvas_is_refused() {
    let start_code = place("alpha.webp", &[0x9d, 0x01, 0x2a]);
    let frame = patched("alpha.webp", &[(start_code + 3, &[0xff, 0x3f, 0xff, 0x3f])]);
    let error = frame.decode(&Limits::default()).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[test]
fn each_limit_is_told_by_its_name() {
    let exceeded = |limits: Limits| match picture("plain.png").decode(&limits).unwrap_err() {
        Error::TooLarge { exceeded, .. } => exceeded,
        other => panic!("{other:?}"),
    };
    let limits = Limits::default();
    let (width, height) = (24, 16);
    assert_eq!(
        exceeded(Limits { side: 23, ..limits }),
        Exceeded::Side {
            width,
            height,
            limit: 23
        }
    );
    assert_eq!(
        exceeded(Limits {
            pixels: 383,
            ..limits
        }),
        Exceeded::Pixels {
            width,
            height,
            limit: 383
        }
    );
    assert_eq!(
        exceeded(Limits {
            memory: 2000,
            ..limits
        }),
        Exceeded::Memory { limit: 2000 }
    );
    let enough = Limits {
        bytes: 0,
        pixels: 384,
        side: 24,
        memory: 6 * 384,
    };
    assert!(picture("plain.png").decode(&enough).is_ok());
}

#[test]
fn of_ten_thousand_frames_one_is_read() {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(Cursor::new(&mut file), 30);
    for shade in 0..10_000u32 {
        let colour = image::Rgba([(shade % 200) as u8, 90, 90, 255]);
        encoder
            .encode_frame(Frame::new(RgbaImage::from_pixel(8, 8, colour)))
            .unwrap();
    }
    drop(encoder);

    let start = Instant::now();
    let image = Picture::new("long.gif", file.clone())
        .decode(&Limits::default())
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(image.pixels(), [0, 90, 90].repeat(64));

    // What follows the first frame is not looked at.
    let after_first = file.len() / 5_000;
    file[after_first..].fill(0xee);
    let damaged = Picture::new("long.gif", file)
        .decode(&Limits::default())
        .unwrap();
    assert_eq!(damaged, image);
}
