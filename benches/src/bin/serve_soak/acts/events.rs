//! Server-sent events, as they come.

use std::time::Duration;

use anyhow::Result;
use longtrainer_benches::Pieces;

/// A stream of events.
pub(super) struct Events {
    pieces: Pieces,
    /// What has come of the next event.
    begun: Vec<u8>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Empty where the stream does not name its events.
    pub(super) name: String,
    pub(super) data: String,
}

impl Events {
    pub(super) fn new(pieces: Pieces) -> Self {
        Self {
            pieces,
            begun: Vec::new(),
        }
    }

    /// The next event, after a pause as of a slow reader; `None` at the end.
    pub(super) async fn next(&mut self, pause: Duration) -> Result<Option<Event>> {
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        loop {
            if let Some(end) = self.begun.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.begun.drain(..end + 2).collect();
                match parse(&String::from_utf8_lossy(&event)) {
                    Some(event) => return Ok(Some(event)),
                    // A comment, to keep the connection alive.
                    None => continue,
                }
            }
            match self.pieces.next().await? {
                Some(piece) => self.begun.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }
}

/// An event; `None` of lines that have no data.
pub(super) fn parse(lines: &str) -> Option<Event> {
    let field = |name: &str| {
        let mut values = lines.lines().filter_map(|line| line.strip_prefix(name));
        values.next().map(|value| value.trim_start().to_owned())
    };
    Some(Event {
        name: field("event:").unwrap_or_default(),
        data: field("data:")?,
    })
}
