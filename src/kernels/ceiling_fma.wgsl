struct Params { rounds: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // Four independent chains of vec4 hide the latency of one.
    let seed = f32(id.x) * 1e-6;
    var a = vec4<f32>(seed, 0.1, 0.2, 0.3);
    var b = a + 0.4;
    var c = a + 0.8;
    var d = a + 1.2;
    let m = vec4<f32>(0.999, 0.998, 0.997, 0.996);
    for (var i = 0u; i < params.rounds; i++) {
        // Unrolled: on a software adapter a turn of the loop costs more than a round.
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
        a = fma(a, m, b);
        b = fma(b, m, c);
        c = fma(c, m, d);
        d = fma(d, m, a);
    }
    let s = a + b + c + d;
    y[id.x] = s.x + s.y + s.z + s.w;
}
