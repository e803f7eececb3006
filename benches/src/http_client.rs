//! A client of one connection, as cheap as one can be, so that what is measured is the server.
//!
//! The connection is kept from request to request, opened when it is first needed, and opened again if
//! the server has closed it meanwhile. Dropping the client leaves: whatever was being answered is
//! broken off.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http_message::{Asked, Reply};

/// How long a server may say nothing before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to a server.
pub struct HttpClient {
    /// Host and port.
    address: String,
    key: Option<String>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub struct Pieces {
    /// Its status.
    pub status: u16,
    body: Incoming,
}

impl Pieces {
    /// The next piece of the body as it came; `None` at its end.
    ///
    /// # Errors
    ///
    /// If the answer breaks off or the server hangs.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = patiently(self.body.frame()).await?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            // What is no data is a trailer.
            if let Ok(data) = frame.context("the answer broke off")?.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// All that is still to come.
    ///
    /// # Errors
    ///
    /// If the answer breaks off or the server hangs.
    pub async fn rest(&mut self) -> Result<Bytes> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }
}

impl HttpClient {
    /// A client of the server at `host:port`. Nothing is opened yet.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            key: None,
            connection: None,
        }
    }

    /// The server's host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends a key along with every request.
    pub fn with_key(mut self, key: Option<String>) -> Self {
        self.key = key;
        self
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    ///
    /// If there is no answer or it breaks off; a status that says that something is wrong is an answer.
    pub async fn ask(&mut self, asked: &Asked) -> Result<Reply> {
        let mut pieces = self.pieces(asked).await?;
        Ok(Reply {
            status: pieces.status,
            body: pieces.rest().await?,
        })
    }

    /// Asks for something that must be had; the answer as JSON.
    ///
    /// # Errors
    ///
    /// If the status is none of success or the answer is not JSON.
    pub async fn get_done(&mut self, asked: &Asked) -> Result<Value> {
        let reply = self.ask(asked).await?;
        let (name, text) = (asked.name(), || reply.text());
        ensure!(
            (200..300).contains(&reply.status),
            "{name}: {} {}",
            reply.status,
            text()
        );
        reply.json()
    }

    /// Asks, and gives the answer as it comes.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub async fn pieces(&mut self, asked: &Asked) -> Result<Pieces> {
        let request = self.request(asked)?;
        let connection = self.connected().await?;
        let response = patiently(connection.send_request(request)).await?;
        let response: Response<Incoming> = response.context("no answer")?;
        Ok(Pieces {
            status: response.status().as_u16(),
            body: response.into_body(),
        })
    }

    /// Closes the connection, whatever is being answered.
    pub fn leave(&mut self) {
        self.connection = None;
    }

    fn request(&self, asked: &Asked) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(&asked.method)
            .uri(&asked.path)
            .header(HOST, &self.address);
        if let Some(content_type) = &asked.content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(accept) = asked.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        Ok(request.body(Full::new(asked.body.clone()))?)
    }

    /// The connection, once it can take a request.
    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(connect(&self.address).await?);
        }
        self.connection.as_mut().context("no connection")
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // How it ends shows in the answer that it ends in.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

async fn patiently<T>(work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .with_context(|| format!("the server said nothing for {} seconds", PATIENCE.as_secs()))
}
