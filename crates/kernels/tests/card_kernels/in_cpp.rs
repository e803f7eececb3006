//! The kernels for cards (`src/cuda`) against plain sums in 64 bits, run by the processor: the C++ compiler takes them as
//! they are, and what runs a block's threads in turns (`processor.cpp`).
//!
//! That shows that their indices, barriers and arithmetic are right. How a card is told of them only a card shows.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use half::{bf16, f16};
use libloading::{Library, Symbol};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const THREADS: usize = 256;

/// Numbers that kernels take.
trait Number: Copy {
    const NAME: &'static str;
    /// How far a result of about one may be off.
    const TOLERANCE: f64;

    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
}

impl Number for f32 {
    const NAME: &'static str = "f32";
    const TOLERANCE: f64 = 2e-6;

    fn of(value: f64) -> Self {
        value as f32
    }

    fn wide(self) -> f64 {
        self.into()
    }
}

impl Number for f16 {
    const NAME: &'static str = "f16";
    const TOLERANCE: f64 = 1e-3;

    fn of(value: f64) -> Self {
        f16::from_f64(value)
    }

    fn wide(self) -> f64 {
        self.into()
    }
}

impl Number for bf16 {
    const NAME: &'static str = "bf16";
    const TOLERANCE: f64 = 8e-3;

    fn of(value: f64) -> Self {
        bf16::from_f64(value)
    }

    fn wide(self) -> f64 {
        self.into()
    }
}

/// The compiled kernels.
fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/card_kernels/processor.cpp");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fused.so");
        let compiled = Command::new(std::env::var("CXX").unwrap_or("c++".to_owned()))
            .args(["-std=c++17", "-O2", "-shared", "-fPIC", "-o"])
            .args([file.as_path(), source.as_path()])
            .status()
            .expect("a C++ compiler: build-essential on Debian");
        assert!(compiled.success(), "{} was not compiled", source.display());
        // SAFETY: nothing runs when it is opened.
        unsafe { Library::new(&file) }.unwrap()
    })
}

/// A kernel by its name. One at a time: they share what stands for a block's memory.
fn with_kernel<F: Copy, V>(name: &str, call: impl FnOnce(F) -> V) -> V {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // SAFETY: the callers give the signatures of `processor.cpp`.
    let kernel: Symbol<'_, F> = unsafe { library().get(format!("launch_{name}")) }.unwrap();
    call(*kernel)
}

fn random<T: Number>(count: usize, largest: f64, random: &mut StdRng) -> Vec<T> {
    let numbers = (0..count).map(|_| T::of(random.random_range(-largest..largest)));
    numbers.collect()
}

#[track_caller]
fn assert_close<T: Number>(found: &[T], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let distance = (found.wide() - expected).abs();
        let allowed = T::TOLERANCE * expected.abs().max(0.1);
        assert!(
            distance <= allowed,
            "{what} in {}: {} instead of {expected} at {place}",
            T::NAME,
            found.wide()
        );
    }
}

struct Softmax {
    key_heads: usize,
    leads: Vec<u32>,
    group: usize,
    tokens: usize,
    first_token: usize,
    positions: usize,
    window: u32,
    cap: f32,
}

impl Softmax {
    fn rows(&self) -> usize {
        self.key_heads * self.leads.len() * self.group * self.tokens
    }

    fn expected<T: Number>(&self, scores: &[T]) -> Vec<f64> {
        let rows = scores.chunks(self.positions).enumerate();
        let rows = rows.flat_map(|(row, scores)| {
            let part = row / self.tokens / self.group % self.leads.len();
            let own = self.leads[part] as usize + self.first_token + row % self.tokens;
            let is_seen =
                |position: usize| position <= own && position + self.window as usize > own;
            let cap = f64::from(self.cap);
            let score = |value: f64| {
                if cap > 0.0 {
                    cap * (value / cap).tanh()
                } else {
                    value
                }
            };
            let powers = scores.iter().enumerate().map(|(position, value)| {
                if is_seen(position) {
                    score(value.wide()).exp()
                } else {
                    0.0
                }
            });
            let powers: Vec<f64> = powers.collect();
            let sum: f64 = powers.iter().sum();
            powers.into_iter().map(move |power| power / sum)
        });
        rows.collect()
    }

