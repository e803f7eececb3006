//! Texts to embed, from a file.

use std::path::Path;

use crate::error::Result;

use super::error::BenchError;

/// Reads a JSON array of strings, one of them at least.
///
/// # Errors
///
/// [`BenchError::UnreadableTexts`], [`BenchError::NotTexts`] and [`BenchError::NoTexts`].
pub fn read_texts(path: &Path) -> Result<Vec<String>> {
    let bytes = std::fs::read(path).map_err(|source| BenchError::UnreadableTexts {
        path: path.to_owned(),
        source,
    })?;
    let texts: Vec<String> =
        serde_json::from_slice(&bytes).map_err(|source| BenchError::NotTexts {
            path: path.to_owned(),
            source,
        })?;
    if texts.is_empty() {
        return Err(BenchError::NoTexts.into());
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_strings_and_there_is_one_at_least() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.json");
        let read = |contents: &str| {
            std::fs::write(&path, contents).unwrap();
            read_texts(&path)
        };
        assert_eq!(read(r#"["a", ""]"#).unwrap(), ["a", ""]);
        assert!(read("[]").unwrap_err().to_string().contains("no texts"));
        for bad in ["", "{}", "[1]", "[\"a\""] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("texts.json is not a JSON array"), "{error}");
        }
        let missing = read_texts(&folder.path().join("nowhere.json"));
        assert!(missing.unwrap_err().to_string().contains("nowhere.json"));
    }
}
