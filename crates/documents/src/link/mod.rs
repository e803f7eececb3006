//! Documents of the web: one page or file by its address.
//!
//! Whoever can name a link can have this machine open connections, so it opens them to public
//! addresses only. A name is resolved once; every address that it has must be public; and the
//! connection goes to one of these very addresses, so that a name which means something else a
//! moment later gains nothing. The same holds for every redirect. [`LinkPolicy`] names exceptions.

#[cfg_attr(
    not(feature = "links"),
    allow(dead_code, reason = "nothing is fetched")
)]
mod address;
#[cfg(feature = "links")]
mod content;
mod error;
#[cfg(feature = "links")]
mod fetch;
#[cfg_attr(
    not(feature = "links"),
    allow(dead_code, reason = "nothing is fetched")
)]
mod policy;
mod resolve;
#[cfg(feature = "links")]
mod target;

use std::sync::Arc;
use std::time::Duration;

pub use error::LinkError;
pub use policy::{LinkPolicy, ParseNetworkError};
pub use resolve::{Resolve, SystemResolver};

use crate::{Document, Error, LoadOptions, Result};

/// How far following a link goes before it gives up with an error that names the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkOptions {
    /// Where a link may lead beside public addresses.
    pub policy: LinkPolicy,
    /// The longest time for one link, redirects included. Default 30 s.
    pub max_time: Duration,
    /// The most redirects that are followed. Default 5.
    pub max_redirects: usize,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            policy: LinkPolicy::default(),
            max_time: Duration::from_secs(30),
            max_redirects: 5,
        }
    }
}

/// The documents behind a link, by the loader that the answer's content type names, or, if that says
/// nothing, the extension of the address. Their `source` is the link as it was given.
///
/// # Errors
///
/// [`Error::Link`] if it may not be followed or nothing usable came back, and those of
/// [`load_path`](crate::load_path). The largest answer is that of [`LoadOptions::max_file_bytes`].
pub fn load_link(url: &str, options: &LinkOptions, limits: &LoadOptions) -> Result<Vec<Document>> {
    load_link_with(url, options, limits, Arc::new(SystemResolver))
}

/// [`load_link`], with names resolved by `resolver`.
///
/// # Errors
///
/// Those of [`load_link`].
pub fn load_link_with(
    url: &str,
    options: &LinkOptions,
    limits: &LoadOptions,
    resolver: Arc<dyn Resolve>,
) -> Result<Vec<Document>> {
    let failed = |source| Error::Link {
        url: shortened(url),
        source,
    };
    #[cfg(feature = "links")]
    {
        let answer =
            fetch::fetch(url, options, limits.max_file_bytes, &resolver).map_err(failed)?;
        let format = answer.format().map_err(failed)?;
        crate::load::load_as(url, format, &answer.text_in_utf8(format), limits)
    }
    #[cfg(not(feature = "links"))]
    {
        let _ = (options, limits, resolver);
        Err(failed(LinkError::NoClient))
    }
}

/// As much of an address as belongs into a message.
fn shortened(url: &str) -> String {
    match url.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", &url[..at]),
        None => url.to_owned(),
    }
}
