//! The model against the manual, the check against units that are wrong.

use half::bf16;
use proptest::prelude::*;

use super::check::products_are_right;
use super::model::ModelUnit;
use super::*;

/// A 64-byte image of a configuration with one register of this shape.
fn image(register: usize, rows: u8, row_bytes: u16) -> [u8; 64] {
    let mut image = [0; 64];
    image[0] = 1;
    let at = 16 + 2 * register;
    image[at..at + 2].copy_from_slice(&row_bytes.to_le_bytes());
    image[48 + register] = rows;
    image
}

/// Whether the model takes the image; the processor raises a fault where it does not.
fn is_taken(image: [u8; 64]) -> bool {
    std::panic::catch_unwind(|| ModelUnit::new().configure_from(&image)).is_ok()
}

#[test]
fn a_configuration_lies_as_the_manual_says() {
    let config = TileConfig::new().with(0, 16, 64).with(7, 3, 20);
    let mut expected = image(7, 3, 20);
    expected[16] = 64;
    expected[48] = 16;
    // SAFETY: 64 bytes without padding.
    let bytes = unsafe { std::mem::transmute::<TileConfig, [u8; 64]>(config) };
    assert_eq!(bytes, expected);
    // A register without rows has no bytes in them either.
    assert_eq!(TileConfig::new().with(1, 0, 64), TileConfig::new());
    assert_eq!(TileConfig::new().with(1, 4, 0), TileConfig::new());
}

#[test]
fn shapes_that_no_register_has_are_refused() {
    assert!(is_taken(image(7, 16, 64)));
    assert!(is_taken([0; 64]));
    for refused in [
        image(0, 17, 64),
        image(0, 16, 65),
        image(0, 0, 64),
        image(0, 16, 0),
        image(8, 1, 4),
    ] {
        assert!(!is_taken(refused), "{refused:?}");
    }
    for (at, value) in [(0, 2), (2, 1), (15, 1)] {
        let mut wrong = image(0, 16, 64);
        wrong[at] = value;
        assert!(!is_taken(wrong), "byte {at}");
    }
    let beyond = std::panic::catch_unwind(|| TileConfig::new().with(8, 1, 4));
    assert!(beyond.is_err());
    let beyond = std::panic::catch_unwind(|| TileConfig::new().with(0, 17, 4));
    assert!(beyond.is_err());
}

/// Whether the model runs an instruction with registers 0, 1 and 2 of these shapes.
fn is_run(shapes: [(usize, usize); 3], instruction: fn(&mut ModelUnit)) -> bool {
    let run = std::panic::catch_unwind(|| {
        let mut unit = ModelUnit::new();
        let mut config = TileConfig::new();
        for (register, (rows, row_bytes)) in shapes.into_iter().enumerate() {
            config = config.with(register, rows, row_bytes);
        }
        unit.configure(&config);
        instruction(&mut unit);
    });
    run.is_ok()
}

#[test]
fn registers_that_do_not_go_together_are_refused() {
    let multiply = ModelUnit::multiply_signed::<0, 1, 2>;
    assert!(is_run([(5, 12), (5, 20), (5, 12)], multiply));
    for shapes in [
        [(5, 12), (4, 20), (5, 12)],
        [(5, 12), (5, 20), (5, 16)],
        [(5, 12), (5, 20), (4, 12)],
        [(5, 13), (5, 20), (5, 13)],
        [(5, 12), (5, 20), (0, 0)],
    ] {
        assert!(!is_run(shapes, multiply), "{shapes:?}");
        assert!(!is_run(shapes, ModelUnit::multiply_bf16::<0, 1, 2>));
    }
    let full = [(16, 64); 3];
    assert!(is_run(full, ModelUnit::zero::<2>));
    assert!(!is_run(full, ModelUnit::zero::<3>));
    assert!(!is_run(full, ModelUnit::multiply_signed::<0, 1, 1>));
    assert!(!is_run(full, ModelUnit::multiply_signed::<0, 0, 1>));
    assert!(!is_run(full, |unit| {
        unit.release();
        unit.zero::<0>();
    }));
}

