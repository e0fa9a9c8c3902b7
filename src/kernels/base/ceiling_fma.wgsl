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
    let s = a * 0.01;
    for (var i = 0u; i < params.rounds; i++) {
        // Unrolled, and stored once: on a software adapter a turn of the loop or a store costs more than a round.
        let a1 = fma(a, m, s);
        let b1 = fma(b, m, s);
        let c1 = fma(c, m, s);
        let d1 = fma(d, m, s);
        let a2 = fma(a1, m, s);
        let b2 = fma(b1, m, s);
        let c2 = fma(c1, m, s);
        let d2 = fma(d1, m, s);
        let a3 = fma(a2, m, s);
        let b3 = fma(b2, m, s);
        let c3 = fma(c2, m, s);
        let d3 = fma(d2, m, s);
        let a4 = fma(a3, m, s);
        let b4 = fma(b3, m, s);
        let c4 = fma(c3, m, s);
        let d4 = fma(d3, m, s);
        let a5 = fma(a4, m, s);
        let b5 = fma(b4, m, s);
        let c5 = fma(c4, m, s);
        let d5 = fma(d4, m, s);
        let a6 = fma(a5, m, s);
        let b6 = fma(b5, m, s);
        let c6 = fma(c5, m, s);
        let d6 = fma(d5, m, s);
        let a7 = fma(a6, m, s);
        let b7 = fma(b6, m, s);
        let c7 = fma(c6, m, s);
        let d7 = fma(d6, m, s);
        let a8 = fma(a7, m, s);
        let b8 = fma(b7, m, s);
        let c8 = fma(c7, m, s);
        let d8 = fma(d7, m, s);
        a = a8;
        b = b8;
        c = c8;
        d = d8;
    }
    let sum = a + b + c + d;
    y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
