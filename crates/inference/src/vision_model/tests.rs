//! A made-up tower before a tiny text model.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::error::ComputeError;
use crate::tiny::{self, TinyModel};
use crate::vision::VisionConfig;
use crate::{Generation, Role, TextModelOptions};

/// Frames of 8 by 8 pixels in patches of 2: 16 patches, 4 tokens.
const FRAME: usize = 8;
const TOKENS: usize = 4;

/// Makes a token of each quarter of a frame's values, and counts frames.
struct FakeTower {
    config: VisionConfig,
    frames: AtomicUsize,
    /// Held by a test to keep the tower from beginning a frame.
    gate: Mutex<()>,
}

impl FakeTower {
    fn new(text_width: usize) -> Arc<Self> {
        Arc::new(Self {
            config: VisionConfig {
                hidden: 32,
                blocks: 1,
                heads: 1,
                inner: 32,
                image_size: FRAME,
                patch_size: 2,
                epsilon: 1e-6,
                scale_factor: 2,
                text_width,
                longest_edge: 4 * FRAME,
                mean: [0.5; 3],
                std: [0.5; 3],
            },
            frames: AtomicUsize::new(0),
            gate: Mutex::default(),
        })
    }

    fn frames(&self) -> usize {
        self.frames.load(Ordering::SeqCst)
    }
}

impl VisionTower for FakeTower {
    fn config(&self) -> &VisionConfig {
        &self.config
    }

    fn encode(&self, frame: &[f32]) -> Result<Vec<f32>, ComputeError> {
        self.frames.fetch_add(1, Ordering::SeqCst);
        drop(self.gate.lock().unwrap());
        let red = frame[0];
        assert!(red < 0.99, "a picture as red as this breaks the tower");
        if red > 0.9 {
            return Err("too red".into());
        }
        let values = frame.chunks(frame.len() / TOKENS);
        let rows = values.flat_map(|quarter| {
            let mean = quarter.iter().sum::<f32>() / quarter.len() as f32;
            (0..self.config.text_width).map(move |at| mean * ((at % 7) as f32 - 3.0))
        });
        Ok(rows.collect())
    }

    fn states(&self, _: &[f32]) -> Result<Vec<f32>, ComputeError> {
        Err("nobody asks a made-up tower for its states".into())
    }

    fn memory_bytes(&self) -> usize {
        1000
    }
}

struct Setup {
    model: VisionModel,
    tower: Arc<FakeTower>,
}

fn setup(options: &VisionModelOptions) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::new("llama").write(&path);
    let text = GgufTextModel::load("tiny", &path, &TextModelOptions::default()).unwrap();
    let tower = FakeTower::new(tiny::HIDDEN);
    let parts = (Arc::clone(&tower) as Arc<dyn VisionTower>, path.as_path());
    let model = VisionModel::with_tower("eyes", Arc::new(text), parts, None, options).unwrap();
    Setup { model, tower }
}

/// A picture of one colour: a bitmap of 24 bits a pixel.
fn picture(width: u32, height: u32, [red, green, blue]: [u8; 3]) -> Picture {
    let row = (3 * width).next_multiple_of(4);
    let mut bytes = b"BM".to_vec();
    let numbers = [54 + row * height, 0, 54, 40, width, height];
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    for _ in 0..height {
        bytes.extend([blue, green, red].repeat(width as usize));
        bytes.resize(bytes.len() + (row - 3 * width) as usize, 0);
    }
    Picture::new(format!("{width}x{height}.bmp"), bytes)
}

fn green() -> Picture {
    picture(8, 8, [0, 200, 0])
}

fn ask(text: &str, pictures: Vec<Picture>) -> GenerateRequest {
    let message = Message::new(Role::User, text).with_pictures(pictures);
    GenerateRequest::new(vec![message], 12)
}

fn collect(stream: TextStream) -> Result<(String, Generation)> {
    let mut text = String::new();
    for item in stream {
        match item? {
            StreamItem::Text(piece) => text.push_str(&piece),
            StreamItem::Token(_) => (),
            StreamItem::Done(done) => return Ok((text, done)),
        }
    }
    panic!("the stream ended without an end");
}

fn answer(model: &VisionModel, request: GenerateRequest) -> (String, Generation) {
    collect(model.generate(request).unwrap()).unwrap()
}

