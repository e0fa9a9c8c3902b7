// What kernels share in which ${lanes} threads work on one row together.
const LANES = ${lanes}u;
const GROUP = 64u;

${together}
