//! What an image processor works by.

use fast_image_resize::FilterType;

use super::ProcessorError;

/// The largest tile, in pixels a side.
const LARGEST_TILE: u32 = 4096;
/// The longest edge that a picture is brought to. Transformers shrinks pictures to it a second time where
/// a configuration asks for more; no model does.
const LONGEST_EDGE: u32 = 4096;
/// The most tiles a side.
const MOST_TILES: u32 = 16;

/// What an image processor works by, in plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessorSettings {
    /// Pixels a side of a frame (`max_image_size.longest_edge`), which is what the vision tower takes.
    pub tile: u32,
    /// Pixels of the longest edge of a picture that is looked at in all detail (`size.longest_edge`).
    pub longest_edge: u32,
    /// What is taken from a value of red, green and blue, after `rescale` (`image_mean`).
    pub mean: [f32; 3],
    /// What it is then divided by (`image_std`).
    pub std: [f32; 3],
    /// What a value of 0 to 255 is first multiplied with (`rescale_factor`), 1/255 as a rule.
    pub rescale: f64,
    /// How values between pixels are found (`resample`).
    pub filter: Filter,
    /// Whether pictures are cut into tiles at all (`do_image_splitting`).
    pub splits: bool,
}

/// How values between pixels are found. All are widened when a picture shrinks, as Pillow does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Filter {
    /// Lanczos with three lobes.
    #[default]
    Lanczos,
    /// Linear in both directions.
    Bilinear,
    /// Cubic, with -1/2 as its parameter.
    Bicubic,
    /// The mean of what is covered.
    Box,
    /// Hamming.
    Hamming,
}

impl Filter {
    /// By Pillow's number for it. None for what is not known, and for the nearest pixel, which no model
    /// was trained with.
    pub(super) fn of_pillow(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Lanczos),
            2 => Some(Self::Bilinear),
            3 => Some(Self::Bicubic),
            4 => Some(Self::Box),
            5 => Some(Self::Hamming),
            _ => None,
        }
    }

    /// The resizing library's name for it.
    pub(super) fn kernel(self) -> FilterType {
        match self {
            Self::Lanczos => FilterType::Lanczos3,
            Self::Bilinear => FilterType::Bilinear,
            Self::Bicubic => FilterType::CatmullRom,
            Self::Box => FilterType::Box,
            Self::Hamming => FilterType::Hamming,
        }
    }
}

impl ProcessorSettings {
    /// Refuses what makes no sense.
    pub(super) fn check(&self) -> Result<(), ProcessorError> {
        let tile = (1..=LARGEST_TILE).contains(&self.tile);
        require(tile, "tile", self.tile, "1 to 4096 pixels are possible")?;
        let edge = (1..=LONGEST_EDGE).contains(&self.longest_edge);
        require(
            edge,
            "longest edge",
            self.longest_edge,
            "1 to 4096 pixels are possible",
        )?;
        let tiles = self.longest_edge.div_ceil(self.tile);
        require(
            tiles <= MOST_TILES,
            "longest edge in tiles",
            tiles,
            "16 are possible",
        )?;

        let finite = self.mean.iter().all(|mean| mean.is_finite());
        require(
            finite,
            "mean",
            format!("{:?}", self.mean),
            "it must be finite",
        )?;
        let positive = self.std.iter().all(|std| std.is_finite() && *std > 0.0);
        require(
            positive,
            "standard deviation",
            format!("{:?}", self.std),
            "it must be positive",
        )?;
        let rescale = self.rescale.is_finite() && self.rescale > 0.0;
        require(
            rescale,
            "rescale factor",
            self.rescale,
            "it must be positive",
        )
    }
}

fn require(
    holds: bool,
    field: &'static str,
    found: impl ToString,
    expected: &'static str,
) -> Result<(), ProcessorError> {
    if holds {
        return Ok(());
    }
    Err(ProcessorError::Field {
        field,
        found: found.to_string(),
        expected,
    })
}
