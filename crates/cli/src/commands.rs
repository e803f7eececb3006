//! The commands, one file a family: its flags, and a thin function that calls the library.

mod add_doc;
mod ask;
mod bench;
mod bot;
mod bot_flags;
mod chat;
mod chats;
mod devices;
mod docs;
mod eval;
mod init;
mod keys;
mod models;
mod search;
mod serve;
mod train;
mod vision_flags;

use clap::Subcommand;

use crate::session::Session;

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a settings file
    Init(init::InitFlags),
    /// Make, list, show, change and delete bots
    #[command(subcommand)]
    Bot(bot::BotCommand),
    /// Add files and folders to a bot's documents, and build it
    AddDoc(add_doc::AddDocFlags),
    /// List and remove a bot's documents
    #[command(subcommand)]
    Docs(docs::DocsCommand),
    /// Talk with a bot
    Chat(chat::ChatFlags),
    /// Ask a bot one question
    Ask(ask::AskFlags),
    /// List, show, rename and delete chats
    #[command(subcommand)]
    Chats(chats::ChatsCommand),
    /// Add what was asked and answered in a bot's chats to its documents
    Train(train::TrainFlags),
    /// Find the passages of a bot's documents nearest to a text
    Search(search::SearchFlags),
    /// List, fetch, verify and remove models
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Make, list and revoke the keys of those who may use the server
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Serve the HTTP interface
    Serve(serve::ServeFlags),
    /// Measure how well questions are answered
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Measure how fast this machine runs the models
    Bench(bench::BenchFlags),
    /// List what models could run on here: the processor and graphics cards
    Devices(devices::DevicesFlags),
}

/// Runs one command.
pub(crate) fn run(command: Command, session: Session) -> anyhow::Result<()> {
    match command {
        Command::Init(flags) => init::run(flags, session),
        Command::Bot(command) => bot::run(command, session),
        Command::AddDoc(flags) => add_doc::run(flags, session),
        Command::Docs(command) => docs::run(command, session),
        Command::Chat(flags) => chat::run(flags, session),
        Command::Ask(flags) => ask::run(flags, session),
        Command::Chats(command) => chats::run(command, session),
        Command::Train(flags) => train::run(flags, session),
        Command::Search(flags) => search::run(flags, session),
        Command::Models(command) => models::run(command, session),
        Command::Keys(command) => keys::run(command, session),
        Command::Serve(flags) => serve::run(flags, session),
        Command::Eval(command) => eval::run(command, session),
        Command::Bench(flags) => bench::run(flags, session),
        Command::Devices(flags) => devices::run(flags, session),
    }
}
