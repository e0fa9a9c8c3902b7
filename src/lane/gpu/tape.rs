//! Dispatches kept for replay, and the encoder that they are replayed into. In a page they are the browser's own
//! objects, and one call into JavaScript records a whole run of them; natively they are wgpu's.
//! Knows passes and copies; must never know schedules or programs.

use super::Gpu;
use super::pipelines::Pipeline;
use std::ops::Range;
use std::rc::Rc;

/// A buffer with the offset and the bytes of what is bound of it.
pub(super) type Bound<'a> = (&'a wgpu::Buffer, u64, u64);

#[cfg(not(target_arch = "wasm32"))]
mod sys {
    use super::{Bound, Gpu, Pipeline, Range, Rc};

    pub(in super::super) type Group = wgpu::BindGroup;
    pub(super) type Pass = wgpu::ComputePass<'static>;
    pub(super) type Steps = Vec<(Rc<Pipeline>, Option<Group>, [u32; 3])>;

    pub(in super::super) fn group(gpu: &Gpu, pipeline: &Pipeline, ranges: &[Bound<'_>]) -> Group {
        let mut entries = Vec::with_capacity(ranges.len());
        for (binding, &(buffer, offset, bytes)) in (0..).zip(ranges) {
            let size = std::num::NonZeroU64::new(bytes);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            entries.push(wgpu::BindGroupEntry { binding, resource });
        }
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries };
        gpu.device.create_bind_group(&descriptor)
    }

    pub(super) fn append(steps: &mut Steps, pipeline: &Rc<Pipeline>, group: Option<&Group>, size: [u32; 3]) {
        steps.push((Rc::clone(pipeline), group.cloned(), size));
    }

    pub(super) struct Encoder(wgpu::CommandEncoder);

    impl Encoder {
        pub(super) fn new(gpu: &Gpu) -> Self {
            Encoder(gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()))
        }

        pub(super) fn copy(&mut self, from: (&wgpu::Buffer, u64), to: (&wgpu::Buffer, u64), bytes: u64) {
            self.0.copy_buffer_to_buffer(from.0, from.1, to.0, to.1, bytes);
        }

