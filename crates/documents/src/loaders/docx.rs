//! Word documents (Office Open XML, ECMA-376 part 1, chapter 17): the whole text as one document.
//!
//! A docx is a zip of XML parts. The main part gives the paragraphs in order, a table as one line a
//! row with ` | ` between its cells. Footnotes and endnotes follow the text, with the mark that
//! stands at their place; page headers come first and page footers last, once each instead of once
//! a page. The XML is streamed, so neither depth nor size needs more memory than its text, and no
//! part may unpack to more than the options allow.

use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::path::PathBuf;

use quick_xml::escape::{EscapeError, resolve_xml_entity};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::format::Format;
use crate::guard;
use crate::source::Source;
use crate::{Document, LoadOptions, Result};

/// The first bytes of a zip file with at least one entry.
const ZIP: &[u8] = b"PK\x03\x04";
/// What Word puts around a document with a password, in the compound files of older formats.
const ENCRYPTED_PACKAGE: &str = "EncryptedPackage";

pub(crate) fn load(source: &Source<'_>) -> Result<Vec<Document>> {
    if !source.bytes.starts_with(ZIP) {
        let encrypted = is_encrypted_package(source.bytes);
        return Err(if encrypted {
            source.encrypted()
        } else {
            source.not_this_format()
        });
    }
    let (path, options): (PathBuf, LoadOptions) = (source.path.to_owned(), source.options.clone());
    let text = guard::run(source, move |bytes, _| {
        let source = Source {
            path: &path,
            format: Format::Docx,
            bytes: &bytes,
            options: &options,
        };
        Package::open(&source)?.text()
    })??;
    if text.trim().is_empty() {
        return Err(source.empty("there is no text in it"));
    }
    Ok(vec![source.document(text, [])])
}

/// Word names the stream in UTF-16.
fn is_encrypted_package(bytes: &[u8]) -> bool {
    let name: Vec<u8> = ENCRYPTED_PACKAGE
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    bytes.starts_with(b"\xd0\xcf\x11\xe0") && bytes.windows(name.len()).any(|part| part == name)
}

/// An open docx.
struct Package<'a> {
    source: &'a Source<'a>,
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// How many more bytes may be unpacked.
    budget: u64,
}

impl<'a> Package<'a> {
    fn open(source: &'a Source<'a>) -> Result<Self> {
        let archive = ZipArchive::new(Cursor::new(source.bytes)).map_err(|error| {
            source.malformed_because(
                "the zip file around it is damaged or cut off",
                Some(error.into()),
            )
        })?;
        Ok(Self {
            source,
            archive,
            budget: source.options.max_text_bytes,
        })
    }

    fn text(mut self) -> Result<String> {
        let main = self.main_part()?;
        let Some(body) = self.part(&main)? else {
            return Err(self.source.not_this_format());
        };
        let folder = main
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder)
            .to_owned();
        let mut blocks = self.furniture(&folder, "header")?;
        blocks.push(body);
        blocks.extend(self.part(&format!("{folder}/footnotes.xml"))?);
        blocks.extend(self.part(&format!("{folder}/endnotes.xml"))?);
        blocks.extend(self.furniture(&folder, "footer")?);
        blocks.retain(|block| !block.is_empty());
        Ok(blocks.join("\n\n"))
    }

    /// The name of the part with the text: what the package's relations say, else the usual one.
    fn main_part(&mut self) -> Result<String> {
        let usual = "word/document.xml".to_owned();
        let Some(relations) = self.unpack("_rels/.rels")? else {
            return Ok(usual);
        };
        let mut reader = Reader::from_str(&relations);
        loop {
            match reader.read_event() {
                Ok(Event::Empty(tag) | Event::Start(tag)) => {
                    let kind = attribute(&tag, "Type").unwrap_or_default();
                    if kind.ends_with("/officeDocument") {
                        let target = attribute(&tag, "Target").unwrap_or(usual);
                        return Ok(target.trim_start_matches('/').to_owned());
                    }
                }
                Ok(Event::Eof) | Err(_) => return Ok(usual),
                Ok(_) => {}
            }
        }
    }

    /// The different texts of the page headers or footers. One without a letter is a page number.
    fn furniture(&mut self, folder: &str, kind: &str) -> Result<Vec<String>> {
        let prefix = format!("{folder}/{kind}");
        let names = self
            .archive
            .file_names()
            .filter_map(|name| Some(name.ok()?.into_owned()));
        let mut names: Vec<String> = names
            .filter(|name| name.starts_with(&prefix) && name.ends_with(".xml"))
            .collect();
        names.sort();
        let (mut texts, mut seen) = (Vec::new(), HashSet::new());
        for name in names {
            let text = self.part(&name)?.unwrap_or_default();
            if text.contains(char::is_alphabetic) && seen.insert(text.clone()) {
                texts.push(text);
            }
        }
        Ok(texts)
    }

    /// The text of a part, if the package has it.
    fn part(&mut self, name: &str) -> Result<Option<String>> {
        let Some(xml) = self.unpack(name)? else {
            return Ok(None);
        };
        read_part(&xml).map(Some).map_err(|error| {
            self.source
                .malformed_because(format!("{name} is not valid XML"), Some(error.into()))
        })
    }

    /// A part as it is, within what may still be unpacked.
    fn unpack(&mut self, name: &str) -> Result<Option<String>> {
        let damaged = |error: ZipError| {
            self.source
                .malformed_because(format!("{name} cannot be unpacked"), Some(error.into()))
        };
        let file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        let mut bytes = Vec::new();
        file.take(self.budget.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| damaged(error.into()))?;
        self.budget = self
            .budget
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| self.source.too_much_text())?;
        let decoded = encoding_rs::UTF_8.decode(&bytes);
        match decoded {
            (text, _, false) => Ok(Some(text.into_owned())),
            _ => Err(self
                .source
                .malformed(format!("{name} is not valid Unicode"))),
        }
    }
}