    fn found<T: Number>(&self, scores: &[T]) -> Vec<T> {
        type Kernel<T> = unsafe extern "C" fn(
            u32,
            *const T,
            *mut T,
            *const u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            f32,
        );
        let mut shares = vec![T::of(7.0); scores.len()];
        with_kernel(
            &format!("masked_softmax_{}", T::NAME),
            |kernel: Kernel<T>| {
                // SAFETY: a row of `positions` for each block, and a lead for each part.
                unsafe {
                    kernel(
                        self.rows() as u32,
                        scores.as_ptr(),
                        shares.as_mut_ptr(),
                        self.leads.as_ptr(),
                        self.leads.len() as u32,
                        self.group as u32,
                        self.tokens as u32,
                        self.first_token as u32,
                        self.positions as u32,
                        self.window,
                        self.cap,
                    );
                }
            },
        );
        shares
    }

    #[track_caller]
    fn check<T: Number>(&self, what: &str) {
        let mut numbers = StdRng::seed_from_u64(5);
        let mut scores: Vec<T> = random(self.rows() * self.positions, 8.0, &mut numbers);
        let expected = self.expected(&scores);
        assert_close(&self.found(&scores), &expected, what);
        // What nobody looks at may be anything.
        for (score, share) in scores.iter_mut().zip(&expected) {
            if *share == 0.0 {
                *score = T::of(f64::NAN);
            }
        }
        assert_close(&self.found(&scores), &expected, what);
    }
}

#[test]
fn shares_are_those_of_what_may_be_seen() {
    let batch = || Softmax {
        key_heads: 2,
        leads: vec![299, 0, 41],
        group: 3,
        tokens: 1,
        first_token: 0,
        positions: 300,
        window: u32::MAX,
        cap: 0.0,
    };
    let prompt = || Softmax {
        leads: vec![20],
        tokens: 5,
        first_token: 2,
        positions: 27,
        ..batch()
    };
    batch().check::<f32>("a batch");
    batch().check::<f16>("a batch");
    batch().check::<bf16>("a batch");
    prompt().check::<f32>("a prompt");
    prompt().check::<bf16>("a prompt");
    Softmax {
        window: 16,
        ..batch()
    }
    .check::<f32>("a batch with a window");
    Softmax {
        window: 1,
        ..prompt()
    }
    .check::<f32>("a prompt with a window");
    Softmax {
        cap: 3.0,
        ..prompt()
    }
    .check::<f32>("a prompt with a cap");
}

fn check_turned<T: Number, C: Number>(name: &str, layout: &str, width: usize, pairs: usize) {
    type Kernel<T, C> = unsafe extern "C" fn(
        u32,
        *const T,
        *const f32,
        *const f32,
        *mut C,
        u32,
        u32,
        u32,
        u32,
        f32,
        u32,
    );
    let (heads, tokens, scale) = (3, 7, 0.5);
    let mut numbers = StdRng::seed_from_u64(6);
    let states: Vec<T> = random(heads * tokens * width, 2.0, &mut numbers);
    let angles: Vec<f64> = (0..tokens * pairs)
        .map(|angle| angle as f64 * 0.37)
        .collect();
    let of_angles = |function: fn(f64) -> f64| {
        let values = angles.iter().map(|angle| (function(*angle) * scale) as f32);
        values.collect::<Vec<f32>>()
    };
    let (cosines, sines) = (of_angles(f64::cos), of_angles(f64::sin));
    let mut expected: Vec<f64> = states.iter().map(|state| state.wide() * scale).collect();
    for (row, turned) in expected.chunks_mut(width).enumerate() {
        for pair in 0..pairs {
            let (one, other) = match layout {
                "interleaved" => (2 * pair, 2 * pair + 1),
                _ => (pair, pair + pairs),
            };
            let (sine, cosine) = angles[row % tokens * pairs + pair].sin_cos();
            let (x, y) = (turned[one], turned[other]);
            turned[one] = x * cosine - y * sine;
            turned[other] = x * sine + y * cosine;
        }
    }
    let mut found = vec![C::of(7.0); states.len()];
    let count = states.len() / 2;
    with_kernel(&format!("turned_{name}"), |kernel: Kernel<T, C>| {
        // SAFETY: two components for each of `count` threads, and an angle for each token and pair.
        unsafe {
            kernel(
                count.div_ceil(THREADS) as u32,
                states.as_ptr(),
                cosines.as_ptr(),
                sines.as_ptr(),
                found.as_mut_ptr(),
                tokens as u32,
                width as u32,
                pairs as u32,
                u32::from(layout == "interleaved"),
                scale as f32,
                count as u32,
            );
        }
    });
    assert_close(&found, &expected, &format!("heads turned, {layout}"));
}

