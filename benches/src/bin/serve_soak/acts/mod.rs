//! What visitors do, a file a theme.

mod bots;
mod chats;
mod documents;
mod events;
mod keys;
mod openai;
mod reading;
mod vision;
mod wrong;

pub(crate) use documents::source;

use crate::plan::Act;
use crate::tally::Ending;
use crate::trouble::Trouble;
use crate::visitor::Visitor;

/// How an act ended, or what kept it from being done.
pub(crate) type Acted = Result<Ending, Trouble>;

/// Does it.
pub(crate) async fn act(visitor: &mut Visitor, act: Act) -> Acted {
    match act {
        Act::Ask => chats::ask(visitor).await,
        Act::AskEvents => chats::ask_events(visitor).await,
        Act::AskPlainText => chats::ask_plain_text(visitor).await,
        Act::LeaveAnswer => chats::leave(visitor).await,
        Act::Rename => chats::rename(visitor).await,
        Act::NewChat => chats::create(visitor).await,
        Act::DeleteChat => chats::delete(visitor).await,
        Act::Look => vision::look(visitor).await,
        Act::LeaveLook => vision::leave(visitor).await,
        Act::Upload => documents::upload(visitor).await,
        Act::AddPath => documents::add_path(visitor).await,
        Act::Replace => documents::replace(visitor).await,
        Act::DeleteDocument => documents::delete(visitor).await,
        Act::NewBot => bots::create(visitor).await,
        Act::DeleteBot => bots::delete(visitor).await,
        Act::Build => bots::build(visitor).await,
        Act::Search => reading::search(visitor).await,
        Act::Read => reading::read(visitor).await,
        Act::ModelWhole => openai::whole(visitor).await,
        Act::ModelStream => openai::stream(visitor).await,
        Act::LeaveModel => openai::leave(visitor).await,
        Act::BotAsModel => openai::bot_as_model(visitor).await,
        Act::Complete => openai::complete(visitor).await,
        Act::Respond => openai::respond(visitor).await,
        Act::Embed => openai::embed(visitor).await,
        Act::Wrong => wrong::ask(visitor).await,
        Act::NewKey => keys::create(visitor).await,
        Act::RevokeKey => keys::revoke(visitor).await,
    }
}
