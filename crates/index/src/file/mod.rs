//! The file that keeps an index: a container of typed, checksummed sections.
//!
//! `docs/index-format.md` describes the bytes. The file is mapped, so that opening it costs neither a
//! copy nor the reading of what is not asked for; each byte of it is covered by a checksum, which is
//! compared before the byte is used, or has one permitted value. What the sections mean is for the
//! index to say: the container knows no vectors.

mod blocks;
mod bytes;
mod container;
mod fault;
mod header;
mod kind;
mod layout;
mod preamble;
mod save;
mod section;
mod table;
mod version_1;
mod write;

pub(crate) use self::container::Container;
pub(crate) use self::header::Fields;
pub(crate) use self::kind::*;
pub(crate) use self::save::write_container;
pub(crate) use self::section::Section;
pub(crate) use self::write::SectionSource;

#[cfg(test)]
mod tests;
