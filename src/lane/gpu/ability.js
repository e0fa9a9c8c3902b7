// What wgpu cannot ask an adapter for yet.

/**
 * Calls `request`, in which an adapter is asked for its device, and has it asked for `feature` too where it offers that.
 * @param {string} feature
 * @param {() => void} request
 */
export function asking(feature, request) {
  const prototype = globalThis.GPUAdapter?.prototype;
  const own = prototype?.requestDevice;
  if (!own) {
    request();
    return;
  }
  prototype.requestDevice = function requestDevice(descriptor) {
    const features = [...(descriptor?.requiredFeatures ?? [])];
    if (this.features.has(feature)) {
      features.push(feature);
    }
    return own.call(this, { ...descriptor, requiredFeatures: features });
  };
  try {
    request();
  } finally {
    prototype.requestDevice = own;
  }
}
