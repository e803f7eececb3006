//! What figures were measured with: a number without its machine means nothing.

use std::process::Command;

use longtrainer_inference::SelectedDevice;

/// What figures were measured with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Environment {
    /// The card's name and generation, or the processor's name, where they are known.
    pub device_name: Option<String>,
    /// The version of the card's driver.
    pub driver: Option<String>,
    /// Clocks of the card's cores and memory when the benchmark began, and at most.
    pub clocks: Option<String>,
    /// The version of this program.
    pub version: &'static str,
    /// The commit that it was built from: `LONGTRAINER_COMMIT` when it was built.
    pub commit: Option<&'static str>,
}

impl Environment {
    pub(super) fn of(device: &SelectedDevice) -> Self {
        let card = Card::of(device);
        Self {
            device_name: card_name(device).or_else(processor_name),
            driver: card.as_ref().map(|card| card.driver.clone()),
            clocks: card.map(|card| card.clocks),
            version: env!("CARGO_PKG_VERSION"),
            commit: option_env!("LONGTRAINER_COMMIT").filter(|commit| !commit.is_empty()),
        }
    }
}

fn card_name(device: &SelectedDevice) -> Option<String> {
    let details = device.details()?;
    Some(match details.compute_capability {
        Some(capability) => format!("{} ({capability})", details.name),
        None => details.name,
    })
}

/// As Linux tells it.
fn processor_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim().to_owned())
}

/// What NVIDIA's own program tells of a card.
struct Card {
    driver: String,
    clocks: String,
}

impl Card {
    fn of(device: &SelectedDevice) -> Option<Self> {
        let number = device.name().strip_prefix("cuda:")?;
        let query = "--query-gpu=driver_version,clocks.sm,clocks.max.sm,clocks.mem,clocks.max.mem";
        let mut command = Command::new("nvidia-smi");
        command.args([query, "--format=csv,noheader", "-i", number]);
        let told = command.output().ok().filter(|told| told.status.success())?;
        Self::read(&String::from_utf8_lossy(&told.stdout))
    }

    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim().split(',').map(str::trim).collect();
        let [driver, cores, most_cores, memory, most_memory] = fields.as_slice() else {
            return None;
        };
        Some(Self {
            driver: (*driver).to_owned(),
            clocks: format!("cores {cores} of {most_cores}; memory {memory} of {most_memory}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_card_is_read() {
        let card = Card::read("580.65.06, 345 MHz, 1980 MHz, 3201 MHz, 3201 MHz\n").unwrap();
        assert_eq!(card.driver, "580.65.06");
        assert_eq!(
            card.clocks,
            "cores 345 MHz of 1980 MHz; memory 3201 MHz of 3201 MHz"
        );
        assert!(Card::read("No devices were found").is_none());
    }

    #[test]
    fn the_processor_has_no_driver() {
        let environment = Environment::of(&SelectedDevice::default());
        assert_eq!((environment.driver, environment.clocks), (None, None));
        assert_eq!(environment.version, env!("CARGO_PKG_VERSION"));
    }
}
