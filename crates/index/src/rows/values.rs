//! Numbers that stand in memory or in a mapped file; readers need not know which.

use std::ops::Range;
use std::sync::Arc;

use longtrainer_kernels::prefetch;

use crate::file::{Element, Section};
use crate::{Memory, Result};

/// Some values, never changed, shared by the snapshots that hold them.
#[derive(Debug, Clone)]
pub(crate) enum Values<T: Element> {
    /// In this process's own memory: some of a vector.
    Owned(Arc<Vec<T>>, Range<usize>),
    /// Some of a section of a file.
    Mapped(Section<T>, Range<usize>),
}

impl<T: Element> Values<T> {
    /// The values. Those of a file are compared with their checksums when they are first read.
    pub(crate) fn get(&self) -> Result<&[T]> {
        match self {
            Values::Owned(values, range) => Ok(&values[range.clone()]),
            Values::Mapped(section, range) => section.checked(range.clone()),
        }
    }

    /// Some of the values, without a look at the others.
    pub(crate) fn part(&self, part: Range<usize>) -> Result<&[T]> {
        match self {
            Values::Owned(values, range) => Ok(&values[range.clone()][part]),
            Values::Mapped(section, range) => {
                section.checked(range.start + part.start..range.start + part.end)
            }
        }
    }

    /// Asks for the values, or some of them, to be brought into the caches.
    pub(crate) fn prefetch(&self, part: Range<usize>) {
        match self {
            Values::Owned(values, range) => prefetch(&values[range.clone()][part]),
            Values::Mapped(section, range) => {
                section.prefetch(range.start + part.start..range.start + part.end);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Values::Owned(_, range) | Values::Mapped(_, range) => range.len(),
        }
    }

    pub(crate) fn memory(&self) -> Memory {
        match self {
            Values::Owned(_, range) => Memory {
                owned: range.len() * size_of::<T>(),
                mapped: 0,
            },
            Values::Mapped(_, range) => Memory {
                owned: 0,
                mapped: range.len() * size_of::<T>(),
            },
        }
    }
}

impl<T: Element> From<Vec<T>> for Values<T> {
    fn from(values: Vec<T>) -> Values<T> {
        let range = 0..values.len();
        Values::Owned(Arc::new(values), range)
    }
}
