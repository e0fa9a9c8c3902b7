// Winograd F(4×4, 3×3), the output: one thread makes the 4×4 pixels of one tile of one filter from 36 products.
struct Params {
    tiles: u32,
    padded_tiles: u32,
    tile_cols: u32,
    tile_rows: u32,
    filters: u32,
    height: u32,
    width: u32,
    out_plane: u32,    // elements from one plane of the output to the next
    groups: u32,
${more}
}

fn activate(v: f32) -> f32 {
    return ${activation};
}

${finish}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let i = (group.y * params.groups + group.x) * 64u + thread;
    if (i >= params.filters * params.tiles) {
        return;
    }
    let t = i % params.tiles;
    let f = i / params.tiles;
    let at = f * params.padded_tiles + t;
    let plane = params.filters * params.padded_tiles;
    let n = t / (params.tile_cols * params.tile_rows);
    let oy = t / params.tile_cols % params.tile_rows * 4u;
    let ox = t % params.tile_cols * 4u;
    let first = (n * params.filters + f) * params.out_plane + oy * params.width + ox;
${transform}
}
