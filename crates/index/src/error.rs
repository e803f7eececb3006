//! What can go wrong with an index: input that is refused, and files that cannot be used.
//!
//! Each variant names the id, the position or the path that a user needs to find the cause; the
//! operating system's own errors are kept as sources.

use std::collections::TryReserveError;
use std::io;
use std::path::PathBuf;

/// The result of every call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vector has the wrong number of components.
    #[error("a vector has {received} components, but the index holds vectors of {expected}")]
    Dimension {
        /// Components of the index's vectors.
        expected: usize,
        /// Components received.
        received: usize,
    },
    /// An index cannot have vectors of this dimension.
    #[error("an index cannot hold vectors of {received} components, only of 1 to {maximum}")]
    UnsupportedDimension {
        /// The dimension asked for.
        received: usize,
        /// The greatest that there is.
        maximum: u32,
    },
    /// The number of components does not fit the number of ids.
    #[error(
        "{ids} ids need {ids} vectors of {dimension} components, but {received} components came"
    )]
    VectorCount {
        /// Ids received.
        ids: usize,
        /// Components of the index's vectors.
        dimension: usize,
        /// Components received, over all vectors.
        received: usize,
    },
    /// A batch of queries does not end at the end of one.
    #[error("{received} components are no whole number of queries of {dimension} components")]
    PartialQuery {
        /// Components of the index's vectors.
        dimension: usize,
        /// Components received, over all queries.
        received: usize,
    },
    /// An id stands twice in one call.
    #[error("id {id} comes twice in one call")]
    DuplicateId {
        /// The id.
        id: u64,
    },
    /// A component of a vector is NaN or infinite.
    #[error("component {position} of the vector for id {id} is not a finite number")]
    NotFinite {
        /// The id of the vector.
        id: u64,
        /// The component's place in the vector, from 0.
        position: usize,
    },
    /// A component of a query is NaN or infinite.
    #[error("component {position} of query {query} is not a finite number")]
    QueryNotFinite {
        /// The query's place in the batch, from 0.
        query: usize,
        /// The component's place in the query, from 0.
        position: usize,
    },
    /// A vector of zeros, which has no direction, came for an index by cosine.
    #[error("the vector for id {id} is all zeros: it has no direction, so no cosine")]
    ZeroVector {
        /// The id of the vector.
        id: u64,
    },
    /// A query of zeros, which has no direction, came for an index by cosine.
    #[error("query {query} is all zeros: it has no direction, so no cosine")]
    ZeroQuery {
        /// The query's place in the batch, from 0.
        query: usize,
    },
    /// A vector is too long for the arithmetic of lists.
    #[error(
        "component {position} of the vector for id {id} is beyond 1e15, too great for an index of \
         lists: an exact index takes it"
    )]
    TooGreat {
        /// The id of the vector.
        id: u64,
        /// The component's place in the vector, from 0.
        position: usize,
    },
    /// There is not enough memory for more vectors.
    #[error("not enough memory for {vectors} more vectors of {dimension} components")]
    Memory {
        /// Vectors to be added.
        vectors: usize,
        /// Components of a vector.
        dimension: usize,
        /// What the allocator said.
        #[source]
        source: TryReserveError,
    },
    /// The copy of an index's vectors elsewhere failed. The index itself is as it was.
    #[error("the copy of the index's vectors could not be used")]
    Mirror {
        /// What whoever keeps it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// More vectors than an index has numbers for.
    #[error("no room for {vectors} more vectors: an index numbers at most {limit}")]
    Full {
        /// Vectors to be added.
        vectors: usize,
        /// The most that an index can have, removed ones that were not yet compacted included.
        limit: usize,
    },
    /// There are fewer vectors than lists to put them in.
    #[error("{vectors} vectors cannot be divided into {lists} lists")]
    TooFewVectors {
        /// Vectors in the index.
        vectors: usize,
        /// Lists asked for.
        lists: usize,
    },
    /// An index of lists was searched before it was trained.
    #[error("the index has {vectors} vectors but was never trained")]
    Untrained {
        /// Vectors in the index.
        vectors: usize,
    },
    /// An option has a value that makes no sense.
    #[error("{option} cannot be {value}: it has to be {allowed}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The system refused to start threads.
    #[error("cannot start {threads} threads")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A kernel refused what it was given: an error of this crate.
    #[error("a kernel refused its input")]
    Kernel(#[from] longtrainer_kernels::Error),
    /// A file holds another kind of index.
    #[error("{} holds an index of another kind ({found})", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The kind that it holds.
        found: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read the index file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written. Unless the source concerns the folder, which is synchronised
    /// last, the file that was there is untouched.
    #[error("cannot write the index file {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// What was written does not read back as it should; the file that was there is untouched.
    #[error("the index written for {} does not read back, so it was not put there", path.display())]
    Unverified {
        /// The file that was to be replaced.
        path: PathBuf,
        /// What is wrong with what was written.
        #[source]
        source: Box<Error>,
    },
    /// A file is no index.
    #[error("{} is not an index file", path.display())]
    NotAnIndex {
        /// The file.
        path: PathBuf,
    },
    /// A file was written in a format that this version does not know.
    #[error(
        "the index file {} has format version {found}; this program reads versions up to \
         {supported}: update the program or rebuild the index",
        path.display()
    )]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// The file's version.
        found: u32,
        /// The greatest version that can be read.
        supported: u32,
    },
    /// A file has a section that this version does not know and must not ignore.
    #[error(
        "the index file {} has a section of kind {number}, which this program does not know: \
         update the program or rebuild the index",
        path.display()
    )]
    UnknownSection {
        /// The file.
        path: PathBuf,
        /// The number of the section's kind.
        number: u32,
    },
    /// A file lacks a section that an index of its kind needs.
    #[error("the index file {} has no {part}", path.display())]
    MissingSection {
        /// The file.
        path: PathBuf,
        /// The section, as named in the description of the format.
        part: &'static str,
    },
    /// The processor holds numbers in another order of bytes than index files, which are read in
    /// place.
    #[error(
        "the index file {} is little-endian and read in place, which a big-endian processor cannot do",
        path.display()
    )]
    BigEndian {
        /// The file.
        path: PathBuf,
    },
    /// A file ends too early.
    #[error("the index file {} is cut off: {received} bytes instead of {expected}", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes that it should have, as far as can be told.
        expected: u64,
        /// Bytes that it has.
        received: u64,
    },
    /// A file goes on after its end.
    #[error(
        "the index file {} is damaged: {received} bytes instead of {expected}",
        path.display()
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// Bytes that it should have.
        expected: u64,
        /// Bytes that it has.
        received: u64,
    },
    /// A part of a file is not what was written.
    #[error("the index file {} is damaged in its {part}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The part, as named in the description of the format.
        part: &'static str,
    },
}
