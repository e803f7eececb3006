//! Runs a parser where it can do no harm: on a thread of its own, with a deep stack and a clock.
//!
//! Parsers of other people take files of strangers, and the file that makes one of them panic,
//! recurse far or loop will turn up some day. A panic ends only that thread and becomes an error
//! that carries its message (the panic hook still runs; a program built with `panic = "abort"` has
//! no such protection). Work that outlives the clock is told to stop; if it is in a loop that never
//! looks at [`Stop`], its thread is left behind, because a thread cannot be ended from outside.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::source::Source;
use crate::{Error, Result};

/// Address space, not memory: a stack takes pages only as it grows.
const STACK_BYTES: usize = 256 << 20;

/// Tells work that nobody waits for it any more.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The result of `work`, which gets a copy of the bytes of `source` since it may outlive the call.
pub(crate) fn run<T: Send + 'static>(
    source: &Source<'_>,
    work: impl FnOnce(Vec<u8>, &Stop) -> T + Send + 'static,
) -> Result<T> {
    let (stop, bytes) = (Stop::default(), source.bytes.to_vec());
    let (send, receive) = sync_channel(1);
    let told = stop.clone();
    let thread = Builder::new()
        .name("document-parser".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = work(bytes, &told);
            // The receiver is gone when the time was up.
            send.send(result).ok();
        })
        .map_err(|cause| Error::Io {
            path: source.path.to_owned(),
            source: cause,
        })?;
    match receive.recv_timeout(source.options.max_time) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Disconnected) => Err(panicked(source, thread)),
        Err(RecvTimeoutError::Timeout) => {
            stop.0.store(true, Ordering::Relaxed);
            Err(Error::TimedOut {
                path: source.path.to_owned(),
                limit: source.options.max_time,
            })
        }
    }
}

fn panicked(source: &Source<'_>, thread: JoinHandle<()>) -> Error {
    let message = thread
        .join()
        .err()
        .map(|payload| message_of(payload.as_ref()));
    source.malformed_because("the parser gave up on it", message.map(Into::into))
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::LoadOptions;
    use crate::format::Format;

    fn run_with<T: Send + 'static>(
        max_time: Duration,
        work: impl FnOnce(Vec<u8>, &Stop) -> T + Send + 'static,
    ) -> Result<T> {
        let options = LoadOptions {
            max_time,
            ..LoadOptions::default()
        };
        let path = Path::new("a.pdf");
        run(
            &Source {
                path,
                format: Format::Pdf,
                bytes: b"bytes",
                options: &options,
            },
            work,
        )
    }

    #[test]
    fn a_result_comes_through() {
        assert_eq!(
            run_with(Duration::from_secs(60), |bytes, _| bytes.len()).unwrap(),
            5
        );
    }

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let error = run_with(Duration::from_secs(60), |_, _| panic!("page 3 is odd")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.pdf is not valid as PDF: the parser gave up on it"
        );
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "page 3 is odd"
        );
    }

    #[test]
    fn work_that_never_ends_is_told_to_stop() {
        let (send, receive) = sync_channel(1);
        let error = run_with(Duration::from_millis(20), move |_, stop| {
            while !stop.is_set() {
                std::thread::sleep(Duration::from_millis(1));
            }
            send.send(()).unwrap();
        })
        .unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error}");
        receive.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}
