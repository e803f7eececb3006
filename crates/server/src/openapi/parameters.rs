//! The parts of a path, described once for all routes that have them.

use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, Required, SchemaFormat};

/// A type that stands for parts of a path in a handler's description. There are no values of it.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident: $($part:expr),+;)+) => {$(
        $(#[$doc])*
        pub(crate) enum $name {}

        impl IntoParams for $name {
            fn into_params(_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                vec![$($part),+]
            }
        }
    )+};
}

parts! {
    /// A bot.
    OfBot: bot();
    /// A document of a bot.
    OfDocument: bot(), number("document_id", "The document");
    /// A chat.
    OfChat: chat();
    /// A chat of a bot.
    OfChatOfBot: bot(), chat();
    /// A vision chat.
    OfVisionChat: vision_chat();
    /// A vision chat of a bot.
    OfVisionChatOfBot: bot(), vision_chat();
    /// A picture of a vision chat.
    OfPicture: vision_chat(), text("sha256", "The picture's SHA-256, in hexadecimal", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    /// A model as OpenAI's routes name it.
    OfModel: text("model", "A model, or a bot", "SmolLM2-135M-Instruct");
    /// An API key.
    OfKey: text("key_id", "The 16 hexadecimal digits that name the key", "0123456789abcdef");
    /// A job.
    OfJob: text("job_id", "The job", "6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11");
    /// A file of the page of the description.
    OfAsset: text("file", "The file", "swagger-ui.css");
}

fn bot() -> Parameter {
    text(
        "bot_id",
        "The bot",
        "bot-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11",
    )
}

fn chat() -> Parameter {
    text(
        "chat_id",
        "The chat",
        "chat-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11",
    )
}

fn vision_chat() -> Parameter {
    text(
        "vision_chat_id",
        "The vision chat",
        "vision-6a9f0c3e-4f0e-4b7e-9d5b-0b8f8a2f1c11",
    )
}

fn text(name: &str, description: &str, example: &str) -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    part(name, description)
        .schema(Some(schema))
        .example(Some(example.into()))
        .build()
}

fn number(name: &str, description: &str) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(0));
    part(name, description).schema(Some(schema)).build()
}

fn part(name: &str, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
}
