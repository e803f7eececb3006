//! Which turns of a chat a prompt remembers, once they do not all fit.
//!
//! The engine keeps the keys and values of prompts, so a prompt that begins as the last one did is
//! read quickly. Leaving out one more turn every time would change its beginning every time. So when
//! a turn makes the history overflow, turns are left out until three quarters of the room are
//! used; then nothing moves until the room is full again. Which turns those are follows from the
//! history alone, with no memory of earlier prompts: the chat is gone through from its first turn.

/// Bytes that a turn costs beside its texts: the marks that a chat template puts around them.
const MARKS: usize = 32;
/// Bytes of the oldest turns that tell how many tokens a byte makes. The oldest, because they stay
/// the same while the chat goes on.
const SAMPLE: usize = 2048;
/// Steps of the prompt's budget in which the room for history is told. The passages of one question
/// are longer than those of the next; the room should not move with each of them.
const STEPS: usize = 8;

/// How much of a prompt a turn is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Length {
    /// Bytes of its texts.
    pub(crate) bytes: usize,
    /// Pictures that go with it.
    pub(crate) pictures: usize,
}

/// What lengths cost in a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tokens {
    a_byte: f64,
    a_picture: f64,
}

impl Tokens {
    /// What is learnt from a sample that makes `counted` tokens, when a picture makes `a_picture`.
    pub(crate) fn of(sample: Length, counted: usize, a_picture: f64) -> Self {
        let of_texts = counted as f64 - sample.pictures as f64 * a_picture;
        Self {
            a_byte: of_texts.max(1.0) / sample.bytes as f64,
            a_picture,
        }
    }

    /// A quarter more.
    pub(crate) fn more(self) -> Self {
        Self {
            a_byte: self.a_byte * 1.25,
            a_picture: self.a_picture * 1.25,
        }
    }

    fn cost(self, length: &Length) -> f64 {
        length.bytes as f64 * self.a_byte + length.pictures as f64 * self.a_picture
    }
}

/// Lengths of the turns, oldest first, marks included.
pub(crate) struct Lengths(Vec<Length>);

impl Lengths {
    pub(crate) fn new(turns: impl Iterator<Item = Length>) -> Self {
        let marked = turns.map(|turn| Length {
            bytes: turn.bytes + MARKS,
            ..turn
        });
        Self(marked.collect())
    }

    /// How many of the oldest turns make the sample, and their length; at least one if there is any.
    pub(crate) fn sample(&self) -> (usize, Length) {
        let mut sum = Length::default();
        for (turns, length) in self.0.iter().enumerate() {
            sum.bytes += length.bytes;
            sum.pictures += length.pictures;
            if sum.bytes >= SAMPLE {
                return (turns + 1, sum);
            }
        }
        (self.0.len(), sum)
    }

    /// The newest turns that a prompt remembers: their number, if `tokens` hold for all.
    pub(crate) fn remembered(&self, tokens: Tokens, room: Room) -> usize {
        let costs: Vec<f64> = self.0.iter().map(|length| tokens.cost(length)).collect();
        if costs.iter().sum::<f64>() <= room.exact as f64 {
            return costs.len();
        }
        costs.len() - first_remembered(&costs, room.steady as f64)
    }
}

/// Tokens that the history may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// What this prompt leaves.
    exact: usize,
    /// The same in whole steps.
    steady: usize,
}

impl Room {
    /// The room in a prompt of at most `budget` tokens, of which `needed` are taken.
    pub(crate) fn new(budget: usize, needed: usize) -> Self {
        let exact = budget.saturating_sub(needed);
        let step = (budget / STEPS).max(1);
        let steady = match exact < step {
            true => exact,
            false => exact - exact % step,
        };
        Self { exact, steady }
    }
}

/// The first turn that is remembered after the last of `costs`.
fn first_remembered(costs: &[f64], room: f64) -> usize {
    let (mut first, mut used) = (0, 0.0);
    for (turn, cost) in costs.iter().enumerate() {
        used += cost;
        if used <= room {
            continue;
        }
        while first < turn && used > room * 0.75 {
            used -= costs[first];
            first += 1;
        }
        // The turn alone is more than there is room for.
        if used > room {
            (first, used) = (turn + 1, 0.0);
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Length {
        Length { bytes, pictures: 0 }
    }

    #[test]
    fn the_pictures_of_a_sample_do_not_make_words_dear() {
        let sample = Length {
            bytes: 400,
            pictures: 2,
        };
        let tokens = Tokens::of(sample, 2100, 1000.0);
        assert_eq!(tokens.cost(&sample), 2100.0);
        assert_eq!(tokens.cost(&text(400)), 100.0);
        let turns = [sample, text(368), text(368)];
        let lengths = Lengths::new(turns.into_iter());
        assert_eq!(lengths.remembered(tokens, Room::new(1000, 200)), 2);
    }

    #[test]
    fn turns_are_left_out_in_steps() {
        let costs = [10.0; 60];
        let firsts: Vec<_> = (1..=60)
            .map(|turns| first_remembered(&costs[..turns], 200.0))
            .collect();
        assert_eq!(firsts[19], 0, "twenty turns fill the room");
        assert_eq!(firsts[20], 6, "the next one leaves fifteen");
        let moves = firsts.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(moves <= 7, "{firsts:?}");
        for (turns, first) in (1..).zip(&firsts) {
            assert!((turns - first) * 10 <= 200, "{turns} turns from {first}");
        }
    }

    #[test]
    fn a_turn_that_is_too_long_alone_leaves_nothing_before_it() {
        assert_eq!(first_remembered(&[10.0, 500.0], 100.0), 2);
        assert_eq!(first_remembered(&[10.0, 500.0, 10.0], 100.0), 2);
        assert_eq!(
            first_remembered(&[50.0, 90.0], 100.0),
            1,
            "one that just fits is remembered"
        );
    }

    #[test]
    fn all_turns_are_remembered_while_they_fit_exactly() {
        let lengths = Lengths::new([text(68), text(68)].into_iter());
        let room = Room::new(1000, 800);
        assert_eq!((room.exact, room.steady), (200, 125));
        let a_byte = |a_byte| Tokens {
            a_byte,
            a_picture: 0.0,
        };
        assert_eq!(lengths.remembered(a_byte(1.0), room), 2);
        assert_eq!(lengths.remembered(a_byte(1.01), room), 1);
    }

    #[test]
    fn a_room_smaller_than_a_step_is_not_lost() {
        assert_eq!(Room::new(1000, 990).steady, 10);
        assert_eq!(Room::new(1000, 1000).steady, 0);
        assert_eq!(Room::new(3, 1).steady, 2);
    }

    #[test]
    fn the_sample_is_the_same_while_a_chat_grows() {
        let lengths = |turns| Lengths::new(std::iter::repeat_n(text(968), turns));
        assert_eq!(lengths(1).sample(), (1, text(1000)));
        assert_eq!(lengths(3).sample(), (3, text(3000)));
        assert_eq!(lengths(50).sample(), (3, text(3000)));
    }
}
