// Each workgroup brings ${depth} columns of its rows of a and as many rows of its columns of b into memory that its threads
// share; each of them then reads from there what its tile of ${rows} rows and ${cols} columns needs.
// What lies beyond k is zero; what lies beyond the last row or column is that again: the same value is stored twice.
const DEPTH = ${depth}u;
const ROWS = 8u * ${rows}u;
const COLS = ${across}u * ${cols}u;
const THREADS = 8u * ${across}u;

// One element more in each row: neighbours along k then lie in different banks.
var<workgroup> a_part: array<${a_part}, DEPTH * (ROWS + 1u)>;
var<workgroup> b_part: array<${b_part}, DEPTH * COLS>;

@compute @workgroup_size(${across}, 8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = (group.y * 8u + local.y) * ${rows}u;
    let col = group.x * COLS + local.x;
    let at = begins(group.z);
    let a_at = at.x;
    let b_at = at.y;
    let y_at = at.z;
${begin}
    for (var first = 0u; first < params.k; first += DEPTH) {
        for (var t = thread; t < DEPTH * ROWS; t += THREADS) {
            let q = t % DEPTH;
            let r = t / DEPTH;
            let i = min(group.y * ROWS + r, params.m - 1u);
            let value = a[a_at + i * params.a_row + min(first + q, params.k - 1u) * params.a_col];
            a_part[q * (ROWS + 1u) + r] = ${a_part}(select(0.0, value, first + q < params.k));
        }
        for (var t = thread; t < DEPTH * COLS; t += THREADS) {
            let q = t / COLS;
            let j = min(group.x * COLS + t % COLS, params.n - 1u);
            let value = b[b_at + min(first + q, params.k - 1u) * params.b_row + j * params.b_col];
            b_part[t] = ${b_part}(select(y_t(), value, first + q < params.k));
        }
        workgroupBarrier();
${open}
        for (var q = 0u; q < DEPTH; q++) {
            let a_q = q * (ROWS + 1u) + local.y * ${rows}u;
            let b_q = q * COLS + local.x;
${step}
        }
${close}
        workgroupBarrier();
    }
${end}
}
