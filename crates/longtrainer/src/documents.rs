//! Adding, listing and removing a bot's documents. Added documents are stored at once and become
//! searchable at the next build.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use longtrainer_documents::{LoadOptions, load_directory, load_json, load_link, load_path};
use longtrainer_store::{AddedDocuments, NewDocument};

pub use longtrainer_documents::{Document, Metadata};
pub use longtrainer_store::DocumentRecord;

use crate::error::{Error, Result};
use crate::ids::BotId;
use crate::trainer::LongTrainer;

/// Documents read from the store at once: a bot may have far more than memory holds.
const PAGE: usize = 256;

/// The largest file that is read, in bytes.
pub fn max_file_bytes() -> u64 {
    LoadOptions::default().max_file_bytes
}

/// What an `add_*` call stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddReport {
    /// Ids of the documents that were new.
    pub added: Vec<u64>,
    /// How many the bot had already (same metadata and text).
    pub already_there: usize,
}

impl From<AddedDocuments> for AddReport {
    fn from(added: AddedDocuments) -> Self {
        Self {
            added: added.added,
            already_there: added.already_there,
        }
    }
}

/// What adding a directory stored, and what it could not load.
#[derive(Debug)]
pub struct DirectoryReport {
    /// The documents stored.
    pub report: AddReport,
    /// Files that could not be loaded, each with its reason.
    pub failures: Vec<longtrainer_documents::Error>,
    /// Files of a format that no loader reads.
    pub skipped: Vec<PathBuf>,
}

/// A document as a listing shows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DocumentSummary {
    /// Its id.
    pub document_id: u64,
    /// Where it came from.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: Metadata,
    /// Length of its text.
    pub characters: usize,
    /// Number of its chunks; `None` while it waits for the next build.
    pub chunks: Option<u64>,
}

impl LongTrainer {
    /// Adds a file of a documented format: PDF (a document a page), DOCX, CSV (a document a row),
    /// HTML, Markdown, plain text, JSON or JSON lines. The `source` of its documents is the
    /// absolute path.
    pub fn add_document_from_path(&self, path: &Path, bot_id: &BotId) -> Result<AddReport> {
        self.bot(bot_id)?;
        self.pass_documents(self.load_documents(path)?, bot_id)
    }

    /// Adds pages and files of the web by their addresses; their `source` is the address. If one of
    /// them cannot be had, nothing is added. Links lead to public addresses only, unless
    /// [`Builder::links`](crate::Builder::links) says otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::LinksOffline`] where the network may not be used, and those
    /// of the loaders.
    pub fn add_document_from_link(&self, links: &[String], bot_id: &BotId) -> Result<AddReport> {
        self.bot(bot_id)?;
        let mut documents = Vec::new();
        for link in links {
            documents.extend(self.load_link(link)?);
        }
        self.pass_documents(documents, bot_id)
    }

    /// Loads what a link leads to.
    pub(crate) fn load_link(&self, url: &str) -> Result<Vec<Document>> {
        if self.models().is_offline() {
            return Err(Error::LinksOffline {
                url: url.chars().take(200).collect(),
            });
        }
        Ok(load_link(url, &self.inner.links, &LoadOptions::default())?)
    }

    /// Adds every file of a directory whose path below it matches `glob` (`**/*` for all). Files
    /// that cannot be loaded do not keep the others out; each is reported.
    pub fn add_document_from_directory(
        &self,
        path: &Path,
        bot_id: &BotId,
        glob: &str,
    ) -> Result<DirectoryReport> {
        self.bot(bot_id)?;
        let loaded = load_directory(&absolute(path), glob, &LoadOptions::default())?;
        let report = self.pass_documents(loaded.documents, bot_id)?;
        Ok(DirectoryReport {
            report,
            failures: loaded.failures,
            skipped: loaded.skipped,
        })
    }

    /// Adds the results of a jq expression over a JSON file, a document a result.
    pub fn add_document_from_json(
        &self,
        path: &Path,
        bot_id: &BotId,
        jq_schema: &str,
    ) -> Result<AddReport> {
        self.bot(bot_id)?;
        let documents = load_json(&absolute(path), jq_schema, &LoadOptions::default())?;
        self.pass_documents(documents, bot_id)
    }

