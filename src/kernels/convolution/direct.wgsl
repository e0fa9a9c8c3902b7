// Convolution: each thread computes ${filters} filters × ${pixels} neighbouring pixels of one row in registers.
// Per row of taps it loads each input element once and uses it for every tap that meets it. The host unrolls the tile;
// a tile over the edge of the filters computes the last one again, pixels over the edge of a row are not stored.
struct Params {
    batch_tiles: u32,   // batch × rows × tiles of a row
    row_tiles: u32,
    height: u32,        // of the output
    width: u32,
    in_height: u32,
    in_width: u32,
    channels: u32,      // in, of all groups
    group_channels: u32,
    filters: u32,       // of all groups
    group_filters: u32,
    filter_tiles: u32,  // of one group
    kernel_y: u32,
    kernel_x: u32,
    stride_y: u32,
    dilation_y: u32,
    dilation_x: u32,
    before_y: u32,
    before_x: u32,
    plane: u32,         // elements from one plane of the output to the next, and of the input
    in_plane: u32,
${more}
}

fn activate(v: f32) -> f32 {
    return ${activation};
}

${finish}

@compute @workgroup_size(${across}, ${down})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let tile = group.x * ${across}u + local.x;
    let block = group.y * ${down}u + local.y;
${leave}
    // Threads over the edge repeat the last tile: the same values, and no divergence.
    let t = min(tile, params.batch_tiles - 1u);
    let n = t / (params.row_tiles * params.height);
    let oy = t / params.row_tiles % params.height;
    let ox = t % params.row_tiles * ${pixels}u;
    let group_index = group.z;
    let iy = i32(oy * params.stride_y) - i32(params.before_y);
    let ix = i32(ox * ${stride}u) - i32(params.before_x);
${rows}
    let taps = params.kernel_y * params.kernel_x;
    let x_at = i32((n * params.channels + group_index * params.group_channels) * params.in_plane) + iy * i32(params.in_width) + ix;
${begin}
    for (var c = 0u; c < params.group_channels; c += ${deep}u) {
        for (var ky = first_tap; ky < last_tap; ky++) {
            let row = x_at + i32(c * params.in_plane + ky * params.dilation_y * params.in_width);
            let tap = c * taps + ky * params.kernel_x;
${inside}
${step}
        }
    }
    let y_at = (n * params.filters + group_index * params.group_filters) * params.plane + oy * params.width + ox;
${end}
}