#[test]
fn loads_and_products_leave_zeros_beyond_the_shape() {
    let mut unit = ModelUnit::new();
    let full = [[7u8; 64]; 16];
    let mut found = [[1u8; 64]; 16];
    let places = [
        full.as_ptr().cast(),
        found.as_mut_ptr().cast::<u8>().cast_const(),
    ];
    unit.configure(&TileConfig::new().with(0, 3, 8).with(1, 16, 64));
    // SAFETY: 16 rows of 64 bytes each.
    unsafe {
        unit.load::<0>(places[0], 64);
        unit.store::<0>(places[1].cast_mut(), 64);
    }
    for (row, found) in found.iter().enumerate() {
        for (at, found) in found.iter().enumerate() {
            let expected = if row < 3 && at < 8 { 7 } else { 1 };
            assert_eq!(*found, expected, "{row} {at}");
        }
    }
}

/// A product of one row and column: pairs of bfloat16, given as f32 that are such.
fn dot(before: f32, pairs: &[[f32; 4]]) -> f32 {
    let bits = |value: f32| bf16::from_f32(value).to_le_bytes();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for [a0, b0, a1, b1] in pairs {
        a.extend([bits(*a0), bits(*a1)].concat());
        b.extend([bits(*b0), bits(*b1)].concat());
    }
    let mut sum = before.to_le_bytes();
    let mut unit = ModelUnit::new();
    let config = TileConfig::new().with(0, 1, 4).with(1, 1, a.len());
    unit.configure(&config.with(2, pairs.len(), 4));
    // SAFETY: A is one row, B rows of four bytes, the sum one number.
    unsafe {
        unit.load::<0>(sum.as_ptr(), 4);
        unit.load::<1>(a.as_ptr(), a.len());
        unit.load::<2>(b.as_ptr(), 4);
        unit.multiply_bf16::<0, 1, 2>();
        unit.store::<0>(sum.as_mut_ptr(), 4);
    }
    f32::from_le_bytes(sum)
}

#[test]
fn bfloat16_is_rounded_once_a_product_and_denormals_are_zeros() {
    assert_eq!(dot(1.0, &[[2.0, 3.0, 5.0, 7.0]]), 42.0);
    // The pairs' first and second products are summed apart: 2^24 + 1 is rounded down, 1 + 1 is not.
    let large = 2f32.powi(12);
    let apart = [[large, large, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]];
    assert_eq!(dot(0.0, &apart), 2f32.powi(24) + 2.0);
    // What was there before comes last.
    assert_eq!(
        dot(2f32.powi(24), &[[1.0, 1.0, 1.0, 1.0]]),
        2f32.powi(24) + 2.0
    );
    let near_one = 1.0 + 2f32.powi(-7);
    let exact = 1.0 + 2f32.powi(-6) + 2f32.powi(-14);
    assert_eq!(dot(0.0, &[[near_one, near_one, 0.0, 0.0]]), exact);
    let denormal = 2f32.powi(-130);
    assert_eq!(dot(0.0, &[[denormal, 2f32.powi(100), 0.0, 0.0]]), 0.0);
    let small = 2f32.powi(-70);
    assert_eq!(dot(0.0, &[[small, small, 0.0, 0.0]]), 0.0);
    assert_eq!(dot(denormal, &[[0.0; 4]]), 0.0);
    assert_eq!(dot(-denormal, &[[-0.0, 1.0, -0.0, 1.0]]).to_bits(), 0);
    let infinite = dot(f32::INFINITY, &[[1.0, f32::NEG_INFINITY, 0.0, 0.0]]);
    assert!(infinite.is_nan());
}

/// A unit that does one thing wrong.
struct Wrong<const FAULT: usize>(ModelUnit);

impl<const FAULT: usize> TileUnit for Wrong<FAULT> {
    fn configure(&mut self, config: &TileConfig) {
        self.0.configure(config);
    }

