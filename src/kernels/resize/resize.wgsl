// Resize along the last two axes: each output element is one input element, or a mean of four. A place along an axis is
// the exact fraction (scale · i + shift) / parts, so that no rounding moves it to another element.
struct Params {
    count: u32,
    groups: u32,          // workgroups in x
    height: u32,
    width: u32,
    in_height: i32,
    in_width: i32,
    scale_y: i32,
    shift_y: i32,
    parts_y: i32,
    scale_x: i32,
    shift_x: i32,
    parts_x: i32,
}

fn floored(n: i32, d: i32) -> i32 {
    return n / d - select(0, 1, n % d < 0);
}

fn nearest(n: i32, d: i32) -> i32 {
    return ${nearest};
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
    let ox = i32(i % params.width);
    let oy = i32(i / params.width % params.height);
    let plane = i32(i / (params.width * params.height)) * params.in_height;
    let ny = params.scale_y * oy + params.shift_y;
    let nx = params.scale_x * ox + params.shift_x;
    if (${linear}) {
        let fy = floored(ny, params.parts_y);
        let fx = floored(nx, params.parts_x);
        let wy = f32(ny - fy * params.parts_y) / f32(params.parts_y);
        let wx = f32(nx - fx * params.parts_x) / f32(params.parts_x);
        let y0 = (plane + clamp(fy, 0, params.in_height - 1)) * params.in_width;
        let y1 = (plane + clamp(fy + 1, 0, params.in_height - 1)) * params.in_width;
        let x0 = clamp(fx, 0, params.in_width - 1);
        let x1 = clamp(fx + 1, 0, params.in_width - 1);
        let above = mix(x[y0 + x0], x[y0 + x1], wx);
        let below = mix(x[y1 + x0], x[y1 + x1], wx);
        y[i] = mix(above, below, wy);
    } else {
        let sy = clamp(nearest(ny, params.parts_y), 0, params.in_height - 1);
        let sx = clamp(nearest(nx, params.parts_x), 0, params.in_width - 1);
        y[i] = x[(plane + sy) * params.in_width + sx];
    }
}