#[test]
fn heads_are_turned_by_the_angles_of_their_tokens() {
    for layout in ["interleaved", "halves"] {
        check_turned::<f32, f32>("f32_f32", layout, 64, 32);
        check_turned::<f32, f16>("f32_f16", layout, 64, 32);
        check_turned::<f16, f16>("f16_f16", layout, 64, 32);
        check_turned::<bf16, bf16>("bf16_bf16", layout, 64, 32);
        check_turned::<f32, f32>("f32_f32", layout, 96, 36);
    }
}

fn check_gated<T: Number>(is_gelu: bool) {
    type Kernel<T> = unsafe extern "C" fn(u32, *const T, *mut T, u32, u32, u32);
    let (rows, width) = (3, 101);
    let mut numbers = StdRng::seed_from_u64(7);
    let both: Vec<T> = random(rows * 2 * width, 4.0, &mut numbers);
    let expected = both.chunks(2 * width).flat_map(|row| {
        let (gates, ups) = row.split_at(width);
        gates.iter().zip(ups).map(|(gate, up)| {
            let gate = gate.wide();
            let cubic = (2.0 / std::f64::consts::PI).sqrt() * (gate + 0.044715 * gate.powi(3));
            let active = match is_gelu {
                true => 0.5 * gate * (1.0 + cubic.tanh()),
                false => gate / (1.0 + (-gate).exp()),
            };
            active * up.wide()
        })
    });
    let expected: Vec<f64> = expected.collect();
    let mut found = vec![T::of(7.0); rows * width];
    with_kernel(&format!("gated_{}", T::NAME), |kernel: Kernel<T>| {
        let all = found.len();
        // SAFETY: a number for each of `all` threads, and two of rows of twice the width.
        unsafe {
            kernel(
                all.div_ceil(THREADS) as u32,
                both.as_ptr(),
                found.as_mut_ptr(),
                width as u32,
                u32::from(is_gelu),
                all as u32,
            );
        }
    });
    assert_close(&found, &expected, "gated");
}

#[test]
fn gates_let_pass_what_they_should() {
    for is_gelu in [false, true] {
        check_gated::<f32>(is_gelu);
        check_gated::<f16>(is_gelu);
        check_gated::<bf16>(is_gelu);
    }
}

