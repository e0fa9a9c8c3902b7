//! The `gpu` lane on the system's Vulkan device: probes give numbers, executions give results.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::kernels::Class;
use consort::lane::gpu::{Gpu, GpuLane, probe};
use consort::lane::host::block_on;

#[test]
fn the_probes_measure_every_rate() {
    block_on(async {
        let lane = GpuLane::new(Gpu::open().await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers"), None);
        let m = probe::measure(&lane, None).await.expect("probes");
        println!("{m:#?}");
        for rate in [m.flops_per_s, m.bytes_per_s, m.dispatch_s, m.submit_s, m.readback_s, m.upload_bytes_per_s] {
            assert!(rate.is_finite() && rate > 0.0, "{m:?}");
        }
        probe::tune(&lane, &m).await.expect("products");
        let size = lane.subgroups();
        assert!(size == 0 || probe::neighbours(&lane, size).await.expect("subgroups"), "subgroups of {size} lie apart");
        // No subgroup is that large, and no thread has such a neighbour.
        assert!(size == 0 || !probe::neighbours(&lane, 256).await.expect("subgroups"));
        probe::prepare_classes(&lane).await.expect("classes");
        for class in Class::ALL {
            let share = probe::utilisation(&lane, class, &m).await.expect("a probe").expect("every class has one");
            assert!(share > 0.0 && share <= 1.0, "{class:?}: {share}");
        }
    });
}
