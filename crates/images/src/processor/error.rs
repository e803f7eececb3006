//! What can be wrong with an image processor.

/// What can be wrong with an image processor's numbers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessorError {
    /// It is no JSON.
    #[error("the image processor's configuration is no JSON")]
    Json {
        /// What the parser says.
        source: serde_json::Error,
    },

    /// A field of it has another shape.
    #[error("the image processor's configuration cannot be read at {field}")]
    Shape {
        /// The field.
        field: String,
        /// What the parser says.
        source: serde_json::Error,
    },

    /// It was made for a model of another family.
    #[error("the image processor is {found}, and only those of Idefics3 and SmolVLM are known")]
    Family {
        /// What it calls itself.
        found: String,
    },

    /// A number that makes no sense.
    #[error("the image processor's {field} is {found}; {expected}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What would make sense.
        expected: &'static str,
    },

    /// The resizing library refused, which no picture is known to make it do.
    #[error("the picture could not be resized")]
    Resize,
}
