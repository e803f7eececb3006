//! The markers of a JPEG, walked through without decoding anything: is all of it there, and how many
//! times is it gone over? Decoders go on with grey where a file ends early, so they are not asked.

/// What the markers of a file say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Markers {
    /// Scans: one of a sequential file as a rule, some ten of a progressive one.
    pub(super) scans: usize,
    /// Whether the end of the picture is marked.
    pub(super) complete: bool,
}

/// Markers that stand alone: restarts, the start, and one for private use.
const ALONE: [std::ops::RangeInclusive<u8>; 2] = [0xd0..=0xd8, 0x01..=0x01];
const START_OF_SCAN: u8 = 0xda;
const END: u8 = 0xd9;
/// A byte 0xff among the pixels is followed by this one.
const STUFFED: u8 = 0;

impl Markers {
    /// Walks through all of a file.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut markers = Self::default();
        let mut rest = bytes;
        while let Some((marker, after)) = next_marker(rest) {
            rest = match marker {
                END => {
                    markers.complete = true;
                    return markers;
                }
                marker if ALONE.iter().any(|alone| alone.contains(&marker)) => after,
                marker => {
                    markers.scans += usize::from(marker == START_OF_SCAN);
                    after_segment(after)
                }
            };
        }
        markers
    }
}

/// The next marker and what follows it; fill bytes and pixels are passed over.
fn next_marker(mut rest: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let at = rest.iter().position(|&byte| byte == 0xff)?;
        let (&marker, after) = rest.get(at + 1..)?.split_first()?;
        match marker {
            // The second byte may itself begin a marker.
            0xff => rest = rest.get(at + 1..)?,
            STUFFED => rest = after,
            marker => return Some((marker, after)),
        }
    }
}

/// What follows a segment, whose first two bytes are its length.
fn after_segment(segment: &[u8]) -> &[u8] {
    let length = match segment {
        [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        _ => segment.len(),
    };
    segment.get(length.max(2)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end() {
        let thumbnail = [0xff, 0xe1, 0, 6, 0xff, 0xd9, 0xff, 0xd9];
        let scan = [0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 9, 0xff, 0xd0, 8];
        let mut file = [&[0xff, 0xd8][..], &thumbnail, &scan].concat();
        let cut_off = Markers {
            scans: 1,
            complete: false,
        };
        assert_eq!(Markers::of(&file), cut_off);

        file.extend([0xff, 0xff, 0xd9]);
        assert!(Markers::of(&file).complete);
    }
}
