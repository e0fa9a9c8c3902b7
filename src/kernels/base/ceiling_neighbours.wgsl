// Whether the threads of a subgroup are neighbours by their index in the workgroup: 1 for each thread that finds them so.
struct Params {
    size: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var odd = 0u;
    for (var mask = 1u; mask < params.size; mask *= 2u) {
        odd |= subgroupShuffleXor(thread, mask) ^ (thread ^ mask);
    }
    y[group.x * 64u + thread] = select(0.0, 1.0, odd == 0u);
}
