//! Prompts with pictures: where in the tokens the features of each frame go.
//!
//! Vocabularies of Idefics3 and SmolVLM have tokens that stand around the frames of a picture and
//! say which part each shows, laid out as transformers' `Idefics3Processor` does it. Other
//! vocabularies know nothing of pictures: there the frames of a picture stand alone, directly before
//! the text of their message.

use crate::template::{IMAGE, Pictures};
use crate::tokenizer::{ControlTokens, GgufTokenizer};
use crate::{Error, Message, Result};

use super::{PromptBuilder, check_any};

/// Stands around frames.
const FAKE: &str = "<fake_token_around_image>";

/// Says that a frame shows the whole picture.
const GLOBAL: &str = "<global-img>";

/// What stands in a prompt for a frame's features until the caller puts something else there.
pub(crate) const FRAME_TOKEN: u32 = u32::MAX;

/// How a picture is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PictureLayout {
    /// Rows of parts; 0 for a picture that is one frame.
    pub(crate) rows: usize,
    /// Parts of a row; 0 for a picture that is one frame.
    pub(crate) columns: usize,
    /// Features that a frame becomes.
    pub(crate) tokens_a_frame: usize,
}

/// The tokens of a prompt, and which of them stand for frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PicturePrompt {
    /// All tokens; those of frames are [`FRAME_TOKEN`].
    pub(crate) tokens: Vec<u32>,
    /// The frames in the order of the prompt.
    pub(crate) frames: Vec<FrameSpan>,
}

/// Where the features of a frame go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameSpan {
    /// The picture, counted over all messages.
    pub(crate) picture: usize,
    /// The frame of the picture: its parts row by row, then the whole.
    pub(crate) frame: usize,
    /// The first of its tokens.
    pub(crate) start: usize,
    /// How many tokens they are.
    pub(crate) len: usize,
}

/// What a vocabulary has for pictures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delimiters {
    /// What templates write for a picture.
    image: u32,
}

impl Delimiters {
    /// Of a vocabulary that knows pictures.
    pub(super) fn of(tokenizer: &GgufTokenizer) -> Option<Self> {
        let image = tokenizer.token(IMAGE)?;
        tokenizer.has_token(FAKE).then_some(Self { image })
    }
}

impl PictureLayout {
    fn check(&self) -> Result<()> {
        if (self.rows == 0) == (self.columns == 0) && self.tokens_a_frame > 0 {
            return Ok(());
        }
        let Self {
            rows,
            columns,
            tokens_a_frame,
        } = self;
        Err(Error::InvalidRequest {
            field: "pictures",
            value: format!("{rows} x {columns} parts of {tokens_a_frame} tokens"),
            expected: "rows and columns or neither, and a token or more",
        })
    }
}

impl PromptBuilder {
    /// Tokens of the prompt that these messages make with their pictures, which come before the text of
    /// their message. `layouts` are those of the pictures in the order of the messages.
    ///
    /// # Errors
    ///
    /// As [`tokens`](Self::tokens), and [`Error::InvalidRequest`] when layouts and pictures are not as
    /// many, or the template leaves a picture out.
    pub(crate) fn picture_tokens(
        &self,
        messages: &[Message],
        layouts: &[PictureLayout],
    ) -> Result<PicturePrompt> {
        check_any(messages)?;
        let pictures: usize = messages.iter().map(|message| message.pictures.len()).sum();
        if pictures != layouts.len() {
            let found = format!("{pictures} with {} layouts", layouts.len());
            return Err(invalid(found, "as many as there are layouts"));
        }
        layouts.iter().try_for_each(PictureLayout::check)?;
        if pictures == 0 {
            let tokens = self.tokens(messages)?;
            return Ok(PicturePrompt {
                tokens,
                frames: Vec::new(),
            });
        }
        let mut texts = self.texts_between_pictures(messages)?.into_iter();
        if texts.len() != pictures + 1 {
            let found = format!(
                "{pictures}, of which the chat template shows {}",
                texts.len() - 1
            );
            return Err(invalid(
                found,
                "pictures in messages that the template shows",
            ));
        }
        let mut prompt = PicturePrompt {
            tokens: self.with_leading_token(texts.next().unwrap_or_default()),
            frames: Vec::new(),
        };
        for ((picture, layout), text) in layouts.iter().enumerate().zip(texts) {
            self.push_picture(picture, layout, &mut prompt)?;
            prompt.tokens.extend(text);
        }
        Ok(prompt)
    }

    /// Tokens of the text before, between and after pictures; never none.
    fn texts_between_pictures(&self, messages: &[Message]) -> Result<Vec<Vec<u32>>> {
        let delimiters = self.delimiters.filter(|_| self.template.writes_images());
        let controls = self.tokenizer.control_texts();
        let Some(Delimiters { image }) = delimiters else {
            let rendered = self.template.render(messages, controls, Pictures::Marks)?;
            let texts = rendered.text.split(rendered.picture_mark);
            let texts = texts.map(|text| self.tokenizer.encode_marked(text, rendered.mark));
            return texts.collect();
        };
        // A text that only looks like the token has a mark inside: what is read is the template's.
        let rendered = self.template.render(messages, controls, Pictures::Items)?;
        let tokens = self
            .tokenizer
            .encode_marked(&rendered.text, rendered.mark)?;
        let texts = tokens.split(|token| *token == image);
        Ok(texts.map(<[u32]>::to_vec).collect())
    }

    /// Appends the frames of a picture, and what the vocabulary has to say around them.
    fn push_picture(
        &self,
        picture: usize,
        layout: &PictureLayout,
        prompt: &mut PicturePrompt,
    ) -> Result<()> {
        let parts =
            (1..=layout.rows).flat_map(|row| (1..=layout.columns).map(move |column| (row, column)));
        for (row, column) in parts {
            let end_of_row = if column == 1 && row > 1 { "\n" } else { "" };
            let before = format!("{end_of_row}{FAKE}<row_{row}_col_{column}>");
            self.push_frame(picture, &before, layout, prompt)?;
        }
        // The end of the last row and an empty line: what tokens they make is up to the vocabulary.
        let end_of_rows = if layout.rows > 0 { "\n\n" } else { "" };
        let before = format!("{end_of_rows}{FAKE}{GLOBAL}");
        self.push_frame(picture, &before, layout, prompt)?;
        self.push_delimiter(FAKE, prompt)
    }

    fn push_frame(
        &self,
        picture: usize,
        before: &str,
        layout: &PictureLayout,
        prompt: &mut PicturePrompt,
    ) -> Result<()> {
        self.push_delimiter(before, prompt)?;
        let of_picture = prompt.frames.iter().filter(|span| span.picture == picture);
        prompt.frames.push(FrameSpan {
            picture,
            frame: of_picture.count(),
            start: prompt.tokens.len(),
            len: layout.tokens_a_frame,
        });
        let end = prompt.tokens.len() + layout.tokens_a_frame;
        prompt.tokens.resize(end, FRAME_TOKEN);
        Ok(())
    }

    /// Appends what stands around frames, in vocabularies that know it.
    fn push_delimiter(&self, text: &str, prompt: &mut PicturePrompt) -> Result<()> {
        if self.delimiters.is_some() {
            let tokens = self.tokenizer.encode(text, ControlTokens::Read)?;
            prompt.tokens.extend(tokens);
        }
        Ok(())
    }
}

fn invalid(value: String, expected: &'static str) -> Error {
    Error::InvalidRequest {
        field: "pictures",
        value,
        expected,
    }
}
