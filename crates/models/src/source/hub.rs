//! Fetching files from a Hugging Face hub, through `hf-hub`.
//!
//! `hf-hub` 0.5 with `ureq` brings 57 crates; 1.0 brings 235, needs an async runtime, and writes
//! no partial file that a later run could continue. What 0.5 lacks is made up for here: it sets no
//! timeout and may panic on an odd answer, so it runs on a thread of its own that is watched and,
//! if it falls silent, left behind; and it checks no hash, so the file is checked (`wanted`) before
//! it is moved from the client's cache layout, kept in a work folder, to its place.

mod blobs;
mod wanted;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Repo, RepoType};

use crate::entry::HubSource;
use crate::error::{Error, Result};
use crate::first_seen::Note;
use crate::local_model::join;
use crate::place::move_into_place;
use crate::progress::Progress;
use crate::source::{HUB_WORK, Request, remove_tree};

use self::blobs::{drop_useless_part, find_blob};
use self::wanted::{Delivery, Wanted};

/// How long the hub may take for its first answer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a transfer may stand still.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
/// How often a transfer that is cut, but moves, is taken up again.
const RESUMES: usize = 5;
/// How often it is asked whether the pull is still wanted.
const POLL: Duration = Duration::from_millis(250);

/// Fetches from one repository.
pub(super) struct HubFetcher<'a> {
    source: &'a HubSource,
    endpoint: Option<&'a str>,
    connect_limit: Duration,
    silence_limit: Duration,
}

/// What the thread of the client tells.
enum Event {
    Answered,
    Begin { total: u64, already: u64 },
    Advance(u64),
}

/// What a transfer did, however it ended.
#[derive(Default)]
struct Moved {
    /// Bytes of the whole file, as the hub gave them.
    announced: Option<u64>,
    already: u64,
    received: u64,
}

impl<'a> HubFetcher<'a> {
    pub(super) fn new(source: &'a HubSource, endpoint: Option<&'a str>) -> Self {
        let (connect_limit, silence_limit) = (CONNECT_LIMIT, SILENCE_LIMIT);
        Self {
            source,
            endpoint,
            connect_limit,
            silence_limit,
        }
    }

    /// Fetches every file of the request into the model's folder.
    pub(super) fn fetch(
        &self,
        request: &mut Request<'_>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let work = request.folder.join(HUB_WORK);
        for file in request.files {
            // One folder a file: whatever is in it belongs to this file.
            let remote = request.source.remote_path(file);
            let staging = work.join(remote.replace('/', "--"));
            let destination = join(request.folder, &file.path);
            let wanted = Wanted::new(file, self.source, &destination, request.first_seen);
            let sha256 = self.fetch_file(&wanted, &remote, &staging, &destination, progress)?;
            if file.sha256.is_none() {
                let fetched_from = Some(self.source.pin());
                let note = Note {
                    sha256,
                    fetched_from,
                };
                request.first_seen.note(&destination, note);
                request.first_seen.save()?;
            }
        }
        remove_tree(&work)
    }

