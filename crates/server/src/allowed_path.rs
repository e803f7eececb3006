//! Which files `documents/path` and `image_paths` may read: those in directories that the operator named.
//!
//! Paths are compared after links and `..` have been resolved, so that neither leads out. Of a path
//! that leads out nothing is told, not even whether it exists. Whoever can replace directories
//! inside an allowed one while a request runs can still mislead the check: allow only directories
//! of your own.

use std::path::{Path, PathBuf};

use crate::api_error::ApiError;

/// The file that `path` names, if it may be read.
pub(crate) fn allowed_file(allow_dirs: &[PathBuf], path: &Path) -> Result<PathBuf, ApiError> {
    let (_, file) = confined(allow_dirs, path)?;
    file.and_then(only_regular)
        .map_err(|error| unreadable(path, &error))
}

/// The place that `path` names, if what is there may be looked at; that may be nothing or no file.
pub(crate) fn allowed_path(allow_dirs: &[PathBuf], path: &Path) -> Result<PathBuf, ApiError> {
    let (asked, place) = confined(allow_dirs, path)?;
    Ok(place.unwrap_or(asked))
}

/// An absolute path that does not lead out of the allowed directories, and the same resolved.
fn confined(
    allow_dirs: &[PathBuf],
    path: &Path,
) -> Result<(PathBuf, std::io::Result<PathBuf>), ApiError> {
    if allow_dirs.is_empty() {
        return Err(ApiError::forbidden(
            "this server reads no files: name the directories that it may read from when you start \
             it, with --allow-dir DIR",
        ));
    }
    let asked = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let file = asked.canonicalize();
    let existing = file
        .as_ref()
        .ok()
        .cloned()
        .or_else(|| deepest_existing(&asked));
    if !existing.is_some_and(|existing| is_allowed(allow_dirs, &existing)) {
        return Err(ApiError::forbidden(format!(
            "{} is not in a directory that this server may read from (--allow-dir)",
            path.display()
        )));
    }
    Ok((asked, file))
}

/// As much of a path as exists, resolved.
fn deepest_existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|part| part.canonicalize().ok())
}

/// Whether a resolved path lies in an allowed directory.
fn is_allowed(allow_dirs: &[PathBuf], resolved: &Path) -> bool {
    allow_dirs
        .iter()
        .filter_map(|dir| dir.canonicalize().ok())
        .any(|dir| resolved.starts_with(dir))
}

/// Devices and pipes are no documents, and reading one may never end.
fn only_regular(file: PathBuf) -> std::io::Result<PathBuf> {
    match std::fs::metadata(&file)?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is not a file")),
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ApiError {
    ApiError::bad_request(format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use axum::http::StatusCode;
    use axum::response::IntoResponse;

    use super::*;

    /// `allowed/in.txt`, `secret/out.txt`, and in `allowed` a link to each way out.
    fn folders() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("allowed/sub")).unwrap();
        fs::create_dir(root.path().join("secret")).unwrap();
        fs::create_dir(root.path().join("allowed-too")).unwrap();
        for file in ["allowed/in.txt", "secret/out.txt", "allowed-too/out.txt"] {
            fs::write(root.path().join(file), "text").unwrap();
        }
        root
    }

    fn ask(root: &Path, path: &str) -> Result<PathBuf, StatusCode> {
        allowed_file(&[root.join("allowed")], &root.join(path))
            .map_err(|error| error.into_response().status())
    }

    #[test]
    fn a_file_inside_is_allowed_by_any_of_its_paths() {
        let root = folders();
        let file = root.path().join("allowed/in.txt").canonicalize().unwrap();
        for path in [
            "allowed/in.txt",
            "allowed/./sub/../in.txt",
            "secret/../allowed/in.txt",
        ] {
            assert_eq!(ask(root.path(), path), Ok(file.clone()), "{path}");
        }
    }

    #[test]
    fn what_lies_outside_is_forbidden_whether_or_not_it_exists() {
        let root = folders();
        for path in [
            "secret/out.txt",
            "secret/missing.txt",
            "allowed/../secret/out.txt",
            "allowed/../secret/missing.txt",
            "allowed-too/out.txt",
            "/etc/passwd",
            "/missing/file.txt",
        ] {
            assert_eq!(ask(root.path(), path), Err(StatusCode::FORBIDDEN), "{path}");
            let place = allowed_path(&[root.path().join("allowed")], &root.path().join(path));
            assert!(place.is_err(), "{path}");
        }
    }

    #[test]
    fn a_place_inside_is_allowed_whether_or_not_a_file_is_there() {
        let root = folders();
        let allowed = [root.path().join("allowed")];
        for path in ["allowed/in.txt", "allowed/missing.png", "allowed/sub"] {
            let place = allowed_path(&allowed, &root.path().join(path)).unwrap();
            assert!(place.ends_with(path), "{}", place.display());
        }
    }

    #[test]
    fn what_is_inside_but_no_file_is_the_askers_mistake() {
        let root = folders();
        for path in [
            "allowed/missing.txt",
            "allowed/sub",
            "allowed/nowhere/../in.txt",
        ] {
            assert_eq!(
                ask(root.path(), path),
                Err(StatusCode::BAD_REQUEST),
                "{path}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_is_forbidden() {
        let root = folders();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(root.path().join(to), root.path().join(name)).unwrap();
        };
        link("secret/out.txt", "allowed/file-link.txt");
        link("secret", "allowed/folder-link");
        link("allowed/in.txt", "allowed/inside-link.txt");
        for path in ["allowed/file-link.txt", "allowed/folder-link/out.txt"] {
            assert_eq!(ask(root.path(), path), Err(StatusCode::FORBIDDEN), "{path}");
        }
        assert!(ask(root.path(), "allowed/inside-link.txt").is_ok());
    }

    #[test]
    fn without_an_allowed_directory_nothing_is_read_and_the_flag_is_named() {
        let root = folders();
        let error = allowed_file(&[], &root.path().join("allowed/in.txt")).unwrap_err();
        assert!(error.detail().contains("--allow-dir"), "{error}");
    }
}
