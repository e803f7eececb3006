//! What a visitor does next, at random.

use rand::Rng;
use rand::rngs::StdRng;

/// Something that a visitor does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Ask,
    AskEvents,
    AskPlainText,
    LeaveAnswer,
    Look,
    LeaveLook,
    Upload,
    AddPath,
    Replace,
    DeleteDocument,
    Build,
    Search,
    ModelWhole,
    ModelStream,
    LeaveModel,
    BotAsModel,
    Complete,
    Respond,
    Embed,
    Read,
    Rename,
    NewChat,
    DeleteChat,
    NewBot,
    DeleteBot,
    Wrong,
    NewKey,
    RevokeKey,
}

/// How often each is done, in relation to the others.
const WEIGHTS: [(Act, u32); 28] = [
    (Act::Ask, 10),
    (Act::AskEvents, 12),
    (Act::AskPlainText, 4),
    (Act::LeaveAnswer, 10),
    (Act::Look, 6),
    (Act::LeaveLook, 3),
    (Act::Upload, 8),
    (Act::AddPath, 3),
    (Act::Replace, 4),
    (Act::DeleteDocument, 4),
    (Act::Build, 4),
    (Act::Search, 10),
    (Act::ModelWhole, 5),
    (Act::ModelStream, 6),
    (Act::LeaveModel, 5),
    (Act::BotAsModel, 3),
    (Act::Complete, 3),
    (Act::Respond, 3),
    (Act::Embed, 8),
    (Act::Read, 8),
    (Act::Rename, 3),
    (Act::NewChat, 3),
    (Act::DeleteChat, 2),
    (Act::NewBot, 1),
    (Act::DeleteBot, 1),
    (Act::Wrong, 8),
    (Act::NewKey, 2),
    (Act::RevokeKey, 2),
];

impl Act {
    /// The next one.
    pub(crate) fn draw(random: &mut StdRng) -> Self {
        let all: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut drawn = random.random_range(0..all);
        for (act, weight) in WEIGHTS {
            match drawn.checked_sub(weight) {
                None => return act,
                Some(rest) => drawn = rest,
            }
        }
        Self::Read
    }
}
