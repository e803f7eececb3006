//! An index as the sections of a file, and back.
//!
//! What is written has no dead rows. What is opened is mapped: sections become chunks and lists as
//! they lie there, and only what a search needs to trust without looking (lengths, row numbers) is
//! read at once.

use std::path::Path;
use std::sync::Arc;

use crate::bytes::{ByteCodes, TILE};
use crate::file::{
    BYTE_CODES, BYTE_ERRORS, BYTE_FACTORS, BYTE_OFFSETS, CENTROID_LENGTHS, CENTROIDS, Container,
    Element, Fields, IDS, LIST_CODES, LIST_FACTORS, LIST_LENGTHS, LIST_OFFSETS, LIST_ROWS, Section,
    SectionKind, SectionSource, TUNING, VECTORS, write_container,
};
use crate::ivf::{Clusters, Coarse, Codec, List, words};
use crate::rows::{CHUNK, Chunk, MOST_ROWS, Rows, Values};
use crate::store::{Policy, Snapshot, Store};
use crate::{Error, Metric, Result};

/// The header's kind of an exact index.
const FLAT: u16 = 1;
/// That of an index of lists.
const LISTS: u16 = 2;

impl Store {
    /// Writes the index to `path`, in one step or not at all.
    pub(crate) fn save(&self, path: &Path, revision: u64) -> Result<()> {
        let now = self.snapshot();
        match now.rows.len() == now.rows.alive() {
            true => save(&now, path, revision),
            false => save(&now.compacted(self.team())?, path, revision),
        }
    }

    /// Maps the index at `path`; returns its revision, too.
    pub(crate) fn open(path: &Path, policy: Policy) -> Result<(Store, u64)> {
        let container = Container::open(path)?;
        let fields = *container.fields();
        let clusters = match (fields.kind, &policy) {
            (FLAT, _) => None,
            (LISTS, Policy::Never) => {
                let path = path.to_owned();
                return Err(Error::Kind {
                    path,
                    found: "an index of lists",
                });
            }
            (LISTS, _) => Some(open_clusters(&container)?),
            _ => return Err(container.damaged("header")),
        };
        let rows = open_rows(&container)?;
        Ok((
            Store::of(Snapshot { rows, clusters }, policy),
            fields.revision,
        ))
    }
}

fn save(now: &Snapshot, path: &Path, revision: u64) -> Result<()> {
    let rows = &now.rows;
    let fields = Fields {
        kind: if now.clusters.is_some() { LISTS } else { FLAT },
        metric: rows.metric,
        dimension: rows.dimension as u32,
        count: rows.len() as u64,
        revision,
    };
    let lengths = now
        .clusters
        .as_ref()
        .map(Clusters::lengths)
        .unwrap_or_default();
    let tuning = now
        .clusters
        .as_ref()
        .map(Clusters::to_words)
        .unwrap_or_default();
    let mut sections = row_sections(rows)?;
    if let Some(clusters) = &now.clusters {
        sections.extend(cluster_sections(clusters, &lengths, &tuning)?);
    }
    sections.sort_by_key(SectionSource::number);
    write_container(path, &fields, &sections)
}

fn row_sections(rows: &Rows) -> Result<Vec<SectionSource<'_>>> {
    let chunks = rows.chunks();
    let ids = parts(chunks, |chunk| Some(chunk.ids()))?;
    let vectors = parts(chunks, |chunk| Some(chunk.vectors()))?;
    let mut sections = vec![
        SectionSource::new(IDS, ids),
        SectionSource::new(VECTORS, vectors),
    ];
    if rows.coded() {
        let codes = |chunk| Chunk::codes(chunk);
        sections.extend([
            SectionSource::new(
                BYTE_CODES,
                parts(chunks, |chunk| Some(codes(chunk)?.codes.get()))?,
            ),
            SectionSource::new(
                BYTE_FACTORS,
                parts(chunks, |chunk| Some(codes(chunk)?.factors.get()))?,
            ),
            SectionSource::new(
                BYTE_ERRORS,
                parts(chunks, |chunk| Some(codes(chunk)?.slacks.get()))?,
            ),
        ]);
        if rows.metric == Metric::L2 {
            let offsets = parts(chunks, |chunk| Some(codes(chunk)?.offsets.as_ref()?.get()))?;
            sections.push(SectionSource::new(BYTE_OFFSETS, offsets));
        }
    }
    Ok(sections)
}

fn cluster_sections<'a>(
    clusters: &'a Clusters,
    lengths: &'a [u32],
    tuning: &'a [u64],
) -> Result<Vec<SectionSource<'a>>> {
    let lists = &clusters.lists;
    Ok(vec![
        SectionSource::new(CENTROIDS, [clusters.coarse.centroids.get()?]),
        SectionSource::new(CENTROID_LENGTHS, [clusters.coarse.lengths.get()?]),
        SectionSource::new(LIST_LENGTHS, [lengths]),
        SectionSource::new(LIST_ROWS, parts(lists, |list| Some(list.rows.get()))?),
        SectionSource::new(LIST_CODES, parts(lists, |list| Some(list.codes.get()))?),
        SectionSource::new(LIST_FACTORS, parts(lists, |list| Some(list.factors.get()))?),
        SectionSource::new(LIST_OFFSETS, parts(lists, |list| Some(list.offsets.get()))?),
        SectionSource::new(TUNING, [tuning]),
    ])
}

/// The parts that a section consists of.
fn parts<'a, I, T>(
    items: &'a [Arc<I>],
    part: impl Fn(&'a I) -> Option<Result<&'a [T]>>,
) -> Result<Vec<&'a [T]>> {
    items.iter().filter_map(|item| part(item)).collect()
}

