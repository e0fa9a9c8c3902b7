// Transposed convolution: each thread computes one output element, over the input elements whose taps reach it.
struct Params {
    count: u32,
    groups: u32,          // workgroups in x
    filters: u32,         // of all groups
    group_filters: u32,
    channels: u32,        // of all groups
    group_channels: u32,
    height: i32,          // of the output
    width: i32,
    in_height: i32,
    in_width: i32,
    kernel_y: i32,
    kernel_x: i32,
    stride_y: i32,
    stride_x: i32,
    dilation_y: i32,
    dilation_x: i32,
    before_y: i32,
    before_x: i32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
    let plane = u32(params.height * params.width);
    let ox = i32(i) % params.width;
    let oy = i32(i % plane) / params.width;
    let filter_index = i / plane % params.filters;
    let batch = i / plane / params.filters;
    let part = filter_index / params.group_filters;
    let taps = params.kernel_y * params.kernel_x;
    let in_plane = params.in_height * params.in_width;
    var sum = ${first};
    for (var ky = 0; ky < params.kernel_y; ky++) {
        let ty = oy + params.before_y - ky * params.dilation_y;
        let iy = ty / params.stride_y;
        if (ty < 0 || iy * params.stride_y != ty || iy >= params.in_height) {
            continue;
        }
        for (var kx = 0; kx < params.kernel_x; kx++) {
            let tx = ox + params.before_x - kx * params.dilation_x;
            let ix = tx / params.stride_x;
            if (tx < 0 || ix * params.stride_x != tx || ix >= params.in_width) {
                continue;
            }
            var x_at = i32(batch * params.channels + part * params.group_channels) * in_plane + iy * params.in_width + ix;
            let w_first = part * params.group_channels * params.group_filters + filter_index % params.group_filters;
            var w_at = i32(w_first) * taps + ky * params.kernel_x + kx;
            for (var c = 0u; c < params.group_channels; c++) {
                sum += x[x_at] * w[w_at];
                x_at += in_plane;
                w_at += i32(params.group_filters) * taps;
            }
        }
    }
    y[i] = sum;
}
