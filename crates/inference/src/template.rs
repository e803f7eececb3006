//! The chat template of a model: Jinja source that turns messages into the one text that the model
//! was trained on.
//!
//! A person can write `<|im_end|>` into a message. If the rendered text were simply cut into tokens,
//! that would end the message and let the person speak as the system. So before rendering, a mark (a
//! character that occurs nowhere in the messages) is put inside every control token's text in a
//! message. Templates may trim, split and join as they like; after rendering, control tokens are read
//! where no mark is, and the marks are taken out of the text between them.
//!
//! Templates of models that see get pictures as items of a message's content and write a token for
//! each. Where a template knows only text, a second such character stands for a picture, so that
//! nobody can type one there either.

mod tools;
mod turns;

use std::sync::Arc;

use jiff::Zoned;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, ErrorKind, context};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use turns::{Form, Turn};

use crate::{Error, Message, Result, Role, Tool};

/// Written by many models, and understood by most: what a file without a template gets, if its
/// vocabulary has the two tokens.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + \
                      message.content + '<|im_end|>\\n' }}{% endfor %}{% if \
                      add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// Tokens that ChatML needs.
pub(crate) const CHATML_TOKENS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

const NAME: &str = "chat";

/// Steps that a template may take; the longest known take some thousands a message.
const FUEL: u64 = 50_000_000;

/// Steps for a first look at what a template does with a message of one word.
const PROBE_FUEL: u64 = 1_000_000;

/// What a first look says.
const PROBE: &str = "probe";

/// What templates write for a picture.
pub(crate) const IMAGE: &str = "<image>";

/// A compiled chat template.
#[derive(Debug)]
pub(crate) struct ChatTemplate {
    model: String,
    environment: Environment<'static>,
    bos: String,
    eos: String,
    /// How it wants the content of messages.
    form: Form,
    /// Whether it writes [`IMAGE`] for a picture among the items of a message.
    writes_images: bool,
    /// Whether it writes functions, calls and results in the form of [`tools`].
    knows_tools: bool,
}

/// How pictures get into a rendered chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pictures {
    /// They are left out.
    None,
    /// The template writes [`IMAGE`] for each.
    Items,
    /// A mark stands for each, before the text of its message.
    Marks,
}

/// A rendered chat, ready to be cut into tokens.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// The text, with marks inside what only looks like control tokens.
    pub(crate) text: String,
    /// The mark; to be taken out of the text between control tokens.
    pub(crate) mark: char,
    /// What stands for a picture, if pictures are marked.
    pub(crate) picture_mark: char,
}

