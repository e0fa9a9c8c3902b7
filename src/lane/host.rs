//! Time, turns and tasks of the thread that a lane runs on: the page's event loop, or a busy loop in native tests.

/// A future that need not be `Send`, and may borrow.
pub type Task<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + 'a>>;
/// One that borrows nothing.
pub type LocalFuture<T> = Task<'static, T>;

#[cfg(target_arch = "wasm32")]
mod imp {
    use super::LocalFuture;
    use wasm_bindgen::{JsCast, JsValue};

    /// Milliseconds on a clock that only goes forward.
    pub fn now_ms() -> f64 {
        thread_local! {
            static CLOCK: Option<web_sys::Performance> =
                js_sys::Reflect::get(&js_sys::global(), &JsValue::from_str("performance"))
                    .ok()
                    .and_then(|p| p.dyn_into().ok());
        }
        CLOCK.with(|clock| clock.as_ref().map_or_else(js_sys::Date::now, web_sys::Performance::now))
    }

    /// When that clock began, in milliseconds since 1970.
    pub fn time_origin() -> f64 {
        js_sys::Date::now() - now_ms()
    }

    /// Runs `task` alongside the caller.
    pub fn spawn(task: LocalFuture<()>) {
        wasm_bindgen_futures::spawn_local(task);
    }

    /// Resolves after the callbacks that are already waiting, about `ms` milliseconds later.
    pub async fn sleep(ms: u32) {
        gloo::timers::future::TimeoutFuture::new(ms).await;
    }

    /// Resolves once the code that runs now has returned to the event loop.
    pub async fn next_turn() {
        let turn = js_sys::Promise::resolve(&JsValue::UNDEFINED);
        // A resolved promise is never rejected.
        let _ = wasm_bindgen_futures::JsFuture::from(turn).await;
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use super::LocalFuture;
    use std::cell::RefCell;
    use std::pin::pin;
    use std::sync::OnceLock;
    use std::task::{Context, Poll, Waker};
    use std::time::{Duration, Instant};

    thread_local! {
        static TASKS: RefCell<Vec<LocalFuture<()>>> = const { RefCell::new(Vec::new()) };
    }

    /// Milliseconds on a clock that only goes forward.
    pub fn now_ms() -> f64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
    }

    /// When that clock began, in milliseconds since 1970.
    pub fn time_origin() -> f64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        since.as_secs_f64() * 1e3 - now_ms()
    }

    /// Runs `task` alongside the caller, inside [`block_on`].
    pub fn spawn(task: LocalFuture<()>) {
        TASKS.with(|tasks| tasks.borrow_mut().push(task));
    }

    /// Resolves after `ms` milliseconds.
    pub async fn sleep(ms: u32) {
        let until = Instant::now() + Duration::from_millis(ms.into());
        looked_at_until(|| Instant::now() >= until).await;
    }

    /// Resolves once every other task has had a turn.
    pub async fn next_turn() {
        let mut waited = false;
        looked_at_until(|| std::mem::replace(&mut waited, true)).await;
    }

    /// Asks to be polled again for as long as nothing is `over`: whoever holds many tasks polls only those that ask.
    async fn looked_at_until(mut over: impl FnMut() -> bool) {
        std::future::poll_fn(|context| {
            if over() {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Runs `future`, and the tasks that were spawned, to the end of `future`.
    pub fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
            let mut tasks = TASKS.with(RefCell::take);
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
            TASKS.with(|all| all.borrow_mut().append(&mut tasks));
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

pub use imp::*;
