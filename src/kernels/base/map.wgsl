// One expression over elements that are read through strides; the host writes the loads for the axes that are left.
struct Params {
    count: u32,
    groups: u32,          // workgroups in x
    unused: vec2<u32>,
    base: array<vec4<u32>, 2>,
    dims: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 10>,
}

${functions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.count) {
        return;
    }
${load}
${steps}
    y[i] = ${expression};
}
