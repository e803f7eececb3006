//! Where links may lead beside public addresses: hosts and networks that somebody named.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::address::is_public;
use super::error::LinkError;

/// Where links may lead beside public addresses. The default is nowhere else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkPolicy {
    hosts: Vec<String>,
    networks: Vec<Network>,
}

/// Addresses with a beginning in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    first: IpAddr,
    length: u32,
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseNetworkError(String);

impl fmt::Display for ParseNetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(
            f,
            "{text:?} is no network: those read 10.0.0.0/8 or fd00::/8"
        )
    }
}

impl std::error::Error for ParseNetworkError {}

impl LinkPolicy {
    /// Lets links lead to this host, whatever its addresses are. It is the name as links write it.
    pub fn allow_host(mut self, host: &str) -> Self {
        self.hosts.push(normalised(host));
        self
    }

    /// Lets links lead to the addresses of this network, `10.0.0.0/8` or `fd00::/8`, or to one address.
    pub fn allow_network(mut self, network: &str) -> Result<Self, ParseNetworkError> {
        self.networks.push(network.parse()?);
        Ok(self)
    }

    /// Lets links lead anywhere, this machine included.
    pub fn allow_everything(mut self) -> Self {
        self.networks.extend([
            Network {
                first: IpAddr::from([0; 4]),
                length: 0,
            },
            Network {
                first: IpAddr::from([0; 16]),
                length: 0,
            },
        ]);
        self
    }

    /// The addresses of a host, if a link may lead to it. One that it may not lead to is enough to
    /// refuse the host: which of them is taken is not for a stranger to steer.
    pub(crate) fn check(
        &self,
        host: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, LinkError> {
        let host = normalised(host);
        if addresses.is_empty() {
            return Err(LinkError::NotFound { host, source: None });
        }
        let is_named = self.hosts.contains(&host);
        let forbidden = |address: &&SocketAddr| !is_named && !self.allows(address.ip());
        match addresses.iter().find(forbidden) {
            None => Ok(addresses),
            Some(address) => Err(LinkError::Forbidden {
                host,
                address: address.ip(),
            }),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.networks.iter().any(|net| net.contains(address))
    }
}

/// A host in one way of writing it.
fn normalised(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let kept = u32::MAX.checked_shl(32 - self.length).unwrap_or(0);
                address.to_bits() & kept == first.to_bits() & kept
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let kept = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
                address.to_bits() & kept == first.to_bits() & kept
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ParseNetworkError;

    fn from_str(text: &str) -> Result<Self, ParseNetworkError> {
        let refused = || ParseNetworkError(text.to_owned());
        let (first, length) = match text.split_once('/') {
            Some((first, length)) => (first, Some(length)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| refused())?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => longest,
            Some(length) => length.parse().map_err(|_| refused())?,
        };
        match length <= longest {
            true => Ok(Self { first, length }),
            false => Err(refused()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &LinkPolicy, host: &str, addresses: &[&str]) -> bool {
        let addresses = addresses
            .iter()
            .map(|ip| SocketAddr::new(ip.parse().unwrap(), 80));
        policy.check(host, addresses.collect()).is_ok()
    }

    #[test]
    fn one_private_address_is_enough_to_refuse_a_host() {
        let policy = LinkPolicy::default();
        assert!(check(&policy, "x.example", &["8.8.8.8", "1.1.1.1"]));
        assert!(!check(&policy, "x.example", &["8.8.8.8", "10.0.0.1"]));
        assert!(!check(&policy, "x.example", &[]));
    }

    #[test]
    fn what_is_named_is_allowed_and_nothing_else() {
        let policy = LinkPolicy::default().allow_host("Wiki.Intern");
        assert!(check(&policy, "wiki.intern.", &["10.0.0.1"]));
        assert!(!check(&policy, "other.intern", &["10.0.0.1"]));
        assert!(!check(&policy, "x.wiki.intern", &["10.0.0.1"]));
        let policy = LinkPolicy::default()
            .allow_network("10.1.0.0/16")
            .and_then(|policy| policy.allow_network("::1"))
            .unwrap();
        assert!(check(&policy, "a", &["10.1.255.1"]) && check(&policy, "a", &["::1"]));
        assert!(check(&policy, "a", &["::ffff:10.1.0.9"]));
        assert!(!check(&policy, "a", &["10.2.0.1"]) && !check(&policy, "a", &["::2"]));
        let policy = LinkPolicy::default().allow_everything();
        assert!(check(&policy, "a", &["127.0.0.1"]) && check(&policy, "a", &["fe80::1"]));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10/8",
            "::/129",
            "a/8",
            "10.0.0.0/-1",
            "10.0.0.0/",
        ] {
            let error = LinkPolicy::default().allow_network(text).unwrap_err();
            assert!(error.to_string().contains("is no network"), "{text}");
        }
    }
}
