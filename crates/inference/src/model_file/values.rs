//! Metadata of a model, read by key and checked for its kind.

use candle_core::quantized::gguf_file::Value;

use super::ModelFile;
use crate::{Error, Result};

/// No size in a model of this kind is larger: a vocabulary has 10^5 entries, a context 10^6.
const MAX_SIZE: usize = 1 << 30;

impl ModelFile {
    /// What the model itself calls a piece of metadata, for messages.
    pub(crate) fn field<'key>(&'key self, key: &'key str) -> &'key str {
        self.fields.get(key).map_or(key, String::as_str)
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
            _ => {
                let field = self.field(key);
                Err(self.bad(format!("{field} is {number}, but must be 1 to {MAX_SIZE}")))
            }
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
        matches!(self.metadata.get(key), Some(Value::Array(_)))
    }

    fn missing(&self, key: &str) -> Error {
        self.bad(format!("{} is missing", self.field(key)))
    }

    fn read<'file, T>(
        &'file self,
        key: &str,
        expected: &str,
        convert: impl Fn(&'file Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.metadata.get(key) else {
            return Ok(None);
        };
        let converted = convert(value);
        converted
            .map(Some)
            .ok_or_else(|| self.bad(format!("{} is not {expected}", self.field(key))))
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
