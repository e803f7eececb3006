//! The settings of the server: a section of the file, and at the same time the flags of `serve` with
//! their variables, so that none of the three can lack what another has.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use longtrainer::{LinkOptions, LinkPolicy};
use serde::{Deserialize, Serialize};

use super::values::{Host, Size, Time};
use crate::error::{Error, Result};
use crate::logging::LogFormat;
use crate::options::ServerOptions;
use crate::tls::TlsFiles;

/// The variable that names directories, separated as in `PATH`.
const ALLOW_DIRS: &str = "LONGTRAINER_ALLOW_DIRS";

/// Where the server listens, whom it lets in, and how much it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeSection {
    /// Address to listen on; one that other machines can reach needs a key [default: 127.0.0.1]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "LONGTRAINER_HOST",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Port to listen on; 0 takes a free one [default: 8000]
    #[arg(
        long,
        value_name = "N",
        env = "LONGTRAINER_PORT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Folder whose files clients may have added or looked at by path; may be given more than once
    /// [env: LONGTRAINER_ALLOW_DIRS=]
    #[arg(long = "allow-dir", value_name = "DIR")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_dirs: Vec<PathBuf>,
    /// Let documents/link lead to this host, whatever its address is; may be given more than once
    #[arg(
        long = "allow-link-host",
        value_name = "HOST",
        value_delimiter = ',',
        env = "LONGTRAINER_ALLOW_LINK_HOSTS",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_link_hosts: Vec<String>,
    /// Let documents/link lead into this network, as 10.0.0.0/8; may be given more than once
    #[arg(
        long = "allow-link-network",
        value_name = "NETWORK",
        value_delimiter = ',',
        env = "LONGTRAINER_ALLOW_LINK_NETWORKS",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_link_networks: Vec<String>,
    /// Refuse requests without a key even on this machine [default: once a key was made]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "LONGTRAINER_REQUIRE_KEYS",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_keys: Option<bool>,
    /// Certificate for TLS, as PEM, followed by those that lead to a known authority
    #[arg(
        long,
        value_name = "FILE",
        env = "LONGTRAINER_TLS_CERT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, as PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "LONGTRAINER_TLS_KEY",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Origin whose web pages may use the server, as `https://app.example`; may be given more than once
    #[arg(
        long = "cors-origin",
        value_name = "ORIGIN",
        value_delimiter = ',',
        env = "LONGTRAINER_CORS_ORIGINS",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cors_origins: Vec<String>,
    /// Most requests a minute of each key [default: no limit]
    #[arg(
        long,
        value_name = "N",
        env = "LONGTRAINER_REQUESTS_PER_MINUTE",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Most connections at once [default: 4096]
    #[arg(
        long,
        value_name = "N",
        env = "LONGTRAINER_MAX_CONNECTIONS",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<usize>,
    /// How long the head of a request may take, and a connection be idle [default: 30s]
    #[arg(
        long,
        value_name = "TIME",
        env = "LONGTRAINER_HEADER_TIMEOUT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<Time>,
    /// How long a request's body may rest, and take besides a second for each 4 KiB [default: 30s]
    #[arg(
        long,
        value_name = "TIME",
        env = "LONGTRAINER_BODY_TIMEOUT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<Time>,
    /// How long a client may take nothing of its answer, which is then cancelled [default: 1m]
    #[arg(
        long,
        value_name = "TIME",
        env = "LONGTRAINER_WRITE_TIMEOUT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Time>,
    /// How long answers may go on once the server is told to stop [default: 10s]
    #[arg(
        long,
        value_name = "TIME",
        env = "LONGTRAINER_SHUTDOWN_GRACE",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_grace: Option<Time>,
    /// Most bytes of a request's body [default: 2MiB]
    #[arg(
        long,
        value_name = "SIZE",
        env = "LONGTRAINER_BODY_LIMIT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<Size>,
    /// The same for questions about pictures, which may hold them [default: 32MiB]
    #[arg(
        long,
        value_name = "SIZE",
        env = "LONGTRAINER_PICTURE_BODY_LIMIT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_body_limit: Option<Size>,
    /// Most bytes of the files of one upload together [default: 256MiB]
    #[arg(
        long,
        value_name = "SIZE",
        env = "LONGTRAINER_UPLOAD_LIMIT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_limit: Option<Size>,
    /// Load the default models at the start, so that /ready means ready
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "LONGTRAINER_WARM",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<bool>,
    /// How the log is written to standard error: text, or json for an object a line [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "LONGTRAINER_LOG_FORMAT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Log questions, answers and the names of files, too
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "LONGTRAINER_LOG_CONTENT",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_content: Option<bool>,
}

