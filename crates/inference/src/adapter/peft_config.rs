//! `adapter_config.json`: rank and alpha, and whether anything is asked for that is not plain LoRA.

use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Settings that change what an adapter does. Each is off in plain LoRA.
const MUST_BE_OFF: [&str; 10] = [
    "alora_invocation_tokens",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "monteclora_config",
    "use_bdlora",
    "use_dora",
    "use_qalora",
];

/// Ways to begin a training that change the weights of the model, which the adapter then belongs to.
const CHANGES_THE_MODEL: [&str; 5] = ["corda", "loftq", "lora_ga", "olora", "pissa"];

/// What a configuration says.
#[derive(Debug)]
pub(super) struct PeftConfig {
    rank: usize,
    alpha: f32,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f32)>,
    /// Whether scales are divided by the root of the rank, not the rank (Kalajdzievski 2023).
    is_rank_stabilised: bool,
}

impl PeftConfig {
    /// Reads and checks a file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let fields = serde_json::from_slice(&bytes).map_err(|source| Error::Config {
            path: path.to_owned(),
            source,
        })?;
        Fields { path, fields }.config()
    }

    /// The rank of a module's adapter.
    pub(super) fn rank(&self, module: &str) -> usize {
        first_match(&self.ranks, module).unwrap_or(self.rank)
    }

    /// What the product of a module's adapter is multiplied by.
    pub(super) fn scale(&self, module: &str) -> f32 {
        let alpha = first_match(&self.alphas, module).unwrap_or(self.alpha);
        let rank = self.rank(module) as f32;
        alpha
            / if self.is_rank_stabilised {
                rank.sqrt()
            } else {
                rank
            }
    }
}

fn first_match<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    let mut matching = patterns
        .iter()
        .filter(|(pattern, _)| pattern.is_match(module));
    matching.next().map(|(_, value)| *value)
}

struct Fields<'path> {
    path: &'path Path,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn config(&self) -> Result<PeftConfig> {
        self.check_kind()?;
        Ok(PeftConfig {
            rank: self.rank("r", self.get("r"))?,
            alpha: self.alpha("lora_alpha", self.get("lora_alpha"))?,
            ranks: self.patterns("rank_pattern", |value| self.rank("rank_pattern", value))?,
            alphas: self.patterns("alpha_pattern", |value| self.alpha("alpha_pattern", value))?,
            is_rank_stabilised: is_on(self.get("use_rslora")),
        })
    }

    fn get(&self, name: &str) -> &Value {
        self.fields.get(name).unwrap_or(&Value::Null)
    }

    fn check_kind(&self) -> Result<()> {
        let kind = self.get("peft_type").as_str().unwrap_or("none");
        if kind != "LORA" {
            return Err(self.unsupported("adapter", kind));
        }
        if let Some(name) = MUST_BE_OFF.iter().find(|name| is_on(self.get(name))) {
            return Err(self.unsupported("setting", name));
        }
        let start = self.get("init_lora_weights").as_str().unwrap_or_default();
        let start = start.to_lowercase();
        match CHANGES_THE_MODEL.iter().any(|way| start.starts_with(way)) {
            true => Err(self.unsupported("init_lora_weights", &start)),
            false => Ok(()),
        }
    }

    fn rank(&self, name: &str, value: &Value) -> Result<usize> {
        let rank = value.as_u64().and_then(|rank| usize::try_from(rank).ok());
        let rank = rank.filter(|rank| *rank > 0);
        rank.ok_or_else(|| self.bad(format!("{name} is {value}, but a rank is 1 or more")))
    }

    fn alpha(&self, name: &str, value: &Value) -> Result<f32> {
        let alpha = value.as_f64().map(|alpha| alpha as f32);
        let alpha = alpha.filter(|alpha| alpha.is_finite());
        alpha.ok_or_else(|| self.bad(format!("{name} is {value}, but alpha is a finite number")))
    }

    /// Values for modules whose name ends, after a point, with what a regular expression matches.
    fn patterns<T>(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Result<T>,
    ) -> Result<Vec<(Regex, T)>> {
        let patterns = match self.get(name) {
            Value::Null => return Ok(Vec::new()),
            Value::Object(patterns) => patterns,
            _ => return Err(self.bad(format!("{name} is no object"))),
        };
        let patterns = patterns.iter().map(|(pattern, value)| {
            let whole = Regex::new(&format!(r"^(.*\.)?({pattern})$"));
            let whole = whole.map_err(|error| self.bad(format!("{name}: {error}")))?;
            Ok((whole, read(value)?))
        });
        patterns.collect()
    }

    fn bad(&self, problem: String) -> Error {
        Error::BadModel {
            path: self.path.to_owned(),
            problem,
        }
    }

    fn unsupported(&self, what: &'static str, found: &str) -> Error {
        Error::Unsupported {
            path: self.path.to_owned(),
            what,
            found: found.to_owned(),
            supported: "plain LoRA",
        }
    }
}

fn is_on(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}
