//! Where tests find real weights: `LONGTRAINER_MODELS`, else the cache folder of the user. Without
//! them a test says so and passes, unless `LONGTRAINER_REQUIRE_MODELS=1`.

use std::env;
use std::path::PathBuf;

/// Folder of the default embedder.
pub(crate) const EMBEDDER: &str = "all-MiniLM-L6-v2";
/// File of the default text model.
pub(crate) const TEXT_MODEL: &str = "SmolLM2-135M-Instruct-Q4_1/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The path of a model, if it is there.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = models_dir().join(name);
    if path.exists() {
        return Some(path);
    }
    let required = env::var("LONGTRAINER_REQUIRE_MODELS").is_ok_and(|value| value == "1");
    assert!(!required, "{} is missing", path.display());
    eprintln!("skipped: {} is missing", path.display());
    None
}

fn models_dir() -> PathBuf {
    let cache = || {
        let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
        if cfg!(target_os = "macos") {
            return home.join("Library/Caches");
        }
        env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from)
    };
    let stated = env::var_os("LONGTRAINER_MODELS").map(PathBuf::from);
    stated.unwrap_or_else(|| cache().join("longtrainer/models"))
}
