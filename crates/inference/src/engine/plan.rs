//! Who reads how many tokens in the next step.
//!
//! Every answer that is running gets its next token. What is left of the step goes to prompts: to the
//! oldest first, because those that wait share the delay least that way, but up to half of it to one
//! that is much shorter, so that a short question does not wait for a long document. A prompt that
//! begins like one that is being read waits until that part is known, and takes it over.

use std::cmp::min;

use super::cache_kind::CacheKind;

/// Tokens in common that are worth waiting for.
const WORTH_WAITING: usize = 32;

/// How far a request has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress<'text> {
    /// With which others it shares what is read.
    pub(super) kind: &'text CacheKind,
    /// Tokens of its prompt.
    pub(super) prompt: &'text [u32],
    /// Tokens that were read; less than the prompt has in those that have not answered yet.
    pub(super) read: usize,
    /// Tokens of its prompt that it could take over from the prefix cache, if it has read nothing.
    pub(super) known: usize,
}

impl Progress<'_> {
    fn remaining(&self) -> usize {
        self.prompt.len().saturating_sub(self.read.max(self.known))
    }

    fn is_reading(&self) -> bool {
        self.read < self.prompt.len()
    }
}

/// How many tokens of their prompts requests read, in the order of `requests`, which is that of their
/// coming; `budget` tokens together. 0 for those whose answer is running.
pub(super) fn share_out(requests: &[Progress<'_>], budget: usize) -> Vec<usize> {
    let mut shares = vec![0; requests.len()];
    let ready: Vec<usize> = (0..requests.len())
        .filter(|&number| requests[number].is_reading() && !waits(requests, number))
        .collect();
    let mut left = budget;
    if let Some(short) = much_shorter(requests, &ready) {
        give(requests, &mut shares, short, budget / 2, &mut left);
    }
    for number in ready {
        let most = left;
        give(requests, &mut shares, number, most, &mut left);
    }
    shares
}

fn give(
    requests: &[Progress<'_>],
    shares: &mut [usize],
    number: usize,
    most: usize,
    left: &mut usize,
) {
    let wanted = requests[number].remaining() - shares[number];
    let given = min(wanted, most);
    shares[number] += given;
    *left -= given;
}

/// The request with the least left to read, if that is less than half of what the oldest has left.
fn much_shorter(requests: &[Progress<'_>], ready: &[usize]) -> Option<usize> {
    let oldest = requests[*ready.first()?].remaining();
    let shortest = ready
        .iter()
        .copied()
        .min_by_key(|&number| requests[number].remaining())?;
    (requests[shortest].remaining() < oldest / 2).then_some(shortest)
}

/// Whether an older request is just reading what this one begins with.
fn waits(requests: &[Progress<'_>], number: usize) -> bool {
    let request = &requests[number];
    request.read == 0
        && requests[..number].iter().any(|older| {
            if older.kind != request.kind {
                return false;
            }
            let shared = common_prefix(request.prompt, older.prompt);
            older.is_reading() && older.read < shared && shared >= request.known + WORTH_WAITING
        })
}

fn common_prefix(left: &[u32], right: &[u32]) -> usize {
    let pairs = left.iter().zip(right);
    pairs.take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: CacheKind = CacheKind {
        of_model: 0,
        adapter: 0,
        scope: None,
    };
    const OTHER: CacheKind = CacheKind { adapter: 1, ..ANY };

    fn progress(prompt: &[u32], read: usize) -> Progress<'_> {
        Progress {
            kind: &ANY,
            prompt,
            read,
            known: 0,
        }
    }

    fn prompt(first: u32, length: usize) -> Vec<u32> {
        (first..).take(length).collect()
    }

    #[test]
    fn the_oldest_prompt_goes_first_and_answers_read_nothing() {
        let prompts = [prompt(0, 100), prompt(1000, 90), prompt(2000, 80)];
        let requests = [
            progress(&prompts[0], 100),
            progress(&prompts[1], 20),
            progress(&prompts[2], 0),
        ];
        assert_eq!(share_out(&requests, 60), [0, 60, 0]);
        assert_eq!(share_out(&requests, 100), [0, 70, 30]);
        assert_eq!(share_out(&requests, 1000), [0, 70, 80]);
    }

    #[test]
    fn a_short_prompt_gets_up_to_half_beside_a_long_one() {
        let prompts = [prompt(0, 1000), prompt(5000, 400), prompt(9000, 10)];
        let requests = prompts.each_ref().map(|prompt| progress(prompt, 0));
        assert_eq!(share_out(&requests, 100), [90, 0, 10]);
        let requests = [requests[0], requests[1]];
        assert_eq!(share_out(&requests, 100), [50, 50]);
        let requests = [progress(&prompts[0], 500), progress(&prompts[1], 0)];
        assert_eq!(share_out(&requests, 100), [100, 0], "not much shorter");
    }

    #[test]
    fn a_prompt_waits_for_the_beginning_that_it_shares() {
        let mut other = prompt(0, 600);
        other[300..].fill(7);
        let first = prompt(0, 600);
        let requests = |read, known| {
            [
                progress(&first, read),
                Progress {
                    known,
                    ..progress(&other, 0)
                },
            ]
        };
        assert_eq!(share_out(&requests(0, 0), 1000), [600, 0]);
        let mut strangers = requests(0, 0);
        strangers[1].kind = &OTHER;
        assert_eq!(share_out(&strangers, 1000), [600, 400], "of another kind");
        assert_eq!(share_out(&requests(299, 256), 1000), [301, 0]);
        assert_eq!(
            share_out(&requests(299, 280), 1000),
            [301, 320],
            "20 tokens are not worth waiting for"
        );
        assert_eq!(
            share_out(&requests(300, 300), 1000),
            [300, 300],
            "all of it is known"
        );
        assert_eq!(
            share_out(&requests(300, 0), 1000),
            [300, 600],
            "no longer kept: read again"
        );
        assert_eq!(share_out(&requests(600, 0), 1000), [0, 600]);
    }

    #[test]
    fn nothing_to_do_is_no_share() {
        assert!(share_out(&[], 100).is_empty());
        let whole = prompt(0, 5);
        assert_eq!(share_out(&[progress(&whole, 5)], 100), [0]);
    }
}