/// The value of an attribute, whatever its prefix.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes().filter_map(Result::ok);
    let found = attributes.find(|attribute| attribute.key.local_name().as_ref() == name)?;
    Some(found.value.into_owned())
}

/// The text of one XML part.
fn read_part(xml: &str) -> Result<String, quick_xml::Error> {
    let mut reader = Reader::from_str(xml);
    let mut text = PartText::default();
    loop {
        match reader.read_event()? {
            Event::Start(tag) => text.open(&tag),
            Event::End(tag) => text.close(tag.local_name().as_ref()),
            Event::Empty(tag) => {
                text.open(&tag);
                text.close(tag.local_name().as_ref());
            }
            Event::Text(piece) => text.push(&piece.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(piece) => text.push(&piece.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(entity) => match entity.resolve_char_ref()? {
                Some(character) => text.push(character.encode_utf8(&mut [0; 4])),
                None => text.push(predefined(&entity.into_inner())?),
            },
            Event::Eof => return text.finish(),
            _ => {}
        }
    }
}

/// The five entities that XML knows. A docx can define no others, since it may have no DTD.
fn predefined(entity: &str) -> Result<&'static str, EscapeError> {
    resolve_xml_entity(entity)
        .ok_or_else(|| EscapeError::UnrecognizedEntity(0..entity.len(), entity.to_owned()))
}

/// What has been read of a part.
#[derive(Default)]
struct PartText {
    blocks: Vec<String>,
    /// The open paragraphs: one may hold a text box that has its own.
    paragraphs: Vec<String>,
    /// What the next paragraph starts with.
    prefix: String,
    /// The open tables: a cell may hold another.
    tables: Vec<Table>,
    /// How many elements are open whose content does not show.
    hidden: usize,
    /// How many `t` are open: text elsewhere is only layout of the XML.
    text: usize,
    /// How many elements are open in all.
    depth: usize,
}

/// An open table: the cells of its current row, and the paragraphs of its current cell.
#[derive(Default)]
struct Table {
    row: Vec<String>,
    cell: Vec<String>,
}

impl PartText {
    fn open(&mut self, tag: &BytesStart<'_>) {
        self.depth += 1;
        let name = tag.local_name();
        if self.hidden > 0 || is_hidden(name.as_ref()) {
            self.hidden += 1;
            return;
        }
        match name.as_ref() {
            "t" => self.text += 1,
            "p" => self.paragraphs.push(std::mem::take(&mut self.prefix)),
            "tbl" => self.tables.push(Table::default()),
            "tab" => self.add("\t"),
            "br" | "cr" => self.add("\n"),
            "noBreakHyphen" => self.add("-"),
            "footnoteReference" | "endnoteReference" => self.add(&mark(tag)),
            // The lines that separate notes from the text are notes of a type; real notes have none.
            "footnote" | "endnote" if attribute(tag, "type").is_none() => {
                self.prefix = format!("{} ", mark(tag));
            }
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        if self.hidden > 0 {
            self.hidden -= 1;
            return;
        }
        match name {
            "t" => self.text = self.text.saturating_sub(1),
            "p" => self.end_paragraph(),
            "tc" => self.end_cell(),
            "tr" => self.end_row(),
            "tbl" => self.tables.truncate(self.tables.len().saturating_sub(1)),
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        if self.hidden == 0 && self.text > 0 {
            self.add(text);
        }
    }

    fn add(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.push_str(text);
        }
    }

    fn end_paragraph(&mut self) {
        let text = self.paragraphs.pop().unwrap_or_default();
        let text = text.trim_end();
        match self.tables.last_mut() {
            _ if text.is_empty() => {}
            Some(table) => table.cell.push(text.to_owned()),
            None => self.blocks.push(text.to_owned()),
        }
    }

    fn end_cell(&mut self) {
        if let Some(table) = self.tables.last_mut() {
            let cell = std::mem::take(&mut table.cell).join(" ");
            table.row.push(cell.replace('\n', " "));
        }
    }

    /// A row of a table within a cell is a line of that cell.
    fn end_row(&mut self) {
        let Some(mut table) = self.tables.pop() else {
            return;
        };
        let row = std::mem::take(&mut table.row).join(" | ");
        match self.tables.last_mut() {
            _ if row.chars().all(|character| " |".contains(character)) => {}
            Some(outer) => outer.cell.push(row),
            None => self.blocks.push(row),
        }
        self.tables.push(table);
    }

    fn finish(self) -> Result<String, quick_xml::Error> {
        if self.depth > 0 {
            return Err(quick_xml::errors::SyntaxError::UnclosedTag.into());
        }
        Ok(self.blocks.join("\n"))
    }
}

/// The mark of a note, at its place in the text and before the note itself.
fn mark(tag: &BytesStart<'_>) -> String {
    format!("[{}]", attribute(tag, "id").unwrap_or_default())
}

/// Elements that hold no text of their own: properties (where `tab` defines a tab stop), deleted
/// and moved-away text, the codes of fields, and what older programs show in place of a drawing.
fn is_hidden(name: &str) -> bool {
    name.ends_with("Pr")
        || matches!(
            name,
            "del" | "delText" | "moveFrom" | "instrText" | "Fallback"
        )
}
