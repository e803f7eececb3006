//! One address that is about to be connected to.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::error::LinkError;

/// An address of HTTP with a host, and no more than that.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: Url,
    /// The host as a name or as the usual form of an address: the parser has made `0x7f.1` and
    /// `2130706433` into `127.0.0.1`.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The address, if the link names one itself.
    literal: Option<IpAddr>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, LinkError> {
        let url = Url::parse(text).map_err(|error| LinkError::NotAUrl {
            reason: error.to_string(),
        })?;
        Self::of(url)
    }

    pub(crate) fn of(mut url: Url) -> Result<Self, LinkError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(LinkError::Scheme {
                scheme: url.scheme().to_owned(),
            });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(LinkError::Credentials);
        }
        let no_host = || LinkError::NotAUrl {
            reason: "it has no host".to_owned(),
        };
        let literal = match url.host().ok_or_else(no_host)? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        };
        let host = match literal {
            Some(address) => address.to_string(),
            None => url.host_str().ok_or_else(no_host)?.to_owned(),
        };
        let port = url.port_or_known_default().ok_or_else(no_host)?;
        // A part behind `#` is for the reader, not for the server.
        url.set_fragment(None);
        Ok(Self {
            url,
            host,
            port,
            literal,
        })
    }

    /// The only address there is to ask for, if the link names it itself.
    pub(crate) fn literal(&self) -> Option<SocketAddr> {
        let address = self.literal?.to_canonical();
        Some(SocketAddr::new(address, self.port))
    }

    /// Where a redirect leads from here.
    pub(crate) fn redirected(&self, location: &str) -> Result<Self, LinkError> {
        let refused = |source| LinkError::Redirect {
            to: location.chars().take(200).collect(),
            source: Some(Box::new(source)),
        };
        let url = self.url.join(location).map_err(|error| {
            refused(LinkError::NotAUrl {
                reason: error.to_string(),
            })
        })?;
        Self::of(url).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_is_seen_through() {
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://①②⑦.0.0.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
        ] {
            let literal = Target::parse(text).unwrap().literal().unwrap();
            assert_eq!(literal.ip().to_string(), "127.0.0.1", "{text}");
        }
        assert!(
            Target::parse("http://localhost/")
                .unwrap()
                .literal()
                .is_none()
        );
    }

    #[test]
    fn only_plain_addresses_of_the_web_are_taken() {
        for text in [
            "ftp://x.example/",
            "file:///etc/passwd",
            "gopher://x.example/",
            "javascript:alert(1)",
            "data:text/plain,x",
            "http://name:secret@x.example/",
            "http://name@x.example/",
            "http://",
            "x.example",
            "http://999.1.1.1/",
            "http://[::1%25eth0]/",
            "",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_redirect_is_looked_at_like_a_link() {
        let from = Target::parse("https://x.example/a/b?c#d").unwrap();
        assert_eq!(from.url.as_str(), "https://x.example/a/b?c");
        assert_eq!(
            from.redirected("../e").unwrap().url.as_str(),
            "https://x.example/e"
        );
        for to in ["file:///etc/passwd", "//user@y.example/", "http://[/"] {
            let error = from.redirected(to).unwrap_err();
            assert!(matches!(error, LinkError::Redirect { .. }), "{to}");
        }
    }
}
