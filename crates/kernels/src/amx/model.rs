//! The tile registers and instructions in plain Rust, after the manual's descriptions.
//!
//! What the processor answers with a fault is a panic here, so that a test which asks for it fails.
//! One thing is simpler: a sum of bfloat16 products that would be less than the least normal number
//! but is rounded to it is kept, where the processor takes it for zero.

use super::{MOST_ROW_BYTES, MOST_ROWS, REGISTERS, TileConfig, TileUnit};

/// Rows of B and bytes of C's rows that the multiplier takes at most (CPUID leaf 0x1E).
const MOST_STEPS: usize = 16;
const MOST_WIDTH: usize = 64;

/// The registers of an imagined processor.
pub(crate) struct ModelUnit {
    /// None until configured, and after a release.
    shapes: Option<[Shape; REGISTERS]>,
    registers: [Register; REGISTERS],
}

type Register = [[u8; MOST_ROW_BYTES]; MOST_ROWS];

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Shape {
    rows: usize,
    row_bytes: usize,
}

impl ModelUnit {
    pub(crate) fn new() -> Self {
        Self {
            shapes: None,
            registers: [[[0; MOST_ROW_BYTES]; MOST_ROWS]; REGISTERS],
        }
    }

    /// `LDTILECFG` of 64 bytes: what the processor makes of any of them.
    pub(super) fn configure_from(&mut self, bytes: &[u8; 64]) {
        self.registers = [[[0; MOST_ROW_BYTES]; MOST_ROWS]; REGISTERS];
        self.shapes = None;
        match bytes[0] {
            0 => return,
            1 => {}
            palette => panic!("#GP: palette {palette}"),
        }
        assert!(bytes[2..16] == [0; 14], "#GP: reserved bytes");
        let mut shapes = [Shape::default(); REGISTERS];
        for register in 0..16 {
            let at = 16 + 2 * register;
            let shape = Shape {
                rows: bytes[48 + register].into(),
                row_bytes: u16::from_le_bytes([bytes[at], bytes[at + 1]]).into(),
            };
            let fits = shape.rows <= MOST_ROWS && shape.row_bytes <= MOST_ROW_BYTES;
            assert!(fits, "#GP: register {register} is {shape:?}");
            let is_used = shape.rows != 0;
            assert_eq!(is_used, shape.row_bytes != 0, "#GP: {shape:?}");
            match shapes.get_mut(register) {
                Some(to) => *to = shape,
                None => assert!(!is_used, "#GP: no register {register}"),
            }
        }
        self.shapes = Some(shapes);
    }

    /// `TILERELEASE`.
    pub(super) fn release(&mut self) {
        self.configure_from(&[0; 64]);
    }

    /// The shape of a register that an instruction names.
    fn shape(&self, register: usize) -> Shape {
        let Some(shapes) = self.shapes else {
            panic!("#UD: not configured");
        };
        let shape = shapes[register];
        assert!(shape.rows > 0, "#UD: register {register} has no shape");
        shape
    }

    /// The shapes of C, A and B, if they go together.
    fn factors(&self, c: usize, a: usize, b: usize) -> (Shape, usize) {
        assert!(c != a && a != b && c != b, "#UD: the same register twice");
        let [to, left, right] = [c, a, b].map(|register| self.shape(register));
        for shape in [to, left, right] {
            assert!(
                shape.row_bytes % 4 == 0,
                "#UD: no groups of four: {shape:?}"
            );
        }
        assert_eq!(to.rows, left.rows, "#UD: rows");
        assert_eq!(to.row_bytes, right.row_bytes, "#UD: columns");
        assert_eq!(left.row_bytes / 4, right.rows, "#UD: steps");
        assert!(
            right.rows <= MOST_STEPS && to.row_bytes <= MOST_WIDTH,
            "#UD"
        );
        (to, right.rows)
    }

    fn multiply_bytes(&mut self, [c, a, b]: [usize; 3], widen_b: fn(u8) -> i32) {
        let (to, steps) = self.factors(c, a, b);
        for row in 0..to.rows {
            for column in 0..to.row_bytes / 4 {
                let mut sum = i32::from_le_bytes(four(&self.registers[c], row, column));
                for step in 0..steps {
                    let left = four(&self.registers[a], row, step);
                    let right = four(&self.registers[b], step, column);
                    for (left, right) in left.into_iter().zip(right) {
                        let product = i32::from(left.cast_signed()) * widen_b(right);
                        sum = sum.wrapping_add(product);
                    }
                }
                self.set(c, row, column, sum.to_le_bytes());
            }
        }
        self.zero_the_rest(c, to);
    }

