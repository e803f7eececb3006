//! `devices`, and what happens when a device is asked for that is not here.

use crate::world::World;

#[test]
fn what_could_be_used_is_listed_with_what_auto_chooses() {
    let world = World::new();
    let found = world.json(&["devices", "--json"]);
    let built: Vec<&str> = found["built"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert!(built.contains(&"cpu"));
    let devices = found["devices"].as_array().unwrap();
    assert_eq!(devices[0]["device"], "cpu");
    assert!(devices[0]["problem"].is_null());
    for kind in ["cuda", "metal"] {
        let device = devices
            .iter()
            .find(|device| device["device"].as_str().unwrap().starts_with(kind));
        let device = device.unwrap();
        if !built.contains(&kind) {
            let problem = device["problem"].as_str().unwrap();
            assert!(problem.contains(&format!("feature `{kind}`")), "{problem}");
        }
    }
    let auto = found["auto"]["device"].as_str().unwrap();
    assert!(!found["auto"]["why"].as_str().unwrap().is_empty());
    let run = world.run(&["devices"]);
    let run = run.expect(0, &[]);
    assert!(
        run.stdout.contains(&format!("auto chooses {auto}: ")),
        "{}",
        run.stdout
    );
}

#[test]
fn a_device_that_is_not_here_is_refused_by_name() {
    let world = World::new();
    world
        .run(&["bench", "--device", "cuda:99"])
        .expect(6, &["cuda:99"]);
    world
        .run(&["bench", "--device", "gpu"])
        .expect(2, &["unknown device \"gpu\""]);
}