fn open_rows(container: &Container) -> Result<Rows> {
    let fields = container.fields();
    let (count, dimension) = (fields.count as usize, fields.dimension as usize);
    let components = fields.count.checked_mul(u64::from(fields.dimension));
    let components = components.ok_or_else(|| container.damaged("header"))?;
    if fields.count > MOST_ROWS as u64 {
        return Err(container.damaged("header"));
    }
    let ids = container.required(IDS, fields.count)?;
    let vectors = container.required(VECTORS, components)?;
    let codes = OpenCodes::of(container)?;
    let mut rows = Rows::new(fields.metric, dimension, codes.is_some());
    for start in (0..count).step_by(CHUNK) {
        let end = count.min(start + CHUNK);
        rows.push(
            Values::Mapped(ids.clone(), start..end),
            Values::Mapped(vectors.clone(), start * dimension..end * dimension),
            end - start,
            codes
                .as_ref()
                .map(|codes| codes.chunk(start, end))
                .transpose()?,
        );
    }
    Ok(rows)
}

/// The sections of byte codes.
struct OpenCodes {
    codes: Section<u8>,
    factors: Section<f32>,
    slacks: Section<f32>,
    offsets: Option<Section<f32>>,
    tile: usize,
}

impl OpenCodes {
    fn of(container: &Container) -> Result<Option<OpenCodes>> {
        if container.section(BYTE_CODES).is_none() {
            return Ok(None);
        }
        let Fields {
            count,
            dimension,
            metric,
            ..
        } = *container.fields();
        let tile = longtrainer_kernels::byte_tile_len(dimension as usize);
        let bytes = count.div_ceil(TILE as u64).checked_mul(tile as u64);
        let bytes = bytes.ok_or_else(|| container.damaged("header"))?;
        let l2 = metric == Metric::L2;
        Ok(Some(OpenCodes {
            codes: container.required(BYTE_CODES, bytes)?,
            factors: container.required(BYTE_FACTORS, count)?,
            slacks: container.required(BYTE_ERRORS, count)?,
            offsets: l2
                .then(|| container.required(BYTE_OFFSETS, count))
                .transpose()?,
            tile,
        }))
    }

    fn chunk(&self, start: usize, end: usize) -> Result<ByteCodes> {
        let tiles = start / TILE * self.tile..end.div_ceil(TILE) * self.tile;
        let mapped = |section: &Section<f32>| Values::Mapped(section.clone(), start..end);
        ByteCodes::new(
            Values::Mapped(self.codes.clone(), tiles),
            mapped(&self.factors),
            mapped(&self.slacks),
            self.offsets.as_ref().map(mapped),
        )
    }
}

fn open_clusters(container: &Container) -> Result<Clusters> {
    let Fields {
        count,
        dimension,
        metric,
        ..
    } = *container.fields();
    let damaged = |kind| container.damaged(kind);
    let lengths = container
        .section(LIST_LENGTHS)
        .ok_or_else(|| damaged("list lengths"))?;
    let tuning = container.section(TUNING).ok_or_else(|| damaged("tuning"))?;
    let lengths = lengths.all()?;
    if lengths.iter().map(|&length| u64::from(length)).sum::<u64>() != count {
        return Err(damaged("list lengths"));
    }
    let words = words::read(tuning.all()?).ok_or_else(|| damaged("tuning"))?;
    let codec = Codec::new(metric, dimension as usize, words.codes, words.seed)?;
    let components = lengths.len() as u64 * u64::from(dimension);
    let coarse = Coarse::new(
        metric,
        dimension as usize,
        whole(container, CENTROIDS, components)?,
        whole(container, CENTROID_LENGTHS, lengths.len() as u64)?,
    )?;
    Ok(Clusters {
        coarse: Arc::new(coarse),
        lists: open_lists(container, &codec, lengths)?,
        codec: Arc::new(codec),
        tuning: Arc::new(words.tuning),
        history: words.history,
    })
}

fn open_lists(container: &Container, codec: &Codec, lengths: &[u32]) -> Result<Vec<Arc<List>>> {
    let count = container.fields().count;
    let bytes: u64 = lengths
        .iter()
        .map(|&length| codec.code_bytes(length as usize) as u64)
        .sum();
    let rows = container.required(LIST_ROWS, count)?;
    let codes = container.required(LIST_CODES, bytes)?;
    let factors = container.required(LIST_FACTORS, count)?;
    let offsets = container.required(LIST_OFFSETS, count)?;
    if rows.all()?.iter().any(|&row| u64::from(row) >= count) {
        return Err(container.damaged("list rows"));
    }
    let (mut row, mut byte) = (0, 0);
    let lists = lengths.iter().map(|&length| {
        let (rows_end, codes_end) = (
            row + length as usize,
            byte + codec.code_bytes(length as usize),
        );
        let list = List {
            rows: Values::Mapped(rows.clone(), row..rows_end),
            codes: Values::Mapped(codes.clone(), byte..codes_end),
            factors: Values::Mapped(factors.clone(), row..rows_end),
            offsets: Values::Mapped(offsets.clone(), row..rows_end),
            count: length as usize,
        };
        (row, byte) = (rows_end, codes_end);
        Arc::new(list)
    });
    Ok(lists.collect())
}

/// All of a section of so many elements.
fn whole<T: Element>(
    container: &Container,
    kind: SectionKind<T>,
    elements: u64,
) -> Result<Values<T>> {
    let section = container.required(kind, elements)?;
    let length = section.len();
    Ok(Values::Mapped(section, 0..length))
}
