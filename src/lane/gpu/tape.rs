//! Dispatches kept for replay, and the encoder that they are replayed into. In a page they are the browser's own
//! objects, and one call into JavaScript records a whole run of them; natively they are wgpu's.
//! Knows passes and copies; must never know schedules or programs.

use super::Gpu;
use super::pipelines::Pipeline;
use crate::error::Result;
use std::ops::Range;
use std::rc::Rc;

#[cfg(not(target_arch = "wasm32"))]
mod sys {
    use super::{Gpu, Pipeline, Range, Rc, Result};

    pub(in super::super) type Group = wgpu::BindGroup;
    pub(super) type Pass = wgpu::ComputePass<'static>;
    pub(super) type Steps = Vec<(Rc<Pipeline>, Option<Group>, [u32; 3])>;

    pub(in super::super) fn group(gpu: &Gpu, descriptor: &wgpu::BindGroupDescriptor<'_>) -> Result<Group> {
        Ok(gpu.device.create_bind_group(descriptor))
    }

    pub(super) fn append(steps: &mut Steps, pipeline: &Rc<Pipeline>, group: Option<&Group>, size: [u32; 3]) {
        steps.push((Rc::clone(pipeline), group.cloned(), size));
    }

    /// wgpu's encoder.
    pub(super) struct Encoder(pub(super) wgpu::CommandEncoder);

    impl Encoder {
        pub(super) fn new(gpu: &Gpu) -> Result<Self> {
            Ok(Encoder(gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())))
        }

        pub(super) fn begin(&mut self) -> Pass {
            self.0.begin_compute_pass(&wgpu::ComputePassDescriptor::default()).forget_lifetime()
        }
    }

    pub(super) fn replay(pass: &mut Pass, steps: &Steps, range: Range<usize>) {
        let mut bound: Option<*const Pipeline> = None;
        for (pipeline, group, [x, y, z]) in &steps[range] {
            if bound.replace(Rc::as_ptr(pipeline)) != Some(Rc::as_ptr(pipeline)) {
                pass.set_pipeline(&pipeline.pipeline);
            }
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(*x, *y, *z);
        }
    }

    pub(super) fn replay_with(pass: &mut Pass, steps: &Steps, at: usize, group: &Group) {
        let (pipeline, _, [x, y, z]) = &steps[at];
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(*x, *y, *z);
    }

    pub(super) fn end(pass: Pass) {
        drop(pass);
    }
}

#[cfg(target_arch = "wasm32")]
mod sys {
    use super::super::shadow;
    use super::{Gpu, Pipeline, Range, Rc, Result};
    use js_sys::Array;
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::wasm_bindgen;

    pub(in super::super) type Group = JsValue;
    pub(super) type Pass = JsValue;
    pub(super) type Steps = Array;

    #[wasm_bindgen(module = "/src/lane/gpu/replay.js")]
    extern "C" {
        #[wasm_bindgen(js_name = append)]
        fn js_append(steps: &Array, pipeline: &JsValue, group: &JsValue, x: u32, y: u32, z: u32);
        #[wasm_bindgen(js_name = begin)]
        fn js_begin(encoder: &JsValue) -> JsValue;
        #[wasm_bindgen(js_name = replay)]
        fn js_replay(pass: &JsValue, steps: &Array, from: u32, to: u32);
        #[wasm_bindgen(js_name = replayWith)]
        fn js_replay_with(pass: &JsValue, steps: &Array, at: u32, group: &JsValue);
        #[wasm_bindgen(js_name = end)]
        fn js_end(pass: &JsValue);
    }

    pub(in super::super) fn group(gpu: &Gpu, descriptor: &wgpu::BindGroupDescriptor<'_>) -> Result<Group> {
        shadow::made(&gpu.device, "createBindGroup", || drop(gpu.device.create_bind_group(descriptor)))
    }

