//! The sizes that a picture goes through, without its pixels.
//!
//! Whole numbers come from fractions here exactly as in transformers (64 bits, cut off), so that every
//! size of picture gets the same tiles.

use crate::RgbImage;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What is done to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// The first resize, which keeps the aspect.
    pub(super) first: Size,
    /// The second, to whole tiles.
    pub(super) second: Size,
    /// Rows of tiles, none where the second size is one tile.
    pub(super) rows: usize,
    /// Columns of tiles.
    pub(super) columns: usize,
}

impl Plan {
    /// For a picture of a size whose longest edge is brought to `longest`.
    pub(super) fn new(size: Size, longest: u32, tile: u32, splits: bool) -> Self {
        let first = size.with_longest_edge(longest);
        let second = if splits {
            first.in_whole_tiles(tile)
        } else {
            Size::square(tile)
        };
        let one_frame = second == Size::square(tile);
        let tiles = |side: u32| {
            if one_frame { 0 } else { (side / tile) as usize }
        };
        Self {
            first,
            second,
            rows: tiles(second.height),
            columns: tiles(second.width),
        }
    }
}

impl Size {
    pub(super) fn of(image: &RgbImage) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
        }
    }

    pub(super) fn square(side: u32) -> Self {
        Self {
            width: side,
            height: side,
        }
    }

    /// Larger or smaller, until the longest edge has a length. The other is made even.
    fn with_longest_edge(self, longest: u32) -> Self {
        self.along_longest(|_| longest, |other| (other + other % 2).max(1))
    }

    /// Up to whole tiles on both sides.
    fn in_whole_tiles(self, tile: u32) -> Self {
        let whole = |side: u32| side.div_ceil(tile).max(1) * tile;
        self.along_longest(whole, whole)
    }

    /// A new longest edge, from which the other follows by the aspect and is then adjusted.
    fn along_longest(self, longest: impl Fn(u32) -> u32, other: impl Fn(u32) -> u32) -> Self {
        let aspect = f64::from(self.width) / f64::from(self.height);
        if self.width >= self.height {
            let width = longest(self.width);
            let height = other((f64::from(width) / aspect) as u32);
            Self { width, height }
        } else {
            let height = longest(self.height);
            let width = other((f64::from(height) * aspect) as u32);
            Self { width, height }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(width: u32, height: u32, longest: u32) -> Plan {
        Plan::new(Size { width, height }, longest, 512, true)
    }

    #[test]
    fn a_photo_of_four_to_three() {
        let plan = plan(4000, 3000, 2048);
        assert_eq!(
            plan.first,
            Size {
                width: 2048,
                height: 1536
            }
        );
        assert_eq!((plan.rows, plan.columns), (3, 4));
    }

    #[test]
    fn the_other_edge_is_made_even_and_never_vanishes() {
        assert_eq!(plan(1000, 701, 512).first.height, 358);
        assert_eq!(plan(1000, 699, 512).first.height, 358);
        assert_eq!(plan(20_000, 1, 2048).first.height, 1);
        assert_eq!(plan(1, 20_000, 2048).first.width, 1);
    }

    #[test]
    fn a_square_is_at_most_seventeen_frames() {
        for side in [1, 17, 512, 513, 5000] {
            let plan = plan(side, side, 2048);
            assert_eq!((plan.rows, plan.columns), (4, 4), "{side}");
        }
    }

    #[test]
    fn what_is_not_split_is_one_tile() {
        let size = Size {
            width: 900,
            height: 200,
        };
        let plan = Plan::new(size, 2048, 512, false);
        assert_eq!(plan.second, Size::square(512));
        assert_eq!((plan.rows, plan.columns), (0, 0));
    }
}
