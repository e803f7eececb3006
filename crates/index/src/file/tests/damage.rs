//! Accidents: changed bytes, cut and lengthened files, and files of others.

use super::support::*;
use crate::Error;

/// Files of both versions.
fn files() -> [Vec<u8>; 2] {
    [Sample::new().file(), file_of_version_1()]
}

#[test]
fn every_changed_byte_is_noticed() {
    for whole in files() {
        for at in 0..whole.len() {
            for change in (0..8).map(|bit| 1 << bit).chain([0xff, 0x55]) {
                let mut changed = whole.clone();
                changed[at] ^= change;
                let error = open_all(&changed).expect_err("a changed byte");
                assert!(error.to_string().contains(PATH), "byte {at}: {error}");
            }
        }
    }
}

/// What is damaged in one section leaves the others as they were.
#[test]
fn a_changed_section_spoils_no_other() {
    let sample = Sample::new();
    let whole = sample.file();
    let mut opened = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        let Ok(container) = open_bytes(&changed) else {
            continue;
        };
        opened += 1;
        let mut spoiled = 0;
        macro_rules! check {
            ($($kind:ident is $expected:ident),*) => {$(
                match container.section(crate::file::$kind).unwrap().all() {
                    Ok(read) => assert_eq!(read, sample.$expected, "byte {at}"),
                    Err(_) => spoiled += 1,
                }
            )*};
        }
        check!(IDS is ids, VECTORS is vectors, BYTE_CODES is codes, LIST_ROWS is rows);
        assert_eq!(spoiled, 1, "byte {at}");
    }
    assert_eq!(opened, 17 * 8 + 51 * 4 + 77, "the bytes of sections");
}

#[test]
fn every_cut_is_noticed_and_named() {
    for (whole, table_end) in files().into_iter().zip([64 + 4 * 48, 64]) {
        for length in 0..whole.len() {
            let Err(Error::Truncated {
                expected, received, ..
            }) = open_bytes(&whole[..length])
            else {
                panic!("{length} bytes");
            };
            let known = match length {
                0..64 => 64,
                _ if length < table_end => table_end,
                _ => whole.len(),
            };
            assert_eq!((expected, received), (known as u64, length as u64));
        }
    }
}

#[test]
fn bytes_after_the_end_are_noticed() {
    for whole in files() {
        for more in [1, 8, 63, 64, 4096] {
            let mut longer = whole.clone();
            longer.resize(whole.len() + more, 0);
            let Err(Error::TrailingBytes {
                expected, received, ..
            }) = open_bytes(&longer)
            else {
                panic!("{more} bytes");
            };
            assert_eq!(
                (expected, received),
                (whole.len() as u64, longer.len() as u64)
            );
        }
    }
}

#[test]
fn foreign_files_are_no_index() {
    for foreign in [
        &b"{}"[..],
        b"LTvectar",
        b"PK\x03\x04",
        &[0; 500],
        &[0xff; 64],
    ] {
        assert!(
            matches!(open_bytes(foreign), Err(Error::NotAnIndex { .. })),
            "{foreign:?}"
        );
    }
}

#[test]
fn other_versions_are_named_and_not_called_damaged() {
    for whole in files() {
        for version in [0, 3, 4, u32::MAX] {
            let mut other = whole.clone();
            seal_preamble(&mut other, version);
            other[40] ^= 1;
            let Err(Error::FormatVersion {
                found,
                supported: 2,
                ..
            }) = open_bytes(&other)
            else {
                panic!("version {version}");
            };
            assert_eq!(found, version);
        }
    }
}
