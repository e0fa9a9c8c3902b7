var<workgroup> partial: array<f32, 64>;

// The sum, or the greatest, of the values of the row's threads; every thread of the workgroup must call it. ${within} threads
// each have joined theirs before the others see it.
fn over_lanes(value: f32, thread: u32, greatest: bool) -> f32 {
    var all = value;
${exchanges}    partial[thread] = all;
    workgroupBarrier();
    let first = thread - thread % LANES;
    all = partial[first];
    for (var i = ${within}u; i < LANES; i += ${within}u) {
        all = both(all, partial[first + i], greatest);
    }
    workgroupBarrier();
    return all;
}
