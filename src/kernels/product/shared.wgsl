// Each workgroup brings ${depth} columns of its rows of a and as many rows of its columns of b into memory that its threads
// share; each of them then reads from there what its tile of ${rows} rows and ${cols} columns needs, while the next part is on
// its way. What lies beyond k is zero; what lies beyond the last row or column is that again.
// Four rows of a lie in one vec4, and an index that a thread keeps comes last: the rest is known when this is compiled.
const DEPTH = ${depth}u;
const FOURS = ${fours}u;
const ROWS = 8u * ${rows}u;
const COLS = ${across}u * ${cols}u;

var<workgroup> a_part: array<array<array<vec4<${part}>, 8>, FOURS>, DEPTH>;
var<workgroup> b_part: array<array<array<${b_part}, ${across}>, ${cols}>, DEPTH>;

// Four neighbours along k, from `q` on, of row `i`.
fn fetch_a(at: u32, i: u32, q: u32) -> vec4<f32> {
${fetch_a}
}

// Row `q` of column `j`.
fn fetch_b(at: u32, q: u32, j: u32) -> y_t {
${fetch_b}
}

@compute @workgroup_size(${across}, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.y * ROWS + local.y * ${rows}u;
    let col = group.x * COLS + local.x;
    let at = begins(group.z);
    let a_at = at.x;
    let b_at = at.y;
    let y_at = at.z;
    let size = params.k${of_k};
${begin}
${mine}
    // What a turn brings, the next one multiplies: a load waits behind products, and one turn more than there are parts.
    for (var first = 0u; first < size + DEPTH; first += DEPTH) {
${load}
        if (first > 0u) {
${open}
${step}
${close}
        }
        workgroupBarrier();
${store}
        workgroupBarrier();
    }
${end}
}
