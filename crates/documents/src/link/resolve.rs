//! From the name of a host to its addresses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Resolves names. Links are followed to exactly the addresses that it gives.
pub trait Resolve: Send + Sync {
    /// The addresses of a host.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }
}
