//! What lies between the products of a decoder (`fused.cu`), on tensors in a card's memory.
//!
//! All are row-major, and what a kernel gives lies in new memory. Sizes are checked here, so that no kernel touches what
//! is not its own.

use cudarc::driver::{CudaSlice, CudaView, PushKernelArg};

use super::error::CardError;
use super::kernels::{CardKernels, CardNumber, Turned};
use super::launch::{THREADS, all_counted, blocks, length, multiple, wrong_length};
use crate::RotaryLayout;

/// Which scores there are, and who may look where.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxShape {
    /// Texts.
    pub parts: usize,
    /// Query heads of a key head.
    pub group: usize,
    /// Tokens of each part.
    pub tokens: usize,
    /// The number of the first of them among all that its part has in this step.
    pub first_token: usize,
    /// Scores of each.
    pub positions: usize,
    /// How many positions up to its own a token looks at.
    pub window: usize,
    /// Scores are kept within it by a hyperbolic tangent.
    pub cap: Option<f32>,
}

/// What turns heads.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'card> {
    /// Cosines of angles, times `scale`: (tokens, pairs).
    pub cosines: &'card CudaView<'card, f32>,
    /// As the cosines.
    pub sines: &'card CudaView<'card, f32>,
    /// Tokens.
    pub tokens: usize,
    /// Components of a head.
    pub width: usize,
    /// How pairs lie.
    pub layout: RotaryLayout,
    /// What components beyond the pairs are multiplied by.
    pub scale: f32,
}

/// What a gate is passed through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// `x / (1 + exp(-x))`.
    Silu,
    /// By its approximation with a hyperbolic tangent.
    GeluTanh,
}

impl CardKernels {
    /// Softmax of the scores that each token may look at, and zero for the others.
    ///
    /// `scores` and what comes back are (key heads, parts, group, tokens, positions); `leads` has a number for each part:
    /// the position of its first token of the step, counted from the first that is shown.
    ///
    /// # Errors
    ///
    /// [`CardError::Shape`] and [`CardError::TooLarge`]; the driver's, when there is no memory.
    pub fn masked_softmax<T: CardNumber>(
        &self,
        scores: &CudaView<'_, T>,
        leads: &CudaView<'_, u32>,
        shape: &SoftmaxShape,
    ) -> Result<CudaSlice<T>, CardError> {
        let whole = shape.parts * shape.group * shape.tokens * shape.positions;
        multiple("scores", scores.len(), whole)?;
        length("leads", leads.len(), shape.parts)?;
        let rows = scores.len() / shape.positions;
        let sizes = [
            shape.parts,
            shape.group,
            shape.tokens,
            shape.first_token,
            shape.positions,
        ];
        let [parts, group, tokens, first_token, positions] = all_counted(sizes)?;
        // No window is larger than any.
        let window = u32::try_from(shape.window).unwrap_or(u32::MAX);
        let cap = shape.cap.unwrap_or(0.0);
        let mut shares = self.room(scores.len())?;
        let mut launch = self.stream.launch_builder(&T::of(self).masked_softmax);
        launch.arg(scores).arg(&mut shares).arg(leads);
        launch
            .arg(&parts)
            .arg(&group)
            .arg(&tokens)
            .arg(&first_token);
        launch.arg(&positions).arg(&window).arg(&cap);
        // SAFETY: these are the kernel's parameters. A block reads and writes one row of `positions` numbers, of which
        // both tensors have one for each block, and one of `parts` leads.
        unsafe { launch.launch(blocks(rows)?) }?;
        Ok(shares)
    }

    /// Turns heads (heads, tokens, width) by the angles of their tokens.
    ///
    /// # Errors
    ///
    /// As [`Self::masked_softmax`].
    pub fn turned<T: Turned<To>, To: CardNumber>(
        &self,
        heads: &CudaView<'_, T>,
        turn: &Turn<'_>,
    ) -> Result<CudaSlice<To>, CardError> {
        multiple("heads", heads.len(), turn.tokens * turn.width)?;
        multiple("a head's width", turn.width, 2)?;
        multiple("cosines", turn.cosines.len(), turn.tokens)?;
        length("sines", turn.sines.len(), turn.cosines.len())?;
        let pairs = turn.cosines.len() / turn.tokens;
        if 2 * pairs > turn.width {
            return Err(wrong_length(
                "cosines",
                turn.cosines.len(),
                turn.tokens * turn.width / 2,
            ));
        }
        let all = heads.len() / 2;
        let [tokens, width, pairs, count] = all_counted([turn.tokens, turn.width, pairs, all])?;
        let interleaved = u32::from(turn.layout == RotaryLayout::Interleaved);
        let mut out = self.room(heads.len())?;
        let mut launch = self.stream.launch_builder(T::turns(self));
        launch
            .arg(heads)
            .arg(turn.cosines)
            .arg(turn.sines)
            .arg(&mut out);
        launch
            .arg(&tokens)
            .arg(&width)
            .arg(&pairs)
            .arg(&interleaved);
        launch.arg(&turn.scale).arg(&count);
        // SAFETY: these are the kernel's parameters. Each of the first `count` threads reads and writes two components
        // of a head, and reads one of tokens * pairs angles; the pairs lie within a head's width.
        unsafe { launch.launch(blocks(all.div_ceil(THREADS))?) }?;
        Ok(out)
    }

    /// The gate of each row, passed through `gate`, times what it lets pass: (rows, 2 * width) to (rows, width).
    ///
    /// # Errors
    ///
    /// As [`Self::masked_softmax`].
    pub fn gated<T: CardNumber>(
        &self,
        both: &CudaView<'_, T>,
        width: usize,
        gate: Gate,
    ) -> Result<CudaSlice<T>, CardError> {
        multiple("gates", both.len(), 2 * width)?;
        let all = both.len() / 2;
        let [row, count] = all_counted([width, all])?;
        let is_gelu = u32::from(gate == Gate::GeluTanh);
        let mut out = self.room(all)?;
        let mut launch = self.stream.launch_builder(&T::of(self).gated);
        launch
            .arg(both)
            .arg(&mut out)
            .arg(&row)
            .arg(&is_gelu)
            .arg(&count);
        // SAFETY: these are the kernel's parameters. Each of the first `count` threads writes one of as many numbers and
        // reads two of the same row, of `2 * width`.
        unsafe { launch.launch(blocks(all.div_ceil(THREADS))?) }?;
        Ok(out)
    }

    /// The sums of two states, and behind them the sums divided by their root mean square and scaled: (rows, width)
    /// each to (2, rows, width).
    ///
    /// # Errors
    ///
    /// As [`Self::masked_softmax`].
    pub fn added_and_normed<T: CardNumber>(
        &self,
        states: &CudaView<'_, T>,
        more: &CudaView<'_, T>,
        scale: &CudaView<'_, T>,
        epsilon: f32,
    ) -> Result<CudaSlice<T>, CardError> {
        multiple("states", states.len(), scale.len())?;
        length("more", more.len(), states.len())?;
        let rows = states.len() / scale.len();
        let [count, width] = all_counted([rows, scale.len()])?;
        let mut out = self.room(2 * states.len())?;
        let mut launch = self.stream.launch_builder(&T::of(self).added_and_normed);
        launch.arg(states).arg(more).arg(scale).arg(&mut out);
        launch.arg(&count).arg(&width).arg(&epsilon);
        // SAFETY: these are the kernel's parameters. A block reads a row of `width` numbers of each tensor, of which
        // there is one for each block, and writes one of each half of `out`.
        unsafe { launch.launch(blocks(rows)?) }?;
        Ok(out)
    }
}
