//! Vision chats from a shell.

use longtrainer::{ImageInput, ResponseOptions};

use crate::echo::{chats, trainer};
use crate::world::{World, bot_id, text_of};

/// A bitmap of one pixel, as a file has it.
fn bitmap() -> Vec<u8> {
    let mut file = b"BM".to_vec();
    for number in [58, 0, 54, 40, 1, 1, 24 << 16 | 1, 0, 4, 0, 0, 0, 0, 0] {
        file.extend(u32::to_le_bytes(number));
    }
    file
}

#[test]
fn a_vision_chat_is_shown_with_its_pictures() {
    let world = World::new();
    let (bot, _, vision) = chats(&world, &[]);
    let path = world.write("a.bmp", bitmap());
    {
        let trainer = trainer(&world);
        let images = [
            ImageInput::from(&path),
            ImageInput::bytes("bytes", bitmap()),
        ];
        let (bot, vision) = (bot_id(&bot), vision.parse().unwrap());
        let options = ResponseOptions::default;
        trainer
            .get_vision_response("What?", images, &bot, &vision, options())
            .unwrap();
        trainer
            .get_vision_response("And?", ["nowhere.png"], &bot, &vision, options())
            .unwrap_err();
    }
    let shown = world.ok(&["chats", "show", &vision]);
    for line in [
        format!("  picture: {} (image/bmp, 58 B, kept)\n", text_of(&path)),
        "  picture: bytes (image/bmp, 58 B, kept)\n".to_owned(),
        "  picture: nowhere.png\n".to_owned(),
        "  error: picture nowhere.png: there is no such file\n".to_owned(),
        "Bot: Echo: What?\n".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}{shown}");
    }
    let json = world.json(&["chats", "show", &vision, "--json"]);
    assert_eq!(json[0]["status"], "failed");
    assert_eq!(json[1]["response"], "Echo: What?");
    assert_eq!(json[1]["pictures"][0]["kept"], true);
}

#[test]
fn a_question_about_a_picture_says_which_files_are_missing() {
    let world = World::new();
    let (bot, _, vision) = chats(&world, &[]);
    let path = text_of(&world.write("a.bmp", bitmap()));
    let told = ["cannot be fetched offline: missing SmolLM2"];
    world
        .run(&["ask", &bot, "--image", &path, "What?"])
        .expect(6, &told);
    world
        .run(&["ask", &bot, "--chat", &vision, "--detail", "low", "What?"])
        .expect(6, &told);
    world.run(&["chat", &bot, "--vision"]).expect(6, &told);
    let chats = world.ok(&["chats", "list", &bot]);
    assert_eq!(chats.lines().count(), 2, "no chat is left behind: {chats}");
}

#[test]
fn a_text_chat_takes_no_pictures() {
    let world = World::new();
    let (bot, chat, _) = chats(&world, &[]);
    world
        .run(&["ask", &bot, "--chat", &chat, "--image", "a.png", "What?"])
        .expect(2, &["--image is for vision chats"]);
    world
        .run(&["chat", &bot, "--chat", &chat, "--vision"])
        .expect(2, &["--vision is for vision chats"]);
    world
        .run(&["ask", &bot, "--detail", "high", "What?"])
        .expect(2, &["--detail is for vision chats"]);
    world
        .run(&["ask", &bot, "--image", "a.png", "--detail", "most", "What?"])
        .expect(2, &["most", "low", "high"]);
}
