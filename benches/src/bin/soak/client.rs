//! One client: asks, reads as planned, and checks what comes.

use std::thread;
use std::time::Instant;

use longtrainer_inference::{
    Error, FinishReason, GenerateRequest, Generation, StreamItem, TextStream,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Soak;
use crate::plan::{Kind, Plan, Reader};
use crate::tally::Ending;

/// A client, which has one request at a time.
pub(crate) struct Client<'soak> {
    soak: &'soak Soak,
    number: usize,
    random: StdRng,
}

impl<'soak> Client<'soak> {
    /// A client with a seed of its own.
    pub(crate) fn new(soak: &'soak Soak, seed: u64, number: usize) -> Self {
        let own = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number as u64;
        Self {
            soak,
            number,
            random: StdRng::seed_from_u64(own),
        }
    }

    /// Asks until the time is over.
    pub(crate) fn run(mut self) {
        let context_length = self.soak.model.info().context_length;
        while Instant::now() < self.soak.end {
            // Squared, so that requests come in bursts.
            let share: f64 = self.random.random();
            thread::sleep(self.soak.pause.mul_f64(share * share));
            let plan = self.soak.planner.next(&mut self.random, context_length);
            self.soak.tally.begin(self.number);
            let (ending, tokens) = self.ask(&plan);
            self.soak.tally.end(self.number, ending, tokens);
        }
    }

    /// Asks once. How it ended, and tokens of the answer.
    pub(crate) fn ask(&self, plan: &Plan) -> (Ending, usize) {
        match self.soak.model.generate(plan.request.clone()) {
            Ok(stream) if plan.kind == Kind::Wrong => {
                drop(stream);
                self.fail(plan, "it should have been refused")
            }
            Ok(stream) => self.read(plan, stream),
            Err(Error::QueueFull { .. }) => (Ending::Refused, 0),
            Err(Error::InvalidRequest { .. } | Error::PromptTooLong { .. })
                if plan.kind == Kind::Wrong =>
            {
                (Ending::Rejected, 0)
            }
            Err(error) => self.fail(plan, &format!("it was refused: {error}")),
        }
    }

    fn read(&self, plan: &Plan, mut stream: TextStream) -> (Ending, usize) {
        if let Reader::Leaves(after) = plan.reader {
            thread::sleep(after);
            return (Ending::Cancelled, 0);
        }
        let (mut text, mut pieces) = (String::new(), 0);
        while let Some(item) = stream.next() {
            self.soak.tally.sign_of_life(self.number);
            match item {
                Ok(StreamItem::Text(piece)) => text += &piece,
                Ok(StreamItem::Token(_)) => {
                    return self.fail(plan, "a token came that nobody asked for");
                }
                Ok(StreamItem::Done(generation)) => {
                    return self.finish(plan, &text, generation, stream);
                }
                Err(error) => return self.fail(plan, &format!("it failed: {error}")),
            }
            pieces += 1;
            match plan.reader {
                Reader::LeavesAfter(most) if pieces >= most => return self.leave(plan, &text),
                Reader::ToTheEnd(pause) => thread::sleep(pause),
                _ => {}
            }
        }
        self.fail(plan, "its stream ended without an end")
    }

    /// The answer is whole: nothing may follow, and it must be as it was asked for.
    fn finish(
        &self,
        plan: &Plan,
        text: &str,
        generation: Generation,
        mut stream: TextStream,
    ) -> (Ending, usize) {
        if stream.next().is_some() {
            return self.fail(plan, "something came after its end");
        }
        if let Some(problem) = problem(&plan.request, text, generation) {
            return self.fail(plan, &problem);
        }
        if let Kind::Repeated(question) = plan.kind {
            match self.soak.known.check(question, text) {
                Ok(true) => self.soak.tally.count_repeated(),
                Ok(false) => {}
                Err(difference) => return self.fail(plan, &difference),
            }
        }
        (Ending::Done, generation.usage.completion_tokens)
    }

    fn leave(&self, plan: &Plan, text: &str) -> (Ending, usize) {
        if let Kind::Repeated(question) = plan.kind
            && let Err(difference) = self.soak.known.check_beginning(question, text)
        {
            return self.fail(plan, &difference);
        }
        (Ending::Cancelled, 0)
    }

    fn fail(&self, plan: &Plan, problem: &str) -> (Ending, usize) {
        let request = &plan.request;
        let sizes: Vec<_> = request.messages.iter().map(|it| it.content.len()).collect();
        self.soak.tally.complain(format!(
            "{problem} ({:?}, {:?}, messages of {sizes:?} bytes, {} tokens at most, stop {:?}, {:?})",
            plan.kind, plan.reader, request.max_tokens, request.stop, request.sampling
        ));
        (Ending::Failed, 0)
    }
}

/// What a whole answer has that it must not have.
fn problem(request: &GenerateRequest, text: &str, generation: Generation) -> Option<String> {
    let (made, most) = (generation.usage.completion_tokens, request.max_tokens);
    if made > most {
        return Some(format!("it has {made} tokens"));
    }
    if generation.finish_reason == FinishReason::Length && made < most {
        return Some(format!("it ended for its length after {made} tokens"));
    }
    let usage = generation.usage;
    if usage.cached_tokens >= usage.prompt_tokens || usage.accepted_tokens > usage.drafted_tokens {
        return Some(format!("its costs do not add up: {usage:?}"));
    }
    let stop = request.stop.iter().find(|stop| text.contains(*stop))?;
    Some(format!("it holds the stop string {stop:?}: {text:?}"))
}