fn check_added_and_normed<T: Number>(width: usize) {
    type Kernel<T> = unsafe extern "C" fn(u32, *const T, *const T, *const T, *mut T, u32, u32, f32);
    let (rows, epsilon) = (3, 1e-5);
    let mut numbers = StdRng::seed_from_u64(8);
    let states: Vec<T> = random(rows * width, 2.0, &mut numbers);
    let more: Vec<T> = random(rows * width, 2.0, &mut numbers);
    let scale: Vec<T> = random(width, 2.0, &mut numbers);
    let sums = states.iter().zip(&more);
    let mut expected: Vec<f64> = sums
        .map(|(one, other)| T::of(one.wide() + other.wide()).wide())
        .collect();
    for row in 0..rows {
        let sums: Vec<f64> = expected[row * width..(row + 1) * width].to_vec();
        let squares: f64 = sums.iter().map(|sum| sum * sum).sum();
        let root = (squares / width as f64 + epsilon).sqrt();
        let scaled = sums.iter().zip(&scale);
        expected.extend(scaled.map(|(sum, scale)| sum / root * scale.wide()));
    }
    let mut found = vec![T::of(7.0); 2 * rows * width];
    with_kernel(
        &format!("added_and_normed_{}", T::NAME),
        |kernel: Kernel<T>| {
            // SAFETY: a row of each tensor for each block, and two of what is given.
            unsafe {
                kernel(
                    rows as u32,
                    states.as_ptr(),
                    more.as_ptr(),
                    scale.as_ptr(),
                    found.as_mut_ptr(),
                    rows as u32,
                    width as u32,
                    epsilon as f32,
                );
            }
        },
    );
    assert_close(&found, &expected, "added and normed");
}

#[test]
fn sums_are_kept_and_normed() {
    for width in [1, 64, 600] {
        check_added_and_normed::<f32>(width);
        check_added_and_normed::<f16>(width);
        check_added_and_normed::<bf16>(width);
    }
}

struct Paged {
    key_heads: usize,
    group: usize,
    width: usize,
    /// How many positions each part's token may look at: its own is the last.
    lengths: Vec<usize>,
    window: usize,
    cap: f32,
    splits: usize,
}

/// Rows of queries before and behind those of the parts.
const OTHER_ROWS: usize = 2;
const PAGE_TOKENS: usize = 128;

impl Paged {
    fn heads(&self) -> usize {
        self.key_heads * self.group
    }

    fn rows(&self) -> usize {
        self.lengths.len() + 2 * OTHER_ROWS
    }

    fn pages(&self) -> usize {
        let longest = self.lengths.iter().copied().max().unwrap();
        longest.div_ceil(PAGE_TOKENS)
    }

    /// Twice as many as needed, so that pages can lie anywhere.
    fn places(&self) -> usize {
        2 * self.lengths.len() * self.pages() * PAGE_TOKENS
    }

    /// Each part's token, and its pages, which lie backwards and among those of others.
    fn table(&self) -> Vec<u32> {
        let last = self.places() / PAGE_TOKENS - 1;
        let parts = self.lengths.iter().enumerate().flat_map(|(part, length)| {
            let pages = (0..self.pages()).map(move |page| last - part - page * self.lengths.len());
            let pages = pages.map(|page| page as u32);
            std::iter::once(*length as u32 - 1).chain(pages)
        });
        parts.collect()
    }

    fn expected<T: Number>(&self, queries: &[T], cached: &[T], table: &[u32]) -> Vec<f64> {
        let mut expected = Vec::new();
        for (part, length) in self.lengths.iter().enumerate() {
            let pages = &table[part * (1 + self.pages()) + 1..];
            let place = |position: usize| {
                pages[position / PAGE_TOKENS] as usize * PAGE_TOKENS + position % PAGE_TOKENS
            };
            for head in 0..self.heads() {
                let row = |start: usize| start * self.width..(start + 1) * self.width;
                let query = &queries[row(head * self.rows() + OTHER_ROWS + part)];
                let seen = length.saturating_sub(self.window)..*length;
                let of = |half: usize, position: usize| {
                    let head = half * self.key_heads + head / self.group;
                    &cached[row(head * self.places() + place(position))]
                };
                let powers = seen.clone().map(|position| {
                    let pairs = query.iter().zip(of(0, position));
                    let score: f64 = pairs.map(|(one, other)| one.wide() * other.wide()).sum();
                    let cap = f64::from(self.cap);
                    if cap > 0.0 {
                        (cap * (score / cap).tanh()).exp()
                    } else {
                        score.exp()
                    }
                });
                let powers: Vec<f64> = powers.collect();
                let whole: f64 = powers.iter().sum();
                expected.extend((0..self.width).map(|column| {
                    let values = seen.clone().map(|position| of(1, position)[column].wide());
                    let sum: f64 = powers
                        .iter()
                        .zip(values)
                        .map(|(power, value)| power * value)
                        .sum();
                    sum / whole
                }));
            }
        }
        expected
    }

