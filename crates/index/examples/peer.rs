//! The index as a process that `benches/peers/vector_search.py` asks, beside its peers: a JSON object
//! a line on the standard input, an answer a line on the standard output. The script's head describes
//! the operations.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use longtrainer_index::{
    AutoIndex, Codes, FlatIndex, Hit, IvfIndex, IvfOptions, Metric, Scan, Search, VectorIndex,
};
use longtrainer_kernels::{Isa, Team, read_bandwidth};
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut session = Session::default();
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(Into::into)
            .and_then(|request| session.answer(&request))
            .unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

/// An index of any kind that was asked for.
enum Index {
    Flat(FlatIndex),
    Ivf(IvfIndex),
    Auto(AutoIndex),
}

impl Index {
    fn of(&self) -> &dyn VectorIndex {
        match self {
            Index::Flat(index) => index,
            Index::Ivf(index) => index,
            Index::Auto(index) => index,
        }
    }

    fn search(
        &self,
        query: &[f32],
        k: usize,
        search: Search,
    ) -> longtrainer_index::Result<Vec<Hit>> {
        match self {
            Index::Flat(index) => index.search(query, k),
            Index::Ivf(index) => index.search_with(query, k, search),
            Index::Auto(index) => index.search_with(query, k, search),
        }
    }

    fn batch(
        &self,
        queries: &[f32],
        k: usize,
        search: Search,
    ) -> longtrainer_index::Result<Vec<Vec<Hit>>> {
        match self {
            Index::Flat(index) => index.search_batch(queries, k),
            Index::Ivf(index) => index.search_batch_with(queries, k, search),
            Index::Auto(index) => index.search_batch_with(queries, k, search),
        }
    }

    fn with_threads(self, threads: usize) -> Outcome<Index> {
        Ok(match self {
            Index::Flat(index) => Index::Flat(index.with_threads(threads)?),
            Index::Ivf(index) => Index::Ivf(index.with_threads(threads)?),
            Index::Auto(index) => Index::Auto(index.with_threads(threads)?),
        })
    }
}

#[derive(Default)]
struct Session {
    dimension: usize,
    queries: Vec<f32>,
    vectors: Option<PathBuf>,
    index: Option<(Index, usize)>,
}

impl Session {
    fn answer(&mut self, request: &Value) -> Outcome<Value> {
        match text(request, "op")? {
            "load" => self.load(request),
            "build" => self.build(request),
            "search" => self.search(request),
            "save" => self.save(request),
            "open" => self.open(request),
            "bandwidth" => {
                let team = Team::new(number(request, "threads")?)?;
                Ok(json!({ "bytes_per_second": read_bandwidth(&team) }))
            }
            other => Err(format!("no operation is called {other}").into()),
        }
    }

    fn load(&mut self, request: &Value) -> Outcome<Value> {
        self.dimension = number(request, "dimension")?;
        self.queries = floats(text(request, "queries")?)?;
        self.vectors = request["vectors"].as_str().map(PathBuf::from);
        let about = concat!("longtrainer-index ", env!("CARGO_PKG_VERSION"));
        Ok(json!({ "about": about, "isa": Isa::active().name() }))
    }

