//! What a person can get wrong, through the real binary: a clear error that names the thing, the
//! right exit code, and nothing lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::process::{Command, Stdio};

use longtrainer_tests::{MODELS, Shell, binary, models_are_here, stderr};

/// Exit codes of the command, as its help lists them.
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const INVALID: i32 = 4;
const CONFLICT: i32 = 5;
const UNAVAILABLE: i32 = 6;

#[test]
fn files_that_cannot_be_read_are_named_and_nothing_is_added() {
    let shell = Shell::default();
    let bot = shell.ok(&["bot", "create"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("empty.txt"), "").unwrap();
    std::fs::write(path("binary.csv"), [0u8, 159, 146, 150].repeat(50)).unwrap();
    std::fs::write(path("picture.pdf"), b"\x89PNG\r\n\x1a\n0000").unwrap();
    std::fs::write(path("ragged.csv"), "a,b\n1,2\n1,2,3\n").unwrap();
    std::fs::write(path("cut.pdf"), "%PDF-1.7\n1 0 obj\n<<").unwrap();
    for name in [
        "absent.pdf",
        "empty.txt",
        "binary.csv",
        "picture.pdf",
        "ragged.csv",
        "cut.pdf",
    ] {
        let said = shell.fails(INVALID, &["add-doc", &bot, &path(name), "--no-build"]);
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(
        shell.json(&["docs", "list", &bot, "--json"]),
        serde_json::json!([])
    );
}

#[test]
fn a_file_over_the_limit_is_refused_before_it_is_read() {
    let shell = Shell::default();
    let bot = shell.ok(&["bot", "create"]);
    for extension in ["pdf", "docx", "csv", "html", "md", "txt", "json", "jsonl"] {
        let path = shell.data_dir.path().join(format!("huge.{extension}"));
        std::fs::File::create(&path)
            .unwrap()
            .set_len(100 << 20)
            .unwrap();
        let said = shell.fails(
            INVALID,
            &["add-doc", &bot, path.to_str().unwrap(), "--no-build"],
        );
        assert!(
            said.contains("huge.") && said.contains("104857600"),
            "{said}"
        );
    }
}

#[test]
fn unknown_ids_are_not_found() {
    let shell = Shell::default();
    let bot = "bot-00000000-0000-4000-8000-000000000000";
    let chat = "chat-00000000-0000-4000-8000-000000000000";
    for args in [
        vec!["bot", "show", bot],
        vec!["docs", "list", bot],
        vec!["chats", "show", chat],
    ] {
        let said = shell.fails(NOT_FOUND, &args);
        assert!(said.contains("00000000-0000"), "{args:?}: {said}");
    }
    let said = shell.fails(USAGE, &["bot", "show", "../../etc/passwd"]);
    assert!(said.contains("bot-<uuid>"), "{said}");
}

#[test]
fn a_prompt_that_would_not_work_is_refused_with_the_reason() {
    let shell = Shell::default();
    for (prompt, reason) in [
        ("Be kind.", "{context}"),
        ("{context} {", "stray {"),
        ("{context} {x}", "{x}"),
    ] {
        let said = shell.fails(INVALID, &["bot", "create", "--prompt", prompt]);
        assert!(said.contains(reason), "{prompt}: {said}");
    }
    assert_eq!(shell.ok(&["bot", "list"]), "", "no half-made bot is left");
}

#[test]
fn questions_without_text_or_beyond_any_context_are_refused() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let notes = shell.data_dir.path().join("notes.txt");
    std::fs::write(&notes, "Herons nest in tall trees.").unwrap();
    let bot = shell.bot(&[&notes]);
    shell.fails(INVALID, &["ask", &bot, "  "]);

    let question = shell.data_dir.path().join("question.txt");
    std::fs::write(&question, "why ".repeat(1 << 18)).unwrap();
    let mut command = shell.command(&["ask", &bot, "-"]);
    let output = command
        .stdin(std::fs::File::open(&question).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(INVALID), "{}", stderr(&output));
    assert!(stderr(&output).contains("tokens"), "{}", stderr(&output));
}

#[test]
fn two_processes_cannot_share_a_data_directory() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let bot = shell.ok(&["bot", "create"]);
    // `chat` holds the directory for as long as its standard input is open.
    let mut holder = shell
        .command(&["chat", &bot])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let refused = (0..200).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let output = shell.run(&["bot", "list"]);
        (!output.status.success()).then_some(output)
    });
    drop(holder.stdin.take());
    holder.kill().ok();
    holder.wait().unwrap();
    let output = refused.expect("a second process was never refused");
    assert_eq!(output.status.code(), Some(CONFLICT), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("longtrainer.redb"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        shell.ok(&["bot", "list"]),
        bot,
        "and afterwards all is well"
    );
}

