struct Params { value: u32 }

@compute @workgroup_size(1)
fn main() {
    y[0] = f32(params.value);
}