    fn found<T: Number>(&self, queries: &[T], cached: &[T], table: &[u32]) -> Vec<T> {
        type Kernel<T> = unsafe extern "C" fn(
            u32,
            *const T,
            *const T,
            *const u32,
            *mut T,
            *mut f32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            f32,
            u32,
            u32,
        );
        type Joined<T> = unsafe extern "C" fn(u32, *const f32, *mut T, u32, u32);
        let rows = self.lengths.len() * self.heads();
        let mut out = vec![T::of(7.0); rows * self.width];
        let mut sums = vec![7.0f32; rows * self.splits * (self.width + 2)];
        let at_a_time = match self.group {
            1 | 2 => self.group,
            _ => 4,
        };
        let bundles = self.lengths.len() * self.key_heads * self.group.div_ceil(at_a_time);
        let stride = (self.pages() * PAGE_TOKENS).div_ceil(self.splits);
        let name = format!("paged_attention_{}_{}_{at_a_time}", T::NAME, self.width);
        with_kernel(&name, |kernel: Kernel<T>| {
            // SAFETY: the tensors have these sizes, and the table names pages that there are.
            unsafe {
                kernel(
                    (bundles * self.splits) as u32,
                    queries.as_ptr(),
                    cached.as_ptr(),
                    table.as_ptr(),
                    out.as_mut_ptr(),
                    sums.as_mut_ptr(),
                    self.lengths.len() as u32,
                    self.key_heads as u32,
                    self.group as u32,
                    self.rows() as u32,
                    OTHER_ROWS as u32,
                    self.places() as u32,
                    self.pages() as u32,
                    u32::try_from(self.window).unwrap_or(u32::MAX),
                    self.cap,
                    self.splits as u32,
                    stride as u32,
                );
            }
        });
        if self.splits > 1 {
            with_kernel(
                &format!("joined_splits_{}", T::NAME),
                |kernel: Joined<T>| {
                    // SAFETY: the splits of each row, and the row.
                    unsafe {
                        kernel(
                            rows as u32,
                            sums.as_ptr(),
                            out.as_mut_ptr(),
                            self.splits as u32,
                            self.width as u32,
                        );
                    }
                },
            );
        }
        out
    }

    #[track_caller]
    fn check<T: Number>(&self, what: &str) {
        let mut numbers = StdRng::seed_from_u64(9);
        let queries: Vec<T> = random(self.heads() * self.rows() * self.width, 0.5, &mut numbers);
        let cached = 2 * self.key_heads * self.places() * self.width;
        let cached: Vec<T> = random(cached, 1.0, &mut numbers);
        let table = self.table();
        let expected = self.expected(&queries, &cached, &table);
        assert_close(&self.found(&queries, &cached, &table), &expected, what);
    }
}

#[test]
fn tokens_get_what_they_look_at_from_pages_anywhere() {
    let shape = || Paged {
        key_heads: 2,
        group: 3,
        width: 64,
        lengths: vec![1, 300, 131],
        window: usize::MAX,
        cap: 0.0,
        splits: 1,
    };
    shape().check::<f16>("a batch");
    shape().check::<bf16>("a batch");
    Paged {
        splits: 3,
        ..shape()
    }
    .check::<f16>("splits");
    Paged {
        splits: 3,
        window: 20,
        ..shape()
    }
    .check::<f16>("splits and a window");
    Paged {
        group: 7,
        width: 128,
        cap: 2.0,
        lengths: vec![37],
        ..shape()
    }
    .check::<f16>("seven heads");
    Paged {
        group: 1,
        width: 96,
        ..shape()
    }
    .check::<bf16>("one head");
    Paged {
        group: 2,
        lengths: vec![200],
        ..shape()
    }
    .check::<bf16>("two heads");
    Paged {
        group: 1,
        width: 256,
        lengths: vec![40],
        ..shape()
    }
    .check::<f16>("wide heads");
}
