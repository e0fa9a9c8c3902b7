//! How far a preparation is. Knows numbers; must never know what is prepared.

/// Where to report how far a preparation is.
pub struct Progress<'a> {
    /// Bytes of weights on the GPU, and all of them.
    pub upload: &'a dyn Fn(u64, u64),
    /// Pipelines compiled, and all of them.
    pub compile: &'a dyn Fn(usize, usize),
}

impl Progress<'_> {
    /// Reports nothing.
    pub const SILENT: Progress<'static> = Progress { upload: &|_, _| {}, compile: &|_, _| {} };
}