        pub(super) fn submit(self, gpu: &Gpu) {
            gpu.queue.submit(Some(self.0.finish()));
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
    use super::super::shadow::raw;
    use super::{Bound, Gpu, Pipeline, Range, Rc};
    use js_sys::Array;
    use wasm_bindgen::JsValue;
    use wasm_bindgen::prelude::wasm_bindgen;

    pub(in super::super) type Group = JsValue;
    pub(super) type Pass = JsValue;
    pub(super) type Steps = Array;

    #[wasm_bindgen(module = "/src/lane/gpu/replay.js")]
    extern "C" {
        #[wasm_bindgen(js_name = entry)]
        fn js_entry(entries: &Array, buffer: &JsValue, offset: f64, size: f64);
        #[wasm_bindgen(js_name = group)]
        fn js_group(device: &JsValue, pipeline: &JsValue, entries: &Array) -> JsValue;
        #[wasm_bindgen(js_name = append)]
        fn js_append(steps: &Array, pipeline: &JsValue, group: &JsValue, x: u32, y: u32, z: u32);
        #[wasm_bindgen(js_name = encode)]
        fn js_encode(device: &JsValue) -> JsValue;
        #[wasm_bindgen(js_name = begin)]
        fn js_begin(encoder: &JsValue) -> JsValue;
        #[wasm_bindgen(js_name = replay)]
        fn js_replay(pass: &JsValue, steps: &Array, from: u32, to: u32);
        #[wasm_bindgen(js_name = replayWith)]
        fn js_replay_with(pass: &JsValue, steps: &Array, at: u32, group: &JsValue);
        #[wasm_bindgen(js_name = end)]
        fn js_end(pass: &JsValue);
        #[wasm_bindgen(js_name = copy)]
        fn js_copy(encoder: &JsValue, from: &JsValue, at: f64, to: &JsValue, offset: f64, bytes: f64);
        #[wasm_bindgen(js_name = submit)]
        fn js_submit(queue: &JsValue, encoder: &JsValue);
    }

    pub(in super::super) fn group(gpu: &Gpu, pipeline: &Pipeline, ranges: &[Bound<'_>]) -> Group {
        let entries = Array::new();
        for &(buffer, offset, bytes) in ranges {
            js_entry(&entries, &raw(buffer.as_webgpu()), offset as f64, bytes as f64);
        }
        js_group(&raw(gpu.device.as_webgpu()), &pipeline.pipeline, &entries)
    }

    pub(super) fn append(steps: &mut Steps, pipeline: &Rc<Pipeline>, group: Option<&Group>, [x, y, z]: [u32; 3]) {
        js_append(steps, &pipeline.pipeline, group.unwrap_or(&JsValue::NULL), x, y, z);
    }

    pub(super) struct Encoder(JsValue);

    impl Encoder {
        pub(super) fn new(gpu: &Gpu) -> Self {
            Encoder(js_encode(&raw(gpu.device.as_webgpu())))
        }

        pub(super) fn copy(&mut self, from: (&wgpu::Buffer, u64), to: (&wgpu::Buffer, u64), bytes: u64) {
            // WebGPU's sizes are numbers of JavaScript: whole far beyond any buffer.
            let (at, offset, bytes) = (from.1 as f64, to.1 as f64, bytes as f64);
            js_copy(&self.0, &raw(from.0.as_webgpu()), at, &raw(to.0.as_webgpu()), offset, bytes);
        }

        pub(super) fn submit(self, gpu: &Gpu) {
            js_submit(&raw(gpu.queue.as_webgpu()), &self.0);
        }

        pub(super) fn begin(&mut self) -> Pass {
            js_begin(&self.0)
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
    len: usize,
    /// Those whose bind groups each call makes.
    of_call: Vec<usize>,
}

impl Tape {
    /// Appends a dispatch; without a group where each call binds tensors of its own.
    pub(super) fn append(&mut self, pipeline: &Rc<Pipeline>, group: Option<&Group>, workgroups: [u32; 3]) {
        if group.is_none() {
            self.of_call.push(self.len);
        }
        self.len += 1;
        sys::append(&mut self.steps, pipeline, group, workgroups);
    }

    /// Dispatches whose bind groups each call makes, in order.
    pub(super) fn of_call(&self) -> &[usize] {
        &self.of_call
    }
}

/// Records dispatches and copies, in as few passes as copies allow, and submits them.
pub(super) struct Encoder<'a> {
    gpu: &'a Gpu,
    encoder: Option<sys::Encoder>,
    pass: Option<sys::Pass>,
}

impl<'a> Encoder<'a> {
    pub(super) fn new(gpu: &'a Gpu) -> Self {
        Encoder { gpu, encoder: None, pass: None }
    }

    /// Records a run of dispatches that are kept whole.
    pub(super) fn replay(&mut self, tape: &Tape, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        sys::replay(self.pass(), &tape.steps, range);
    }

    /// Records one dispatch with a bind group of this call.
    pub(super) fn replay_with(&mut self, tape: &Tape, at: usize, group: &Group) {
        sys::replay_with(self.pass(), &tape.steps, at, group);
    }

    /// Records a copy of `bytes` between buffers, after what came before.
    pub(super) fn copy(&mut self, from: (&wgpu::Buffer, u64), to: (&wgpu::Buffer, u64), bytes: u64) {
        self.end();
        self.encoder.get_or_insert_with(|| sys::Encoder::new(self.gpu)).copy(from, to, bytes);
    }

    /// Hands what was recorded to the queue.
    pub(super) fn submit(&mut self) {
        self.end();
        self.encoder.take().unwrap_or_else(|| sys::Encoder::new(self.gpu)).submit(self.gpu);
    }

    fn pass(&mut self) -> &mut sys::Pass {
        let encoder = self.encoder.get_or_insert_with(|| sys::Encoder::new(self.gpu));
        self.pass.get_or_insert_with(|| encoder.begin())
    }

    fn end(&mut self) {
        if let Some(pass) = self.pass.take() {
            sys::end(pass);
        }
    }
}
