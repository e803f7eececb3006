//! Files whose checksums fit and whose fields cannot be: what someone makes who means harm, or a
//! program with a mistake.

use super::support::*;
use crate::file::layout::{Extent, Layout};
use crate::file::*;
use crate::{Error, Result};

/// A sound file of version 2 with some bytes replaced, under fitting checksums.
fn with(edits: &[(usize, &[u8])]) -> Vec<u8> {
    let mut file = Sample::new().file();
    for (at, bytes) in edits {
        file[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    seal_header(&mut file);
    file
}

fn opened(edits: &[(usize, &[u8])]) -> Result<Container> {
    open_bytes(&with(edits))
}

#[track_caller]
fn assert_damaged(edits: &[(usize, &[u8])], expected: &str) {
    match opened(edits) {
        Err(Error::Damaged { part, .. }) if part == expected => {}
        other => panic!("{expected}: {other:?}"),
    }
}

const NUMBER: usize = 0;
const ELEMENT_SIZE: usize = 4;
const FLAGS: usize = 6;
const OFFSET: usize = 8;
const LENGTH: usize = 16;
const CHECKSUMS_OFFSET: usize = 24;
const CHECKSUMS_CHECKSUM: usize = 32;
const BLOCK_SIZE: usize = 40;
const RESERVED: usize = 44;

#[test]
fn the_helper_changes_nothing_by_itself() {
    assert_eq!(with(&[]), Sample::new().file());
    open_all(&with(&[])).unwrap();
}

#[test]
fn a_header_that_cannot_be_is_refused() {
    assert_damaged(&[(18, &[0, 0])], "header");
    assert_damaged(&[(18, &[4, 0])], "header");
    assert_damaged(&[(20, &[0; 4])], "header");
    assert_damaged(&[(44, &[0, 0, 0, 1])], "header");
}

/// What the header says of vectors is for the index to compare.
#[test]
fn kind_dimension_count_and_revision_are_the_owners() {
    let container = opened(&[
        (16, &[9, 9]),
        (20, &[0xff; 4]),
        (24, &[0xff; 8]),
        (32, &[1; 8]),
    ])
    .unwrap();
    let fields = container.fields();
    assert_eq!((fields.kind, fields.dimension), (0x0909, u32::MAX));
    assert_eq!(
        (fields.count, fields.revision),
        (u64::MAX, 0x0101_0101_0101_0101)
    );
    assert_eq!(Sample::read(&container).unwrap(), Sample::new());
}

#[test]
fn a_number_of_sections_that_does_not_fit_is_refused() {
    let huge = opened(&[(40, &[0xff; 4])]).unwrap_err();
    assert!(matches!(huge, Error::Truncated { .. }), "{huge}");
    for sections in [0u32, 1, 3, 5, 6] {
        let result = opened(&[(40, &sections.to_le_bytes())]);
        assert!(result.is_err(), "{sections} sections");
    }
}

#[test]
fn an_entry_that_cannot_be_is_refused() {
    let refused = |field: usize, bytes: &[u8]| {
        assert_damaged(&[(entry_at(1) + field, bytes)], "section table");
    };
    for element_size in [0u16, 1, 2, 3, 8, 16, u16::MAX] {
        refused(ELEMENT_SIZE, &element_size.to_le_bytes());
    }
    for flags in [2u16, 3, 0x8000] {
        refused(FLAGS, &flags.to_le_bytes());
    }
    for block_size in [0u32, 1, 32, 63, 65, 96, 1 << 31, u32::MAX] {
        refused(BLOCK_SIZE, &block_size.to_le_bytes());
    }
    for length in [1u64, 203, 205, u64::MAX, u64::MAX - 3] {
        refused(LENGTH, &length.to_le_bytes());
    }
    refused(RESERVED, &[1, 0, 0, 0]);
}

#[test]
fn sections_that_overlap_or_lie_elsewhere_are_refused() {
    let file = Sample::new().file();
    let offset_of = |section: usize, field: usize| {
        let at = entry_at(section) + field;
        u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
    };
    for field in [OFFSET, CHECKSUMS_OFFSET] {
        let right = offset_of(1, field);
        for wrong in [
            0,
            right - 64,
            right - 1,
            right + 1,
            right + 4,
            right + 64,
            offset_of(0, OFFSET),
            offset_of(2, field),
            file.len() as u64,
            1 << 40,
            u64::MAX - 63,
            u64::MAX,
        ] {
            let edit = (entry_at(1) + field, &wrong.to_le_bytes()[..]);
            assert_damaged(&[edit], "section table");
        }
    }
}

#[test]
fn a_section_of_another_length_is_refused() {
    for length in [0u64, 4, 128, 200, 260, 1 << 40, 1 << 60] {
        let result = opened(&[(entry_at(1) + LENGTH, &length.to_le_bytes())]);
        assert!(result.is_err(), "{length} bytes");
    }
    // Some of the zeros after it fit into its last block, whose checksum tells.
    let longer = opened(&[(entry_at(1) + LENGTH, &208u64.to_le_bytes())]).unwrap();
    let vectors = longer.section(VECTORS).unwrap();
    assert_eq!(
        vectors.checked(0..48).unwrap(),
        &Sample::new().vectors[..48]
    );
    vectors.checked(48..49).unwrap_err();
}

/// A table in which everything fits but the file, which is too short for it. No memory is taken.
#[test]
fn a_section_that_is_longer_than_every_file_is_cut_off() {
    let extents = [136, 204, 77, 1 << 50].map(|length| Extent {
        length,
        block_size: 64,
    });
    let layout = Layout::new(&extents).unwrap();
    let mut file = Sample::new().file();
    let mut put = |at: usize, value: u64| file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(entry_at(3) + LENGTH, 1 << 50);
    for (section, checksums) in layout.checksums.iter().enumerate() {
        put(entry_at(section) + CHECKSUMS_OFFSET, checksums.start);
    }
    seal_header(&mut file);
    let error = open_bytes(&file).unwrap_err();
    assert!(
        matches!(error, Error::Truncated { expected, .. } if expected == layout.file),
        "{error}"
    );
}

#[test]
fn sections_out_of_order_or_twice_are_refused() {
    let number = |section: usize| entry_at(section) + NUMBER;
    let two = 2u32.to_le_bytes();
    let one = 1u32.to_le_bytes();
    assert_damaged(&[(number(0), &two), (number(1), &one)], "section table");
    // Sections 2 and 4 hold elements of the same size.
    assert_damaged(&[(number(3), &two)], "section table");
    let file = file(
        &Sample::new().fields(),
        &[
            SectionSource::new(IDS, [&[1][..]]),
            SectionSource::new(IDS, [&[2][..]]),
        ],
    );
    assert!(matches!(
        open_bytes(&file),
        Err(Error::Damaged {
            part: "section table",
            ..
        })
    ));
}

#[test]
fn an_unknown_section_is_an_error_unless_it_is_optional() {
    let number = (entry_at(3) + NUMBER, &77u32.to_le_bytes()[..]);
    let unknown = opened(&[number]).unwrap_err();
    assert!(
        matches!(unknown, Error::UnknownSection { number: 77, .. }),
        "{unknown}"
    );
    let zero = opened(&[(entry_at(0) + NUMBER, &[0; 4])]).unwrap_err();
    assert!(
        matches!(zero, Error::UnknownSection { number: 0, .. }),
        "{zero}"
    );
    let optional = opened(&[number, (entry_at(3) + FLAGS, &[1, 0])]).unwrap();
    assert_eq!(Sample::read(&optional).unwrap(), Sample::new());
    assert!(optional.section(LIST_ROWS).is_none());
    // A known kind may be optional for others.
    let known = opened(&[(entry_at(1) + FLAGS, &[1, 0])]).unwrap();
    assert_eq!(Sample::read(&known).unwrap(), Sample::new());
}

#[test]
fn an_unknown_section_must_still_fit_the_file() {
    let unknown = [
        (entry_at(2) + NUMBER, &5u32.to_le_bytes()[..]),
        (entry_at(3) + NUMBER, &77u32.to_le_bytes()[..]),
        (entry_at(3) + FLAGS, &[1, 0]),
    ];
    // Section 5 has elements of 4 bytes, the third section those of 1.
    assert_damaged(&unknown, "section table");
    let offset = (entry_at(3) + OFFSET, &[0; 8][..]);
    assert_damaged(&[&unknown[1..], &[offset]].concat(), "section table");
    let checksum = (entry_at(3) + CHECKSUMS_CHECKSUM, &[0; 8][..]);
    assert_damaged(&[&unknown[1..], &[checksum]].concat(), "checksums");
}

#[test]
fn checksums_that_do_not_fit_theirs_are_refused() {
    for section in 0..4 {
        let at = entry_at(section) + CHECKSUMS_CHECKSUM;
        assert_damaged(&[(at, &[0; 8])], "checksums");
    }
}

#[test]
fn version_1_with_fields_that_cannot_be_is_refused() {
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file_of_version_1();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        seal_preamble(&mut file, 1);
        open_bytes(&file).unwrap_err()
    };
    let header = |error| matches!(error, Error::Damaged { part: "header", .. });
    assert!(header(with(16, &[9, 0])), "kind");
    assert!(header(with(18, &[0, 0])), "metric");
    assert!(header(with(18, &[4, 0])), "metric");
    assert!(header(with(20, &[0; 4])), "dimension");
    assert!(header(with(24, &[0xff; 8])), "count beyond every file");
    assert!(header(with(24, &[0; 8])), "checksums of nothing");
    let huge = with(24, &(1u64 << 40).to_le_bytes());
    assert!(matches!(huge, Error::Truncated { .. }), "{huge}");
    let wide = with(20, &[0xff; 4]);
    assert!(matches!(wide, Error::Truncated { .. }), "{wide}");
    let fewer = with(24, &4u64.to_le_bytes());
    assert!(matches!(fewer, Error::TrailingBytes { .. }), "{fewer}");
}
