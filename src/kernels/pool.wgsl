// One output element per thread: the window's elements that meet the input, folded.
// Small windows are unrolled by the host: on a software adapter a turn of a loop costs more than a load.
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
    count: u32,
    groups: u32,
    in_plane: u32,     // elements from one plane of the input to the next, and of the output
    out_plane: u32,
    rows: Axis,
    cols: Axis,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
    let ox = i % params.cols.output;
    let oy = i / params.cols.output % params.rows.output;
    let plane = i / (params.cols.output * params.rows.output);
    var value = ${first};
    var met = 0u;
    var padded = 0u;
${fold}
    y[plane * params.out_plane + oy * params.cols.output + ox] = ${result};
}
