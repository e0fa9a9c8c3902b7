// y = softmax(scale * q·k + mask) · v: each thread takes ${rows} queries past all keys, four keys at a time, and holds
// what they add up to; the scores of other keys than these four lie nowhere.
// The greatest score so far is what exponents are taken from; where a greater one comes, the sums are scaled down.
struct Params {
    queries: u32,
    keys: u32,
    blocks: u32,
    steps: u32,
    threads: u32,
    scale: f32,
    q_row: u32,
    q_col: u32,
    k_row: u32,
    k_col: u32,
    v_row: u32,
    v_col: u32,
    y_row: u32,
    mask_row: u32,
    mask_col: u32,
    width: u32,
    batch: vec4<u32>,
    q_batch: vec4<u32>,
    k_batch: vec4<u32>,
    v_batch: vec4<u32>,
    y_batch: vec4<u32>,
    mask_batch: vec4<u32>,
    groups: u32,
}

const LOWEST = -3.4e38;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let thread = (group.y * params.groups + group.x) * 64u + local;
    let tiles = (params.queries + ${rows}u - 1u) / ${rows}u;
    if (thread >= params.threads) {
        return;
    }
    let row = thread % tiles * ${rows}u;
    let col = group.z * ${cols}u;
    var q_at = 0u;
    var k_at = 0u;
    var v_at = 0u;
    var y_at = 0u;
    var mask_at = 0u;
    var rest = thread / tiles;
    for (var d = 0u; d < 4u; d++) {
        let index = rest % params.batch[d];
        rest /= params.batch[d];
        q_at += index * params.q_batch[d];
        k_at += index * params.k_batch[d];
        v_at += index * params.v_batch[d];
        y_at += index * params.y_batch[d];
        mask_at += index * params.mask_batch[d];
    }
${begin}
    for (var block = 0u; block < params.blocks; block++) {
        let keys = min(vec4<u32>(block * 4u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.keys - 1u));
        let beyond = vec4<u32>(block * 4u) + vec4<u32>(0u, 1u, 2u, 3u) >= vec4<u32>(params.keys);
        let k_keys = vec4<u32>(k_at) + keys * params.k_col;
        let v_keys = vec4<u32>(v_at) + keys * params.v_row;
${scores}
        for (var d = 0u; d < params.steps; d++) {
${step}
        }
${weigh}
    }
${end}
}