    /// Transfers one file, again and again while that gets further, and puts it in its place; returns
    /// its hash.
    fn fetch_file(
        &self,
        wanted: &Wanted<'_>,
        remote: &str,
        staging: &Path,
        destination: &Path,
        progress: &mut dyn Progress,
    ) -> Result<String> {
        let mut resumes_left = RESUMES;
        let mut size = wanted.size;
        loop {
            drop_useless_part(&self.blobs(staging), size)?;
            let mut moved = Moved::default();
            let transferred = self.transfer(remote, staging, &mut moved, progress);
            size = size.or(moved.announced);
            match transferred {
                Ok(delivery) => {
                    let checked = wanted.check(&delivery, size, &self.url(remote));
                    if checked.is_ok() {
                        move_into_place(&delivery.blob, destination)?;
                    }
                    remove_tree(staging)?;
                    // Bytes kept from an earlier run may be the wrong ones: once more without.
                    if checked.is_err() && moved.already > 0 && resumes_left > 0 {
                        resumes_left = 0;
                        continue;
                    }
                    return checked;
                }
                Err(error @ Error::DiskFull { .. }) => {
                    remove_tree(staging)?;
                    return Err(error);
                }
                Err(error @ Error::PullCancelled) => return Err(error),
                Err(error) if moved.received > 0 && resumes_left > 0 => {
                    tracing::info!(file = remote, %error, "the transfer was cut; going on");
                    resumes_left -= 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One run of the client on a watched thread.
    fn transfer(
        &self,
        remote: &str,
        staging: &Path,
        moved: &mut Moved,
        progress: &mut dyn Progress,
    ) -> Result<Delivery> {
        let repo = self.client(staging)?;
        let (events, inbox) = mpsc::channel();
        let name = remote.to_owned();
        let run = move || repo.download_with_progress(&name, Reporter::new(events));
        let thread = thread::Builder::new()
            .name("hub-download".to_owned())
            .spawn(run)
            .map_err(Error::io("start a thread for", staging))?;
        let watched = self.watch(&inbox, remote, moved, progress);
        if moved.already + moved.received > 0 {
            progress.finish();
        }
        watched?;
        match thread.join() {
            Ok(Ok(pointer)) => self
                .delivery(staging, &pointer)
                .ok_or_else(|| Error::HubAnswer {
                    url: self.url(remote),
                }),
            Ok(Err(ApiError::IoError(source))) if is_full(&source) => Err(Error::DiskFull {
                path: staging.to_owned(),
                source,
            }),
            Ok(Err(source)) => Err(Error::Hub {
                url: self.url(remote),
                source: Box::new(source),
            }),
            Err(_) => Err(Error::HubAnswer {
                url: self.url(remote),
            }),
        }
    }

    /// Passes progress on until the transfer ends, falls silent, or is no longer wanted. The client
    /// cannot be stopped: one that nobody waits for any more goes on to the end of its file.
    fn watch(
        &self,
        inbox: &mpsc::Receiver<Event>,
        remote: &str,
        moved: &mut Moved,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        let mut limit = self.connect_limit;
        let mut heard = Instant::now();
        loop {
            if progress.cancelled() {
                return Err(Error::PullCancelled);
            }
            let event = inbox.recv_timeout(limit.min(POLL));
            if event.is_ok() {
                heard = Instant::now();
            }
            match event {
                Ok(Event::Answered) => limit = self.silence_limit,
                Ok(Event::Begin { total, already }) => {
                    moved.announced = Some(total);
                    moved.already = already;
                    progress.begin(remote, Some(total), already);
                }
                Ok(Event::Advance(bytes)) => {
                    moved.received += bytes;
                    progress.advance(bytes);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) if heard.elapsed() < limit => {}
                Err(RecvTimeoutError::Timeout) => {
                    let url = self.url(remote);
                    return Err(Error::HubSilent {
                        url,
                        seconds: limit.as_secs(),
                    });
                }
            }
        }
    }

    fn client(&self, staging: &Path) -> Result<ApiRepo> {
        std::fs::create_dir_all(staging).map_err(Error::io("create", staging))?;
        let mut builder = ApiBuilder::from_env()
            .with_cache_dir(staging.to_owned())
            .with_progress(false);
        if let Some(endpoint) = self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        if let Ok(token) = std::env::var("HF_TOKEN") {
            builder = builder.with_token(Some(token));
        }
        let api = builder.build().map_err(|source| Error::Hub {
            url: self.url(""),
            source: Box::new(source),
        })?;
        Ok(api.repo(self.repo()))
    }

    fn repo(&self) -> Repo {
        let (repo, revision) = (self.source.repo.clone(), self.source.revision.clone());
        Repo::with_revision(repo, RepoType::Model, revision)
    }

    /// Where the client keeps whole and partial files.
    fn blobs(&self, staging: &Path) -> PathBuf {
        staging.join(self.repo().folder_name()).join("blobs")
    }

    /// What came: the client calls the file by its ETag, and leads to it by a path
    /// (`snapshots/<commit>/...`) that names the commit.
    fn delivery(&self, staging: &Path, pointer: &Path) -> Option<Delivery> {
        let blob = find_blob(&self.blobs(staging))?;
        let snapshots = staging.join(self.repo().folder_name()).join("snapshots");
        let commit = pointer.strip_prefix(snapshots).ok()?.iter().next()?;
        Some(Delivery {
            // Its last part: of a weak one (`W/"..."`) the client makes a file in a folder.
            etag: blob.file_name()?.to_string_lossy().into_owned(),
            commit: commit.to_string_lossy().into_owned(),
            blob,
        })
    }

    /// Where a file is, for messages: its address on a hub of the user's choice, its place in the
    /// repository on the client's own.
    fn url(&self, remote: &str) -> String {
        let HubSource { repo, revision, .. } = self.source;
        match self.endpoint {
            Some(endpoint) => {
                let endpoint = endpoint.trim_end_matches('/');
                format!("{endpoint}/{repo}/resolve/{revision}/{remote}")
            }
            None => format!("{repo}/{remote} at revision {revision}"),
        }
    }
}

/// Turns the client's progress into events.
///
/// The client announces a transfer (`init`) once or twice and then reports, as if they had just
/// arrived, the bytes that it kept from an earlier run: the first `update` after an `init`.
struct Reporter {
    events: Sender<Event>,
    announced: Option<u64>,
}

impl Reporter {
    fn new(events: Sender<Event>) -> Self {
        Self {
            events,
            announced: None,
        }
    }

    fn send(&self, event: Event) {
        // Nobody listens any more once the transfer was given up.
        let _ = self.events.send(event);
    }
}

impl hf_hub::api::Progress for Reporter {
    fn init(&mut self, size: usize, _file: &str) {
        self.announced = Some(size as u64);
        self.send(Event::Answered);
    }

    fn update(&mut self, size: usize) {
        let bytes = size as u64;
        match self.announced.take() {
            Some(total) => self.send(Event::Begin {
                total,
                already: bytes,
            }),
            None => self.send(Event::Advance(bytes)),
        }
    }

    fn finish(&mut self) {}
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

#[cfg(test)]
mod tests;