    /// Adds ready documents.
    pub fn pass_documents(&self, documents: Vec<Document>, bot_id: &BotId) -> Result<AddReport> {
        let documents: Vec<_> = documents.into_iter().map(new_document).collect();
        let added = self
            .inner
            .store
            .add_documents(bot_id.as_str(), &documents)?;
        Ok(added.into())
    }

    /// The documents of a bot, in the order they were added.
    pub fn get_documents(&self, bot_id: &BotId) -> Result<Vec<Document>> {
        let mut documents = Vec::new();
        self.visit_documents(bot_id, |record| {
            documents.push(Document {
                page_content: record.page_content,
                metadata: record.metadata,
            });
            Ok(())
        })?;
        Ok(documents)
    }

    /// The documents of a bot without their texts, in the order they were added.
    pub fn list_documents(&self, bot_id: &BotId) -> Result<Vec<DocumentSummary>> {
        let mut summaries = Vec::new();
        self.visit_documents(bot_id, |record| {
            summaries.push(DocumentSummary {
                document_id: record.document_id,
                characters: record.page_content.chars().count(),
                chunks: record.chunks.map(|span| span.count),
                metadata: record.metadata,
            });
            Ok(())
        })?;
        Ok(summaries)
    }

    /// Removes documents with their chunks; the bot stops finding them at once. Returns how many
    /// chunks went with them. If one id is unknown, nothing is removed.
    pub fn remove_documents(&self, bot_id: &BotId, document_ids: &[u64]) -> Result<usize> {
        let lock = self.inner.build_lock(bot_id)?;
        let _building = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = self
            .inner
            .store
            .remove_documents(bot_id.as_str(), document_ids)?;
        self.inner.refresh_index(bot_id)?;
        Ok(chunks.len())
    }

    /// One document with its text.
    pub fn document(&self, bot_id: &BotId, document_id: u64) -> Result<DocumentRecord> {
        Ok(self.inner.store.document(bot_id.as_str(), document_id)?)
    }

    /// Puts a document in the place of another; the bot stops finding the old one at once and finds
    /// the new one after the next build. Returns the id of the new one.
    pub fn replace_document(
        &self,
        bot_id: &BotId,
        document_id: u64,
        document: Document,
    ) -> Result<AddReport> {
        self.replace_documents(bot_id, &[document_id], &[new_document(document)])
    }

    pub(crate) fn replace_documents(
        &self,
        bot_id: &BotId,
        old: &[u64],
        new: &[NewDocument],
    ) -> Result<AddReport> {
        let lock = self.inner.build_lock(bot_id)?;
        let _building = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let added = self
            .inner
            .store
            .replace_documents(bot_id.as_str(), old, new)?;
        self.inner.refresh_index(bot_id)?;
        Ok(added.into())
    }

    /// The documents that came from the same file as this one, itself among them.
    pub(crate) fn documents_of_same_source(
        &self,
        bot_id: &BotId,
        document_id: u64,
    ) -> Result<Vec<u64>> {
        let source = self
            .document(bot_id, document_id)?
            .metadata
            .remove("source");
        let mut same = Vec::new();
        self.visit_documents(bot_id, |record| {
            let is_same = source.is_some() && record.metadata.get("source") == source.as_ref();
            if is_same || record.document_id == document_id {
                same.push(record.document_id);
            }
            Ok(())
        })?;
        Ok(same)
    }

    /// Loads a file under its absolute path, so that one file has one `source` wherever the
    /// program was started.
    pub(crate) fn load_documents(&self, path: &Path) -> Result<Vec<Document>> {
        Ok(load_path(&absolute(path), &LoadOptions::default())?)
    }

    /// Calls `visit` with every document of a bot, a page of them in memory at a time.
    pub(crate) fn visit_documents(
        &self,
        bot_id: &BotId,
        mut visit: impl FnMut(DocumentRecord) -> Result<()>,
    ) -> Result<()> {
        let mut after = None;
        loop {
            let page = self.inner.store.documents(bot_id.as_str(), after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.document_id);
            page.into_iter().try_for_each(&mut visit)?;
        }
    }
}

pub(crate) fn new_document(document: Document) -> NewDocument {
    NewDocument {
        page_content: document.page_content,
        metadata: document.metadata,
    }
}

/// The path without `.`, `..` and links where it exists; as given where it does not, so that the
/// loader's error names what the caller wrote.
fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
