//! SHA-256 of a file or a stream, as lower-case hexadecimal: the form `models.toml` uses and the
//! form in which both hashes appear in an error.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Bytes read at a time: large enough that system calls do not show, small enough for any cache.
pub(crate) const CHUNK: usize = 256 * 1024;

/// SHA-256 of a whole file, as 64 lower-case hexadecimal digits.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be opened or read.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    hash_of_file(path, Sha256::new())
}

/// The hash by which Git calls a file: SHA-1 of a header with its size, then its contents.
#[cfg(feature = "hub")]
pub(crate) fn git_hash_of_file(path: &Path) -> Result<String> {
    let size = std::fs::metadata(path)
        .map_err(Error::io("look at", path))?
        .len();
    let header = format!("blob {size}\0");
    hash_of_file(path, sha1::Sha1::new().chain_update(header))
}

/// Takes a whole file into a hash that has begun.
fn hash_of_file<D: Digest>(path: &Path, mut hash: D) -> Result<String> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).map_err(Error::io("read", path))?;
        if read == 0 {
            return Ok(to_hex(hash));
        }
        hash.update(&chunk[..read]);
    }
}

/// Ends a hash and writes it as lower-case hexadecimal.
pub(crate) fn to_hex(hash: impl Digest) -> String {
    hash.finalize()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_text_has_its_published_hash() {
        // FIPS 180-2, appendix B.1.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256_of_file(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[cfg(feature = "hub")]
    #[test]
    fn git_calls_a_file_the_same() {
        // `printf 'hello\n' | git hash-object --stdin`
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        std::fs::write(&path, "hello\n").unwrap();
        assert_eq!(
            git_hash_of_file(&path).unwrap(),
            "ce013625030ba8dba906f756967f9e9ca394464a"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = sha256_of_file(Path::new("no/such/file")).unwrap_err();
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }
}
