//! Records to fill a store with, shared by the tests of this crate.

// Each test binary uses some of these.
#![allow(dead_code)]

use std::path::PathBuf;

use jiff::Timestamp;
use longtrainer_store::{
    BotRecord, BotSettings, ChatKind, ChatRecord, Chunking, IndexedDocument, JobRecord, JobStatus,
    NewChunk, NewDocument, PictureCopy, PictureRecord, RedbStore, SourceRecord, TurnRecord,
    TurnStatus, UploadedFile, VectorSpace, VisionTurnRecord,
};
use serde_json::json;
use tempfile::TempDir;

/// A store in a folder of its own, removed with it.
pub(crate) struct Fixture {
    pub(crate) store: RedbStore,
    pub(crate) folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let store = RedbStore::open(&folder.path().join("store.redb")).unwrap();
        Self { store, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("store.redb")
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { store, folder } = self;
        drop(store);
        let store = RedbStore::open(&folder.path().join("store.redb")).unwrap();
        Self { store, folder }
    }
}

/// A time, in seconds after some moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

pub(crate) fn bot(bot_id: &str, seconds: i64) -> BotRecord {
    BotRecord {
        bot_id: bot_id.to_owned(),
        tenant: None,
        created_at: at(seconds),
        updated_at: at(seconds),
        settings: BotSettings {
            num_k: Some(4),
            ..BotSettings::default()
        },
        built_at: None,
        vector_space: None,
        vectors_revision: 0,
    }
}

pub(crate) fn chat(chat_id: &str, bot_id: &str, kind: ChatKind, seconds: i64) -> ChatRecord {
    ChatRecord {
        chat_id: chat_id.to_owned(),
        bot_id: bot_id.to_owned(),
        kind,
        title: None,
        created_at: at(seconds),
        updated_at: at(seconds),
        turns: 0,
    }
}

pub(crate) fn source() -> SourceRecord {
    SourceRecord {
        document_id: 3,
        chunk_id: 9,
        source: "a.txt".to_owned(),
        page: Some(2),
        row: None,
        score: 0.1,
    }
}

pub(crate) fn turn(text: &str, seconds: i64) -> TurnRecord {
    TurnRecord {
        turn: 0,
        timestamp: at(seconds),
        question: format!("question {text}"),
        answer: format!("answer {text}"),
        sources: vec![source()],
        web_sources: vec!["http://localhost/".to_owned()],
        uploaded_files: vec![UploadedFile {
            name: "b.txt".to_owned(),
            kind: "text".to_owned(),
            url: None,
            extracted_text: Some("text".to_owned()),
        }],
        trained: false,
        status: TurnStatus::Complete,
        error: None,
    }
}

pub(crate) fn vision_turn(text: &str, seconds: i64) -> VisionTurnRecord {
    VisionTurnRecord {
        turn: 0,
        timestamp: at(seconds),
        question: format!("question {text}"),
        response: format!("response {text}"),
        image_paths: vec!["p.png".to_owned()],
        pictures: vec![],
        sources: vec![],
        web_sources: vec![],
        uploaded_files: vec![],
        trained: false,
        status: TurnStatus::Complete,
        error: None,
    }
}

/// A picture of one byte, and its copy; its hash is made of the same byte.
pub(crate) fn picture(byte: u8) -> (PictureRecord, PictureCopy) {
    let record = PictureRecord {
        name: format!("{byte}.png"),
        path: Some(format!("/pictures/{byte}.png")),
        sha256: format!("{byte:02x}").repeat(32),
        size: 1,
        media_type: Some("image/png".to_owned()),
        kept: false,
    };
    let copy = PictureCopy {
        sha256: [byte; 32],
        bytes: [byte].into(),
    };
    (record, copy)
}

pub(crate) fn job(job_id: &str, bot_id: &str, seconds: i64) -> JobRecord {
    JobRecord {
        job_id: job_id.to_owned(),
        bot_id: Some(bot_id.to_owned()),
        kind: "document_ingest".to_owned(),
        status: JobStatus::Pending,
        created_at: at(seconds),
        error: None,
        updated_at: at(seconds),
        progress: None,
        result: None,
        task: None,
        attempts: 0,
    }
}

pub(crate) fn document(text: &str) -> NewDocument {
    let serde_json::Value::Object(metadata) = json!({"source": "a.txt", "page": 1}) else {
        unreachable!("an object was written");
    };
    NewDocument {
        page_content: text.to_owned(),
        metadata,
    }
}

pub(crate) fn space(dimension: usize) -> VectorSpace {
    VectorSpace {
        model: "all-minilm".to_owned(),
        dimension,
        sha256: "ab".repeat(32),
    }
}

pub(crate) const CHUNKING: Chunking = Chunking {
    chunk_size: 100,
    chunk_overlap: 10,
};

/// A document cut into one chunk a vector.
pub(crate) fn indexed(document_id: u64, vectors: &[&[f32]]) -> IndexedDocument {
    let chunk = |(place, vector): (usize, &&[f32])| NewChunk {
        text: format!("chunk {place} of {document_id}"),
        start: place * 90,
        vector: vector.to_vec(),
    };
    IndexedDocument {
        document_id,
        chunking: CHUNKING,
        chunks: vectors.iter().enumerate().map(chunk).collect(),
    }
}