    pub(super) fn append(steps: &mut Steps, pipeline: &Rc<Pipeline>, group: Option<&Group>, [x, y, z]: [u32; 3]) {
        js_append(steps, &pipeline.pipeline, group.unwrap_or(&JsValue::NULL), x, y, z);
    }

    /// wgpu's encoder, which copies, and the browser's beneath it, whose passes are replayed.
    pub(super) struct Encoder(pub(super) wgpu::CommandEncoder, JsValue);

    impl Encoder {
        pub(super) fn new(gpu: &Gpu) -> Result<Self> {
            let create = || gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let (encoder, raw) = shadow::seen(&gpu.device, "createCommandEncoder", create)?;
            Ok(Encoder(encoder, raw))
        }

        pub(super) fn begin(&mut self) -> Pass {
            js_begin(&self.1)
        }
    }

    pub(super) fn replay(pass: &mut Pass, steps: &Steps, range: Range<usize>) {
        js_replay(pass, steps, range.start as u32, range.end as u32);
    }

    pub(super) fn replay_with(pass: &mut Pass, steps: &Steps, at: usize, group: &Group) {
        js_replay_with(pass, steps, at as u32, group);
    }

    pub(super) fn end(pass: Pass) {
        js_end(&pass);
    }
}

pub(super) use sys::{Group, group};

/// The dispatches of one program in one arena.
#[derive(Debug, Default)]
pub(super) struct Tape {
    steps: sys::Steps,
    /// Of each, whether its bind group is kept.
    kept: Vec<bool>,
}

impl Tape {
    /// Appends a dispatch; without a group where each call binds tensors of its own.
    pub(super) fn append(&mut self, pipeline: &Rc<Pipeline>, group: Option<&Group>, workgroups: [u32; 3]) {
        self.kept.push(group.is_some());
        sys::append(&mut self.steps, pipeline, group, workgroups);
    }

    /// Dispatches whose bind groups each call makes.
    pub(super) fn of_call(&self) -> impl Iterator<Item = usize> {
        self.kept.iter().enumerate().filter(|(_, kept)| !**kept).map(|(i, _)| i)
    }

    /// How many dispatches from `from` on, at most to `to`, are kept whole.
    pub(super) fn run(&self, from: usize, to: usize) -> usize {
        self.kept[from..to].iter().take_while(|kept| **kept).count()
    }
}

/// Records dispatches and copies for one submit, as few passes as copies allow.
pub(super) struct Encoder {
    encoder: sys::Encoder,
    pass: Option<sys::Pass>,
}

impl Encoder {
    pub(super) fn new(gpu: &Gpu) -> Result<Self> {
        Ok(Encoder { encoder: sys::Encoder::new(gpu)?, pass: None })
    }

    /// Records a run of dispatches that are kept whole.
    pub(super) fn replay(&mut self, tape: &Tape, range: Range<usize>) {
        let encoder = &mut self.encoder;
        sys::replay(self.pass.get_or_insert_with(|| encoder.begin()), &tape.steps, range);
    }

    /// Records one dispatch with a bind group of this call.
    pub(super) fn replay_with(&mut self, tape: &Tape, at: usize, group: &Group) {
        let encoder = &mut self.encoder;
        sys::replay_with(self.pass.get_or_insert_with(|| encoder.begin()), &tape.steps, at, group);
    }

    /// Records a copy of `bytes` between buffers, after what came before.
    pub(super) fn copy(&mut self, from: (&wgpu::Buffer, u64), to: (&wgpu::Buffer, u64), bytes: u64) {
        self.end();
        self.encoder.0.copy_buffer_to_buffer(from.0, from.1, to.0, to.1, bytes);
    }

    /// What the queue takes.
    pub(super) fn finish(mut self) -> wgpu::CommandBuffer {
        self.end();
        self.encoder.0.finish()
    }

    fn end(&mut self) {
        if let Some(pass) = self.pass.take() {
            sys::end(pass);
        }
    }
}
