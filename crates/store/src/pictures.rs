//! Copies of the pictures of vision chats: each kept once a bot, however many turns show it, and for
//! as long as one of the bot's chats does.
//!
//! [`PICTURES`] holds the bytes. Two tables of keys say who needs them: [`PICTURES_OF_CHATS`], from a
//! chat to its pictures, is what deleting a chat goes through, and [`CHATS_OF_PICTURES`], from a
//! picture to its chats, tells whether another chat of the bot still shows it. All three change in
//! the transaction of the turn or of the deletion, so that no copy is left behind or missing.

use std::ops::RangeInclusive;

use redb::ReadableTable;

use crate::chats;
use crate::codec::PictureBytes;
use crate::document_hash::{from_hex, to_hex};
use crate::error::{Error, Failure};
use crate::records::{ChatRecord, PictureCopy, PictureRecord};
use crate::tables::{CHATS_OF_PICTURES, Hash, PICTURES, PICTURES_OF_CHATS};
use crate::transaction::{ReadTransaction, WriteTransaction};

/// Stores those copies that `pictures`, a turn's, name by their hashes, and notes in each record
/// whether there is one.
pub(crate) fn keep(
    txn: &WriteTransaction,
    chat: &ChatRecord,
    pictures: &mut [PictureRecord],
    copies: &[PictureCopy],
) -> Result<(), Failure> {
    for picture in pictures {
        let mut copies = copies.iter();
        let copy = copies.find(|copy| to_hex(&copy.sha256) == picture.sha256);
        picture.kept = copy.is_some();
        if let Some(copy) = copy {
            insert(txn, chat, copy)?;
        }
    }
    Ok(())
}

fn insert(txn: &WriteTransaction, chat: &ChatRecord, copy: &PictureCopy) -> Result<(), Failure> {
    let hash = &copy.sha256;
    let mut pictures = txn.records(PICTURES)?;
    if !pictures.contains((&chat.bot_id, hash))? {
        pictures.insert((&chat.bot_id, hash), &PictureBytes(copy.bytes.clone()))?;
    }
    txn.index(PICTURES_OF_CHATS)?
        .insert((&*chat.chat_id, hash), ())?;
    txn.index(CHATS_OF_PICTURES)?
        .insert((&*chat.bot_id, hash, &*chat.chat_id), ())?;
    Ok(())
}

/// The bytes of a picture that a turn of the chat has kept.
pub(crate) fn get(txn: &ReadTransaction, chat_id: &str, sha256: &str) -> Result<Vec<u8>, Failure> {
    let chat = chats::get(txn, chat_id)?;
    let not_found = || {
        Failure::Store(Error::PictureNotFound {
            chat_id: chat_id.to_owned(),
            sha256: sha256.to_owned(),
        })
    };
    let hash = from_hex(sha256).ok_or_else(not_found)?;
    let of_chat = txn.index(PICTURES_OF_CHATS)?;
    if of_chat.get((chat_id, &hash))?.is_none() {
        return Err(not_found());
    }
    let copy = txn.records(PICTURES)?.get((&chat.bot_id, &hash))?;
    Ok(copy.ok_or_else(not_found)?.0.to_vec())
}

/// Forgets that a chat shows pictures; copies that no other chat of the bot shows go with it.
pub(crate) fn forget_chat(
    txn: &WriteTransaction,
    bot_id: &str,
    chat_id: &str,
) -> Result<(), Failure> {
    let mut hashes: Vec<Hash> = Vec::new();
    txn.index(PICTURES_OF_CHATS)?
        .retain_in::<(&str, &Hash), _>(all_of(chat_id), |key, ()| {
            hashes.push(*key.1);
            false
        })?;
    let mut chats = txn.index(CHATS_OF_PICTURES)?;
    let mut pictures = txn.records(PICTURES)?;
    for hash in &hashes {
        chats.remove((bot_id, hash, chat_id))?;
        if !is_shown(&chats, bot_id, hash)? {
            pictures.remove((bot_id, hash))?;
        }
    }
    Ok(())
}

