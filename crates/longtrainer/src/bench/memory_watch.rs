//! How much memory a test takes at most, looked at while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use longtrainer_inference::SelectedDevice;

/// Between two looks, which a card answers between its other calls. What is taken for a shorter time may be missed.
const PAUSE: Duration = Duration::from_millis(10);

/// A thread that looks until it is told to stop.
pub(super) struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<u64>>>,
}

impl MemoryWatch {
    /// Begins to look. Without a thread there is nothing to tell, which stops no test.
    pub(super) fn start(device: &SelectedDevice) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (device, stopped) = (device.clone(), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("memory watch".to_owned());
        let thread = thread.spawn(move || watch(&device, &stopped)).ok();
        Self { stop, thread }
    }

    /// The most bytes that were taken.
    pub(super) fn stop(mut self) -> Option<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok().flatten()
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(device: &SelectedDevice, stop: &AtomicBool) -> Option<u64> {
    let mut most = taken(device);
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(PAUSE);
        most = most.max(taken(device));
    }
    most
}

/// Of a card what is not free; of the processor what the process has in memory.
fn taken(device: &SelectedDevice) -> Option<u64> {
    if device.name() == "cpu" {
        let memory = memory_stats::memory_stats()?;
        return Some(memory.physical_mem as u64);
    }
    let memory = device.memory()?;
    Some(memory.total.saturating_sub(memory.free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_given_back_is_remembered() {
        let device = SelectedDevice::default();
        let before = taken(&device).unwrap();
        let watch = MemoryWatch::start(&device);
        let large = vec![1u8; 200 << 20];
        std::thread::sleep(PAUSE * 20);
        assert_eq!(large[100 << 20], 1);
        drop(large);
        let most = watch.stop().unwrap();
        assert!(most > before + (150 << 20), "{before}, then {most}");
    }
}
