//! Rounded attention on every tier: against f64 with the roundings that the tier makes beforehand.

use half::bf16;

use super::rounded::rounded_segment_attention_on;
use super::tests::{random, segments_in_f64, tiers};
use crate::Team;
use crate::isa::Supported;

/// Values are below 1. Where weights are rounded, each is off by 2^-9 of itself at most; elsewhere f32
/// alone is what is lost.
fn tolerance(cpu: Supported) -> f64 {
    match rounds(cpu) {
        true => 1.0 / 512.0,
        false => 3e-6,
    }
}

#[cfg(target_arch = "x86_64")]
fn rounds(cpu: Supported) -> bool {
    matches!(cpu, Supported::Avx512(proof) if proof.bf16().is_some())
}

#[cfg(not(target_arch = "x86_64"))]
fn rounds(_: Supported) -> bool {
    false
}

fn round(value: f32) -> f32 {
    bf16::from_f32(value).to_f32()
}

/// What a tier that rounds multiplies: queries are scaled before, which is undone after.
fn rounded(qkv: &[f32], width: usize, scale: f32) -> Vec<f32> {
    let scale = scale * std::f32::consts::LOG2_E;
    let rows = qkv.chunks_exact(3 * width).flat_map(|row| {
        let (queries, others) = row.split_at(width);
        let queries = queries.iter().map(move |x| round(x * scale) / scale);
        queries.chain(others.iter().map(|x| round(*x)))
    });
    rows.collect()
}

fn attend(
    cpu: Supported,
    team: &Team,
    qkv: &[f32],
    heads: usize,
    dim: usize,
    lengths: &[usize],
    scale: f32,
) -> Vec<f32> {
    let mut out = vec![f32::NAN; qkv.len() / 3];
    rounded_segment_attention_on(cpu, team, qkv, heads, dim, lengths, scale, &mut out).unwrap();
    out
}

#[test]
fn it_is_near_the_truth_on_every_tier() {
    let team = Team::new(2).unwrap();
    for (heads, dim) in [(1, 2), (3, 6), (2, 32), (2, 64), (2, 72), (1, 51), (1, 128)] {
        for lengths in [
            &[1][..],
            &[12],
            &[13, 0, 1],
            &[15, 16, 17],
            &[47, 48, 49],
            &[255, 256],
            &[257],
            &[600],
        ] {
            let tokens: usize = lengths.iter().sum();
            let qkv = random(20, tokens * 3 * heads * dim);
            let scale = 3.0 / (dim as f32).sqrt();
            let exact = segments_in_f64(&qkv, heads, dim, lengths, scale);
            let inputs = rounded(&qkv, heads * dim, scale);
            let of_rounded = segments_in_f64(&inputs, heads, dim, lengths, scale);
            for cpu in tiers() {
                let truth = if rounds(cpu) { &of_rounded } else { &exact };
                let found = attend(cpu, &team, &qkv, heads, dim, lengths, scale);
                for (place, (found, truth)) in found.iter().zip(truth).enumerate() {
                    assert!(
                        (f64::from(*found) - truth).abs() <= tolerance(cpu),
                        "{cpu:?}: {heads} of {dim}, {lengths:?}, {place}: {found}, not {truth}"
                    );
                }
            }
        }
    }
}

#[test]
fn large_scores_give_all_weight_to_the_greatest() {
    // Each token's key is a direction of its own, and queries ask for that of the token itself, so
    // loudly that only it counts: the result is its value. Scores lie far apart from span to span.
    let (dim, tokens) = (32, 300);
    let mut qkv = vec![0.0; tokens * 3 * dim];
    for (token, row) in qkv.chunks_exact_mut(3 * dim).enumerate() {
        let (query, rest) = row.split_at_mut(dim);
        let (key, value) = rest.split_at_mut(dim);
        for bit in 0..9 {
            let sign = if token >> bit & 1 == 0 { 60.0 } else { -60.0 };
            (query[bit], key[bit]) = (sign, sign);
        }
        value.fill(round(token as f32 / 300.0));
    }
    for cpu in tiers() {
        let found = attend(cpu, &Team::alone(), &qkv, 1, dim, &[tokens], 1.0);
        for (token, row) in found.chunks_exact(dim).enumerate() {
            let value = round(token as f32 / 300.0);
            // The weight is 1 and the sum of weights is, so far as the polynomial's ends are.
            let near = row.iter().all(|x| (x - value).abs() <= 2e-4);
            assert!(near, "{cpu:?}: token {token}: {row:?}, not {value}");
        }
    }
}

#[test]
fn a_result_depends_on_neither_neighbours_nor_threads() {
    let qkv = random(21, 390 * 3 * 64);
    let (one, three) = (Team::alone(), Team::new(3).unwrap());
    for cpu in tiers() {
        let together = attend(cpu, &three, &qkv, 2, 32, &[90, 300], 0.2);
        assert!(
            together == attend(cpu, &one, &qkv, 2, 32, &[90, 300], 0.2),
            "{cpu:?}"
        );
        let text = &qkv[90 * 3 * 64..];
        let alone = attend(cpu, &one, text, 2, 32, &[300], 0.2);
        assert!(together[90 * 64..] == alone, "{cpu:?}");
    }
}

#[test]
fn a_poisoned_query_spoils_its_own_result_alone() {
    let clean = random(22, 70 * 3 * 32);
    for cpu in tiers() {
        let mut qkv = clean.clone();
        qkv[20 * 96..][..32].fill(f32::NAN);
        let expected = attend(cpu, &Team::alone(), &clean, 1, 32, &[70], 0.2);
        let found = attend(cpu, &Team::alone(), &qkv, 1, 32, &[70], 0.2);
        assert!(found[20 * 32].is_nan(), "{cpu:?}");
        assert!(found[..20 * 32] == expected[..20 * 32], "{cpu:?}");
        assert!(found[21 * 32..] == expected[21 * 32..], "{cpu:?}");
    }
}

#[test]
fn misfits_are_errors_and_nothing_is_none() {
    let team = Team::alone();
    let values = [1.0; 96];
    for cpu in tiers() {
        let mut out = [9.0; 32];
        let mut call = |heads, lengths: &[usize], length: usize| {
            let out = &mut out[..length];
            rounded_segment_attention_on(cpu, &team, &values, heads, 4, lengths, 1.0, out)
        };
        assert!(call(2, &[5], 32).is_err());
        assert!(call(1, &[4], 16).is_err());
        assert!(call(2, &[usize::MAX, 5], 32).is_err());
        assert!(call(0, &[4], 32).is_err());
        assert!(call(3, &[4], 32).is_err());
        assert_eq!(out, [9.0; 32], "a refused call changes nothing");
        let nothing = rounded_segment_attention_on(cpu, &team, &[], 2, 4, &[0, 0], 1.0, &mut []);
        assert_eq!(nothing, Ok(()));
    }
}
