//! Paths and data URLs, good and bad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write;

use common::{path, picture};
use longtrainer_images::{Error, Limits, Picture, Result};

const PIXEL: &str = "R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==";

fn from_url(url: &str) -> Result<Picture> {
    Picture::from_data_url("the second picture", url, &Limits::default())
}

#[test]
fn a_file_is_called_by_its_path() {
    let picture = picture("plain.png");
    assert_eq!(picture.name(), path("plain.png").to_str().unwrap());
    assert_eq!(picture.bytes(), std::fs::read(path("plain.png")).unwrap());
}

#[test]
fn what_is_no_readable_file_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = folder.path().join(name);
        let error = Picture::open(&path, &Limits::default()).unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        error
    };
    assert!(matches!(open("nowhere.png"), Error::Missing { .. }));
    std::fs::create_dir(folder.path().join("holiday.png")).unwrap();
    assert!(matches!(open("holiday.png"), Error::Directory { .. }));
    std::fs::write(folder.path().join("a.png"), "").unwrap();
    assert!(matches!(open("a.png/b.png"), Error::Unreadable { .. }));
}

#[cfg(unix)]
#[test]
fn a_device_is_not_read() {
    let error = Picture::open("/dev/zero", &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error:?}");
}

#[test]
fn a_file_may_have_so_many_bytes_and_not_one_more() {
    let length = picture("plain.png").bytes().len() as u64;
    let open = |bytes| {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        Picture::open(path("plain.png"), &limits)
    };
    assert!(open(length).is_ok());
    let error = open(length - 1).unwrap_err();
    assert!(matches!(error, Error::TooManyBytes { limit, .. } if limit == length - 1));
}

#[test]
fn nothing_is_fetched_from_the_network() {
    for address in ["http://example.org/a.png", "HTTPS://example.org/a.png"] {
        let as_path = Picture::open(address, &Limits::default()).unwrap_err();
        assert!(matches!(as_path, Error::Remote { .. }), "{as_path:?}");
        assert!(as_path.to_string().contains(address), "{as_path}");

        let as_url = from_url(address).unwrap_err();
        assert!(matches!(as_url, Error::Remote { .. }), "{as_url:?}");
        assert!(
            as_url.to_string().contains("not fetched from the network"),
            "{as_url}"
        );
    }
}

#[test]
fn data_urls_in_all_spellings() {
    let plain = from_url(&format!("data:image/gif;base64,{PIXEL}")).unwrap();
    assert_eq!(plain.name(), "the second picture");
    assert_eq!(plain.media_type(), Some("image/gif"));
    assert_eq!(
        plain.decode(&Limits::default()).unwrap().pixels(),
        [255, 0, 0]
    );

    let (first, second) = PIXEL.split_at(20);
    let percent = plain.bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "%{byte:02x}").unwrap();
        text
    });
    let spellings = [
        format!("DATA:Image/GIF;BASE64,{PIXEL}"),
        format!("data:image/gif;name=a.gif;charset=utf-8;base64,{PIXEL}"),
        format!("data:image/png; base64,{PIXEL}"),
        format!("data:image/gif;base64,{first}\r\n {second}"),
        format!("data:image/gif;base64,{first}%0A{second}"),
        format!(" data:image/gif;base64,{}\n", PIXEL.trim_end_matches('=')),
        format!("data:image/gif,{percent}"),
    ];
    for url in spellings {
        let picture = from_url(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(picture, plain, "{url}");
    }
}

#[test]
fn what_is_no_data_url_of_a_picture_is_told() {
    for url in [
        "",
        "photo.png",
        "data:",
        "data:image/png;base64",
        "data:image/png;base64,",
        "data:image/png;base64,ä",
        "data:image/png;base64,A",
        "data:text/plain,hello",
        "data:,hello",
    ] {
        let error = from_url(url).unwrap_err();
        assert!(matches!(error, Error::DataUrl { .. }), "{url}: {error:?}");
        assert!(error.to_string().contains("the second picture"), "{error}");
    }
}

#[test]
fn a_data_url_may_hold_so_many_bytes_and_not_one_more() {
    let url = format!("data:image/gif;base64,{PIXEL}");
    let length = from_url(&url).unwrap().bytes().len() as u64;
    let limited = |bytes| {
        let limits = Limits {
            bytes,
            ..Limits::default()
        };
        Picture::from_data_url("a", &url, &limits)
    };
    assert!(limited(length).is_ok());
    assert!(matches!(
        limited(length - 1),
        Err(Error::TooManyBytes { .. })
    ));
}