    fn build(&mut self, request: &Value) -> Outcome<Value> {
        let path = self.vectors.as_ref().ok_or("no vectors were loaded")?;
        let vectors = floats(path)?;
        let ids: Vec<u64> = (0..(vectors.len() / self.dimension) as u64).collect();
        let threads = number(request, "threads")?;
        let index = empty(request, self.dimension)?.with_threads(threads)?;
        let start = Instant::now();
        index.of().upsert(&ids, &vectors)?;
        let added = start.elapsed().as_secs_f64();
        if let Index::Ivf(index) = &index {
            index.train()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        let tuning = match &index {
            Index::Ivf(index) => index.tuning(),
            Index::Auto(index) => index.tuning(),
            Index::Flat(_) => None,
        };
        self.index = Some((index, threads));
        Ok(json!({ "seconds": seconds, "added": added, "tuning": format!("{tuning:?}") }))
    }

    fn search(&mut self, request: &Value) -> Outcome<Value> {
        let (k, threads) = (number(request, "k")?, number(request, "threads")?);
        self.use_threads(threads)?;
        let (index, _) = self.index.as_ref().ok_or("nothing was built")?;
        let count = number(request, "queries")?;
        let queries = &self.queries[..count * self.dimension];
        let how = how(request)?;
        let (passes, mode) = (number(request, "passes")?, text(request, "mode")?);
        let mut found = Vec::new();
        let start = Instant::now();
        for _ in 0..passes {
            found = match mode {
                "one" => queries
                    .chunks_exact(self.dimension)
                    .map(|query| index.search(query, k, how))
                    .collect::<longtrainer_index::Result<_>>()?,
                _ => index.batch(queries, k, how)?,
            };
        }
        let seconds = start.elapsed().as_secs_f64();
        if let Some(file) = request["ids"].as_str() {
            fs::write(file, ids(&found, k))?;
        }
        Ok(json!({ "seconds": seconds }))
    }

    /// Starts other threads for the index, if it has not as many as asked for.
    fn use_threads(&mut self, threads: usize) -> Outcome<()> {
        if let Some((index, has)) = self.index.take() {
            let index = match has == threads {
                true => index,
                false => index.with_threads(threads)?,
            };
            self.index = Some((index, threads));
        }
        Ok(())
    }

    fn save(&mut self, request: &Value) -> Outcome<Value> {
        let (index, _) = self.index.as_ref().ok_or("nothing was built")?;
        let path = PathBuf::from(text(request, "file")?);
        index.of().save(&path, 0)?;
        Ok(json!({ "bytes": fs::metadata(path)?.len() }))
    }

    fn open(&mut self, request: &Value) -> Outcome<Value> {
        let (path, k) = (text(request, "file")?, number(request, "k")?);
        let query = &self.queries[..self.dimension];
        let start = Instant::now();
        let index = match text(request, "kind")? {
            "flat" | "flat-bytes" => Index::Flat(FlatIndex::open(path)?.0),
            "auto" => Index::Auto(AutoIndex::open(path, IvfOptions::default())?.0),
            _ => Index::Ivf(IvfIndex::open(path, IvfOptions::default())?.0),
        };
        index.of().search(query, k)?;
        let seconds = start.elapsed().as_secs_f64();
        self.index = Some((index, 0));
        Ok(json!({ "seconds": seconds }))
    }
}

fn empty(request: &Value, dimension: usize) -> Outcome<Index> {
    let metric = Metric::InnerProduct;
    let mut options = IvfOptions {
        lists: request["lists"].as_u64().map(|lists| lists as usize),
        ..IvfOptions::default()
    };
    if let Some(recall) = request["recall"].as_f64() {
        options.recall = recall as f32;
    }
    Ok(match text(request, "kind")? {
        "flat" => Index::Flat(FlatIndex::new(dimension, metric)?),
        "flat-bytes" => Index::Flat(FlatIndex::with_scan(dimension, metric, Scan::Bytes)?),
        "ivf-bits" => Index::Ivf(IvfIndex::new(dimension, metric, options)?),
        "ivf-bytes" => {
            options.codes = Codes::Bytes;
            Index::Ivf(IvfIndex::new(dimension, metric, options)?)
        }
        "auto" => Index::Auto(AutoIndex::new(dimension, metric, options)?),
        other => return Err(format!("no kind is called {other}").into()),
    })
}

/// How thorough the search is to be.
fn how(request: &Value) -> Outcome<Search> {
    if request["probes"].is_u64() {
        let probes = number(request, "probes")?;
        let rerank = request["rerank"].as_u64().unwrap_or(128) as usize;
        return Ok(Search::Effort { probes, rerank });
    }
    let recall = request["recall"].as_f64().map(|recall| recall as f32);
    Ok(recall.map_or(Search::Usual, Search::Recall))
}

fn ids(found: &[Vec<Hit>], k: usize) -> Vec<u8> {
    let filled = found.iter().flat_map(|hits| {
        let ids = hits.iter().map(|hit| hit.id);
        ids.chain(std::iter::repeat(u64::MAX)).take(k)
    });
    filled.flat_map(u64::to_le_bytes).collect()
}

fn floats(path: impl AsRef<std::path::Path>) -> Outcome<Vec<f32>> {
    let bytes = fs::read(path)?;
    let (values, _) = bytes.as_chunks();
    Ok(values
        .iter()
        .map(|&value| f32::from_le_bytes(value))
        .collect())
}

fn text<'a>(request: &'a Value, field: &str) -> Outcome<&'a str> {
    Ok(request[field]
        .as_str()
        .ok_or_else(|| format!("{field} is missing"))?)
}

fn number(request: &Value, field: &str) -> Outcome<usize> {
    let value = request[field]
        .as_u64()
        .ok_or_else(|| format!("{field} is missing"))?;
    Ok(value as usize)
}