#[test]
fn a_flipped_byte_in_a_model_is_found_and_the_file_named() {
    if !models_are_here() {
        return;
    }
    let shell = Shell::default();
    let models = tempfile::tempdir().unwrap();
    let notes = shell.data_dir.path().join("notes.txt");
    std::fs::write(&notes, "Herons nest in tall trees.").unwrap();
    let folder = models.path().join(MODELS[0]);
    copy_folder(shell.ok(&["models", "path", MODELS[0]]).as_ref(), &folder);
    let weights = folder.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&weights, bytes).unwrap();

    let bot = shell.ok(&["bot", "create"]);
    let output = shell
        .command(&["add-doc", &bot, notes.to_str().unwrap()])
        .env("LONGTRAINER_MODELS", models.path())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(UNAVAILABLE),
        "{}",
        stderr(&output)
    );
    assert!(
        stderr(&output).contains("model.safetensors"),
        "{}",
        stderr(&output)
    );
    // The document is kept; with the right model the next build makes it searchable.
    shell.ok(&["add-doc", &bot, notes.to_str().unwrap()]);
    assert!(
        shell
            .ok(&["search", &bot, "herons"])
            .contains("Herons nest")
    );
}

#[test]
fn a_missing_model_is_named_at_once_with_the_places_searched() {
    let shell = Shell::default();
    let nowhere = tempfile::tempdir().unwrap();
    let started = std::time::Instant::now();
    let output = shell
        .command(&["models", "pull", MODELS[1]])
        .env("LONGTRAINER_MODELS", nowhere.path())
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(UNAVAILABLE),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains(".gguf"), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(nowhere.path().to_str().unwrap()),
        "{}",
        stderr(&output)
    );
    assert!(
        started.elapsed().as_secs() < 5,
        "offline must not wait for a network"
    );
}

/// A disk of one megabyte, where the system lets this test mount one.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let disk = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
        .arg(disk.path())
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("skipped: mounting a small disk needs rights that this test does not have");
        return;
    }
    let run = |args: &[&str]| {
        let mut command = Command::new(binary("longtrainer"));
        command
            .arg("--offline")
            .arg("--data-dir")
            .arg(disk.path())
            .args(args);
        command.output().unwrap()
    };
    let text = |output: &std::process::Output| String::from_utf8(output.stdout.clone()).unwrap();
    let bot = text(&run(&["bot", "create"])).trim().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (
        folder.path().join("small.txt"),
        folder.path().join("large.txt"),
    );
    std::fs::write(&small, "Herons nest in tall trees.").unwrap();
    std::fs::write(&large, "many words ".repeat(1 << 20)).unwrap();
    let stored = run(&["add-doc", &bot, small.to_str().unwrap(), "--no-build"]);
    assert!(stored.status.success(), "{}", stderr(&stored));

    let full = run(&["add-doc", &bot, large.to_str().unwrap(), "--no-build"]);
    let after = run(&["docs", "list", &bot, "--json"]);
    Command::new("umount").arg(disk.path()).status().unwrap();

    assert!(
        !full.status.success(),
        "a document of 11 MB went onto a disk of 4"
    );
    assert!(
        stderr(&full).contains("longtrainer.redb"),
        "{}",
        stderr(&full)
    );
    let documents: serde_json::Value = serde_json::from_str(&text(&after)).unwrap();
    assert_eq!(documents.as_array().unwrap().len(), 1, "{documents}");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
