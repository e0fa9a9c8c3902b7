// Folds a window of any size; see pool.wgsl.
    var value = ${first};
    var met = 0u;
    var padded = 0u;
    for (var ky = 0u; ky < params.rows.kernel; ky++) {
        // Below 0 wraps to far beyond the input's size.
        let py = oy * params.rows.stride + ky * params.rows.dilation;
        let iy = py - params.rows.before;
        for (var kx = 0u; kx < params.cols.kernel; kx++) {
            let px = ox * params.cols.stride + kx * params.cols.dilation;
            let ix = px - params.cols.before;
            if (py < params.rows.end && px < params.cols.end) {
                padded++;
            }
            if (iy < params.rows.input && ix < params.cols.input) {
                let element = x[plane * params.in_plane + iy * params.cols.input + ix];
                value = ${step};
                met++;
            }
        }
    }
    y[y_at] = ${result};
