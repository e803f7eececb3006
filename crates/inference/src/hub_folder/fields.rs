//! Fields of a JSON object of a model's folder, checked for their kind.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::{Error, Result};

/// A JSON object and where it stands. A field that is null counts as absent, as it does in Python.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    path: PathBuf,
    /// Names of the objects around it, each with a dot.
    prefix: String,
    object: Map<String, Value>,
}

impl Fields {
    /// The whole of a file.
    pub(super) fn new(path: PathBuf, object: Map<String, Value>) -> Self {
        Self {
            path,
            prefix: String::new(),
            object,
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What messages call a field.
    pub(crate) fn label(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A field as it is.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Names of all fields.
    pub(super) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.object.keys().map(String::as_str)
    }

    /// Whether the field is there, even if it is null.
    pub(super) fn names(&self, name: &str) -> bool {
        self.object.contains_key(name)
    }

    /// A whole number of 0 or more.
    pub(crate) fn integer(&self, name: &str) -> Result<Option<u64>> {
        self.read(name, "a whole number of 0 or more", Value::as_u64)
    }

    /// A number.
    pub(super) fn float(&self, name: &str) -> Result<Option<f64>> {
        self.read(name, "a number", Value::as_f64)
    }

    /// Text.
    pub(crate) fn string(&self, name: &str) -> Result<Option<&str>> {
        self.read(name, "a string", Value::as_str)
    }

    /// Yes or no.
    pub(crate) fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.read(name, "true or false", Value::as_bool)
    }

    /// A list of numbers.
    pub(super) fn floats(&self, name: &str) -> Result<Option<Vec<f64>>> {
        self.read(name, "a list of numbers", |value| {
            value.as_array()?.iter().map(Value::as_f64).collect()
        })
    }

    /// A list of strings.
    pub(super) fn strings(&self, name: &str) -> Result<Option<Vec<&str>>> {
        self.read(name, "a list of strings", |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// A whole number, or a list of them.
    pub(crate) fn integers(&self, name: &str) -> Result<Vec<u64>> {
        let integers = self.read(name, "a whole number or a list of them", |value| {
            let single = value.as_u64().map(|number| vec![number]);
            single.or_else(|| value.as_array()?.iter().map(Value::as_u64).collect())
        })?;
        Ok(integers.unwrap_or_default())
    }

    /// An object inside this one.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Self>> {
        let object = self.read(name, "an object", Value::as_object)?;
        Ok(object.map(|object| Self {
            path: self.path.clone(),
            prefix: format!("{}{name}.", self.prefix),
            object: object.clone(),
        }))
    }

    /// An error about a field.
    pub(crate) fn bad(&self, name: &str, problem: &str) -> Error {
        Error::BadModel {
            path: self.path.clone(),
            problem: format!("{} {problem}", self.label(name)),
        }
    }

    /// The error about a field that must be there.
    pub(crate) fn missing(&self, name: &str) -> Error {
        self.bad(name, "is missing")
    }

    /// An error about something that the file asks for and nobody here can do.
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

    fn read<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let converted = convert(value).map(Some);
        converted.ok_or_else(|| self.bad(name, &format!("is not {expected}")))
    }
}
