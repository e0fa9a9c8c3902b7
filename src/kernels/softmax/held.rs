//! Softmax of rows that threads hold in registers: each element is loaded and stored once.
//! Knows how many there are of each thread's; must never know the operator.

use crate::error::Result;
use crate::graph::TensorId;
use crate::kernels::base::lean;
use crate::kernels::base::limits::word;
use crate::kernels::base::rows::{Held, Rows};
use crate::kernels::base::{Binding, Class, KernelCall, Lowering, Shader, Slot};

static SHADER: Shader = Shader {
    name: "softmax-held",
    class: Class::Reduce,
    source: lean!("../base/lanes.wgsl", "held.wgsl"),
    slots: &[Slot::read("x"), Slot::write("y")],
};

/// The softmax of `rows` of `x`, or its logarithm.
pub(super) fn call(
    rows: Rows,
    held: Held,
    x: TensorId,
    y: TensorId,
    log: bool,
    out: &Lowering<'_>,
) -> Result<KernelCall> {
    let (scale, result) = if log { ("log(sum)", "- scale") } else { ("1.0 / sum", "* scale") };
    // What is kept of an element, and what of that is summed.
    let (kept, summed) = if log { ("x{j} - greatest", "exp(v{j})") } else { ("exp(x{j} - greatest)", "v{j}") };
    let sums = format!("    let v{{j}} = {kept};\n    sums += {summed};\n");
    Ok(KernelCall {
        shader: &SHADER,
        snippets: vec![
            ("parts", rows.parts().to_owned()),
            ("load", held.lines("    let x{j} = x[at + {far}u];\n")),
            ("most", held.lines("    most = max(most, x{j});\n")),
            ("sums", held.lines(&sums)),
            ("scale", scale.to_owned()),
            ("store", held.lines(&format!("    y[at + {{far}}u] = v{{j}} {result};\n"))),
        ]
        .into_iter()
        .chain(held.cover.snippets("rows"))
        .collect(),
        constants: vec![],
        bindings: [x, y].map(|tensor| Binding { tensor, element: rows.element() }).to_vec(),
        params: vec![word(rows.count())?, word(rows.bound_len())?, held.cover.workgroups[0]],
        workgroups: held.cover.workgroups,
        // Compare, subtract, exponentiate, add and scale: an exponential counted as one.
        flops: 5.0 * (rows.count() * rows.len) as f64,
        bytes: out.bytes(x) + out.bytes(y),
    })
}
