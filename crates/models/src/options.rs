//! Where the registry keeps its models and whether it may use the network.

use std::path::PathBuf;

/// Where the registry keeps its models and whether it may use the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryOptions {
    /// The models folder; `None` is `longtrainer/models` in the user's cache folder. The path of a
    /// file stands for the folder it is in.
    pub models_dir: Option<PathBuf>,
    /// Never open a socket and never start a download.
    pub offline: bool,
    /// A file of the shape of `models.toml` that adds models or replaces built-in ones.
    pub manifest: Option<PathBuf>,
}

impl RegistryOptions {
    /// Reads `LONGTRAINER_MODELS` (the models folder) and `LONGTRAINER_OFFLINE` or
    /// `HF_HUB_OFFLINE` (`1`, `true`, `yes` or `on`, in any case).
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name)?.into_string().ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name| variable(name).is_some_and(|value| is_yes(&value));
        Self {
            models_dir: variable("LONGTRAINER_MODELS")
                .filter(|v| !v.is_empty())
                .map(PathBuf::from),
            offline: is_set("LONGTRAINER_OFFLINE") || is_set("HF_HUB_OFFLINE"),
            manifest: None,
        }
    }
}

fn is_yes(value: &str) -> bool {
    matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "1" | "true" | "yes" | "on"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_variable_turns_the_network_off() {
        for name in ["LONGTRAINER_OFFLINE", "HF_HUB_OFFLINE"] {
            for (value, expected) in [
                ("1", true),
                ("TRUE", true),
                ("yes", true),
                ("0", false),
                ("", false),
            ] {
                let options =
                    RegistryOptions::from_variables(|n| (n == name).then(|| value.to_owned()));
                assert_eq!(options.offline, expected, "{name}={value}");
            }
        }
    }

    #[test]
    fn an_empty_folder_variable_is_no_folder() {
        let with = |value: &str| {
            RegistryOptions::from_variables(|n| {
                (n == "LONGTRAINER_MODELS").then(|| value.to_owned())
            })
        };
        assert_eq!(with("").models_dir, None);
        assert_eq!(with("weights").models_dir, Some(PathBuf::from("weights")));
    }
}
