//! Bringing a JSON answer to its end while it still has tokens.
//!
//! A schema may allow text that goes on for as long as a model likes: members of any name, long lists,
//! long strings. An answer cut off in one of those is no JSON. So a way to the end is known at every
//! step, a list of tokens found by walking the grammar ahead of the answer, and a token after which
//! none would be short enough is not taken: the answer goes that way instead.
//!
//! Walking ahead takes time, so it is done only where it matters. A token can make the way longer by
//! no more than the longest part of the schema, so many tokens may be taken unseen while many are
//! left.

use std::sync::Arc;

use llguidance::Matcher;

use super::way_out::{Place, WayOut};

/// Tokens that may be too few in what is reckoned of a part.
const SPARE: usize = 8;

/// What is known about the ends of all answers to a schema.
#[derive(Debug)]
pub(super) struct Endings {
    pub(super) ways: Arc<WayOut>,
    /// What a token may add to the way to the end, in tokens.
    pub(super) longest_part: usize,
}

/// How a JSON answer comes to its end.
#[derive(Debug)]
pub(super) struct Closing {
    endings: Endings,
    place: Place,
    /// The last way that was found, its first token last, and how many tokens were taken since that
    /// were not on it.
    way: Vec<u32>,
    strayed: usize,
    /// A token that was asked about, and the way from behind it.
    next: Option<(u32, Vec<u32>)>,
}

impl Closing {
    /// At the beginning of an answer of at most `left` tokens; `None` if no way is so short.
    pub(super) fn new(endings: Endings, matcher: &Matcher, left: usize) -> Option<Self> {
        let place = Place::default();
        let way = endings.ways.find(matcher.clone(), place, left)?;
        Some(Self {
            endings,
            place,
            way,
            strayed: 0,
            next: None,
        })
    }

    /// Whether an answer that goes on with a token can still end, if it may have `left` tokens more
    /// behind that one.
    pub(super) fn leaves_an_end(&mut self, matcher: &Matcher, token: u32, left: usize) -> bool {
        if self.is_next(token) || left > self.reckoned(self.strayed + 1) {
            return true;
        }
        let mut ahead = matcher.clone();
        let mut place = self.place;
        if ahead.consume_token(token).is_ok() {
            place.read(self.endings.ways.bytes(token));
            self.next = self
                .endings
                .ways
                .find(ahead, place, left)
                .map(|way| (token, way));
        }
        self.next.is_some()
    }

    /// The token with which the way to the end begins, if the answer may have `left` tokens more;
    /// `None` if there is no such way.
    pub(super) fn first_of_way(&mut self, matcher: &Matcher, left: usize) -> Option<u32> {
        if self.strayed > 0 {
            self.way = self.endings.ways.find(matcher.clone(), self.place, left)?;
            self.strayed = 0;
        }
        self.way.last().copied()
    }

    /// Follows the answer.
    pub(super) fn read(&mut self, token: u32) {
        match self.next.take() {
            Some((asked, way)) if asked == token => (self.way, self.strayed) = (way, 0),
            _ if self.is_next(token) => _ = self.way.pop(),
            _ => self.strayed += 1,
        }
        self.place.read(self.endings.ways.bytes(token));
    }

    fn is_next(&self, token: u32) -> bool {
        self.strayed == 0 && self.way.last() == Some(&token)
    }

    /// Tokens that the way may take after some that were not looked at.
    fn reckoned(&self, strayed: usize) -> usize {
        let strayed = strayed.saturating_mul(self.endings.longest_part + 1);
        self.way.len().saturating_add(strayed) + SPARE
    }
}
