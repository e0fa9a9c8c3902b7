//! The `gpu` lane on the system's Vulkan device: probes give numbers, executions give results.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use consort::kernels::Class;
use consort::lane::gpu::{Gpu, GpuLane, probe};
use consort::lane::host::{block_on, sleep};

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

#[test]
fn who_executes_waits_for_one_run_of_the_tuner_and_not_for_all() {
    block_on(async {
        let lane = GpuLane::new(Gpu::open().await.expect("a Vulkan device: apt-get install mesa-vulkan-drivers"), None);
        let measured = probe::measure(&lane, None).await.expect("probes");
        let mine = lane.turn().await;
        let mut tuned = std::pin::pin!(probe::tune(&lane, &measured));
        // It compiles beside an execution, and runs nothing.
        let a_while = std::pin::pin!(sleep(3000));
        let early = futures_util::future::select(tuned.as_mut(), a_while).await;
        let waits = matches!(early, futures_util::future::Either::Right(_));
        assert!(waits, "the tuner ran beside an execution");
        drop(mine);
        let mut turns = 0;
        loop {
            let turn = std::pin::pin!(async { drop(lane.turn().await) });
            match futures_util::future::select(turn, tuned.as_mut()).await {
                futures_util::future::Either::Left(_) => turns += 1,
                futures_util::future::Either::Right((result, _)) => break result.expect("the tuner"),
            }
            // The tuner goes on, one run at most.
            if let Some(result) = futures_util::FutureExt::now_or_never(tuned.as_mut()) {
                break result.expect("the tuner");
            }
        }
        assert!(turns > 8, "only {turns} turns while the tuner ran");
    });
}
