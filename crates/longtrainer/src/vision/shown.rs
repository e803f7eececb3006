//! The pictures of one question: read, and turned into what is stored of them.

use std::sync::Arc;

use longtrainer_images::{Limits, Picture};
use longtrainer_store::{PictureCopy, PictureRecord};

use super::ImageInput;
use crate::error::{Error, Result};

/// The pictures of a question, in its order.
#[derive(Default)]
pub(crate) struct ShownPictures {
    /// What they were called, as far as they could be read or not.
    names: Vec<String>,
    /// Those that could be read: all, or the turn has failed.
    read: Vec<ReadPicture>,
}

/// A picture that could be read.
struct ReadPicture {
    picture: Picture,
    /// The absolute path of its file, if it came from one.
    path: Option<String>,
}

impl ShownPictures {
    /// Pictures that are yet to be read.
    pub(super) fn named(inputs: &[ImageInput]) -> Self {
        let names = (1..).zip(inputs).map(|(number, input)| input.name(number));
        Self {
            names: names.collect(),
            read: Vec::new(),
        }
    }

    /// Reads them all; more than `most` are an error before the first is read.
    pub(super) fn read(&mut self, inputs: &[ImageInput], most: usize) -> Result<()> {
        if inputs.len() > most {
            return Err(Error::TooManyPictures {
                given: inputs.len(),
                limit: most,
            });
        }
        let limits = Limits::default();
        for (number, input) in (1..).zip(inputs) {
            self.read.push(ReadPicture {
                picture: input.read(number, &limits)?,
                path: input.absolute_path(),
            });
        }
        Ok(())
    }

    /// The pictures, for the model.
    pub(super) fn pictures(&self) -> Vec<Picture> {
        self.read.iter().map(|read| read.picture.clone()).collect()
    }

    /// What the turn calls them.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// What the turn keeps of them.
    pub(crate) fn records(&self) -> Vec<PictureRecord> {
        let record = |(name, read): (&String, &ReadPicture)| PictureRecord {
            name: name.clone(),
            path: read.path.clone(),
            sha256: read.picture.hash().to_string(),
            size: read.picture.bytes().len() as u64,
            media_type: read.picture.media_type().map(str::to_owned),
            kept: false,
        };
        self.names.iter().zip(&self.read).map(record).collect()
    }

    /// Copies of them.
    pub(crate) fn copies(&self) -> Vec<PictureCopy> {
        let copy = |read: &ReadPicture| PictureCopy {
            sha256: *read.picture.hash().as_bytes(),
            bytes: Arc::from(read.picture.bytes()),
        };
        self.read.iter().map(copy).collect()
    }
}
