var<workgroup> partial: array<f32, 64>;

// The sum, or the greatest, of the values of the row's threads; every thread of the workgroup must call it.
fn over_lanes(value: f32, thread: u32, greatest: bool) -> f32 {
    partial[thread] = value;
    workgroupBarrier();
    let first = thread - thread % LANES;
    var total = partial[first];
    for (var i = 1u; i < LANES; i++) {
        let other = partial[first + i];
        total = select(total + other, max(total, other), greatest);
    }
    workgroupBarrier();
    return total;
}
