//! What a server would be started with, checked without starting it: `serve --check`.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use longtrainer::{ErrorKind, KeyRecord, LongTrainer};

use super::file::Config;
use super::serve::ServeSection;
use crate::address;
use crate::error::{Error, Result};
use crate::options::ServerOptions;

/// What a server would be started with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the settings file is, or would be.
    pub settings_file: PathBuf,
    /// The data directory.
    pub data_dir: PathBuf,
    /// What the settings file, the environment and the flags say together.
    pub config: Config,
    /// What that means for the server.
    pub options: ServerOptions,
}

/// What can be seen of a data directory.
enum Installation {
    /// It will be made.
    Absent,
    /// Another process has it, a running server for one.
    InUse,
    /// It is there, with these keys.
    Keys(Vec<KeyRecord>),
}

/// Checks everything that a start would, but takes neither the address nor anything else, and says as
/// text what would be used: comments, and settings in the form of the settings file.
///
/// `open` opens the data directory, and is called only if there is one.
///
/// # Errors
///
/// Those of [`Server::bind`](crate::Server::bind), and [`Error::DataDir`].
pub fn checked(
    plan: &Plan,
    open: impl FnOnce() -> longtrainer::Result<LongTrainer>,
) -> Result<String> {
    plan.options.check()?;
    plan.config.serve.links()?;
    let installation = look(&plan.data_dir, open)?;
    match &installation {
        // A server that runs here has both the keys and the address.
        Installation::InUse => {}
        Installation::Absent => plan.options.check_keys(false)?,
        Installation::Keys(keys) => plan.options.check_keys(!keys.is_empty())?,
    }
    if !matches!(installation, Installation::InUse) {
        check_address(&plan.options)?;
    }
    told(plan, &installation)
}

fn look(
    data_dir: &Path,
    open: impl FnOnce() -> longtrainer::Result<LongTrainer>,
) -> Result<Installation> {
    let unusable = |source| Error::DataDir {
        path: data_dir.to_owned(),
        source: Box::new(source),
    };
    if !data_dir.exists() {
        return Ok(Installation::Absent);
    }
    match open() {
        Ok(trainer) => Ok(Installation::Keys(trainer.list_keys().map_err(unusable)?)),
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(Installation::InUse),
        Err(error) => Err(unusable(error)),
    }
}

/// Takes the address without listening on it, and gives it back.
fn check_address(options: &ServerOptions) -> Result<()> {
    let address = SocketAddr::new(options.host, options.port);
    match address::take(address) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Listen { address, source }),
    }
}

fn told(plan: &Plan, installation: &Installation) -> Result<String> {
    let there = |path: &Path, otherwise| if path.exists() { "" } else { otherwise };
    let settings = Config {
        serve: plan
            .config
            .serve
            .clone()
            .over(ServeSection::from_options(&plan.options)),
        ..plan.config.clone()
    };
    let settings = settings
        .to_toml()
        .map_err(|source| Error::Settings { source })?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# settings file: {}{}\n# data folder: {}{}\n# keys: {}\n\n{settings}",
        plan.settings_file.display(),
        there(&plan.settings_file, " (not there, so defaults are used)"),
        plan.data_dir.display(),
        there(&plan.data_dir, " (not there yet)"),
        told_of_keys(plan, installation),
    );
    Ok(text)
}

fn told_of_keys(plan: &Plan, installation: &Installation) -> String {
    match installation {
        Installation::InUse => {
            "not looked at, since another process has the data folder open".to_owned()
        }
        Installation::Absent => "none, and requests need none".to_owned(),
        Installation::Keys(keys) if keys.is_empty() && !plan.options.require_keys => {
            "none, and requests need none".to_owned()
        }
        Installation::Keys(keys) => {
            let good = keys.iter().filter(|key| is_good(key)).count();
            let gone = keys.len() - good;
            format!("{good} good, {gone} expired or revoked; requests need one")
        }
    }
}

fn is_good(key: &KeyRecord) -> bool {
    let ended = key.expires_at.is_some_and(|end| end <= Timestamp::now());
    key.revoked_at.is_none() && !ended
}
