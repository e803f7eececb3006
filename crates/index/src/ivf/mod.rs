//! Approximate search: k-means divides the vectors into lists, and a query looks into the nearest.
//!
//! An inverted file in the field's words (Sivic and Zisserman, ICCV 2003; Jégou, Douze and Schmid,
//! TPAMI 2011): codes estimate, exact vectors decide.

mod clusters;
mod coarse;
mod codec;
mod held_out;
mod kmeans;
mod list;
mod search;
mod tuning;
pub(crate) mod words;

pub(crate) use self::clusters::Clusters;
pub(crate) use self::coarse::Coarse;
pub(crate) use self::codec::Codec;
pub(crate) use self::list::List;
pub(crate) use self::search::{Effort, Search};
pub(crate) use self::tuning::{NEIGHBOURS, tune};
