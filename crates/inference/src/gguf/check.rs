//! A walk over the header of a GGUF file that trusts nothing: counts, lengths, types, shapes and
//! offsets are all compared with the size of the file before anybody allocates for them.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3,
//! little-endian.

use std::collections::HashSet;
use std::io::{self, Read, Seek};
use std::path::Path;

use super::{bad, bad_tensor};
use crate::{Error, Result};

const SUPPORTED_TYPES: &str =
    "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K";
const MAX_STRING: u64 = 1 << 24;
const MAX_DIMENSIONS: u32 = 4;
const DEFAULT_ALIGNMENT: u64 = 32;

/// Walks the header and checks it.
pub(super) fn header<R: Read + Seek>(path: &Path, reader: R, size: u64) -> Result<()> {
    let mut walk = Walk { path, reader, size };
    let (tensors, entries) = walk.preamble()?;
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..entries {
        alignment = walk.entry()?.unwrap_or(alignment);
    }
    let mut ends = Vec::new();
    let mut names = HashSet::new();
    for _ in 0..tensors {
        let (name, end) = walk.tensor()?;
        if !names.insert(name.clone()) {
            return Err(bad_tensor(path, &name, "it is there twice"));
        }
        ends.push((name, end));
    }
    walk.data_fits(alignment, &ends)
}

struct Walk<'path, R> {
    path: &'path Path,
    reader: R,
    size: u64,
}