impl ServeSection {
    /// These settings, and those of `below` where these leave one out.
    pub fn over(self, below: Self) -> Self {
        Self {
            host: self.host.or(below.host),
            port: self.port.or(below.port),
            allow_dirs: listed(self.allow_dirs, below.allow_dirs),
            allow_link_hosts: listed(self.allow_link_hosts, below.allow_link_hosts),
            allow_link_networks: listed(self.allow_link_networks, below.allow_link_networks),
            require_keys: self.require_keys.or(below.require_keys),
            tls_cert: self.tls_cert.or(below.tls_cert),
            tls_key: self.tls_key.or(below.tls_key),
            cors_origins: listed(self.cors_origins, below.cors_origins),
            requests_per_minute: self.requests_per_minute.or(below.requests_per_minute),
            max_connections: self.max_connections.or(below.max_connections),
            header_timeout: self.header_timeout.or(below.header_timeout),
            body_timeout: self.body_timeout.or(below.body_timeout),
            write_timeout: self.write_timeout.or(below.write_timeout),
            shutdown_grace: self.shutdown_grace.or(below.shutdown_grace),
            body_limit: self.body_limit.or(below.body_limit),
            picture_body_limit: self.picture_body_limit.or(below.picture_body_limit),
            upload_limit: self.upload_limit.or(below.upload_limit),
            warm: self.warm.or(below.warm),
            log_format: self.log_format.or(below.log_format),
            log_content: self.log_content.or(below.log_content),
        }
    }

    /// What the environment says that no flag has read already.
    pub fn from_env() -> Self {
        let dirs = std::env::var_os(ALLOW_DIRS).unwrap_or_default();
        Self {
            allow_dirs: std::env::split_paths(&dirs)
                .filter(|dir| !dir.as_os_str().is_empty())
                .collect(),
            ..Self::default()
        }
    }

    /// Where links may lead: to public addresses, and to what is named here.
    ///
    /// # Errors
    ///
    /// [`Error::LinkNetwork`] for a network that is none.
    pub fn links(&self) -> Result<LinkOptions> {
        let mut policy = LinkPolicy::default();
        for host in &self.allow_link_hosts {
            policy = policy.allow_host(host);
        }
        for network in &self.allow_link_networks {
            policy = policy
                .allow_network(network)
                .map_err(|source| Error::LinkNetwork { source })?;
        }
        Ok(LinkOptions {
            policy,
            ..LinkOptions::default()
        })
    }

    /// The options of a server, with the defaults for what is left out.
    ///
    /// # Errors
    ///
    /// [`Error::HalfOfTls`] if only one of the two files of TLS is named.
    pub fn options(self) -> Result<ServerOptions> {
        let base = ServerOptions::default();
        let time = |time: Option<Time>, base| time.map_or(base, |time| time.0);
        Ok(ServerOptions {
            host: self.host.map_or(base.host, |host| host.0),
            port: self.port.unwrap_or(base.port),
            allow_dirs: self.allow_dirs,
            body_limit: self.body_limit.map_or(base.body_limit, |size| size.0),
            picture_body_limit: self
                .picture_body_limit
                .map_or(base.picture_body_limit, |size| size.0),
            upload_limit: self.upload_limit.map_or(base.upload_limit, |size| size.0),
            warm: self.warm.unwrap_or(base.warm),
            log_content: self.log_content.unwrap_or(base.log_content),
            shutdown_grace: time(self.shutdown_grace, base.shutdown_grace),
            require_keys: self.require_keys.unwrap_or(base.require_keys),
            tls: tls_files(self.tls_cert, self.tls_key)?,
            cors_origins: self.cors_origins,
            requests_per_minute: self.requests_per_minute,
            max_connections: self.max_connections.unwrap_or(base.max_connections),
            header_timeout: time(self.header_timeout, base.header_timeout),
            body_timeout: time(self.body_timeout, base.body_timeout),
            write_timeout: time(self.write_timeout, base.write_timeout),
        })
    }

