//! The shape of a vision half, and what its pictures are made into.

/// What a checkpoint says of its vision half: a SigLIP tower, pixel shuffle, and one linear map to the
/// text model's width. Sizes in pixels, patches or values, as said.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Values of a patch's state.
    pub hidden: usize,
    /// Blocks of attention and feed-forward parts.
    pub blocks: usize,
    /// Heads of attention, which share `hidden`.
    pub heads: usize,
    /// Values inside the feed-forward parts.
    pub inner: usize,
    /// Pixels of a frame's side.
    pub image_size: usize,
    /// Pixels of a patch's side. What is left of a frame after whole patches is not looked at.
    pub patch_size: usize,
    /// What the norms add to a variance.
    pub epsilon: f32,
    /// Patches of the side of a square that becomes one token.
    pub scale_factor: usize,
    /// Values of a token for the text model.
    pub text_width: usize,
    /// Pixels of a picture's longer side before it is cut into frames.
    pub longest_edge: usize,
    /// What is taken from the channels red, green and blue, whose values are 0 to 1, ...
    pub mean: [f32; 3],
    /// ... and what they are divided by then.
    pub std: [f32; 3],
}

/// Sizes beyond it are nobody's model, and products of three of them still fit a `usize`.
const MOST: usize = 1 << 16;

impl VisionConfig {
    /// Patches of a frame's side.
    pub fn side(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Patches of a frame.
    pub fn patches(&self) -> usize {
        self.side() * self.side()
    }

    /// Tokens that a frame becomes.
    pub fn tokens(&self) -> usize {
        let side = self.side() / self.scale_factor;
        side * side
    }

    /// Values of a frame: three channels of rows of pixels.
    pub fn frame_values(&self) -> usize {
        3 * self.image_size * self.image_size
    }

    /// Values of a head.
    pub(super) fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// Values of a patch before it is embedded.
    pub(super) fn patch_values(&self) -> usize {
        3 * self.patch_size * self.patch_size
    }

    /// Values of the square of states that becomes one token.
    pub(super) fn shuffled(&self) -> usize {
        self.scale_factor * self.scale_factor * self.hidden
    }

    /// What is wrong with the numbers, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        let sizes = [
            ("hidden size", self.hidden),
            ("number of blocks", self.blocks),
            ("number of heads", self.heads),
            ("feed-forward size", self.inner),
            ("image size", self.image_size),
            ("patch size", self.patch_size),
            ("scale factor", self.scale_factor),
            ("text model's width", self.text_width),
            ("longest edge", self.longest_edge),
        ];
        for (name, size) in sizes {
            if !(1..=MOST).contains(&size) {
                return Err(format!("the {name} is {size}, but must be 1 to {MOST}"));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            let (heads, hidden) = (self.heads, self.hidden);
            return Err(format!("{heads} heads cannot share a width of {hidden}"));
        }
        if self.side() == 0 || !self.side().is_multiple_of(self.scale_factor) {
            return Err(format!(
                "frames of {} pixels are {} patches of {} pixels wide, which are not whole squares of {}",
                self.image_size,
                self.side(),
                self.patch_size,
                self.scale_factor
            ));
        }
        self.check_numbers()
    }

    fn check_numbers(&self) -> Result<(), String> {
        if !self.epsilon.is_finite() || self.epsilon < 0.0 {
            return Err(format!("the norms' epsilon is {}", self.epsilon));
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return Err(format!("the channels' means are {:?}", self.mean));
        }
        if self.std.iter().any(|std| !std.is_finite() || *std <= 0.0) {
            return Err(format!("the channels' deviations are {:?}", self.std));
        }
        Ok(())
    }
}
