//! Why a link gave no document.

use std::net::IpAddr;
use std::time::Duration;

use crate::ParserError;

/// Why a link gave no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It is no address of the web.
    #[error("it is not an address: {reason}")]
    NotAUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// Another way than HTTP.
    #[error("its scheme is {scheme:?}; only http and https are followed")]
    Scheme {
        /// What it says.
        scheme: String,
    },
    /// A name or password in an address would be told to whoever reads it.
    #[error("it holds a name or password")]
    Credentials,
    /// The host has no address that may be connected to.
    #[error(
        "{host} is at {address}, which is not a public address; links lead there only where that is allowed"
    )]
    Forbidden {
        /// The host.
        host: String,
        /// Its address.
        address: IpAddr,
    },
    /// The host is not known.
    #[error("the host {host} was not found")]
    NotFound {
        /// The host.
        host: String,
        /// What the resolver said, if it said anything.
        source: Option<std::io::Error>,
    },
    /// One redirect after another.
    #[error("it redirects more than {limit} times")]
    TooManyRedirects {
        /// The most that are followed.
        limit: usize,
    },
    /// A redirect that leads nowhere, or where it may not.
    #[error("it redirects to {to:?}, where it is not followed")]
    Redirect {
        /// Where it leads.
        to: String,
        /// Why not.
        source: Option<Box<LinkError>>,
    },
    /// The server said no.
    #[error("the server answered with status {status}")]
    Status {
        /// Its status.
        status: u16,
    },
    /// The answer is of a kind that no loader reads.
    #[error("the answer is {media_type:?}, which no loader reads")]
    MediaType {
        /// What the server calls it.
        media_type: String,
    },
    /// More than is read.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The most that are read.
        limit: u64,
    },
    /// It took too long.
    #[error("there was no whole answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// The longest time for one link.
        limit: Duration,
    },
    /// The connection failed.
    #[error("the connection failed")]
    Connection {
        /// What happened.
        source: ParserError,
    },
    /// This program was built without anything that could fetch it.
    #[error("this program was built without a client for links")]
    NoClient,
}