#[test]
fn pictures_are_part_of_the_prompt_and_looked_at_once() {
    let Setup { model, tower } = setup(&VisionModelOptions::default());
    let without = model.count_tokens(&ask("What is it?", vec![]).messages, None);
    let first = ask("What is it?", vec![green()]);
    assert_eq!(
        model.count_tokens(&first.messages, None).unwrap(),
        without.unwrap() + TOKENS
    );
    let (text, done) = answer(&model, first.clone());
    assert_eq!((tower.frames(), done.usage.cached_tokens), (1, 0));
    let (again, done) = answer(&model, first.clone());
    assert_eq!((&again, tower.frames()), (&text, 1));
    assert!(done.usage.cached_tokens >= done.usage.prompt_tokens - 1);
    let (other, _) = answer(&model, ask("What is it?", vec![picture(8, 8, [0, 0, 250])]));
    assert_eq!(tower.frames(), 2);
    assert_ne!(other, text, "what is seen matters");
    let mut follow_up = first.messages;
    follow_up.push(Message::new(Role::Assistant, text));
    follow_up.push(Message::new(Role::User, "And now?"));
    let (_, done) = answer(&model, GenerateRequest::new(follow_up, 12));
    assert_eq!(tower.frames(), 2, "a follow-up costs no vision work");
    assert!(done.usage.cached_tokens > TOKENS);
}

#[test]
fn a_look_in_detail_takes_more_frames() {
    let Setup { model, tower } = setup(&VisionModelOptions::default());
    let tall = picture(16, 32, [10, 20, 30]);
    for (detail, frames) in [(Detail::Low, 1), (Detail::Auto, 3), (Detail::High, 9)] {
        let before = tower.frames();
        let request = GenerateRequest {
            detail: Some(detail),
            ..ask("Look.", vec![tall.clone(), green()])
        };
        let prompt_tokens = answer(&model, request).1.usage.prompt_tokens;
        let seen = tower.frames() - before;
        assert!(seen > frames, "{detail:?}: {seen}");
        assert!(prompt_tokens > seen * TOKENS);
    }
}

#[test]
fn what_was_forgotten_is_looked_at_again() {
    let Setup { model, tower } = setup(&VisionModelOptions {
        feature_bytes: 0,
        ..Default::default()
    });
    let (text, _) = answer(&model, ask("Well?", vec![green()]));
    let (again, done) = answer(&model, ask("Well?", vec![green()]));
    assert_eq!((again, tower.frames()), (text, 2));
    assert!(done.usage.cached_tokens < TOKENS + done.usage.prompt_tokens);
}

#[test]
fn bad_pictures_are_refused_at_once() {
    let Setup { model, tower } = setup(&VisionModelOptions::default());
    let text = Picture::new("notes.png", &b"only text"[..]);
    let whole = green();
    let cut = Picture::new("cut.bmp", &whole.bytes()[..100]);
    for (picture, name) in [(text, "notes.png"), (cut, "cut.bmp")] {
        let error = model.generate(ask("?", vec![green(), picture]));
        let error = error.unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert_eq!(tower.frames(), 0);
    let many = (0..400).map(|shade| picture(8, 8, [0, (shade / 2) as u8, (shade % 2) as u8]));
    let error = model.generate(ask("?", many.collect())).unwrap_err();
    assert!(matches!(error, Error::PromptTooLong { .. }), "{error}");
}

#[test]
fn a_tower_that_fails_fails_its_request_only() {
    let Setup { model, .. } = setup(&VisionModelOptions::default());
    let failed = |red| {
        let request = ask("?", vec![picture(8, 8, [red, 0, 0])]);
        collect(model.generate(request).unwrap()).unwrap_err()
    };
    assert!(matches!(failed(245), Error::Compute { .. }));
    assert!(matches!(failed(255), Error::Panicked { .. }));
    answer(&model, ask("?", vec![green()]));
}

#[test]
fn nobody_looks_at_what_nobody_wants() {
    let Setup { model, tower } = setup(&VisionModelOptions::default());
    let gate = tower.gate.lock().unwrap();
    let request = GenerateRequest {
        detail: Some(Detail::High),
        ..ask("?", vec![picture(32, 32, [1, 2, 3])])
    };
    let stream = model.generate(request).unwrap();
    while tower.frames() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(stream);
    drop(gate);
    answer(&model, ask("?", vec![green()]));
    assert_eq!(
        tower.frames(),
        2,
        "the frame that was begun, and the green one"
    );
}

#[test]
fn a_model_that_goes_ends_what_waits() {
    let Setup { model, tower } = setup(&VisionModelOptions::default());
    let gate = tower.gate.lock().unwrap();
    let first = model.generate(ask("?", vec![green()])).unwrap();
    while tower.frames() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = model
        .generate(ask("?", vec![picture(8, 8, [0, 0, 9])]))
        .unwrap();
    let going = std::thread::spawn(move || drop(model));
    std::thread::sleep(Duration::from_millis(50));
    drop(gate);
    going.join().unwrap();
    assert!(matches!(
        collect(second).unwrap_err(),
        Error::EngineStopped { .. }
    ));
    drop(first);
}

#[test]
fn a_tower_for_other_text_models_is_refused() {
    let Setup { model, .. } = setup(&VisionModelOptions::default());
    let demo = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../models/demo-vision/mmproj-demo-vision-f16.gguf");
    let text = Arc::clone(&model.text);
    let error = VisionModel::load("demo", text, &demo, None, &VisionModelOptions::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("576") && error.contains("32"), "{error}");
}
