//! What a caller of a pool may ask: tiny models loaded, run alone and together, held once, predicted and compared. Knows
//! what a caller sees; must never know the lane.

use super::common::{BOOL, FLOAT, INT64, Tiny, classifier, dense, embedding, expected, off, tensor};
use super::pool::{feeds, fresh, host, load, request, run, shared, source};
use consort::graph::{DType, Data, HostTensor};
use consort::pool::{Feed, Keep, Phase, Pool, Request, RunOptions, Session, Source};
use consort::predict::{Goal, Strategy};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use std::cell::RefCell;
use std::rc::Rc;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A model of one input gives on the device what the CPU references give.
async fn agrees(bytes: Vec<u8>, input: &str, given: HostTensor) {
    let pool = shared().await;
    let session = load(&pool, "tiny", bytes.clone()).await;
    let have = host(&run(&pool, request(&session, input, given.clone())).await.unwrap());
    let want = expected(&bytes, &[given]);
    assert_eq!(have.len(), want.len());
    for (have, want) in have.iter().zip(&want) {
        assert!(off(have, want) < 1e-5, "off by {}", off(have, want));
    }
    pool.release(session.id);
}

/// Three models, and a request for each.
async fn three(pool: &Pool) -> Vec<(Rc<Session>, Vec<u8>, Request, HostTensor)> {
    let ids = HostTensor::i64([5], vec![0, 15, 3, 3, 7]).unwrap();
    let given = [
        ("dense", dense(1), "x", tensor([3, 8], 4)),
        ("classifier", classifier(2), "image", tensor([2, 3, 16, 16], 5)),
        ("embedding", embedding(3), "ids", ids),
    ];
    let mut out = vec![];
    for (name, bytes, input, given) in given {
        let session = load(pool, name, bytes.clone()).await;
        let request = request(&session, input, given.clone());
        out.push((session, bytes, request, given));
    }
    out
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_dense_layer_agrees_with_its_reference() {
    agrees(dense(1), "x", tensor([3, 8], 2)).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_convolution_agrees_with_its_reference() {
    agrees(classifier(1), "image", tensor([2, 3, 16, 16], 2)).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn rows_that_are_normalised_agree_with_their_reference() {
    let model =
        Tiny::new().input("x", FLOAT, ["n".into(), 33.into()]).weight("scale", [33], 1).weight("shift", [33], 2);
    let model = model.node("LayerNormalization", &["x", "scale", "shift"], "y").int("axis", -1);
    agrees(model.outputs(&["y"]), "x", tensor([7, 33], 3)).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn what_is_moved_agrees_with_its_reference() {
    let model = Tiny::new().input("x", FLOAT, [2.into(), 3.into(), 5.into()]);
    let model = model.node("Transpose", &["x"], "moved").ints("perm", &[2, 0, 1]).node("Sigmoid", &["moved"], "y");
    agrees(model.outputs(&["y"]), "x", tensor([2, 3, 5], 1)).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn rows_of_a_table_are_the_table_s() {
    agrees(embedding(1), "ids", HostTensor::i64([4], vec![15, 0, 0, 9]).unwrap()).await;
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn whole_numbers_come_back_as_what_they_were() {
    let pool = shared().await;
    let model = Tiny::new().input("a", INT64, ["n".into()]).node("Add", &["a", "a"], "twice").outputs(&["twice"]);
    let session = load(&pool, "twice", model).await;
    let given = HostTensor::i64([3], vec![-7, 0, 1_000_000_000]).unwrap();
    let outputs = host(&run(&pool, request(&session, "a", given)).await.unwrap());
    assert_eq!(outputs, [HostTensor::i64([3], vec![-14, 0, 2_000_000_000]).unwrap()]);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn any_batch_runs_in_one_session() {
    let pool = shared().await;
    let bytes = dense(1);
    let session = load(&pool, "dense", bytes.clone()).await;
    for batch in [1, 2, 33, 7, 1] {
        let given = tensor([batch, 8], batch);
        let have = host(&run(&pool, request(&session, "x", given.clone())).await.unwrap());
        assert!(off(&have[0], &expected(&bytes, &[given])[0]) < 1e-5, "a batch of {batch}");
    }
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_batch_of_nothing_gives_nothing() {
    let pool = shared().await;
    let session = load(&pool, "dense", dense(1)).await;
    let outputs = host(&run(&pool, request(&session, "x", tensor([0, 8], 0))).await.unwrap());
    assert_eq!(outputs[0].shape(), [0, 4]);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn outputs_come_in_the_model_s_order() {
    let pool = shared().await;
    let model = Tiny::new().input("x", FLOAT, [4.into()]).node("Relu", &["x"], "early").node("Neg", &["x"], "late");
    let session = load(&pool, "two", model.outputs(&["late", "early"])).await;
    let given = HostTensor::f32([4], vec![-1.0, 2.0, -3.0, 4.0]).unwrap();
    let outputs = run(&pool, request(&session, "x", given)).await.unwrap();
    assert_eq!(outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["late", "early"]);
    assert_eq!(host(&outputs)[0].as_f32().unwrap(), [1.0, -2.0, 3.0, -4.0]);
    assert_eq!(host(&outputs)[1].as_f32().unwrap(), [0.0, 2.0, 0.0, 4.0]);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_session_tells_its_inputs_and_outputs() {
    let pool = shared().await;
    let session = load(&pool, "told", embedding(1)).await;
    let (inputs, outputs) = (session.input_info(), session.output_info());
    assert_eq!((inputs.len(), inputs[0].name.as_str(), inputs[0].dtype), (1, "ids", DType::Int64));
    assert_eq!(format!("{:?}", inputs[0].shape), r#"[Free("length")]"#);
    assert_eq!(outputs.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["rows"]);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_load_tells_how_far_it_is() {
    let pool = shared().await;
    let told = RefCell::new(vec![]);
    let tell = |phase, done, total| told.borrow_mut().push((phase, done, total));
    let free_dimensions = [("batch".to_owned(), 2)].into();
    // Weights that no other test has, so that they must be brought to the device.
    let source = Source { free_dimensions, ..source("told", dense(20)) };
    let session = pool.load(source, &tell).await.unwrap();
    pool.release(session.id);
    let told = told.take();
    let of = |phase| told.iter().position(|(p, ..)| *p == phase).unwrap_or_else(|| panic!("no {phase:?} in {told:?}"));
    assert!(of(Phase::Decode) < of(Phase::Upload).min(of(Phase::Compile)), "{told:?}");
    assert_eq!(told.last(), Some(&(Phase::Ready, 1, 1)));
    assert!(told.iter().all(|(_, done, total)| done <= total), "{told:?}");
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn several_models_in_one_call_give_what_each_gives_alone() {
    let pool = shared().await;
    let all = three(&pool).await;
    for strategy in [None, Some(Strategy::Sequential), Some(Strategy::Parallel)] {
        let requests = all.iter().map(|(_, _, request, _)| request.clone()).collect();
        let outputs = pool.run(requests, RunOptions { strategy, ..RunOptions::default() }).await.unwrap();
        for ((session, bytes, _, given), outputs) in all.iter().zip(&outputs) {
            let want = expected(bytes, std::slice::from_ref(given));
            assert!(off(&host(outputs)[0], &want[0]) < 1e-5, "{} by {strategy:?}", session.name);
        }
    }
    all.iter().for_each(|(session, ..)| pool.release(session.id));
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn one_session_may_stand_in_a_call_several_times() {
    let pool = shared().await;
    let bytes = dense(1);
    let session = load(&pool, "dense", bytes.clone()).await;
    let given: Vec<HostTensor> = (0..4).map(|seed| tensor([2, 8], seed)).collect();
    let requests = given.iter().map(|t| request(&session, "x", t.clone())).collect();
    let outputs = pool.run(requests, RunOptions::default()).await.unwrap();
    for (given, outputs) in given.iter().zip(&outputs) {
        assert!(off(&host(outputs)[0], &expected(&bytes, std::slice::from_ref(given))[0]) < 1e-5);
    }
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn calls_at_once_are_all_answered_each_with_its_own() {
    let pool = shared().await;
    let all = three(&pool).await;
    let (first, bytes, ..) = &all[0];
    let given: Vec<HostTensor> = (0..24).map(|seed| tensor([1 + seed % 3, 8], seed)).collect();
    let own = given.iter().map(|t| Request::new(first.id, feeds("x", t.clone())));
    let others = all.iter().map(|(_, _, request, _)| request.clone());
    let answers = join_all(own.chain(others).map(|request| run(&pool, request))).await;
    assert_eq!(answers.len(), 27);
    for (given, answer) in given.iter().zip(&answers) {
        let want = expected(bytes, std::slice::from_ref(given));
        assert!(off(&host(answer.as_ref().unwrap())[0], &want[0]) < 1e-5);
    }
    for ((session, bytes, _, given), answer) in all.iter().zip(&answers[24..]) {
        let want = expected(bytes, std::slice::from_ref(given));
        assert!(off(&host(answer.as_ref().unwrap())[0], &want[0]) < 1e-5, "{}", session.name);
    }
    all.iter().for_each(|(session, ..)| pool.release(session.id));
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn one_execution_is_one_readback() {
    let pool = shared().await;
    let all = three(&pool).await;
    let requests: Vec<Request> = all.iter().map(|(_, _, request, _)| request.clone()).collect();
    pool.run(requests.clone(), RunOptions::default()).await.unwrap();
    let before = pool.traffic().readbacks;
    pool.run(requests, RunOptions::default()).await.unwrap();
    assert_eq!(pool.traffic().readbacks - before, 1);
    all.iter().for_each(|(session, ..)| pool.release(session.id));
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn equal_weights_are_held_once() {
    let pool = fresh().await;
    let first = load(&pool, "first", classifier(1)).await;
    let alone = pool.memory();
    load(&pool, "second", classifier(1)).await;
    let both = pool.memory();
    assert!(alone.weights >= 8 * 3 * 3 * 3 * 4, "{alone:?}");
    assert_eq!(both.weights, alone.weights);
    assert!(both.sessions.iter().all(|s| s.weights > 0 && s.shared_weights == s.weights), "{both:?}");
    load(&pool, "other", classifier(2)).await;
    assert!(pool.memory().weights > alone.weights, "other weights are not the same");
    pool.release(first.id);
    assert!(pool.memory().sessions.iter().all(|s| s.name != "first"));
    assert!(pool.memory().weights > alone.weights, "the second session still needs them");
    pool.close();
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn memory_goes_back_after_release() {
    let pool = fresh().await;
    let empty = pool.memory();
    assert_eq!((empty.weights, empty.arenas, empty.tensors, empty.sessions.len()), (0, 0, 0, 0));
    let all = three(&pool).await;
    for (_, _, request, _) in &all {
        run(&pool, request.clone()).await.unwrap();
    }
    let held = pool.memory();
    assert!(held.weights > 0 && held.arenas > 0 && held.sessions.len() == 3, "{held:?}");
    assert!(held.high_water >= held.total);
    all.iter().for_each(|(session, ..)| pool.release(session.id));
    drop(all);
    let left = pool.memory();
    let none = (left.weights, left.arenas, left.parameters, left.tensors, left.sessions.len());
    assert_eq!(none, (0, 0, empty.parameters, 0, 0), "{left:?}");
    pool.close();
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn the_map_of_an_arena_holds_what_lives_in_it() {
    let pool = shared().await;
    let session = load(&pool, "map", classifier(1)).await;
    run(&pool, request(&session, "image", tensor([1, 3, 16, 16], 1))).await.unwrap();
    let map = pool.memory_map(session.id).unwrap().expect("a program is ready");
    assert!(map.live_bytes > 0 && map.live_bytes <= map.arena, "{map:?}");
    assert!(map.steps > 2 && !map.tensors.is_empty(), "{map:?}");
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn what_stays_on_the_device_feeds_the_next_model() {
    let pool = shared().await;
    let (first, second) = (load(&pool, "first", embedding(1)).await, {
        let next = Tiny::new().input("rows", FLOAT, ["n".into(), 6.into()]).node("Neg", &["rows"], "y").outputs(&["y"]);
        load(&pool, "second", next).await
    });
    let ids = HostTensor::i64([3], vec![2, 4, 8]).unwrap();
    let kept = Request { keep: Keep::All, ..request(&first, "ids", ids.clone()) };
    let before = pool.memory().tensors;
    let outputs = run(&pool, kept).await.unwrap();
    let rows = Rc::clone(outputs[0].1.resident().expect("it stays on the device"));
    assert!(pool.memory().tensors > before);
    let want = &expected(&embedding(1), &[ids])[0];
    assert!(off(&pool.read(&rows).await.unwrap(), want) < 1e-6);
    let fed = Request::new(second.id, [("rows".to_owned(), Feed::Resident(rows))].into());
    let negated = host(&run(&pool, fed).await.unwrap());
    let turned: Vec<f32> = want.as_f32().unwrap().iter().map(|v| -v).collect();
    assert_eq!(negated[0].as_f32().unwrap(), turned);
    drop(outputs);
    assert_eq!(pool.memory().tensors, before, "bytes on the device after the last of its holders");
    [first, second].iter().for_each(|session| pool.release(session.id));
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_tensor_brought_to_the_device_comes_back_the_same() {
    let pool = shared().await;
    let given = tensor([5, 3], 1);
    let id = pool.hold(pool.upload(&given).await.unwrap());
    assert_eq!(pool.read(&pool.tensor(id).unwrap()).await.unwrap(), given);
    pool.dispose(id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_call_whose_caller_went_away_harms_no_other() {
    let pool = shared().await;
    let bytes = dense(1);
    let session = load(&pool, "dense", bytes.clone()).await;
    let given = tensor([2, 8], 3);
    let mut gone = Box::pin(run(&pool, request(&session, "x", tensor([2, 8], 9))));
    assert!(gone.as_mut().now_or_never().is_none());
    let stays = run(&pool, request(&session, "x", given.clone()));
    drop(gone);
    assert!(off(&host(&stays.await.unwrap())[0], &expected(&bytes, &[given])[0]) < 1e-5);
    pool.release(session.id);
}

/// Those by which requests run as they are: whether fewer calls may be worth it depends on how long they take here.
fn as_they_are(strategies: impl Iterator<Item = Strategy>) -> Vec<Strategy> {
    strategies.filter(|&strategy| strategy != Strategy::Batched).collect()
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn every_strategy_is_predicted_with_an_interval() {
    let pool = shared().await;
    let all = three(&pool).await;
    let shapes = |r: &Request| r.feeds.iter().map(|(name, t)| (name.clone(), t.shape().to_vec())).collect();
    let set: Vec<_> = all.iter().map(|(_, _, r, _)| (r.session, shapes(r))).collect();
    let prediction = pool.predict(set.clone(), None).await.unwrap();
    assert_eq!(as_they_are(prediction.strategies.iter().map(|s| s.strategy)), Strategy::OF_LANE);
    for s in &prediction.strategies {
        let [low, high] = s.interval_ms;
        assert!(low > 0.0 && low < s.predicted_ms && s.predicted_ms < high && high.is_finite(), "{s:?}");
        assert!(s.predicted_bytes > 0 && s.predicted_throughput > 0.0 && !s.timeline.is_empty(), "{s:?}");
    }
    assert!(!prediction.reason.is_empty());
    let least = prediction.strategies.iter().min_by_key(|s| s.predicted_bytes).unwrap().predicted_bytes;
    let small = pool.predict(set, Some(Goal::Memory)).await.unwrap();
    let chosen = small.strategies.iter().find(|s| s.strategy == small.recommended).unwrap();
    assert_eq!(chosen.predicted_bytes, least, "who wants few bytes is told the way with fewest");
    all.iter().for_each(|(session, ..)| pool.release(session.id));
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn what_runs_took_is_learned_from() {
    let pool = fresh().await;
    let all = three(&pool).await;
    let shapes = |r: &Request| r.feeds.iter().map(|(name, t)| (name.clone(), t.shape().to_vec())).collect();
    let set: Vec<_> = all.iter().map(|(_, _, r, _)| (r.session, shapes(r))).collect();
    // What kernels reach is measured here: the predictor learns from no run before that.
    let before = pool.predict(set.clone(), None).await.unwrap();
    let (_, seen) = pool.accuracy().remove(0);
    let requests: Vec<Request> = all.iter().map(|(_, _, request, _)| request.clone()).collect();
    for _ in 0..8 {
        pool.run(requests.clone(), RunOptions::by(Strategy::Sequential)).await.unwrap();
    }
    let (_, learned) = pool.accuracy().remove(0);
    // The first run of a program is no observation.
    assert!(learned.observations >= seen.observations + 6, "{} → {}", seen.observations, learned.observations);
    assert!(learned.held_out > seen.held_out);
    let last = learned.history.last().unwrap();
    assert_eq!(last.models, ["classifier", "dense", "embedding"]);
    let after = pool.predict(set, None).await.unwrap();
    let (a, b) = (&before.strategies[0], &after.strategies[0]);
    assert!(b.interval_ms[0] > 0.0 && b.interval_ms[0] < b.predicted_ms && b.predicted_ms < b.interval_ms[1]);
    assert!(b.predicted_ms.is_finite() && b.predicted_ms != a.predicted_ms, "nothing was learned: {a:?} {b:?}");
    pool.close();
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_comparison_measures_what_was_predicted() {
    let pool = shared().await;
    let all = three(&pool).await;
    let requests: Vec<Request> = all.iter().map(|(_, _, request, _)| request.clone()).collect();
    let report = pool.compare(requests, 3, None, &|_| ()).await.unwrap();
    assert_eq!(report.repeats, 3);
    assert_eq!(as_they_are(report.strategies.iter().map(|s| s.prediction.strategy)), Strategy::OF_LANE);
    for s in &report.strategies {
        let (p, [low, high]) = (&s.prediction, s.spread_ms);
        assert!(low > 0.0 && low <= s.measured_ms && s.measured_ms <= high && high.is_finite(), "{s:?}");
        assert!(p.interval_ms[0] < p.predicted_ms && p.predicted_ms < p.interval_ms[1], "{s:?}");
        let off = (p.predicted_bytes as f64 / s.measured_bytes as f64 - 1.0).abs();
        assert!(off < 0.01, "{} bytes predicted, {} allocated", p.predicted_bytes, s.measured_bytes);
        assert!(!s.measured_timeline.is_empty());
    }
    assert!(report.regret >= 0.0 && report.regret.is_finite(), "{}", report.regret);
    all.iter().for_each(|(session, ..)| pool.release(session.id));
}

/// A dense layer where `which` holds, else its input without what is below nothing: both branches use the same names inside.
pub(super) fn branching() -> Vec<u8> {
    let then = Tiny::new().weight("w", [8, 3], 5).node("MatMul", &["x", "w"], "inner").node("Neg", &["inner"], "y");
    let otherwise = Tiny::new().node("Relu", &["x"], "inner").node("Identity", &["inner"], "y");
    let model = Tiny::new().input("x", FLOAT, ["batch".into(), 8.into()]).input("which", BOOL, []);
    let model = model.node("If", &["which"], "z").branch("then_branch", then, &["y"]);
    model.branch("else_branch", otherwise, &["y"]).node("Neg", &["z"], "out").outputs(&["out"])
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn an_input_decides_which_branch_runs_whatever_its_shape() {
    let pool = shared().await;
    let session = load(&pool, "branching", branching()).await;
    let x = tensor([2, 8], 4);
    let dense = Tiny::new().input("x", FLOAT, [2.into(), 8.into()]).weight("w", [8, 3], 5);
    let dense = expected(&dense.node("MatMul", &["x", "w"], "y").outputs(&["y"]), std::slice::from_ref(&x)).remove(0);
    let cut: Vec<f32> = x.as_f32().unwrap().iter().map(|v| -v.max(0.0)).collect();
    let cut = HostTensor::f32([2, 8], cut).unwrap();
    for (which, want) in [(true, &dense), (false, &cut), (true, &dense)] {
        let which = HostTensor::new([], Data::Bool(vec![u8::from(which)])).unwrap();
        let feeds = [("x".to_owned(), x.clone().into()), ("which".to_owned(), which.into())].into();
        let outputs = host(&run(&pool, Request::new(session.id, feeds)).await.unwrap());
        assert_eq!(outputs[0].shape(), want.shape());
        assert!(off(&outputs[0], want) < 1e-5, "{outputs:?}");
    }
    // Shapes say not which: what the last call computed is predicted.
    let shapes = [("x".to_owned(), vec![2, 8]), ("which".to_owned(), vec![])].into();
    assert!(pool.predict(vec![(session.id, shapes)], None).await.unwrap().strategies[0].predicted_ms > 0.0);
    pool.release(session.id);
}

#[cfg_attr(target_arch = "wasm32", test)]
pub async fn a_condition_that_is_computed_chooses_between_what_both_branches_give() {
    let pool = shared().await;
    let model = Tiny::new().input("x", FLOAT, ["batch".into(), 8.into()]).node("ReduceMax", &["x"], "most");
    let model = model.int("keepdims", 0).weight("bound", [1], 3).node("Greater", &["most", "bound"], "above");
    let model = model.node("If", &["above"], "y").branch("then_branch", Tiny::new().node("Neg", &["x"], "a"), &["a"]);
    let model = model.branch("else_branch", Tiny::new().node("Abs", &["x"], "b"), &["b"]).outputs(&["y"]);
    let session = load(&pool, "computed", model).await;
    let bound = super::common::numbers(1, 3)[0];
    for (value, want) in [(bound + 0.25, -(bound + 0.25)), (bound - 0.25, (bound - 0.25).abs())] {
        let x = HostTensor::f32([1, 8], vec![value; 8]).unwrap();
        let outputs = host(&run(&pool, request(&session, "x", x)).await.unwrap());
        assert_eq!(outputs[0].as_f32().unwrap(), [want; 8]);
    }
    pool.release(session.id);
}
