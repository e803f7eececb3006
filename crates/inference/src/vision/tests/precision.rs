//! What rounding costs where some states are many times as large as the others, as in trained towers.

use super::*;

#[test]
fn rounding_bears_large_states() {
    let config = VisionConfig {
        hidden: 192,
        heads: 3,
        inner: 768,
        blocks: 6,
        image_size: 128,
        patch_size: 8,
        scale_factor: 2,
        text_width: 96,
        ..tiny_config()
    };
    let made_up = MadeUp::new(config).with_large_states();
    let checkpoint = opened(&made_up);
    let frame = made_up.frame();
    let exact = on_kernels(&checkpoint, Precision::F32)
        .encode(&frame)
        .unwrap();
    for (precision, least) in [
        (Precision::Bf16, 0.9995),
        (Precision::Mixed, 0.9985),
        (Precision::Int8, 0.998),
    ] {
        let tower = on_kernels(&checkpoint, precision);
        let cosine = least_cosine(&tower.encode(&frame).unwrap(), &exact, 96);
        assert!(cosine > least, "{precision:?}: {cosine}");
    }
}
