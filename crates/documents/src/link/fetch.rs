//! Fetching an address, hop by hop.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::header::{CONTENT_TYPE, LOCATION};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::content::Answer;
use super::error::LinkError;
use super::target::Target;
use super::{LinkOptions, Resolve};

/// What a server is told that it talks to.
const USER_AGENT: &str = concat!("longtrainer/", env!("CARGO_PKG_VERSION"));
/// Most addresses of a host that are tried.
const MAX_ADDRESSES: usize = 8;

/// Follows a link to its answer, of at most `limit` bytes.
pub(crate) fn fetch(
    url: &str,
    options: &LinkOptions,
    limit: u64,
    resolver: &Arc<dyn Resolve>,
) -> Result<Answer, LinkError> {
    let clock = Clock::start(options.max_time);
    let mut target = Target::parse(url)?;
    for _ in 0..=options.max_redirects {
        let addresses = addresses(&target, options, resolver, &clock)?;
        let response = get(&target, addresses, &clock)?;
        match response.status().as_u16() {
            200 => return answer(&target, response, limit, &clock),
            301 | 302 | 303 | 307 | 308 => {
                target = target.redirected(location(response.headers())?)?;
            }
            status => return Err(LinkError::Status { status }),
        }
    }
    Err(LinkError::TooManyRedirects {
        limit: options.max_redirects,
    })
}

fn location(headers: &HeaderMap) -> Result<&str, LinkError> {
    let location = headers.get(LOCATION);
    location
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| LinkError::Redirect {
            to: String::new(),
            source: None,
        })
}

/// The addresses of a target, all of which a link may lead to.
fn addresses(
    target: &Target,
    options: &LinkOptions,
    resolver: &Arc<dyn Resolve>,
    clock: &Clock,
) -> Result<Vec<SocketAddr>, LinkError> {
    let addresses = match target.literal() {
        Some(address) => vec![address],
        None => resolve(target, resolver, clock)?,
    };
    options.policy.check(&target.host, addresses)
}

/// Asks for the addresses of a host, but not for ever: the system's resolver knows no limit.
fn resolve(
    target: &Target,
    resolver: &Arc<dyn Resolve>,
    clock: &Clock,
) -> Result<Vec<SocketAddr>, LinkError> {
    let (tell, told) = mpsc::sync_channel(1);
    let (resolver, host, port) = (Arc::clone(resolver), target.host.clone(), target.port);
    let not_found = |source| LinkError::NotFound {
        host: target.host.clone(),
        source: Some(source),
    };
    std::thread::Builder::new()
        .name("resolver".to_owned())
        // Nobody may be waiting any more.
        .spawn(move || drop(tell.send(resolver.resolve(&host, port))))
        .map_err(not_found)?;
    match told.recv_timeout(clock.left()?) {
        Ok(found) => found.map_err(not_found),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(LinkError::TimedOut { limit: clock.limit }),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(not_found(std::io::Error::other("the resolver gave up")))
        }
    }
}

fn get(
    target: &Target,
    addresses: Vec<SocketAddr>,
    clock: &Clock,
) -> Result<Response<Body>, LinkError> {
    let config = Agent::config_builder()
        // A proxy would resolve names by itself and go wherever it likes.
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .http_status_as_error(false)
        .timeout_global(Some(clock.left()?))
        .user_agent(USER_AGENT)
        .build();
    let agent = Agent::with_parts(config, DefaultConnector::new(), Pinned(addresses));
    agent
        .get(target.url.as_str())
        .call()
        .map_err(|error| clock.told(error))
}

fn answer(
    target: &Target,
    mut response: Response<Body>,
    limit: u64,
    clock: &Clock,
) -> Result<Answer, LinkError> {
    let too_large = || LinkError::TooLarge { limit };
    let body = response.body();
    if body.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    let read = response
        .body_mut()
        .as_reader()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes);
    read.map_err(|error| clock.told(error.into()))?;
    if bytes.len() as u64 > limit {
        return Err(too_large());
    }
    let media_type = response.headers().get(CONTENT_TYPE);
    Ok(Answer {
        path: target.url.path().to_owned(),
        media_type: media_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned),
        bytes,
    })
}

/// The time that one link has.
struct Clock {
    started: Instant,
    limit: Duration,
}

impl Clock {
    fn start(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
        }
    }

    fn left(&self) -> Result<Duration, LinkError> {
        let left = self.limit.saturating_sub(self.started.elapsed());
        match left.is_zero() {
            true => Err(LinkError::TimedOut { limit: self.limit }),
            false => Ok(left),
        }
    }

    fn told(&self, error: ureq::Error) -> LinkError {
        match error {
            ureq::Error::Timeout(_) => LinkError::TimedOut { limit: self.limit },
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                LinkError::TimedOut { limit: self.limit }
            }
            error => LinkError::Connection {
                source: Box::new(error),
            },
        }
    }
}

/// Gives the client the addresses that were checked, whatever it asks for.
#[derive(Debug)]
struct Pinned(Vec<SocketAddr>);

impl Resolver for Pinned {
    fn resolve(
        &self,
        _uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        for address in self.0.iter().take(MAX_ADDRESSES) {
            addresses.push(*address);
        }
        Ok(addresses)
    }
}
