//! What a vision chat remembers: its turns, with the pictures that were shown in them.
//!
//! A picture comes from the copy in the store or, if none was kept, from its file, provided that it
//! is still the same one. One that cannot be had is left out, and the answer says so: a file that was
//! moved must not end a chat.

use std::collections::HashMap;

use longtrainer_images::{Limits, Picture};
use longtrainer_store::{Order, PictureRecord, TurnStatus, VisionTurnRecord};

use crate::conversation::{Past, PastTurn};
use crate::error::Result;
use crate::ids::VisionChatId;
use crate::trainer::Inner;

/// Most bytes of earlier pictures that are read for a question. Turns before that are left out like
/// those that do not fit the prompt; most models' contexts are full long before.
const MOST_BYTES: u64 = 256 << 20;

/// A picture of an earlier turn that the model was not shown.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MissingPicture {
    /// The number of its turn in the chat, from 0.
    pub turn: u64,
    /// What it was called.
    pub name: String,
    /// Why it could not be had.
    pub reason: String,
}

impl Inner {
    /// The turns of a vision chat that the model is to remember.
    pub(super) fn recall(&self, chat_id: &VisionChatId) -> Result<Past> {
        let mut turns = self
            .store
            .vision_turns(chat_id.as_str(), Order::Oldest, None)?;
        turns.retain(is_remembered);
        let forgotten = first_within(&turns, MOST_BYTES);
        let pictures_left_out = turns
            .drain(..forgotten)
            .map(|turn| turn.pictures.len())
            .sum();
        let mut seen = Seen {
            inner: self,
            chat_id,
            pictures: HashMap::new(),
        };
        Ok(Past {
            turns: turns.into_iter().map(|turn| seen.turn(turn)).collect(),
            left_out: forgotten,
            pictures_left_out,
        })
    }
}

/// A turn without an answer says nothing to the model.
fn is_remembered(turn: &VisionTurnRecord) -> bool {
    turn.status != TurnStatus::Failed && !turn.response.trim().is_empty()
}

/// The first of the newest turns whose pictures have at most `most` bytes together.
fn first_within(turns: &[VisionTurnRecord], most: u64) -> usize {
    let mut bytes = 0_u64;
    let newest_first = turns.iter().rev();
    let within = newest_first.take_while(|turn| {
        let sizes = turn.pictures.iter().map(|picture| picture.size);
        bytes = sizes.fold(bytes, u64::saturating_add);
        bytes <= most
    });
    turns.len() - within.count()
}

/// The pictures of a chat so far, each read once however often it was shown.
struct Seen<'a> {
    inner: &'a Inner,
    chat_id: &'a VisionChatId,
    pictures: HashMap<String, Picture>,
}

impl Seen<'_> {
    fn turn(&mut self, turn: VisionTurnRecord) -> PastTurn {
        let (mut pictures, mut missing) = (Vec::new(), Vec::new());
        for record in &turn.pictures {
            match self.picture(record) {
                Ok(picture) => pictures.push(picture),
                Err(reason) => missing.push(MissingPicture {
                    turn: turn.turn,
                    name: record.name.clone(),
                    reason,
                }),
            }
        }
        PastTurn {
            question: turn.question,
            uploaded_files: turn.uploaded_files,
            answer: turn.response,
            pictures,
            missing,
        }
    }

    /// The picture of a record, or why it cannot be had.
    fn picture(&mut self, record: &PictureRecord) -> Result<Picture, String> {
        if let Some(picture) = self.pictures.get(&record.sha256) {
            return Ok(picture.clone());
        }
        let picture = match (record.kept, &record.path) {
            (true, _) => self.copy(record)?,
            (false, Some(path)) => reopened(record, path)?,
            (false, None) => {
                return Err("it did not come from a file, and no copy was kept".to_owned());
            }
        };
        self.pictures.insert(record.sha256.clone(), picture.clone());
        Ok(picture)
    }

    fn copy(&self, record: &PictureRecord) -> Result<Picture, String> {
        let store = &self.inner.store;
        let bytes = store
            .picture(self.chat_id.as_str(), &record.sha256)
            .map_err(|error| error.to_string())?;
        let picture = Picture::new(record.name.as_str(), bytes);
        match is_of(&picture, record) {
            true => Ok(picture),
            false => Err("the copy that was kept is damaged".to_owned()),
        }
    }
}

fn reopened(record: &PictureRecord, path: &str) -> Result<Picture, String> {
    let picture = Picture::open(path, &Limits::default()).map_err(|error| error.to_string())?;
    match is_of(&picture, record) {
        true => Ok(picture),
        false => Err("its file has changed since, and no copy was kept".to_owned()),
    }
}

fn is_of(picture: &Picture, record: &PictureRecord) -> bool {
    picture.hash().to_string() == record.sha256
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn turn(sizes: &[u64]) -> VisionTurnRecord {
        let picture = |size: &u64| PictureRecord {
            name: String::new(),
            path: None,
            sha256: String::new(),
            size: *size,
            media_type: None,
            kept: false,
        };
        VisionTurnRecord {
            turn: 0,
            timestamp: Timestamp::UNIX_EPOCH,
            question: String::new(),
            response: "seen".to_owned(),
            image_paths: Vec::new(),
            pictures: sizes.iter().map(picture).collect(),
            sources: Vec::new(),
            web_sources: Vec::new(),
            uploaded_files: Vec::new(),
            trained: false,
            status: TurnStatus::Complete,
            error: None,
        }
    }

    #[test]
    fn the_newest_turns_are_remembered_as_far_as_their_pictures_go() {
        let turns = [turn(&[5]), turn(&[]), turn(&[3, 3]), turn(&[]), turn(&[4])];
        assert_eq!(first_within(&turns, 15), 0);
        assert_eq!(first_within(&turns, 14), 1);
        assert_eq!(first_within(&turns, 9), 3);
        assert_eq!(first_within(&turns, 3), 5);
        assert_eq!(first_within(&[turn(&[u64::MAX]), turn(&[1])], 9), 1);
    }
}
