//! `keys`: who may use the server. A running server has the data folder to itself; then its owner
//! makes and revokes keys by its own routes.

use clap::{Args, Subcommand};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use longtrainer::{ErrorKind, KeyRecord, LongTrainer, NewKey, TenantId};

use crate::output::seconds;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it; it is not shown again
    Create(CreateFlags),
    /// List all keys, oldest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Refuse a key from now on
    Revoke {
        /// The key's id: what stands between the first and the second `-` of the key
        #[arg(value_name = "ID")]
        key_id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateFlags {
    /// What to call it: who or what uses it
    #[arg(long)]
    name: String,
    /// Tenant whose bots it is for, and no others [default: the owner, who sees all]
    #[arg(long)]
    tenant: Option<TenantId>,
    /// After what time it is refused, as `90d` [default: never]
    #[arg(long, value_name = "TIME", value_parser = end_after)]
    expires: Option<Timestamp>,
}

pub(crate) fn run(command: KeysCommand, session: Session) -> anyhow::Result<()> {
    match command {
        KeysCommand::Create(flags) => create(flags, session),
        KeysCommand::List { json } => list(json, session),
        KeysCommand::Revoke { key_id } => revoke(&key_id, &session),
    }
}

fn create(flags: CreateFlags, mut session: Session) -> anyhow::Result<()> {
    let (key, record) = open(&session)?.create_key(NewKey {
        name: flags.name,
        tenant: flags.tenant,
        expires_at: flags.expires,
    })?;
    session.output.line(key.as_str())?;
    session.notes.say(format_args!(
        "This is key {}, and its text is not shown again",
        record.key_id
    ));
    Ok(())
}

fn list(json: bool, mut session: Session) -> anyhow::Result<()> {
    let keys = open(&session)?.list_keys()?;
    if json {
        return session.output.json(&keys);
    }
    let rows: Vec<_> = keys.iter().map(row).collect();
    let header = ["KEY", "NAME", "TENANT", "MADE", "LAST USED", "STATE"];
    Ok(session.output.table(header, &rows)?)
}

fn row(key: &KeyRecord) -> [String; 6] {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), seconds);
    [
        key.key_id.clone(),
        key.name.clone(),
        key.tenant.clone().unwrap_or_else(|| "-".to_owned()),
        seconds(key.created_at),
        time(key.last_used_at),
        state(key),
    ]
}

fn state(key: &KeyRecord) -> String {
    match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {}", seconds(at)),
        (None, None) => "good".to_owned(),
        (None, Some(end)) if end <= Timestamp::now() => format!("expired {}", seconds(end)),
        (None, Some(end)) => format!("good until {}", seconds(end)),
    }
}

fn revoke(key_id: &str, session: &Session) -> anyhow::Result<()> {
    let key = open(session)?.revoke_key(key_id)?;
    session
        .notes
        .say(format_args!("Revoked key {} ({})", key.key_id, key.name));
    Ok(())
}

/// Opens the data folder; if a server has it, says how keys are changed meanwhile.
fn open(session: &Session) -> anyhow::Result<LongTrainer> {
    let in_use = |error: &anyhow::Error| {
        let error = error.downcast_ref::<longtrainer::Error>();
        error.is_some_and(|error| error.kind() == ErrorKind::Conflict)
    };
    session.trainer().map_err(|error| match in_use(&error) {
        true => error.context(
            "the owner of a running server makes keys with POST /keys and revokes them with \
             DELETE /keys/ID",
        ),
        false => error,
    })
}

/// The moment that is this far from now. A day has 24 hours here, a month as many as it has.
fn end_after(text: &str) -> Result<Timestamp, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    if !span.is_positive() {
        return Err("must be a time to come, as `90d`".to_owned());
    }
    Timestamp::now()
        .to_zoned(TimeZone::UTC)
        .checked_add(span)
        .map(|end| end.timestamp())
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_counted_from_now() {
        let day = 24 * 60 * 60;
        for (text, seconds) in [("90d", 90 * day), ("12h", day / 2), ("1w 1d", 8 * day)] {
            let left = end_after(text).unwrap().duration_since(Timestamp::now());
            assert!((seconds - 5..=seconds).contains(&left.as_secs()), "{text}");
        }
        for text in ["", "soon", "0d", "-3d", "90", "99999y"] {
            assert!(end_after(text).is_err(), "{text}");
        }
    }
}