    fn set(&mut self, register: usize, row: usize, column: usize, bytes: [u8; 4]) {
        self.registers[register][row][4 * column..4 * column + 4].copy_from_slice(&bytes);
    }

    /// Whatever is written to a register leaves zeros beyond its shape.
    fn zero_the_rest(&mut self, register: usize, shape: Shape) {
        for (row, bytes) in self.registers[register].iter_mut().enumerate() {
            let kept = if row < shape.rows { shape.row_bytes } else { 0 };
            bytes[kept..].fill(0);
        }
    }
}

/// Four bytes of a row.
fn four(register: &Register, row: usize, column: usize) -> [u8; 4] {
    let bytes = &register[row][4 * column..];
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

/// Two bfloat16, widened.
fn two(register: &Register, row: usize, column: usize) -> [f32; 2] {
    let [a, b, c, d] = four(register, row, column);
    [[0, 0, a, b], [0, 0, c, d]].map(f32::from_le_bytes)
}

/// Zero, with its sign, in place of a denormal number.
fn without_denormals(value: f32) -> f32 {
    match value.is_subnormal() {
        true => 0f32.copysign(value),
        false => value,
    }
}

/// `a * b + c` rounded once, denormal numbers being zeros before and after.
fn fused(a: f32, b: f32, c: f32) -> f32 {
    let [a, b, c] = [a, b, c].map(without_denormals);
    without_denormals(a.mul_add(b, c))
}

impl TileUnit for ModelUnit {
    fn configure(&mut self, config: &TileConfig) {
        // SAFETY: a `TileConfig` is 64 bytes without padding.
        let bytes = unsafe { &*std::ptr::from_ref(config).cast::<[u8; 64]>() };
        self.configure_from(bytes);
    }

    fn zero<const C: usize>(&mut self) {
        self.shape(C);
        self.registers[C] = [[0; MOST_ROW_BYTES]; MOST_ROWS];
    }

    unsafe fn load<const T: usize>(&mut self, from: *const u8, stride: usize) {
        let shape = self.shape(T);
        for row in 0..shape.rows {
            let to = self.registers[T][row].as_mut_ptr();
            // SAFETY: the caller promises the bytes of the rows, and a row of a register has room
            // for those of any shape.
            unsafe { to.copy_from(from.add(row * stride), shape.row_bytes) };
        }
        self.zero_the_rest(T, shape);
    }

    unsafe fn store<const T: usize>(&mut self, to: *mut u8, stride: usize) {
        let shape = self.shape(T);
        for row in 0..shape.rows {
            let from = self.registers[T][row].as_ptr();
            // SAFETY: as in `load`, the other way round.
            unsafe { to.add(row * stride).copy_from(from, shape.row_bytes) };
        }
    }

    fn multiply_signed_unsigned<const C: usize, const A: usize, const B: usize>(&mut self) {
        self.multiply_bytes([C, A, B], i32::from);
    }

    fn multiply_signed<const C: usize, const A: usize, const B: usize>(&mut self) {
        self.multiply_bytes([C, A, B], |byte| byte.cast_signed().into());
    }

    fn multiply_bf16<const C: usize, const A: usize, const B: usize>(&mut self) {
        let (to, steps) = self.factors(C, A, B);
        for row in 0..to.rows {
            for column in 0..to.row_bytes / 4 {
                let mut sums = [0.0; 2];
                for step in 0..steps {
                    let left = two(&self.registers[A], row, step);
                    let right = two(&self.registers[B], step, column);
                    for (which, sum) in sums.iter_mut().enumerate() {
                        *sum = fused(left[which], right[which], *sum);
                    }
                }
                let before = f32::from_le_bytes(four(&self.registers[C], row, column));
                // Adding is multiplying by one.
                let sum = fused(sums[0], 1.0, sums[1]);
                self.set(C, row, column, fused(before, 1.0, sum).to_le_bytes());
            }
        }
        self.zero_the_rest(C, to);
    }
}
