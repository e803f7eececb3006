//! A unit's first products, compared with plain Rust.
//!
//! It is run once before anybody relies on a unit, so that instructions which have not been tried on
//! a machine like this one, or a machine that does not keep to the manual, cost speed and no answers.
//! The shapes are those of the kernels and one that is no power of two.

use super::{MOST_ROW_BYTES, MOST_ROWS, TileConfig, TileUnit};

/// Rows of C, and bytes of a row of A.
const SHAPES: [(usize, usize); 4] = [(16, 64), (16, 32), (16, 16), (5, 20)];
/// Numbers of a row of C.
const WIDTH: usize = 16;
/// Bytes from one row of A to the next: not those of a row, so that a stride that is taken for
/// something else is noticed.
const STRIDE: usize = 2 * MOST_ROW_BYTES;
/// What stands where nothing may be written.
const UNTOUCHED: u8 = 0xa5;

/// A register of C, as it comes back.
type Sums = [[[u8; 4]; WIDTH]; MOST_ROWS];

/// The factors of a product.
struct Factors {
    a: [[u8; STRIDE]; MOST_ROWS],
    b: [[u8; MOST_ROW_BYTES]; MOST_ROWS],
}

/// Whether the unit multiplies bytes and bfloat16 as it should.
pub(super) fn products_are_right<U: TileUnit>(unit: &mut U) -> bool {
    SHAPES.into_iter().all(|(rows, row_bytes)| {
        bytes_are_right(unit, rows, row_bytes) && bf16_is_right(unit, rows, row_bytes)
    })
}

/// Products of all kinds of bytes, with B taken as signed and as unsigned.
fn bytes_are_right<U: TileUnit>(unit: &mut U, rows: usize, row_bytes: usize) -> bool {
    let factors = Factors::from(random_byte);
    let signed = factors.product(unit, rows, row_bytes, U::multiply_signed::<0, 1, 2>);
    let unsigned = factors.product(
        unit,
        rows,
        row_bytes,
        U::multiply_signed_unsigned::<0, 1, 2>,
    );
    let expected = |row: usize, column: usize, widen: fn(u8) -> i32| {
        let products = (0..row_bytes).map(|at| {
            let a = i32::from(factors.a[row][at].cast_signed());
            a * widen(factors.b[at / 4][4 * column + at % 4])
        });
        // The product is added twice.
        (2 * products.sum::<i32>()).to_le_bytes()
    };
    all_rows_are(&signed, rows, |row, column| {
        expected(row, column, |byte| byte.cast_signed().into())
    }) && all_rows_are(&unsigned, rows, |row, column| {
        expected(row, column, i32::from)
    })
}

/// Products of small whole numbers, of which no sum is rounded.
fn bf16_is_right<U: TileUnit>(unit: &mut U, rows: usize, row_bytes: usize) -> bool {
    let factors = Factors::from(|at| {
        let number = f32::from(random_byte(at / 2).cast_signed());
        number.to_le_bytes()[2 + at % 2]
    });
    let found = factors.product(unit, rows, row_bytes, U::multiply_bf16::<0, 1, 2>);
    all_rows_are(&found, rows, |row, column| {
        let mut sum = 0.0;
        for at in (0..row_bytes).step_by(2) {
            let a = bf16(&factors.a[row][at..]);
            sum += a * bf16(&factors.b[at / 4][4 * column + at % 4..]);
        }
        (2.0 * sum).to_le_bytes()
    })
}

impl Factors {
    /// Factors whose bytes come from a function of their number.
    fn from(byte: impl Fn(usize) -> u8) -> Self {
        let mut factors = Self {
            a: [[0; STRIDE]; MOST_ROWS],
            b: [[0; MOST_ROW_BYTES]; MOST_ROWS],
        };
        let all = factors.a.as_flattened_mut().iter_mut();
        for (at, to) in all.chain(factors.b.as_flattened_mut()).enumerate() {
            *to = byte(at);
        }
        factors
    }

    /// Multiplies registers 1 and 2 into 0, once from zeros and, after that was stored and loaded,
    /// once more.
    fn product<U: TileUnit>(
        &self,
        unit: &mut U,
        rows: usize,
        row_bytes: usize,
        multiply: impl Fn(&mut U),
    ) -> Sums {
        let config = TileConfig::new()
            .with(0, rows, MOST_ROW_BYTES)
            .with(1, rows, row_bytes)
            .with(2, row_bytes / 4, MOST_ROW_BYTES);
        let mut sums = [[[UNTOUCHED; 4]; WIDTH]; MOST_ROWS];
        let place = sums.as_mut_ptr().cast::<u8>();
        unit.configure(&config);
        unit.zero::<0>();
        // SAFETY: no register has more rows, and none longer ones, than the arrays: A's are STRIDE
        // bytes apart, the others' MOST_ROW_BYTES.
        unsafe {
            unit.load::<1>(self.a.as_ptr().cast(), STRIDE);
            unit.load::<2>(self.b.as_ptr().cast(), MOST_ROW_BYTES);
            multiply(unit);
            unit.zero::<0>();
            multiply(unit);
            unit.store::<0>(place, MOST_ROW_BYTES);
            unit.zero::<0>();
            unit.load::<0>(place, MOST_ROW_BYTES);
            multiply(unit);
            unit.store::<0>(place, MOST_ROW_BYTES);
        }
        sums
    }
}

/// Whether the first rows are as expected, and the others were left alone.
fn all_rows_are(sums: &Sums, rows: usize, expected: impl Fn(usize, usize) -> [u8; 4]) -> bool {
    sums.iter().enumerate().all(|(row, sums)| {
        sums.iter()
            .enumerate()
            .all(|(column, sum)| match row < rows {
                true => *sum == expected(row, column),
                false => *sum == [UNTOUCHED; 4],
            })
    })
}

fn bf16(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([0, 0, bytes[0], bytes[1]])
}

/// Numbers without a pattern, the same in every run: a multiplicative hash of the index.
fn random_byte(at: usize) -> u8 {
    let mixed = (at as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
    (mixed ^ (mixed >> 15))
        .wrapping_mul(2_246_822_519)
        .to_le_bytes()[3]
}
