//! A matrix product as its operands lie: with strides, a batch, a bias, an activation.
//! Knows strides; must never know how it is computed, nor which operator asks.

use super::window::Window;
use crate::graph::TensorId;
use crate::kernels::base::epilogue::Activation;
use crate::kernels::base::{Class, Work};

/// Batch dimensions that cannot be merged.
pub const BATCH_RANK: usize = 4;

/// A matrix operand: the tensor, and elements between neighbours.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// The tensor.
    pub tensor: TensorId,
    /// Elements from one row to the next.
    pub row: usize,
    /// Elements from one column to the next.
    pub col: usize,
}

/// y = activation(alpha · a·b + beta · bias), for every index of `batch`; the rows of y follow each other.
#[derive(Clone, Debug)]
pub struct Product {
    /// [`Class::Matmul`] or [`Class::Conv`].
    pub class: Class,
    /// Rows of a and y.
    pub m: usize,
    /// Columns of b and y.
    pub n: usize,
    /// Columns of a, rows of b.
    pub k: usize,
    /// Batch sizes with the elements that one step moves in a and in b, innermost first.
    pub batch: Vec<(usize, usize, usize)>,
    /// Left operand.
    pub a: Matrix,
    /// Right operand.
    pub b: Matrix,
    /// Where b is no matrix that lies in memory: the image and the window that it is read through.
    pub window: Option<Window>,
    /// What is added, the same for every batch index.
    pub bias: Option<Matrix>,
    /// Result.
    pub y: TensorId,
    /// Elements from one row of y to the next: n, or more.
    pub y_row: usize,
    /// Factor of the product.
    pub alpha: f32,
    /// Factor of the bias.
    pub beta: f32,
    /// Applied last.
    pub activation: Activation,
}

impl Product {
    /// Indices of the batch.
    pub(super) fn batches(&self) -> usize {
        self.batch.iter().map(|b| b.0).product()
    }
}

impl Work for Product {
    fn multiply_adds(&self) -> usize {
        self.m * self.n * self.k * self.batches()
    }
}
