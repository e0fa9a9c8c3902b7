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

/// Begins: to be called once, before anything else.
#[unsafe(no_mangle)]
pub extern "C" fn begin() {
    // What ends is a trap for JavaScript, which does not say why.
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        ended(text.as_ptr() as usize, text.len());
    }));
    super::begun(clock);
}
