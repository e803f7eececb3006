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
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// How long a server may say nothing before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// A connection to a server.
pub struct HttpClient {
    /// Host and port.
    address: String,
    key: Option<String>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Asked {
    method: Method,
    path: String,
    content_type: Option<String>,
    accept: Option<&'static str>,
    body: Bytes,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub struct Pieces {
    /// Its status.
    pub status: u16,
    body: Incoming,
}

impl Asked {
    /// A request without a body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            content_type: None,
            accept: None,
            body: Bytes::new(),
        }
    }

    /// `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST` of JSON.
    pub fn post(path: impl Into<String>, body: &Value) -> Self {
        Self::new(Method::POST, path).json(body)
    }

    /// With a body of JSON.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a body.
    pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        self.content_type = Some(content_type.into());
        self.body = body.into();
        self
    }

    /// Wants the answer as server-sent events.
    pub fn events(mut self) -> Self {
        self.accept = Some("text/event-stream");
        self
    }

    /// Method and path, to name the request by.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("not JSON: {} {:?}", self.status, self.text()))
    }
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
