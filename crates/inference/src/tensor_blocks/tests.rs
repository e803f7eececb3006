//! Slices of attention, marks, and what biases and activations make of 16 bits.

use candle_core::{DType, Device, Tensor};

use super::attention::mix;
use super::marked::{MARKS, MASK, ONE};
use super::*;
use crate::{Error, Result};

/// Weights by their names; a map called "large" has one that f16 cannot hold.
struct Source;

impl WeightSource for Source {
    fn values(&self, name: &str, dims: &[usize]) -> Result<Vec<f32>> {
        let seed = name.len();
        let count: usize = dims.iter().product();
        let mut values: Vec<f32> = (0..count)
            .map(|at| ((at * 37 + seed * 11) % 101) as f32 / 101.0 - 0.5)
            .collect();
        if name.starts_with("large") {
            values[0] = 1e5;
        }
        Ok(values)
    }

    fn bad(&self, name: &str, problem: String) -> Error {
        Error::BadTensor {
            path: "made up".into(),
            tensor: name.to_owned(),
            problem,
        }
    }
}

fn loader(dtype: DType) -> Loader<'static> {
    Loader {
        source: &Source,
        device: &Device::Cpu,
        dtype,
    }
}

fn tensor(dims: (usize, usize, usize), seed: usize) -> Tensor {
    let (texts, tokens, width) = dims;
    let values = (0..texts * tokens * width).map(|at| ((at * 29 + seed) % 83) as f32 / 41.5 - 1.0);
    Tensor::from_vec(values.collect(), dims, &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
    flat.to_vec1().unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], most: f32) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= most, "{found} and {expected}");
    }
}

#[test]
fn slices_of_heads_and_of_queries_are_the_whole() {
    let (heads, width, tokens) = (6, 5, 9);
    let [queries, keys, parts] = [1, 2, 3].map(|seed| tensor((heads, width, tokens), seed));
    let whole = mix(&queries, &keys, &parts, usize::MAX).unwrap();
    assert_eq!(whole.dims3().unwrap(), (heads, width, tokens));
    // All heads, four and two, one at a time, four and one queries, and fewer scores than a query has.
    for most in [486, 330, 81, 40, 9, 1] {
        let found = mix(&queries, &keys, &parts, most).unwrap();
        assert_eq!(found.dims(), whole.dims());
        assert_close(&values(&found), &values(&whole), 1e-6);
    }
}

#[test]
fn nobody_looks_at_padding_and_company_changes_nothing() {
    let names = ["q", "ke", "val", "outp"].map(str::to_owned);
    let (hidden, places) = (16, 8);
    for (dtype, most) in [(DType::F32, 1e-5), (DType::F16, 1e-2)] {
        let attention = Attention::load(&loader(dtype), names.clone(), hidden, 2).unwrap();
        let attend = |states: &Tensor, lengths: &[usize]| {
            let padding: Vec<_> = lengths.iter().map(|length| *length..places).collect();
            let marks = marks(&padding, places, dtype, &Device::Cpu).unwrap();
            let marked = Marked::new(&marks, hidden).unwrap();
            let states = states.to_dtype(dtype).unwrap();
            attention.forward(marked.put(&states).unwrap()).unwrap()
        };
        let texts = tensor((3, places, hidden), 7);
        let other = (texts.narrow(0, 0, 1).unwrap() * 3.0).unwrap();
        // What stands in the padding of the first text, and the other texts, are others.
        let first = texts.narrow(0, 0, 1).unwrap().narrow(1, 0, 5).unwrap();
        let others = other.narrow(1, 5, 3).unwrap();
        let changed = Tensor::cat(&[&first, &others], 1).unwrap();
        let together = attend(&texts, &[5, 8, 0]);
        let alone = attend(&changed, &[5]);
        let seen =
            |tensor: &Tensor| values(&tensor.narrow(0, 0, 1).unwrap().narrow(1, 0, 5).unwrap());
        assert_close(&seen(&together), &seen(&alone), most);
        // A text without tokens is no number that spoils others.
        assert!(values(&together).iter().all(|value| value.is_finite()));
        let unmasked = attend(&texts, &[8, 8, 8]);
        let differs = seen(&unmasked)
            .iter()
            .zip(seen(&together))
            .any(|(a, b)| (a - b).abs() > 0.05);
        assert!(differs, "padding was looked at all along");
    }
}

#[test]
fn both_biases_of_a_feed_forward_part_pass_every_activation() {
    let (hidden, inner) = (4, 6);
    let maps = ["up", "down1"].map(str::to_owned);
    let value = |name: &str, dims: &[usize]| Source.values(name, dims).unwrap();
    let (up, up_bias) = (
        value("up.weight", &[inner, hidden]),
        value("up.bias", &[inner]),
    );
    let (down, down_bias) = (
        value("down1.weight", &[hidden, inner]),
        value("down1.bias", &[hidden]),
    );
    let states = tensor((1, 3, hidden), 5);
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        let act = |x: f32| {
            let x = Tensor::new(&[x], &Device::Cpu).unwrap();
            let y = match activation {
                Activation::Gelu => x.gelu_erf(),
                Activation::GeluTanh => x.gelu(),
                Activation::Relu => x.relu(),
            };
            values(&y.unwrap())[0]
        };
        let mut expected = Vec::new();
        for state in values(&states).chunks_exact(hidden) {
            let map = |rows: &[f32], bias: &[f32], input: &[f32]| -> Vec<f32> {
                let rows = rows.chunks_exact(input.len()).zip(bias);
                rows.map(|(row, bias)| {
                    row.iter().zip(input).map(|(a, b)| a * b).sum::<f32>() + bias
                })
                .collect()
            };
            let middle: Vec<f32> = map(&up, &up_bias, state).into_iter().map(act).collect();
            expected.extend(map(&down, &down_bias, &middle));
        }
        for (dtype, most) in [(DType::F32, 1e-5), (DType::F16, 5e-3)] {
            let marks = marks(&vec![0..0; 1], 3, dtype, &Device::Cpu).unwrap();
            let marked = Marked::new(&marks, hidden).unwrap();
            let part = FeedForward::load(&loader(dtype), maps.clone(), (hidden, inner), activation);
            let states = states.to_dtype(dtype).unwrap();
            let found = part.unwrap().forward(marked.put(&states).unwrap()).unwrap();
            assert_close(&values(&found), &expected, most);
        }
    }
}

#[test]
fn marks_say_what_is_padding_in_every_type() {
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let marks = marks(&[2..3, 0..0], 3, dtype, &Device::Cpu).unwrap();
        assert_eq!(marks.dims(), [2, 3, MARKS]);
        let marks = values(&marks);
        let column = |column| {
            marks
                .iter()
                .skip(column)
                .step_by(MARKS)
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(column(ONE), [1.0; 6]);
        let masks = column(MASK);
        assert!(masks[2].is_finite() && masks[2] < -20_000.0);
        let seen: Vec<f32> = [0, 1, 3, 4, 5].map(|place| masks[place]).to_vec();
        assert_eq!(seen, [0.0; 5]);
    }
}

#[test]
fn weights_that_a_type_cannot_hold_are_named() {
    let large = |dtype| loader(dtype).tensor("large.weight", &[4]);
    match large(DType::F16) {
        Err(Error::BadTensor {
            tensor, problem, ..
        }) => {
            assert_eq!(tensor, "large.weight");
            assert!(problem.contains("f16"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
    assert!(large(DType::BF16).is_ok() && large(DType::F32).is_ok());
}