    fn zero<const C: usize>(&mut self) {
        match FAULT {
            0 => {}
            _ => self.0.zero::<C>(),
        }
    }

    unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize) {
        let stride = if FAULT == 1 && stride > 64 {
            64
        } else {
            stride
        };
        // SAFETY: a shorter stride stays in the same rows.
        unsafe { self.0.load::<T>(from, stride) };
    }

    unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.store::<T>(to, stride) };
        if FAULT == 2 {
            // SAFETY: the first byte of the first row.
            unsafe { *to ^= 1 };
        }
    }

    fn multiply_signed_unsigned<const C: usize, const A: usize, const B: usize>(&mut self) {
        match FAULT {
            3 => self.0.multiply_signed::<C, A, B>(),
            _ => self.0.multiply_signed_unsigned::<C, A, B>(),
        }
    }

    fn multiply_signed<const C: usize, const A: usize, const B: usize>(&mut self) {
        match FAULT {
            4 => self.0.multiply_signed_unsigned::<C, A, B>(),
            _ => self.0.multiply_signed::<C, A, B>(),
        }
    }

    fn multiply_bf16<const C: usize, const A: usize, const B: usize>(&mut self) {
        match FAULT {
            5 => {}
            _ => self.0.multiply_bf16::<C, A, B>(),
        }
    }
}

#[test]
fn the_check_passes_a_right_unit_and_no_wrong_one() {
    assert!(products_are_right(&mut ModelUnit::new()));
    assert!(products_are_right(&mut Wrong::<99>(ModelUnit::new())));
    assert!(
        !products_are_right(&mut Wrong::<0>(ModelUnit::new())),
        "zeros"
    );
    assert!(
        !products_are_right(&mut Wrong::<1>(ModelUnit::new())),
        "stride"
    );
    assert!(
        !products_are_right(&mut Wrong::<2>(ModelUnit::new())),
        "a bit"
    );
    assert!(
        !products_are_right(&mut Wrong::<3>(ModelUnit::new())),
        "signed"
    );
    assert!(
        !products_are_right(&mut Wrong::<4>(ModelUnit::new())),
        "unsigned"
    );
    assert!(
        !products_are_right(&mut Wrong::<5>(ModelUnit::new())),
        "bfloat16"
    );
}

proptest! {
    #[test]
    fn products_of_bytes_are_whole_number_products(
        rows in 1usize..=16,
        steps in 1usize..=16,
        columns in 1usize..=16,
        a: [[u8; 16]; 16],
        seed: u8,
    ) {
        let mut unit = ModelUnit::new();
        let config = TileConfig::new().with(0, rows, 4 * columns);
        unit.configure(&config.with(1, rows, 4 * steps).with(2, steps, 4 * columns));
        let a: [[u8; 64]; 16] = std::array::from_fn(|row| {
            std::array::from_fn(|at| a[row][at % 16].wrapping_mul((at / 16) as u8 * 2 + 1))
        });
        let b: [[u8; 64]; 16] = std::array::from_fn(|step| {
            std::array::from_fn(|at| a[step][at].wrapping_add(seed).wrapping_mul(5))
        });
        let mut found = [[0i32; 16]; 16];
        // SAFETY: 16 rows of 64 bytes each.
        unsafe {
            unit.load::<1>(a.as_ptr().cast(), 64);
            unit.load::<2>(b.as_ptr().cast(), 64);
            unit.multiply_signed_unsigned::<0, 1, 2>();
            unit.store::<0>(found.as_mut_ptr().cast(), 64);
        }
        for row in 0..16 {
            for column in 0..16 {
                let products = (0..4 * steps).map(|at| {
                    let b = b[at / 4][4 * column + at % 4];
                    i32::from(a[row][at].cast_signed()) * i32::from(b)
                });
                let is_there = row < rows && column < columns;
                let expected = if is_there { products.sum() } else { 0 };
                prop_assert_eq!(found[row][column], expected);
            }
        }
    }
}
