// The loop over a program's dispatches: from wasm every call into WebGPU would cost a crossing of its own.

/** Appends what the next binding of a group is. */
export function entry(entries, buffer, offset, size) {
  entries.push({ binding: entries.length, resource: { buffer, offset, size } });
}

/** The bind group of `pipeline` with these entries. */
export function group(device, pipeline, entries) {
  return device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
}

/** Appends one dispatch to `steps`; without a group where each call binds tensors of its own. */
export function append(steps, pipeline, group, x, y, z) {
  steps.push({ pipeline, group, x, y, z });
}

/** What records commands. */
export function encode(device) {
  return device.createCommandEncoder();
}

/** Begins a compute pass of `encoder`. */
export function begin(encoder) {
  return encoder.beginComputePass();
}

/** Records the dispatches `from` up to `to`. */
export function replay(pass, steps, from, to) {
  let bound = null;
  for (let i = from; i < to; i++) {
    const { pipeline, group, x, y, z } = steps[i];
    if (pipeline !== bound) pass.setPipeline((bound = pipeline));
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
  }
}

/** Records dispatch `at` with `group` instead of one kept. */
export function replayWith(pass, steps, at, group) {
  const { pipeline, x, y, z } = steps[at];
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(x, y, z);
}

/** Ends `pass`. */
export function end(pass) {
  pass.end();
}

/** Copies `bytes` between buffers, from and to the given offsets. */
export function copy(encoder, from, at, to, offset, bytes) {
  encoder.copyBufferToBuffer(from, at, to, offset, bytes);
}

/** Hands what `encoder` recorded to the queue. */
export function submit(queue, encoder) {
  queue.submit([encoder.finish()]);
}
