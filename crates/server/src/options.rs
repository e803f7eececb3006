//! What a server is told at its start.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};

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

/// What a server is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerOptions {
    /// The address to listen on; a loopback one.
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
        }
    }
}

impl ServerOptions {
    /// Refuses what would only show at the first request, or to somebody else's advantage.
    /// [`Server::bind`](crate::Server::bind) does it, too; a program may do it before it opens the
    /// data directory.
    pub fn check(&self) -> Result<()> {
        if !self.host.to_canonical().is_loopback() {
            return Err(Error::NotLoopback { host: self.host });
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening_on(host: &str) -> Result<()> {
        ServerOptions {
            host: host.parse().unwrap(),
            ..ServerOptions::default()
        }
        .check()
    }

    #[test]
    fn only_a_loopback_address_is_taken() {
        for host in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            listening_on(host).unwrap();
        }
        for host in ["0.0.0.0", "::", "192.168.1.5", "8.8.8.8"] {
            let error = listening_on(host).unwrap_err();
            assert!(
                matches!(&error, Error::NotLoopback { .. }),
                "{host}: {error}"
            );
            assert!(error.to_string().contains(host), "{error}");
        }
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
