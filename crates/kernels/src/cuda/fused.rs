//! Kernels for what lies between the products of a decoder (`fused.cu`), on tensors in a card's memory.
//!
//! All are row-major, and what a kernel gives lies in new memory. Sizes are checked here, so that no kernel touches what
//! is not its own.

use std::sync::Arc;

use cudarc::driver::{
    CudaFunction, CudaModule, CudaSlice, CudaStream, CudaView, DeviceRepr, DriverError,
    LaunchConfig, PushKernelArg,
};
use cudarc::nvrtc::Ptx;
use half::{bf16, f16};

use crate::RotaryLayout;

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/fused.ptx"));
/// As in `fused.cu`.
const THREADS: u32 = 256;

/// What can go wrong before a kernel runs.
#[derive(Debug, thiserror::Error)]
pub enum FusedError {
    /// Tensors that do not fit together.
    #[error("{0}")]
    Shape(#[from] crate::Error),
    /// More numbers than a kernel counts.
    #[error("{count} numbers are more than a kernel for a card counts")]
    TooLarge {
        /// Numbers, or rows of them.
        count: usize,
    },
    /// What the driver says.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

/// The kernels, loaded to a card.
#[derive(Debug, Clone)]
pub struct FusedKernels {
    stream: Arc<CudaStream>,
    f32: OfOneType,
    f16: OfOneType,
    bf16: OfOneType,
    f32_f32: CudaFunction,
    f32_f16: CudaFunction,
    f16_f16: CudaFunction,
    bf16_bf16: CudaFunction,
}

#[derive(Debug, Clone)]
struct OfOneType {
    masked_softmax: CudaFunction,
    gated: CudaFunction,
    added_and_normed: CudaFunction,
}

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

/// Numbers that the kernels take.
pub trait FusedNumber: DeviceRepr + sealed::OfKernels {}

impl FusedNumber for f32 {}
impl FusedNumber for f16 {}
impl FusedNumber for bf16 {}

/// Numbers of heads, and what they are kept in when they are turned.
pub trait Turned<To>: FusedNumber + sealed::Turns<To> {}

impl Turned<f32> for f32 {}
impl Turned<f16> for f32 {}
impl Turned<f16> for f16 {}
impl Turned<bf16> for bf16 {}

mod sealed {
    use super::{CudaFunction, FusedKernels, OfOneType, bf16, f16};

    pub trait OfKernels {
        #[expect(private_interfaces, reason = "nobody else names it")]
        fn of(kernels: &FusedKernels) -> &OfOneType;
    }

    pub trait Turns<To> {
        fn turns(kernels: &FusedKernels) -> &CudaFunction;
    }

    macro_rules! of_kernels {
        ($number:ident) => {
            impl OfKernels for $number {
                #[expect(private_interfaces, reason = "nobody else names it")]
                fn of(kernels: &FusedKernels) -> &OfOneType {
                    &kernels.$number
                }
            }
        };
    }

    macro_rules! turns {
        ($from:ident, $to:ident, $name:ident) => {
            impl Turns<$to> for $from {
                fn turns(kernels: &FusedKernels) -> &CudaFunction {
                    &kernels.$name
                }
            }
        };
    }

    of_kernels!(f32);
    of_kernels!(f16);
    of_kernels!(bf16);
    turns!(f32, f32, f32_f32);
    turns!(f32, f16, f32_f16);
    turns!(f16, f16, f16_f16);
    turns!(bf16, bf16, bf16_bf16);
}

impl FusedKernels {
    /// Loads the kernels to the card of a stream, which all of them will run on.
    ///
    /// # Errors
    ///
    /// The driver's, if it cannot compile them for its card.
    pub fn load(stream: &Arc<CudaStream>) -> Result<Self, DriverError> {
        let module = stream.context().load_module(Ptx::from_src(PTX))?;
        let of = |name: &str| OfOneType::load(&module, name);
        let turned = |name: &str| module.load_function(&format!("turned_{name}"));
        Ok(Self {
            stream: Arc::clone(stream),
            f32: of("f32")?,
            f16: of("f16")?,
            bf16: of("bf16")?,
            f32_f32: turned("f32_f32")?,
            f32_f16: turned("f32_f16")?,
            f16_f16: turned("f16_f16")?,
            bf16_bf16: turned("bf16_bf16")?,
        })
    }

    /// Softmax of the scores that each token may look at, and zero for the others.
    ///
    /// `scores` and what comes back are (key heads, parts, group, tokens, positions); `leads` has a number for each part:
    /// the position of its first token of the step, counted from the first that is shown.
    ///
    /// # Errors
    ///
    /// [`FusedError::Shape`] and [`FusedError::TooLarge`]; the driver's, when there is no memory.
    pub fn masked_softmax<T: FusedNumber>(
        &self,
        scores: &CudaView<'_, T>,
        leads: &CudaView<'_, u32>,
        shape: &SoftmaxShape,
    ) -> Result<CudaSlice<T>, FusedError> {
        let whole = shape.parts * shape.group * shape.tokens * shape.positions;
        multiple("scores", scores.len(), whole)?;
        length("leads", leads.len(), shape.parts)?;
        let rows = scores.len() / shape.positions;
        let (parts, group) = (counted(shape.parts)?, counted(shape.group)?);
        let (tokens, first_token) = (counted(shape.tokens)?, counted(shape.first_token)?);
        let positions = counted(shape.positions)?;
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
    pub fn turned<T: Turned<To>, To: FusedNumber>(
        &self,
        heads: &CudaView<'_, T>,
        turn: &Turn<'_>,
    ) -> Result<CudaSlice<To>, FusedError> {
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
        let (tokens, width) = (counted(turn.tokens)?, counted(turn.width)?);
        let (pairs, count) = (counted(pairs)?, counted(all)?);
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
        unsafe { launch.launch(blocks(all.div_ceil(THREADS as usize))?) }?;
        Ok(out)
    }

    /// The gate of each row, passed through `gate`, times what it lets pass: (rows, 2 * width) to (rows, width).
    ///
    /// # Errors
    ///
    /// As [`Self::masked_softmax`].
    pub fn gated<T: FusedNumber>(
        &self,
        both: &CudaView<'_, T>,
        width: usize,
        gate: Gate,
    ) -> Result<CudaSlice<T>, FusedError> {
        multiple("gates", both.len(), 2 * width)?;
        let all = both.len() / 2;
        let (row, count) = (counted(width)?, counted(all)?);
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
        unsafe { launch.launch(blocks(all.div_ceil(THREADS as usize))?) }?;
        Ok(out)
    }

    /// The sums of two states, and behind them the sums divided by their root mean square and scaled: (rows, width)
    /// each to (2, rows, width).
    ///
    /// # Errors
    ///
    /// As [`Self::masked_softmax`].
    pub fn added_and_normed<T: FusedNumber>(
        &self,
        states: &CudaView<'_, T>,
        more: &CudaView<'_, T>,
        scale: &CudaView<'_, T>,
        epsilon: f32,
    ) -> Result<CudaSlice<T>, FusedError> {
        multiple("states", states.len(), scale.len())?;
        length("more", more.len(), states.len())?;
        let rows = states.len() / scale.len();
        let (count, width) = (counted(rows)?, counted(scale.len())?);
        let mut out = self.room(2 * states.len())?;
        let mut launch = self.stream.launch_builder(&T::of(self).added_and_normed);
        launch.arg(states).arg(more).arg(scale).arg(&mut out);
        launch.arg(&count).arg(&width).arg(&epsilon);
        // SAFETY: these are the kernel's parameters. A block reads a row of `width` numbers of each tensor, of which
        // there is one for each block, and writes one of each half of `out`.
        unsafe { launch.launch(blocks(rows)?) }?;
        Ok(out)
    }

    /// Memory that a kernel will fill.
    fn room<T: DeviceRepr>(&self, count: usize) -> Result<CudaSlice<T>, DriverError> {
        // SAFETY: each kernel writes all that it is given to write, and nobody reads it before.
        unsafe { self.stream.alloc(count) }
    }
}

impl OfOneType {
    fn load(module: &Arc<CudaModule>, name: &str) -> Result<Self, DriverError> {
        let function = |kernel: &str| module.load_function(&format!("{kernel}_{name}"));
        Ok(Self {
            masked_softmax: function("masked_softmax")?,
            gated: function("gated")?,
            added_and_normed: function("added_and_normed")?,
        })
    }
}

fn blocks(count: usize) -> Result<LaunchConfig, FusedError> {
    match i32::try_from(count) {
        Ok(count) => Ok(LaunchConfig {
            grid_dim: (count.unsigned_abs(), 1, 1),
            block_dim: (THREADS, 1, 1),
            shared_mem_bytes: 0,
        }),
        Err(_) => Err(FusedError::TooLarge { count }),
    }
}

/// Threads are counted up to the next multiple of a block's.
fn counted(count: usize) -> Result<u32, FusedError> {
    match u32::try_from(count) {
        Ok(counted) if counted < u32::MAX - THREADS => Ok(counted),
        _ => Err(FusedError::TooLarge { count }),
    }
}

fn length(argument: &'static str, received: usize, expected: usize) -> Result<(), FusedError> {
    match received == expected {
        true => Ok(()),
        false => Err(wrong_length(argument, received, expected)),
    }
}

fn wrong_length(argument: &'static str, received: usize, expected: usize) -> FusedError {
    FusedError::Shape(crate::Error::Length {
        argument,
        expected,
        received,
    })
}

/// That something is a multiple of what is not zero, and not zero itself: a grid of no blocks is none.
fn multiple(argument: &'static str, received: usize, dimension: usize) -> Result<(), FusedError> {
    match received > 0 && dimension > 0 && received.is_multiple_of(dimension) {
        true => Ok(()),
        false => Err(crate::Error::PartialVector {
            argument,
            dimension,
            received,
        }
        .into()),
    }
}
