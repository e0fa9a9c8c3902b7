//! A small operator of each kernel class, shaped like those of the workload: what shows how much of a lane's ceilings such
//! operators reach. Knows names and shapes; must never know a lane.

use crate::graph::Attribute;
use crate::kernels::Class;

/// An operator, its attributes and the shapes of its inputs, all `f32`.
pub type Example = (&'static str, Vec<(String, Attribute)>, &'static [&'static [usize]]);

/// A small operator of `class`, shaped like those of the workload.
pub fn example(class: Class) -> Example {
    let ints = |name: &str, v: &[i64]| (name.to_owned(), Attribute::Ints(v.to_vec()));
    let int = |name: &str, v: i64| (name.to_owned(), Attribute::Int(v));
    match class {
        Class::Matmul => ("MatMul", vec![], &[&[128, 384], &[384, 384]]),
        Class::Conv => {
            ("Conv", vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])], &[&[1, 64, 28, 28], &[64, 64, 3, 3]])
        }
        Class::Depthwise => (
            "Conv",
            vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), int("group", 96)],
            &[&[1, 96, 28, 28], &[96, 1, 3, 3]],
        ),
        Class::Pool => ("MaxPool", vec![ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])], &[&[1, 64, 55, 55]]),
        Class::Elementwise => ("Relu", vec![], &[&[1, 64, 56, 56]]),
        Class::Movement => ("Transpose", vec![ints("perm", &[0, 2, 1, 3])], &[&[1, 128, 12, 32]]),
        Class::Reduce => ("Softmax", vec![int("axis", -1)], &[&[1, 12, 64, 64]]),
        Class::Gemv => ("Gemm", vec![int("transB", 1)], &[&[1, 1024], &[512, 1024]]),
    }
}

/// What models spend their time on, the commonest first: what is to be fast by the time that one comes.
pub fn warm() -> Vec<Example> {
    let ints = |name: &str, v: &[i64]| (name.to_owned(), Attribute::Ints(v.to_vec()));
    let int = |name: &str, v: i64| (name.to_owned(), Attribute::Int(v));
    let mut all: Vec<Example> = vec![
        ("Conv", vec![ints("kernel_shape", &[1, 1])], &[&[1, 96, 28, 28], &[32, 96, 1, 1], &[32]]),
        example(Class::Depthwise),
        (
            "Conv",
            vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4]), ints("strides", &[2, 2]), int("group", 96)],
            &[&[1, 96, 28, 28], &[96, 1, 3, 3], &[96]],
        ),
    ];
    let others = [Class::Matmul, Class::Conv, Class::Elementwise, Class::Reduce, Class::Pool, Class::Movement];
    all.extend(others.into_iter().map(example));
    all
}
