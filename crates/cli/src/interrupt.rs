//! Ctrl-C: while an answer is being read it cancels that answer, at any other time it ends the
//! program, and a second one always does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Receiver;

use crate::exit::INTERRUPTED;

/// Listens for Ctrl-C.
pub(crate) struct Interrupts {
    pressed: Receiver<()>,
    is_watched: Arc<AtomicBool>,
}

impl Interrupts {
    /// Takes Ctrl-C over for the whole program; called at most once.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let (sender, pressed) = async_channel::bounded(1);
        let is_watched = Arc::new(AtomicBool::new(false));
        let watched = Arc::clone(&is_watched);
        ctrlc::set_handler(move || {
            if watched.swap(false, Ordering::SeqCst) && sender.try_send(()).is_ok() {
                return;
            }
            std::process::exit(INTERRUPTED.into());
        })?;
        Ok(Self {
            pressed,
            is_watched,
        })
    }

    /// From now until the watch is dropped, the next Ctrl-C is for the watch.
    pub(crate) fn watch(&self) -> Watch<'_> {
        // One that came too late for the last watch belongs to nobody.
        while self.pressed.try_recv().is_ok() {}
        self.is_watched.store(true, Ordering::SeqCst);
        Watch { interrupts: self }
    }
}

/// A stretch of work that Ctrl-C stops.
pub(crate) struct Watch<'a> {
    interrupts: &'a Interrupts,
}

impl Watch<'_> {
    /// Waits for Ctrl-C.
    pub(crate) async fn interrupted(&self) {
        // The handler holds the sender for as long as the program runs, so this never fails.
        let _ = self.interrupts.pressed.recv().await;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.interrupts.is_watched.store(false, Ordering::SeqCst);
    }
}
