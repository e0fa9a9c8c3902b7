// Depthwise convolution: each thread computes ${rows} × ${pixels} neighbouring pixels of one filter; the taps are
// unrolled by the host, and each input element is loaded once.
struct Params {
    tiles: u32,          // batch × filters × tiles of a plane
    plane_tiles: u32,
    row_tiles: u32,
    height: u32,         // of the output
    width: u32,
    in_height: u32,
    in_width: u32,
    filters: u32,
    group_filters: u32,
    before_y: u32,
    before_x: u32,
    groups: u32,         // workgroups in x
    plane: u32,          // elements from one plane of the output to the next, and of the input
    in_plane: u32,
${more}
}

fn activate(v: f32) -> f32 {
    return ${activation};
}

${finish}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // Threads over the edge repeat the last tile: the same values, and no divergence.
    let t = min((group.y * params.groups + group.x) * 64u + thread, params.tiles - 1u);
    let plane = t / params.plane_tiles;
    let filter_index = plane % params.filters;
    let channel = plane / params.filters * (params.filters / params.group_filters) + filter_index / params.group_filters;
    let oy = t % params.plane_tiles / params.row_tiles * ${rows}u;
    let ox = t % params.row_tiles * ${pixels}u;
    let iy = i32(oy * ${stride_y}u) - i32(params.before_y);
    let ix = i32(ox * ${stride_x}u) - i32(params.before_x);
    let x_at = i32(channel * params.in_plane) + iy * i32(params.in_width) + ix;
${body}
    let y_at = plane * params.plane + oy * params.width + ox;
${end}
}