/// Whether any chat of the bot shows the picture.
fn is_shown(
    chats: &impl ReadableTable<(&'static str, &'static Hash, &'static str), ()>,
    bot_id: &str,
    hash: &Hash,
) -> Result<bool, Failure> {
    let mut from = chats.range::<(&str, &Hash, &str)>((bot_id, hash, "")..)?;
    match from.next() {
        Some(entry) => {
            let key = entry?.0;
            let (bot, picture, _) = key.value();
            Ok((bot, picture) == (bot_id, hash))
        }
        None => Ok(false),
    }
}

/// Every key that begins with an id and ends with a hash.
fn all_of(id: &str) -> RangeInclusive<(&str, &Hash)> {
    (id, &[u8::MIN; 32])..=(id, &[u8::MAX; 32])
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tempfile::TempDir;

    use super::*;
    use crate::records::{BotRecord, BotSettings, ChatKind, TurnStatus, VisionTurnRecord};
    use crate::redb_store::RedbStore;
    use crate::store::Store;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    /// A store with the bots a and b, each with two vision chats: `a1`, `a2`, `b1`, `b2`.
    fn store() -> (TempDir, RedbStore) {
        let folder = TempDir::new().unwrap();
        let store = RedbStore::open(&folder.path().join("store.redb")).unwrap();
        for bot_id in ["a", "b"] {
            let bot = BotRecord {
                bot_id: bot_id.to_owned(),
                tenant: None,
                created_at: AT,
                updated_at: AT,
                settings: BotSettings::default(),
                built_at: None,
                vector_space: None,
                vectors_revision: 0,
            };
            store.create_bot(&bot).unwrap();
            for number in ["1", "2"] {
                let chat = ChatRecord {
                    chat_id: format!("{bot_id}{number}"),
                    bot_id: bot_id.to_owned(),
                    kind: ChatKind::Vision,
                    title: None,
                    created_at: AT,
                    updated_at: AT,
                    turns: 0,
                };
                store.create_chat(&chat).unwrap();
            }
        }
        (folder, store)
    }

    /// Asks about pictures, each of one byte of which its hash is made, too; all are kept.
    fn ask(store: &RedbStore, chat_id: &str, bytes: &[u8]) {
        let record = |byte: &u8| PictureRecord {
            name: format!("{byte}.png"),
            path: None,
            sha256: to_hex(&[*byte; 32]),
            size: 1,
            media_type: None,
            kept: false,
        };
        let copy = |byte: &u8| PictureCopy {
            sha256: [*byte; 32],
            bytes: [*byte].into(),
        };
        let turn = VisionTurnRecord {
            turn: 0,
            timestamp: AT,
            question: "?".to_owned(),
            response: "!".to_owned(),
            image_paths: Vec::new(),
            pictures: bytes.iter().map(record).collect(),
            sources: Vec::new(),
            web_sources: Vec::new(),
            uploaded_files: Vec::new(),
            trained: false,
            status: TurnStatus::Complete,
            error: None,
        };
        let copies: Vec<_> = bytes.iter().map(copy).collect();
        store.append_vision_turn(chat_id, &turn, &copies).unwrap();
    }

    /// The copies that are there, and the numbers of keys of the two tables of keys.
    fn tables(store: &RedbStore) -> (Vec<(String, u8)>, usize, usize) {
        let read = store.connection().read(|txn| {
            let pictures = txn.records(PICTURES)?;
            let copies = pictures.range(("", &[0; 32])..)?;
            let copies = copies.map(|entry| {
                let (key, bytes) = entry?;
                Ok((key.value().0.to_owned(), bytes.0[0]))
            });
            let copies = copies.collect::<Result<_, Failure>>()?;
            let of_chats = txn.index(PICTURES_OF_CHATS)?.iter()?.count();
            let of_pictures = txn.index(CHATS_OF_PICTURES)?.iter()?.count();
            Ok((copies, of_chats, of_pictures))
        });
        read.unwrap()
    }

    fn copies(of: &[(&str, u8)]) -> Vec<(String, u8)> {
        of.iter()
            .map(|(bot, byte)| ((*bot).to_owned(), *byte))
            .collect()
    }

    #[test]
    fn a_picture_is_kept_once_a_bot_until_its_last_chat_goes() {
        let (_folder, store) = store();
        ask(&store, "a1", &[0, 255, 0]);
        ask(&store, "a1", &[255]);
        ask(&store, "a2", &[255, 7]);
        ask(&store, "b1", &[255]);
        let all = copies(&[("a", 0), ("a", 7), ("a", 255), ("b", 255)]);
        assert_eq!(tables(&store), (all, 5, 5));
        store.delete_chat("a1").unwrap();
        let left = copies(&[("a", 7), ("a", 255), ("b", 255)]);
        assert_eq!(tables(&store), (left, 3, 3));
        assert_eq!(store.picture("a2", &to_hex(&[255; 32])).unwrap(), [255]);
        store.delete_chat("a2").unwrap();
        assert_eq!(tables(&store), (copies(&[("b", 255)]), 1, 1));
    }

    #[test]
    fn a_bot_takes_all_its_pictures_along() {
        let (_folder, store) = store();
        ask(&store, "a1", &[0, 255]);
        ask(&store, "a2", &[255, 7]);
        ask(&store, "b2", &[7]);
        store.delete_bot("a").unwrap();
        assert_eq!(tables(&store), (copies(&[("b", 7)]), 1, 1));
        store.delete_bot("b").unwrap();
        assert_eq!(tables(&store), (Vec::new(), 0, 0));
    }

    #[test]
    fn a_turn_that_is_refused_leaves_no_picture() {
        let (_folder, store) = store();
        let text = ChatRecord {
            chat_id: "text".to_owned(),
            kind: ChatKind::Text,
            ..store.chat("a1").unwrap()
        };
        store.create_chat(&text).unwrap();
        let (picture, copy) = (
            PictureRecord {
                name: String::new(),
                path: None,
                sha256: to_hex(&[1; 32]),
                size: 1,
                media_type: None,
                kept: false,
            },
            PictureCopy {
                sha256: [1; 32],
                bytes: [1].into(),
            },
        );
        let mut turn = {
            ask(&store, "a1", &[]);
            let mut turns = store
                .vision_turns("a1", crate::Order::Newest, None)
                .unwrap();
            turns.remove(0)
        };
        turn.pictures.push(picture);
        assert!(store.append_vision_turn("text", &turn, &[copy]).is_err());
        assert_eq!(tables(&store), (Vec::new(), 0, 0));
    }

    #[test]
    fn another_chats_picture_is_not_found() {
        let (_folder, store) = store();
        ask(&store, "a1", &[1]);
        for (chat_id, hash) in [("a2", to_hex(&[1; 32])), ("a1", "zz".to_owned())] {
            let error = store.picture(chat_id, &hash).unwrap_err();
            assert!(error.to_string().contains(&hash), "{error}");
            assert!(matches!(error, Error::PictureNotFound { .. }));
        }
    }
}
