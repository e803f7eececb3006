//! `devices`: what models could run on here, and what `auto` chooses.

use clap::Args;
use longtrainer::{DeviceChoice, SelectedDevice, built_devices, select_device};
use serde::Serialize;

use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct DevicesFlags {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Devices {
    /// Kinds that this program was built for.
    built: Vec<&'static str>,
    auto: Chosen,
    devices: Vec<Device>,
}

#[derive(Debug, Serialize)]
struct Chosen {
    device: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Device {
    device: String,
    /// The product, its generation and memory, where it says so.
    name: Option<String>,
    compute_capability: Option<String>,
    free_bytes: Option<u64>,
    total_bytes: Option<u64>,
    /// Why it cannot be used.
    problem: Option<String>,
}

pub(crate) fn run(flags: DevicesFlags, mut session: Session) -> anyhow::Result<()> {
    let found = find()?;
    if flags.json {
        return session.output.json(&found);
    }
    let rows: Vec<_> = found.devices.iter().map(row).collect();
    session.output.table(["device", "state", "what"], &rows)?;
    let auto = &found.auto;
    let chosen = format!("auto chooses {}: {}", auto.device, auto.why);
    Ok(session.output.line(&chosen)?)
}

fn find() -> longtrainer::Result<Devices> {
    let auto = select_device(DeviceChoice::Auto)?;
    let mut devices = vec![tried(DeviceChoice::Cpu)];
    devices.extend(cards());
    devices.push(tried(DeviceChoice::Metal));
    Ok(Devices {
        built: built_devices(),
        auto: Chosen {
            device: auto.name().to_owned(),
            why: auto.why().to_owned(),
        },
        devices,
    })
}

/// All cards of NVIDIA's, or why there is none.
fn cards() -> Vec<Device> {
    let numbered = (0..).map(|number| tried(DeviceChoice::Cuda(number)));
    let mut cards: Vec<Device> = Vec::new();
    for card in numbered {
        let is_last = card.problem.is_some();
        if !is_last || cards.is_empty() {
            cards.push(card);
        }
        if is_last {
            break;
        }
    }
    cards
}

fn tried(choice: DeviceChoice) -> Device {
    match select_device(choice) {
        Ok(device) => usable(&device),
        Err(error) => Device {
            device: choice.to_string(),
            name: None,
            compute_capability: None,
            free_bytes: None,
            total_bytes: None,
            problem: Some(reason(error)),
        },
    }
}

fn usable(device: &SelectedDevice) -> Device {
    let details = device.details();
    let memory = device.memory();
    Device {
        device: device.name().to_owned(),
        name: details.as_ref().map(|details| details.name.clone()),
        compute_capability: details.and_then(|details| details.compute_capability),
        free_bytes: memory.map(|memory| memory.free),
        total_bytes: memory.map(|memory| memory.total),
        problem: None,
    }
}

/// The reason alone: the row says which device it is.
fn reason(error: longtrainer::InferenceError) -> String {
    match error {
        longtrainer::InferenceError::DeviceUnavailable { reason, .. } => reason.to_string(),
        other => other.to_string(),
    }
}

fn row(device: &Device) -> [String; 3] {
    let (state, what) = match &device.problem {
        Some(problem) => ("not usable", problem.clone()),
        None => ("usable", description(device)),
    };
    [device.device.clone(), state.to_owned(), what]
}

fn description(device: &Device) -> String {
    let mut parts: Vec<String> = device.name.iter().cloned().collect();
    if let Some(capability) = &device.compute_capability {
        parts.push(format!("compute capability {capability}"));
    }
    if let (Some(free), Some(total)) = (device.free_bytes, device.total_bytes) {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        parts.push(format!("{:.1} of {:.1} GiB free", gib(free), gib(total)));
    }
    parts.join(", ")
}