impl<R: Read + Seek> Walk<'_, R> {
    /// Magic number, version, and the counts of tensors and metadata entries.
    fn preamble(&mut self) -> Result<(u64, u64)> {
        let magic: [u8; 4] = self.bytes()?;
        if &magic != b"GGUF" {
            return Err(self.bad("it is not a GGUF file"));
        }
        let version = self.u32()?;
        if !(2..=3).contains(&version) {
            return Err(self.bad(format!(
                "GGUF version {version} is not supported, only 2 and 3"
            )));
        }
        let (tensors, entries) = (self.u64()?, self.u64()?);
        self.room_for(tensors, 24, "tensors")?;
        self.room_for(entries, 13, "metadata entries")?;
        Ok((tensors, entries))
    }

    /// One metadata entry; the alignment, if it is that.
    fn entry(&mut self) -> Result<Option<u64>> {
        let key = self.string("a metadata key")?;
        let kind = self.u32()?;
        if key == "general.alignment" {
            return self.alignment(kind).map(Some);
        }
        self.skip_value(&key, kind)?;
        Ok(None)
    }

    fn alignment(&mut self, kind: u32) -> Result<u64> {
        const U32: u32 = 4;
        if kind != U32 {
            return Err(self.bad("general.alignment is not a 32-bit number"));
        }
        let alignment = self.u32()?;
        if !alignment.is_power_of_two() {
            return Err(self.bad(format!(
                "general.alignment is {alignment}, not a power of two"
            )));
        }
        Ok(alignment.into())
    }

    fn skip_value(&mut self, key: &str, kind: u32) -> Result<()> {
        const STRING: u32 = 8;
        const ARRAY: u32 = 9;
        match kind {
            STRING => self.string(key).map(drop),
            ARRAY => {
                let (kind, count) = (self.u32()?, self.u64()?);
                if kind == STRING {
                    self.room_for(count, 8, key)?;
                    return (0..count).try_for_each(|_| self.string(key).map(drop));
                }
                let width = self.width(key, kind)?;
                self.room_for(count, width, key)?;
                self.skip(count * width)
            }
            _ => {
                let width = self.width(key, kind)?;
                self.skip(width)
            }
        }
    }

    /// Bytes of a number.
    fn width(&self, key: &str, kind: u32) -> Result<u64> {
        match kind {
            0 | 1 | 7 => Ok(1),
            2 | 3 => Ok(2),
            4..=6 => Ok(4),
            10..=12 => Ok(8),
            _ => Err(self.bad(format!("{key} has the unknown type {kind}"))),
        }
    }

    /// One tensor: its name and the end of its data, counted from the start of all data.
    fn tensor(&mut self) -> Result<(String, u64)> {
        let name = self.string("a tensor's name")?;
        let rank = self.u32()?;
        if !(1..=MAX_DIMENSIONS).contains(&rank) {
            return Err(bad_tensor(
                self.path,
                &name,
                format!("it has {rank} dimensions"),
            ));
        }
        let mut dims = Vec::new();
        for _ in 0..rank {
            dims.push(self.u64()?);
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        let bytes = tensor_size(
            &dims,
            block(kind).ok_or_else(|| {
                let problem =
                    format!("its type {kind} is not supported; supported are {SUPPORTED_TYPES}");
                bad_tensor(self.path, &name, problem)
            })?,
        );
        let end = bytes.and_then(|bytes| bytes.checked_add(offset));
        let end = end.ok_or_else(|| {
            let problem = format!("no tensor of its type can have the shape {dims:?}");
            bad_tensor(self.path, &name, problem)
        })?;
        Ok((name, end))
    }

    fn data_fits(&mut self, alignment: u64, ends: &[(String, u64)]) -> Result<()> {
        let header = self.position()?;
        let start = header.next_multiple_of(alignment);
        for (name, end) in ends {
            let needed = start.checked_add(*end);
            if needed.is_none_or(|needed| needed > self.size) {
                let problem = format!(
                    "its data would end at byte {}, but the file has {} bytes",
                    start.saturating_add(*end),
                    self.size
                );
                return Err(bad_tensor(self.path, name, problem));
            }
        }
        Ok(())
    }

    fn string(&mut self, what: &str) -> Result<String> {
        let length = self.u64()?;
        if length > MAX_STRING {
            return Err(self.bad(format!("{what} has a string of {length} bytes")));
        }
        self.room_for(length, 1, what)?;
        let mut bytes = vec![0; length as usize];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|source| self.read_error(source))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn room_for(&mut self, count: u64, width: u64, what: &str) -> Result<()> {
        let left = self.size.saturating_sub(self.position()?);
        if count.checked_mul(width).is_none_or(|needed| needed > left) {
            return Err(self.bad(format!(
                "{what}: {count} announced, but the file ends after {left} more bytes"
            )));
        }
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        let skipped = self.reader.seek_relative(bytes as i64);
        skipped.map_err(|source| self.read_error(source))
    }

    fn position(&mut self) -> Result<u64> {
        let position = self.reader.stream_position();
        position.map_err(|source| self.read_error(source))
    }

    fn u32(&mut self) -> Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        let read = self.reader.read_exact(&mut bytes);
        read.map(|()| bytes)
            .map_err(|source| self.read_error(source))
    }

    fn bad(&self, problem: impl Into<String>) -> Error {
        bad(self.path, problem)
    }

    fn read_error(&self, source: io::Error) -> Error {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.bad("the file ends in the middle of its header");
        }
        Error::Read {
            path: self.path.to_owned(),
            source,
        }
    }
}

/// Elements and bytes of a block of a tensor type.
fn block(kind: u32) -> Option<(u64, u64)> {
    match kind {
        0 => Some((1, 4)),
        1 | 30 => Some((1, 2)),
        2 => Some((32, 18)),
        3 => Some((32, 20)),
        6 => Some((32, 22)),
        7 => Some((32, 24)),
        8 => Some((32, 34)),
        10 => Some((256, 84)),
        11 => Some((256, 110)),
        12 => Some((256, 144)),
        13 => Some((256, 176)),
        14 => Some((256, 210)),
        _ => None,
    }
}

/// Bytes of a tensor; `None` when its rows are no whole blocks or the number is absurd. The first
/// dimension is the innermost.
fn tensor_size(dims: &[u64], (elements, bytes): (u64, u64)) -> Option<u64> {
    let row = dims.first()?;
    if row % elements != 0 {
        return None;
    }
    let count = dims
        .iter()
        .try_fold(1u64, |count, dim| count.checked_mul(*dim))?;
    (count > 0).then(|| (count / elements).checked_mul(bytes))?
}