    /// A section that spells the options of a server out; where links may lead and how the log is
    /// written are none of them.
    pub fn from_options(options: &ServerOptions) -> Self {
        let tls = options.tls.as_ref();
        Self {
            host: Some(Host(options.host)),
            port: Some(options.port),
            allow_dirs: options.allow_dirs.clone(),
            require_keys: Some(options.require_keys),
            tls_cert: tls.map(|files| files.certificate.clone()),
            tls_key: tls.map(|files| files.key.clone()),
            cors_origins: options.cors_origins.clone(),
            requests_per_minute: options.requests_per_minute,
            max_connections: Some(options.max_connections),
            header_timeout: Some(Time(options.header_timeout)),
            body_timeout: Some(Time(options.body_timeout)),
            write_timeout: Some(Time(options.write_timeout)),
            shutdown_grace: Some(Time(options.shutdown_grace)),
            body_limit: Some(Size(options.body_limit)),
            picture_body_limit: Some(Size(options.picture_body_limit)),
            upload_limit: Some(Size(options.upload_limit)),
            warm: Some(options.warm),
            log_content: Some(options.log_content),
            ..Self::default()
        }
    }
}

/// A list replaces another whole.
fn listed<T>(above: Vec<T>, below: Vec<T>) -> Vec<T> {
    match above.is_empty() {
        true => below,
        false => above,
    }
}

fn tls_files(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(_), None) => Err(Error::HalfOfTls { missing: "tls_key" }),
        (None, Some(_)) => Err(Error::HalfOfTls {
            missing: "tls_cert",
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeSection,
    }

    fn flags(arguments: &[&str]) -> ServeSection {
        let program = std::iter::once(&"serve").chain(arguments);
        Program::try_parse_from(program).unwrap().serve
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file: ServeSection = toml::from_str(
            "host = \"localhost\"\nport = 9\nheader_timeout = \"5s\"\nallow_dirs = [\"/a\"]\n\
             cors_origins = [\"https://a.example\"]\nbody_limit = \"64KiB\"\n",
        )
        .unwrap();
        let given = flags(&[
            "--port=10",
            "--allow-dir=/b",
            "--allow-dir=/c",
            "--require-keys",
            "--cors-origin=https://b.example,https://c.example",
        ]);
        let options = given.over(file.clone()).options().unwrap();
        assert_eq!(options.port, 10);
        assert_eq!(options.allow_dirs, ["/b", "/c"].map(PathBuf::from));
        assert_eq!(options.cors_origins.len(), 2);
        assert!(options.require_keys);
        assert_eq!(options.header_timeout.as_secs(), 5);
        assert_eq!(options.body_limit, 64 << 10);
        let unset = flags(&["--require-keys=false"]).over(file);
        let options = unset.options().unwrap();
        assert_eq!((options.port, options.require_keys), (9, false));
        assert_eq!(
            options.max_connections,
            ServerOptions::default().max_connections
        );
    }

    #[test]
    fn what_is_spelt_out_is_what_was_meant() {
        let given = flags(&["--tls-cert=a.pem", "--tls-key=a.key", "--write-timeout=90s"]);
        let options = given.options().unwrap();
        let text = toml::to_string(&ServeSection::from_options(&options)).unwrap();
        let read: ServeSection = toml::from_str(&text).unwrap();
        assert_eq!(read.options().unwrap(), options, "{text}");
    }

    #[test]
    fn a_network_that_is_none_is_named() {
        let open = flags(&[
            "--allow-link-host=wiki.local",
            "--allow-link-network=10.0.0.0/8",
        ]);
        open.links().unwrap();
        let error = flags(&["--allow-link-network=10.0.0.0/99"])
            .links()
            .unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("10.0.0.0/99"), "{cause}");
    }

    #[test]
    fn how_the_log_is_written_has_a_name() {
        let section: ServeSection = toml::from_str("log_format = \"json\"").unwrap();
        assert_eq!(section.log_format, Some(LogFormat::Json));
        assert!(toml::from_str::<ServeSection>("log_format = \"xml\"").is_err());
    }

    #[test]
    fn half_of_tls_is_an_error() {
        for (flag, missing) in [("--tls-cert=a", "tls_key"), ("--tls-key=a", "tls_cert")] {
            let error = flags(&[flag]).options().unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
