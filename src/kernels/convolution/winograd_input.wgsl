// Winograd F(4×4, 3×3), the input: one thread transforms the 6×6 elements under one tile of one channel.
// v is [36, channels, padded tiles]; the tiles of all images follow each other, those beyond the last are zero.
struct Params {
    tiles: u32,
    padded_tiles: u32,
    tile_cols: u32,
    tile_rows: u32,
    channels: u32,
    height: u32,
    width: u32,
    before_y: u32,
    before_x: u32,
    in_plane: u32,     // elements from one plane of the input to the next
    groups: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let at = (group.y * params.groups + group.x) * 64u + thread;
    let plane = params.channels * params.padded_tiles;
    if (at >= plane) {
        return;
    }
    let t = at % params.padded_tiles;
    let n = t / (params.tile_cols * params.tile_rows);
    // Below 0 wraps to far beyond the input's size.
    let oy = t / params.tile_cols % params.tile_rows * 4u - params.before_y;
    let ox = t % params.tile_cols * 4u - params.before_x;
    let first = (n * params.channels + at / params.padded_tiles) * params.in_plane + oy * params.width + ox;
    let real = t < params.tiles;
${transform}
}
