// Unfolds an image: each thread writes what one row of ${taps} taps of one channel sees from ${pixels} neighbouring pixels.
// t is [batch, channels × taps, elements of a row of it]; the host unrolls the tile, and each element is loaded once.
struct Params {
    tiles: u32,          // batch × channels × rows of taps × tiles of a plane
    row_tiles: u32,
    height: u32,         // of the output
    width: u32,
    in_height: u32,
    in_width: u32,
    in_plane: u32,       // elements from one plane of the input to the next
    row: u32,            // elements from one row of t to the next
    kernel_y: u32,
    stride_y: u32,
    dilation_y: u32,
    before_y: u32,
    before_x: u32,
    groups: u32,         // workgroups in x
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // Threads over the edge repeat the last tile: the same values, and no divergence.
    let i = min((group.y * params.groups + group.x) * 64u + thread, params.tiles - 1u);
    let ox = i % params.row_tiles * ${pixels}u;
    let oy = i / params.row_tiles % params.height;
    let taps = i / (params.row_tiles * params.height);
    let ky = taps % params.kernel_y;
    // Above or left of the image an index wraps, and is beyond its other end.
    let iy = oy * params.stride_y + ky * params.dilation_y - params.before_y;
    let ix = ox * ${stride}u - params.before_x;
    let inside = iy < params.in_height;
    let x_at = taps / params.kernel_y * params.in_plane + iy * params.in_width + ix;
    let t_at = taps * ${taps}u * params.row + oy * params.width + ox;
${body}
}