impl ChatTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// [`Error::Template`] with line and reason when it is not valid.
    pub(crate) fn new(model: &str, source: Option<&str>, bos: &str, eos: &str) -> Result<Self> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|error| failed(model, error))?);
        environment.set_fuel(Some(FUEL));
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", to_json);
        let source = source.unwrap_or(CHATML).to_owned();
        let added = environment.add_template_owned(NAME, source);
        added.map_err(|error| failed(model, error))?;
        let mut template = Self {
            model: model.to_owned(),
            environment,
            bos: bos.to_owned(),
            eos: eos.to_owned(),
            form: Form::Text,
            writes_images: false,
            knows_tools: false,
        };
        template.probe();
        Ok(template)
    }

    /// Finds out which form of messages the template knows, by what becomes of a word.
    fn probe(&mut self) {
        self.environment.set_fuel(Some(PROBE_FUEL));
        let shown = |form, images| {
            let turn = Turn {
                role: Role::User,
                images,
                text: PROBE.to_owned(),
                calls: Vec::new(),
            };
            let rendered = self.render_turns(&[turn], form).ok();
            rendered.filter(|text| text.contains(PROBE))
        };
        let items = shown(Form::Items, 0);
        let with_image = shown(Form::Items, 1);
        let count = |text: &Option<String>| text.as_ref().map(|text| text.matches(IMAGE).count());
        let writes_images = count(&with_image) == count(&items).map(|count| count + 1);
        if shown(Form::Text, 0).is_none() && items.is_some() {
            self.form = Form::Items;
        }
        self.writes_images = writes_images;
        let (turns, functions) = tools::probe_chat();
        let with_tools = self.render_chat(&turns, &functions, self.form);
        self.knows_tools = with_tools.is_ok_and(|text| tools::is_whole(&text));
        self.environment.set_fuel(Some(FUEL));
    }

    /// Whether it writes [`IMAGE`] for a picture.
    pub(crate) fn writes_images(&self) -> bool {
        self.writes_images
    }

    /// Renders a chat up to where the model speaks next. `control_texts` are the texts of control
    /// tokens, the longest first.
    ///
    /// # Errors
    ///
    /// [`Error::Template`] when the template refuses the messages, as some do when roles do not
    /// alternate.
    pub(crate) fn render<'text>(
        &self,
        messages: &[Message],
        control_texts: impl Iterator<Item = &'text str>,
        pictures: Pictures,
    ) -> Result<Rendered> {
        let [mark, picture_mark] = unused_characters(messages)?;
        let mut turns: Vec<Turn> = messages.iter().map(Turn::of).collect();
        let functions = messages.iter().flat_map(|message| &message.tools);
        let mut functions: Vec<Tool> = functions.cloned().collect();
        for control in control_texts {
            tools::mark_all(&mut turns, &mut functions, control, mark);
        }
        let mut form = self.form;
        for (turn, message) in turns.iter_mut().zip(messages) {
            let count = message.pictures.len();
            match pictures {
                Pictures::None => (),
                Pictures::Items => turn.images = count,
                Pictures::Marks => {
                    let marks = picture_mark.to_string().repeat(count);
                    turn.text.insert_str(0, &marks);
                }
            }
        }
        if pictures == Pictures::Items {
            form = Form::Items;
        }
        if !self.knows_tools {
            turns = tools::in_words(turns, &functions);
            functions.clear();
        }
        Ok(Rendered {
            text: self.render_with_system(&turns, &functions, form)?,
            mark,
            picture_mark,
        })
    }

    /// Some templates refuse a message of the system (Gemma 2), others leave it out (Phi-3). With
    /// those it goes before the message after it, as Gemma 3's own template puts it.
    fn render_with_system(&self, turns: &[Turn], tools: &[Tool], form: Form) -> Result<String> {
        let rendered = self.render_chat(turns, tools, form);
        let [system, user, rest @ ..] = turns else {
            return rendered;
        };
        let is_led = system.role == Role::System && user.role == Role::User;
        if !is_led || system.text.trim().is_empty() {
            return rendered;
        }
        let is_missing = match &rendered {
            Err(_) => true,
            Ok(text) => self.render_chat(&turns[1..], tools, form).ok().as_ref() == Some(text),
        };
        if !is_missing {
            return rendered;
        }
        let mut merged = vec![Turn {
            role: Role::User,
            images: system.images + user.images,
            text: format!("{}\n\n{}", system.text, user.text),
            calls: Vec::new(),
        }];
        merged.extend_from_slice(rest);
        // What is wrong with the messages as they came says more than what is wrong with these.
        self.render_chat(&merged, tools, form).or(rendered)
    }

    fn render_turns(&self, turns: &[Turn], form: Form) -> Result<String> {
        self.render_chat(turns, &[], form)
    }

    fn render_chat(&self, turns: &[Turn], tools: &[Tool], form: Form) -> Result<String> {
        let functions: Vec<_> = tools.iter().map(tools::for_template).collect();
        // Templates ask whether there is a list.
        let functions = Some(functions).filter(|functions| !functions.is_empty());
        let messages: Vec<_> = turns.iter().map(|turn| turn.in_form(form)).collect();
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|template| {
            template.render(context! {
                messages => Serde(&messages),
                bos_token => self.bos.as_str(),
                eos_token => self.eos.as_str(),
                add_generation_prompt => true,
                tools => Serde(&functions),
                documents => Value::from(()),
            })
        });
        rendered.map_err(|error| failed(&self.model, error))
    }
}

fn failed(model: &str, source: minijinja::Error) -> Error {
    Error::Template {
        model: model.to_owned(),
        source,
    }
}

/// Two characters that no message has: of the 32 noncharacters that Unicode keeps for internal use
/// first, then of the private planes.
fn unused_characters(messages: &[Message]) -> Result<[char; 2]> {
    let candidates = ('\u{FDD0}'..='\u{FDEF}').chain('\u{F0000}'..='\u{10FFFD}');
    let is_unused = |candidate: &char| {
        messages.iter().all(|message| {
            !message.content.contains(*candidate)
                && !tools::contains(&message.tools, &message.tool_calls, *candidate)
        })
    };
    let mut unused = candidates.filter(is_unused);
    match (unused.next(), unused.next()) {
        (Some(first), Some(second)) => Ok([first, second]),
        _ => Err(Error::InvalidRequest {
            field: "messages",
            value: "text with every private character of Unicode".to_owned(),
            expected: "text that leaves two of them unused",
        }),
    }
}

fn put_mark_inside(content: &mut String, control: &str, mark: char) {
    if !content.contains(control) {
        return;
    }
    let Some(first) = control.chars().next() else {
        return;
    };
    let marked = format!("{first}{mark}{}", &control[first.len_utf8()..]);
    *content = content.replace(control, &marked);
}

fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: String) -> Result<String, minijinja::Error> {
    let formatted = jiff::fmt::strtime::format(&format, &Zoned::now());
    formatted.map_err(|error| {
        minijinja::Error::new(ErrorKind::InvalidOperation, "strftime_now failed").with_source(error)
    })
}

/// JSON as Python writes it, which is what models saw in training: `", "` and `": "` between parts,
/// characters as they are, and line breaks when an indent is asked for.
fn to_json(value: Value, options: Kwargs) -> Result<Value, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<Value> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let mut bytes = Vec::new();
    let written = match indent {
        Some(width) => {
            let indent = " ".repeat(width.min(16));
            let formatter = PrettyFormatter::with_indent(indent.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        }
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, PythonFormatter)),
    };
    let bad = |error: Arc<dyn std::error::Error + Send + Sync>| {
        minijinja::Error::new(ErrorKind::BadSerialization, "tojson failed").with_source(error)
    };
    written.map_err(|error| bad(Arc::new(error)))?;
    let text = String::from_utf8(bytes).map_err(|error| bad(Arc::new(error)))?;
    Ok(Value::from_safe_string(text))
}

struct PythonFormatter;

impl serde_json::ser::Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests;
