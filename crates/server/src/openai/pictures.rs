//! The pictures of a request: data URLs, read before any model is asked.

use longtrainer::{Detail, ImageInput, Picture};

use super::content::Look;
use super::error::OpenAiError;

/// Collects the pictures of all messages.
#[derive(Default)]
pub(super) struct Pictures {
    looks: Vec<Look>,
}

impl Pictures {
    /// Reads one, picture number `number` of its message.
    pub(super) fn read(
        &mut self,
        url: String,
        look: Option<Look>,
        number: usize,
        param: &str,
    ) -> Result<Picture, OpenAiError> {
        let image = match ImageInput::from(url) {
            image @ ImageInput::DataUrl(_) => image,
            _ => {
                let message = format!(
                    "{param}: this server fetches no pictures and reads no files for you; send the \
                     picture itself as a data URL: data:image/png;base64,..."
                );
                return Err(OpenAiError::unsupported(param, message));
            }
        };
        self.looks.extend(look);
        image
            .picture(number)
            .map_err(|error| OpenAiError::from(longtrainer::Error::from(error)).about(param))
    }

    /// How closely all of them are looked at: a model looks at those of a request in one way.
    pub(super) fn detail(&self) -> Result<Option<Detail>, OpenAiError> {
        let (low, high) = (
            self.looks.contains(&Look::Low),
            self.looks.contains(&Look::High),
        );
        match (low, high) {
            (true, true) => {
                let message = "detail: low and high in one request; all its pictures are looked at \
                               in one way here";
                Err(OpenAiError::unsupported("detail", message))
            }
            (true, false) => Ok(Some(Detail::Low)),
            (false, true) => Ok(Some(Detail::High)),
            (false, false) => Ok(self.looks.first().map(|_| Detail::Auto)),
        }
    }
}
