//! The way from some point of a JSON answer to its end: a short one, if not the shortest.

use llguidance::Matcher;
use llguidance::toktrie::TokEnv;

use crate::sampling::TokenMask;

/// Values that are over at once.
const WHOLE_VALUES: [&[u8]; 6] = [b"\"\"", b"null", b"true", b"false", b"[]", b"{}"];
/// Signs that a short string or number goes on with, the best first. Of the digits the largest lead to
/// a number that may end: one between two others that agree in a few digits has to differ some time,
/// and after `-0.` one could go on with zeros for ever.
const SIGNS: &[u8] = b"\"9876543210-";

/// Finds ways to the end in a vocabulary.
pub(super) struct WayOut {
    environment: TokEnv,
    /// Tokens that lead to the end inside a string, the best first.
    in_strings: Vec<TokenMask>,
    /// And elsewhere.
    elsewhere: Vec<TokenMask>,
}

impl std::fmt::Debug for WayOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WayOut").finish_non_exhaustive()
    }
}

impl WayOut {
    pub(super) fn new(environment: TokEnv) -> Self {
        let vocabulary = environment.tok_trie();
        let is_end = |token| vocabulary.eos_tokens().contains(&token);
        let set = |is_in: &dyn Fn(&[u8]) -> bool| {
            let members = (0..vocabulary.vocab_size() as u32)
                .filter(|token| !is_end(*token) && is_in(vocabulary.token(*token)));
            TokenMask::from_tokens(members)
        };
        let closes = |bytes: &[u8]| bytes.iter().all(|byte| b"}]".contains(byte));
        let in_strings = [set(&|bytes| bytes.strip_prefix(b"\"").is_some_and(closes))];
        let leading = [
            TokenMask::from_tokens(vocabulary.eos_tokens().iter().copied()),
            set(&|bytes| !bytes.is_empty() && closes(bytes)),
            set(&|bytes| bytes == b"," || bytes == b":"),
            set(&|bytes| WHOLE_VALUES.contains(&without_space(bytes))),
        ];
        let signs = SIGNS
            .iter()
            .map(|sign| set(&|bytes| without_space(bytes) == [*sign]));
        Self {
            in_strings: in_strings.into_iter().flatten().collect(),
            elsewhere: leading.into_iter().chain(signs).flatten().collect(),
            environment,
        }
    }

    /// The tokens to the end, the first of them last; `None` if that takes more than `most`.
    pub(super) fn find(
        &self,
        mut matcher: Matcher,
        mut place: Place,
        most: usize,
    ) -> Option<Vec<u32>> {
        let mut way = Vec::new();
        while !matcher.is_stopped() && way.len() <= most {
            let tokens = self.step(&mut matcher, place)?;
            matcher.consume_tokens(&tokens).ok()?;
            tokens
                .iter()
                .for_each(|token| place.read(self.bytes(*token)));
            way.extend(tokens);
        }
        let is_end = way.len() <= most && !matcher.is_error();
        way.reverse();
        is_end.then_some(way)
    }

    /// What there is no choice about, else the token that leads furthest.
    fn step(&self, matcher: &mut Matcher, place: Place) -> Option<Vec<u32>> {
        let forced = matcher.compute_ff_tokens();
        if !forced.is_empty() {
            return Some(forced);
        }
        let mask = TokenMask::from_words(matcher.compute_mask_or_eos().ok()?.into())?;
        let sets = match place.in_string {
            true => &self.in_strings,
            false => &self.elsewhere,
        };
        let best = sets.iter().find_map(|set| mask.and(set));
        let token = match best {
            Some(best) => best.tokens().next(),
            None => mask.tokens().max_by_key(|token| self.bytes(*token).len()),
        };
        Some(vec![token?])
    }

    /// The bytes of a token.
    pub(super) fn bytes(&self, token: u32) -> &[u8] {
        self.environment.tok_trie().token(token)
    }
}

/// Many vocabularies have the space before a word in the word's token.
fn without_space(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b" ").unwrap_or(bytes)
}

/// Where a JSON text is: inside a string or not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    in_string: bool,
    escaped: bool,
}

impl Place {
    /// Follows the text.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}
