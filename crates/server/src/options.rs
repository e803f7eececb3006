//! What a server is told at its start.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::cors;
use crate::error::{Error, Result};
use crate::tls::TlsFiles;

/// The documented port.
pub const DEFAULT_PORT: u16 = 8000;
/// Most bytes of a request's body: twice the longest question, with room for file texts.
pub const DEFAULT_BODY_LIMIT: usize = 2 << 20;
/// Most bytes of the body of a question about pictures, which may hold them as data URLs.
pub const DEFAULT_PICTURE_BODY_LIMIT: usize = 32 << 20;
/// Most bytes of the files of one upload together.
pub const DEFAULT_UPLOAD_LIMIT: usize = 256 << 20;
/// How long answers may go on once the server is told to stop.
pub const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Most connections at once.
pub const DEFAULT_MAX_CONNECTIONS: usize = 4096;
/// How long the head of a request may take, and how long a connection may be idle.
pub const DEFAULT_HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request's body may rest, and how long it may take besides a second for each 4 KiB.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take nothing of what it is sent.
pub const DEFAULT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a server is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// The address to listen on. One that other machines can reach needs a key; see
    /// [`LongTrainer::create_key`](longtrainer::LongTrainer::create_key).
    pub host: IpAddr,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The directories whose files `documents/path` and `image_paths` may read. None: they read
    /// nothing.
    pub allow_dirs: Vec<PathBuf>,
    /// Most bytes of a request's body.
    pub body_limit: usize,
    /// The same for a question about pictures, which may hold them as data URLs.
    pub picture_body_limit: usize,
    /// Most bytes of the files of one upload together.
    pub upload_limit: usize,
    /// Whether the default models are loaded at the start, so that the first question does not wait
    /// for them. The server is up meanwhile, and `/ready` says that it is not ready.
    pub warm: bool,
    /// Whether questions and answers are logged.
    pub log_content: bool,
    /// How long answers may go on once the server is told to stop; then they are cancelled.
    pub shutdown_grace: Duration,
    /// Whether requests need a key even where none was made yet. Once one was, they always do.
    pub require_keys: bool,
    /// The files of TLS; `None` serves without.
    pub tls: Option<TlsFiles>,
    /// The origins whose web pages may use the server, as `https://app.example`; for all others CORS
    /// is closed.
    pub cors_origins: Vec<String>,
    /// Most requests a minute of each key; `None` is no limit.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Most connections at once.
    pub max_connections: usize,
    /// How long the head of a request may take, and how long a connection may be idle.
    pub header_timeout: Duration,
    /// How long a request's body may rest, and how long it may take besides a second for each 4 KiB.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what it is sent; then its answer is cancelled.
    pub write_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: DEFAULT_PORT,
            allow_dirs: Vec::new(),
            body_limit: DEFAULT_BODY_LIMIT,
            picture_body_limit: DEFAULT_PICTURE_BODY_LIMIT,
            upload_limit: DEFAULT_UPLOAD_LIMIT,
            warm: false,
            log_content: false,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            require_keys: false,
            tls: None,
            cors_origins: Vec::new(),
            requests_per_minute: None,
            max_connections: DEFAULT_MAX_CONNECTIONS,
            header_timeout: DEFAULT_HEADER_TIMEOUT,
            body_timeout: DEFAULT_BODY_TIMEOUT,
            write_timeout: DEFAULT_WRITE_TIMEOUT,
        }
    }
}

impl ServerOptions {
    /// Refuses what would only show at the first request, or to somebody else's advantage.
    /// [`Server::bind`](crate::Server::bind) does it, too; a program may do it before it opens the
    /// data directory.
    pub fn check(&self) -> Result<()> {
        self.check_directories()?;
        self.check_numbers()?;
        self.cors_origins
            .iter()
            .try_for_each(|origin| cors::check(origin))?;
        if let Some(files) = &self.tls {
            files.load()?;
        }
        Ok(())
    }

    /// Refuses to listen where others could come in without a key. `has_keys` is whether one was ever
    /// made.
    pub fn check_keys(&self, has_keys: bool) -> Result<()> {
        if has_keys || (self.is_local() && !self.require_keys) {
            return Ok(());
        }
        Err(Error::NoKeys { host: self.host })
    }

    /// Whether only this machine can reach the address.
    pub fn is_local(&self) -> bool {
        self.host.to_canonical().is_loopback()
    }

    fn check_directories(&self) -> Result<()> {
        for path in &self.allow_dirs {
            let metadata = std::fs::metadata(path).map_err(|source| Error::AllowedDirectory {
                path: path.clone(),
                source,
            })?;
            if !metadata.is_dir() {
                let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
                return Err(Error::AllowedDirectory {
                    path: path.clone(),
                    source,
                });
            }
        }
        Ok(())
    }

    /// Refuses limits that would let nothing pass.
    fn check_numbers(&self) -> Result<()> {
        for (name, is_zero) in [
            ("body_limit", self.body_limit == 0),
            ("picture_body_limit", self.picture_body_limit == 0),
            ("upload_limit", self.upload_limit == 0),
            ("max_connections", self.max_connections == 0),
            ("header_timeout", self.header_timeout.is_zero()),
            ("body_timeout", self.body_timeout.is_zero()),
            ("write_timeout", self.write_timeout.is_zero()),
        ] {
            if is_zero {
                return Err(Error::ZeroLimit { name });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening_on(host: &str) -> ServerOptions {
        ServerOptions {
            host: host.parse().unwrap(),
            ..ServerOptions::default()
        }
    }

    #[test]
    fn without_a_key_only_a_loopback_address_is_taken() {
        for host in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            let options = listening_on(host);
            options.check_keys(false).unwrap();
            let strict = ServerOptions {
                require_keys: true,
                ..options
            };
            assert!(strict.check_keys(false).is_err(), "nobody could come in");
            strict.check_keys(true).unwrap();
        }
        for host in ["0.0.0.0", "::", "192.168.1.5", "8.8.8.8"] {
            let error = listening_on(host).check_keys(false).unwrap_err();
            let told = error.to_string();
            assert!(
                told.contains(host) && told.contains("longtrainer keys create"),
                "{told}"
            );
            listening_on(host).check_keys(true).unwrap();
        }
    }

    #[test]
    fn a_limit_that_lets_nothing_pass_is_named() {
        let options = ServerOptions {
            header_timeout: Duration::ZERO,
            ..ServerOptions::default()
        };
        let error = options.check().unwrap_err();
        assert!(error.to_string().contains("header_timeout"), "{error}");
    }

    #[test]
    fn an_allowed_directory_must_be_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        std::fs::write(&file, "a").unwrap();
        for path in [file, folder.path().join("missing")] {
            let options = ServerOptions {
                allow_dirs: vec![path.clone()],
                ..Default::default()
            };
            let error = options.check().unwrap_err();
            assert!(
                error.to_string().contains(&path.display().to_string()),
                "{error}"
            );
        }
    }
}
