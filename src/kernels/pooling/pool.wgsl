// Each thread folds the windows of ${pixels} neighbouring pixels of one row: their elements that meet the input.
// Small windows are unrolled by the host, and each element is loaded once: on a software adapter a turn of a loop costs
// more than a load.
struct Axis {
    input: u32,
    output: u32,
    kernel: u32,
    stride: u32,
    dilation: u32,
    before: u32,
    end: u32,          // of the padded input
    unused: u32,
}
struct Params {
    tiles: u32,        // planes × rows × tiles of a row
    groups: u32,       // workgroups in x
    in_plane: u32,     // elements from one plane of the input to the next, and of the output
    out_plane: u32,
    rows: Axis,
    cols: Axis,
    row_tiles: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    // Threads over the edge repeat the last tile: the same values, and no divergence.
    let i = min((group.y * params.groups + group.x) * 64u + thread, params.tiles - 1u);
    let ox = i % params.row_tiles * ${pixels}u;
    let oy = i / params.row_tiles % params.rows.output;
    let plane = i / (params.row_tiles * params.rows.output);
    let y_at = plane * params.out_plane + oy * params.cols.output + ox;
${fold}
}
