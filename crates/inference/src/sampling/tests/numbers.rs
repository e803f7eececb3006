use super::*;
use crate::Error;

#[test]
fn numbers_out_of_range_are_named() {
    type Spoil = fn(&mut Sampling);
    let cases: [(&str, Spoil); 30] = [
        ("temperature", |sampling| sampling.temperature = f32::NAN),
        ("temperature", |sampling| sampling.temperature = -0.1),
        ("temperature", |sampling| {
            sampling.temperature = f32::INFINITY
        }),
        ("top_k", |sampling| sampling.top_k = Some(0)),
        ("top_p", |sampling| sampling.top_p = Some(0.0)),
        ("top_p", |sampling| sampling.top_p = Some(1.1)),
        ("top_p", |sampling| sampling.top_p = Some(f32::NAN)),
        ("min_p", |sampling| sampling.min_p = Some(-0.1)),
        ("min_p", |sampling| sampling.min_p = Some(f32::NAN)),
        ("repetition_penalty", |sampling| {
            sampling.repetition_penalty = 0.0
        }),
        ("repetition_penalty", |sampling| {
            sampling.repetition_penalty = -1.0
        }),
        ("repetition_penalty", |sampling| {
            sampling.repetition_penalty = f32::NAN
        }),
        ("frequency_penalty", |sampling| {
            sampling.frequency_penalty = 2.1
        }),
        ("frequency_penalty", |sampling| {
            sampling.frequency_penalty = f32::NAN
        }),
        ("presence_penalty", |sampling| {
            sampling.presence_penalty = -2.1
        }),
        ("presence_penalty", |sampling| {
            sampling.presence_penalty = f32::INFINITY
        }),
        ("logit_bias", |sampling| {
            sampling.logit_bias = vec![(0, 0.0), (100, 0.0)]
        }),
        ("logit_bias", |sampling| {
            sampling.logit_bias = vec![(u32::MAX, 0.0)]
        }),
        ("logit_bias", |sampling| {
            sampling.logit_bias = vec![(5, 100.5)]
        }),
        ("logit_bias", |sampling| {
            sampling.logit_bias = vec![(5, f32::NAN)]
        }),
        ("dry.multiplier", |sampling| dry(sampling).multiplier = -0.1),
        ("dry.multiplier", |sampling| {
            dry(sampling).multiplier = f32::INFINITY
        }),
        ("dry.multiplier", |sampling| {
            dry(sampling).multiplier = f32::NAN
        }),
        ("dry.base", |sampling| dry(sampling).base = 0.99),
        ("dry.base", |sampling| dry(sampling).base = f32::NAN),
        ("dry.allowed_length", |sampling| {
            dry(sampling).allowed_length = 0
        }),
        ("dry.sequence_breakers", |sampling| {
            breakers(sampling, &[""])
        }),
        ("dry.sequence_breakers", |sampling| {
            breakers(sampling, &["a", ""])
        }),
        ("dry.sequence_breakers", |sampling| {
            breakers(sampling, &["a"; 101])
        }),
        ("min_p", |sampling| sampling.min_p = Some(1.5)),
    ];
    for (name, change) in cases {
        match check(&sampling(change), 100) {
            Err(Error::InvalidRequest { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

fn dry(sampling: &mut Sampling) -> &mut Dry {
    sampling.dry.get_or_insert_default()
}

fn breakers(sampling: &mut Sampling, texts: &[&str]) {
    dry(sampling).sequence_breakers = texts.iter().map(|text| (*text).to_owned()).collect();
}

#[test]
fn the_ends_of_the_ranges_are_inside() {
    check(&Sampling::default(), 100).unwrap();
    let settings = sampling(|sampling| {
        sampling.top_p = Some(1.0);
        sampling.min_p = Some(0.0);
        sampling.frequency_penalty = -2.0;
        sampling.presence_penalty = 2.0;
        sampling.logit_bias = vec![(0, -100.0), (99, 100.0)];
        sampling.dry = Some(Dry {
            multiplier: 0.0,
            base: 1.0,
            allowed_length: 1,
            window: 0,
            sequence_breakers: vec![],
        });
    });
    check(&settings, 100).unwrap();
}
