// What kernels share in which ${lanes} threads work on one row together.
const LANES = ${lanes}u;
const GROUP = 64u;

// Two numbers as one: their sum, or the greater.
fn both(a: f32, b: f32, greatest: bool) -> f32 {
    return select(a + b, max(a, b), greatest);
}

${together}
