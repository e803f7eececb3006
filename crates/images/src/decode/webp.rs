//! The chunks of a WebP, looked at before the decoder is.
//!
//! The decoder trusts the length of a chunk when it reads metadata, and the size in a lossy frame when
//! it allocates, although the file is shorter or the canvas smaller; and it has an error of its own for
//! very large canvases. So all of them are checked here.

use super::failure::Failure;
use crate::Limits;

/// `RIFF`, a length, `WEBP`.
const FILE_HEADER: usize = 12;
/// A name and a length.
const CHUNK_HEADER: usize = 8;
/// Place, size, duration and flags of a frame of an animation, before its own chunks.
const FRAME_HEADER: usize = 16;

/// All chunks lie within the file, and the pictures in them within the limits.
pub(super) fn check_chunks(bytes: &[u8], limits: &Limits) -> Result<(), Failure> {
    let length = bytes.get(4..8).and_then(little_endian);
    let file = match length {
        Some(length) if length as usize + CHUNK_HEADER <= bytes.len() => bytes
            .get(FILE_HEADER..length as usize + CHUNK_HEADER)
            .unwrap_or_default(),
        _ => return Err(Failure::Truncated),
    };
    check_list(file, limits)
}

/// A list of chunks, one after another, each at an even place.
fn check_list(mut list: &[u8], limits: &Limits) -> Result<(), Failure> {
    while let Some((header, rest)) = list.split_at_checked(CHUNK_HEADER) {
        let (name, length) = header.split_at(4);
        let length = little_endian(length).unwrap_or_default() as usize;
        let payload = rest.get(..length).ok_or(Failure::Truncated)?;
        match name {
            b"VP8X" => check_canvas(payload, limits)?,
            b"VP8 " => check_lossy_frame(payload, limits)?,
            b"ANMF" => check_list(payload.get(FRAME_HEADER..).unwrap_or_default(), limits)?,
            _ => {}
        }
        list = rest.get(length + length % 2..).unwrap_or_default();
    }
    Ok(())
}

/// The size of the canvas of an extended file: 24 bits a side, less one, after the flags.
fn check_canvas(header: &[u8], limits: &Limits) -> Result<(), Failure> {
    let Some(&[w0, w1, w2, h0, h1, h2]) = header.get(4..10) else {
        return Err(Failure::malformed("its extended header is too short"));
    };
    let side = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) + 1;
    Ok(limits.check_size(side(w0, w1, w2), side(h0, h1, h2))?)
}

/// The size in the header of a lossy frame: 14 bits a side after a tag and a start code.
fn check_lossy_frame(frame: &[u8], limits: &Limits) -> Result<(), Failure> {
    let Some(&[0x9d, 0x01, 0x2a, w0, w1, h0, h1]) = frame.get(3..10) else {
        return Err(Failure::malformed("a frame has no header"));
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok(limits.check_size(side(w0, w1), side(h0, h1))?)
}

fn little_endian(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}
