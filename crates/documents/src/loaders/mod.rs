//! One file a format. Each has a `load` that turns a [`Source`](crate::source::Source) into
//! documents, or says what is wrong with it.

pub(crate) mod csv;
pub(crate) mod docx;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod pdf;
pub(crate) mod text;
