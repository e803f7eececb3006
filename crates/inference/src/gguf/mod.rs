//! A GGUF file: checked once when it is opened, then read by name.
//!
//! Candle reads the format; [`check`] walks the header before it, because an error should name the
//! tensor or the key, and because a hostile header must not reach arithmetic that trusts it.
//!
//! The file is mapped: weights are repacked from the mapping, which so costs no copy and, as tensors
//! are released, no memory beyond the one at hand. After loading, the file may change or go.

mod check;

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use longtrainer_kernels::MappedFile;

use crate::{Error, Result};

/// An open GGUF file.
#[derive(Debug)]
pub(crate) struct GgufFile {
    path: PathBuf,
    content: Content,
    map: MappedFile,
}

/// A tensor as it lies in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawTensor<'file> {
    /// How its values are written.
    pub(crate) dtype: GgmlDType,
    /// Its rows, one after another.
    pub(crate) bytes: &'file [u8],
}

impl GgufFile {
    /// Opens a file and checks that every tensor lies inside it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(bad(path, "it is not a file"));
        }
        let mut reader = BufReader::new(file);
        check::header(path, &mut reader, metadata.len())?;
        reader.rewind().map_err(failed)?;
        let content = Content::read(&mut reader).map_err(|error| bad(path, error.to_string()))?;
        let map = MappedFile::new(reader.get_ref()).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            content,
            map,
        })
    }

    /// An error about this file.
    pub(crate) fn bad(&self, problem: impl Into<String>) -> Error {
        bad(&self.path, problem)
    }

    /// An error about a tensor of this file.
    pub(crate) fn bad_tensor(&self, tensor: &str, problem: impl Into<String>) -> Error {
        bad_tensor(&self.path, tensor, problem)
    }

    /// An error about something that this file asks for and nobody here can do.
    pub(crate) fn unsupported(
        &self,
        what: &'static str,
        found: impl Into<String>,
        supported: &'static str,
    ) -> Error {
        Error::Unsupported {
            path: self.path.clone(),
            what,
            found: found.into(),
            supported,
        }
    }

    /// A string, if the key is there.
    pub(crate) fn string(&self, key: &str) -> Result<Option<&str>> {
        self.read(key, "a string", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A string that must be there.
    pub(crate) fn required_string(&self, key: &str) -> Result<&str> {
        self.string(key)?.ok_or_else(|| self.missing(key))
    }

    /// A boolean, if the key is there.
    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "a boolean", |value| value.to_bool().ok())
    }

    /// A number of 0 or more, if the key is there.
    pub(crate) fn integer(&self, key: &str) -> Result<Option<u64>> {
        self.read(key, "a number of 0 or more", |value| {
            integer(value).and_then(|number| u64::try_from(number).ok())
        })
    }

    /// A number of 1 or more that must be there.
    pub(crate) fn required_size(&self, key: &str) -> Result<usize> {
        let number = self.integer(key)?.ok_or_else(|| self.missing(key))?;
        match usize::try_from(number) {
            Ok(size) if size > 0 && size <= MAX_SIZE => Ok(size),
            _ => Err(self.bad(format!("{key} is {number}, but must be 1 to {MAX_SIZE}"))),
        }
    }

    /// A finite number, if the key is there.
    pub(crate) fn float(&self, key: &str) -> Result<Option<f32>> {
        self.read(key, "a finite number", |value| {
            float(value).filter(|number| number.is_finite())
        })
    }

    /// A list of strings that must be there.
    pub(crate) fn required_strings(&self, key: &str) -> Result<Vec<String>> {
        let strings = self.list(key, "a list of strings", |value| {
            value.to_string().ok().cloned()
        })?;
        strings.ok_or_else(|| self.missing(key))
    }

    /// A list of numbers that must be there.
    pub(crate) fn required_floats(&self, key: &str) -> Result<Vec<f32>> {
        let floats = self.list(key, "a list of numbers", float)?;
        floats.ok_or_else(|| self.missing(key))
    }

    /// A list of whole numbers, if the key is there.
    pub(crate) fn integers(&self, key: &str) -> Result<Option<Vec<i64>>> {
        self.list(key, "a list of whole numbers", integer)
    }

    /// A list of booleans, if the key is there.
    pub(crate) fn booleans(&self, key: &str) -> Result<Option<Vec<bool>>> {
        self.list(key, "a list of booleans", |value| value.to_bool().ok())
    }

    /// Whether the key is there and holds a list.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        matches!(self.content.metadata.get(key), Some(Value::Array(_)))
    }

    /// Names of all tensors.
    pub(crate) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.content.tensor_infos.keys().map(String::as_str)
    }

    /// Dimensions of a tensor, outermost first.
    pub(crate) fn tensor_dims(&self, name: &str) -> Option<&[usize]> {
        let info = self.content.tensor_infos.get(name)?;
        Some(info.shape.dims())
    }

    /// How a tensor's values are written.
    pub(crate) fn tensor_dtype(&self, name: &str) -> Option<GgmlDType> {
        let info = self.content.tensor_infos.get(name)?;
        Some(info.ggml_dtype)
    }

    /// Reads a tensor, which must have these dimensions.
    pub(crate) fn tensor(&self, name: &str, dims: &[usize], device: &Device) -> Result<QTensor> {
        let RawTensor { dtype, bytes } = self.raw_tensor(name, dims)?;
        let storage = QStorage::from_data(Cow::Owned(bytes.to_vec()), device, dtype);
        let tensor = storage.and_then(|storage| QTensor::new(storage, dims));
        tensor.map_err(|error| self.bad_tensor(name, error.to_string()))
    }

    /// The bytes of a tensor, which must have these dimensions.
    pub(crate) fn raw_tensor(&self, name: &str, dims: &[usize]) -> Result<RawTensor<'_>> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return Err(self.bad_tensor(name, "it is missing"));
        };
        let found = info.shape.dims();
        if found != dims {
            let problem = format!("its shape is {found:?}, but must be {dims:?}");
            return Err(self.bad_tensor(name, problem));
        }
        let bytes = self
            .map
            .bytes(self.range(name))
            .ok_or_else(|| self.bad_tensor(name, "its data lies outside the file"))?;
        Ok(RawTensor {
            dtype: info.ggml_dtype,
            bytes,
        })
    }

    /// Gives the memory of a tensor's mapped pages back; they are read again if they are needed.
    pub(crate) fn release(&self, name: &str) {
        // Memory that is given back late is no failure.
        if let Err(error) = self.map.release(self.range(name)) {
            tracing::debug!(%error, "mapped pages were not released");
        }
    }

    #[cfg(test)]
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.content.metadata.insert(key.to_owned(), value);
    }

    /// Where in the file a tensor's bytes are; empty if there is no such tensor.
    fn range(&self, name: &str) -> Range<u64> {
        let Some(info) = self.content.tensor_infos.get(name) else {
            return 0..0;
        };
        let count: usize = info.shape.dims().iter().product();
        let dtype = info.ggml_dtype;
        let bytes = count / dtype.block_size() * dtype.type_size();
        let start = self.content.tensor_data_offset + info.offset;
        start..start + bytes as u64
    }

    fn missing(&self, key: &str) -> Error {
        self.bad(format!("{key} is missing"))
    }

    fn read<'file, T>(
        &'file self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'file Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.content.metadata.get(key) else {
            return Ok(None);
        };
        let converted = convert(value);
        converted
            .map(Some)
            .ok_or_else(|| self.bad(format!("{key} is not {expected}")))
    }

    fn list<T>(
        &self,
        key: &str,
        expected: &str,
        convert: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        self.read(key, expected, |value| match value {
            Value::Array(values) => values.iter().map(&convert).collect(),
            _ => None,
        })
    }
}

/// No size in a model of this kind is larger: a vocabulary has 10^5 entries, a context 10^6.
const MAX_SIZE: usize = 1 << 30;

fn bad(path: &Path, problem: impl Into<String>) -> Error {
    Error::BadModel {
        path: path.to_owned(),
        problem: problem.into(),
    }
}

fn bad_tensor(path: &Path, tensor: &str, problem: impl Into<String>) -> Error {
    Error::BadTensor {
        path: path.to_owned(),
        tensor: tensor.to_owned(),
        problem: problem.into(),
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::U8(number) => Some((*number).into()),
        Value::I8(number) => Some((*number).into()),
        Value::U16(number) => Some((*number).into()),
        Value::I16(number) => Some((*number).into()),
        Value::U32(number) => Some((*number).into()),
        Value::I32(number) => Some((*number).into()),
        Value::U64(number) => i64::try_from(*number).ok(),
        Value::I64(number) => Some(*number),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f32> {
    match value {
        Value::F32(number) => Some(*number),
        Value::F64(number) => Some(*number as f32),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
