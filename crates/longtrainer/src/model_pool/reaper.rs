//! The thread that unloads models which nobody has used for long enough. It sleeps until the next
//! of them is due.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::residency::{Resident, Shared};
use super::transit::Leaving;

/// Starts the thread. It ends when the table is closed.
pub(super) fn start<M: Resident>(shared: &Arc<Shared<M>>) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    Builder::new()
        .name("longtrainer-keep-alive".to_owned())
        .spawn(move || run(&shared))
}

fn run<M: Resident>(shared: &Shared<M>) {
    let keep_alive = shared.keep_alive;
    let mut table = shared.lock();
    while !table.closed {
        let now = Instant::now();
        if let Some((key, model)) = table.take_expired(keep_alive, now) {
            drop(table);
            Leaving::new(shared, key, model).unload("not used");
            table = shared.lock();
            continue;
        }
        table = match table.next_end(keep_alive) {
            None => shared.idle().wait(table),
            Some(end) => {
                let left = end.saturating_duration_since(now);
                let waited = shared.idle().wait_timeout(table, left);
                waited
                    .map(|(table, _)| table)
                    .map_err(|error| PoisonError::new(error.into_inner().0))
            }
        }
        .unwrap_or_else(PoisonError::into_inner);
    }
}
