//! What only a page gives and takes: a clock, and the last words of a processor that ends. Knows two functions of JavaScript.

#[link(wasm_import_module = "consort")]
unsafe extern "C" {
    /// Milliseconds on a clock that only goes forward.
    safe fn now() -> f64;
    /// Says why everything ends, in bytes of UTF-8.
    safe fn ended(at: usize, bytes: usize);
}

fn clock() -> f64 {
    now()
}

/// Begins with so many threads: to be called once, before anything else.
#[unsafe(no_mangle)]
pub extern "C" fn begin(threads: usize) {
    // What ends is a trap for JavaScript, which does not say why.
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        ended(text.as_ptr() as usize, text.len());
    }));
    super::begun(clock, threads);
}

/// Bytes of a helper's stack, and what a stack's end must be a multiple of.
#[cfg(target_feature = "atomics")]
const STACK: usize = 512 << 10;
#[cfg(target_feature = "atomics")]
const ALIGNED: usize = 64;

/// An address below which a helper's stack lies, and at which `bytes` of its own.
#[cfg(target_feature = "atomics")]
#[unsafe(no_mangle)]
pub extern "C" fn helper_memory(bytes: usize) -> usize {
    // It is there for as long as the memory is.
    let memory = Box::leak(vec![0u8; STACK + bytes + ALIGNED].into_boxed_slice());
    (memory.as_ptr() as usize + STACK).next_multiple_of(ALIGNED)
}

/// Helps, as the thread of that number: it never returns.
#[cfg(target_feature = "atomics")]
#[unsafe(no_mangle)]
pub extern "C" fn help(thread: usize) {
    super::team::help(thread, clock);
}
