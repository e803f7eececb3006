//! Small files of the registry's own, beside the folders of the models: hashes computed before
//! (`stamps`) and what files were when they were first seen (`first_seen`).

use std::io::Write as _;
use std::path::Path;

/// What a side file calls another file: its path below the side file's folder, so that the folder
/// can be moved as a whole.
pub(crate) fn key(side_file: &Path, path: &Path) -> String {
    let folder = side_file.parent().unwrap_or(Path::new(""));
    path.strip_prefix(folder)
        .unwrap_or(path)
        .to_string_lossy()
        .replace('\\', "/")
}

/// Puts a text in the place of a side file, in one step.
pub(crate) fn replace(side_file: &Path, text: &str) -> std::io::Result<()> {
    let folder = side_file.parent().unwrap_or(Path::new("."));
    let mut temporary = readable_by_all().tempfile_in(folder)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    temporary.persist(side_file)?;
    Ok(())
}

/// Other users of a shared models folder profit too, as far as the umask lets them.
fn readable_by_all() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".verified-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder
}
