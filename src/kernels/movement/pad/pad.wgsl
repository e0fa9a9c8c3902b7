// y[…] = x[…] inside, and what the mode says around it. Of each axis: its size here and in x, what is added before it, its
// stride in x.
struct Params {
    count: u32,
    groups: u32,
    rank: u32,
    value: u32,
    axes: array<vec4<u32>, 8>,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
    var left = i;
    var place = 0u;
    var inside = true;
    for (var axis = params.rank; axis > 0u; axis -= 1u) {
        let extent = params.axes[axis - 1u];
        let size = i32(extent.y);
        var at = i32(left % extent.x) - bitcast<i32>(extent.z);
        left /= extent.x;
        ${around}
        inside = inside && at >= 0 && at < size;
        place += u32(at) * extent.w;
    }
    if (inside) {
        y[i] = x[place];
    } else {
        y[i] = bitcast<y_t>(params.value);
    }
}
