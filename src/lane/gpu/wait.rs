//! Waiting for the GPU in a way that suits the browser at hand: some settle a map only when more work follows it.

use super::Gpu;
use crate::error::{Kind, Result};
use crate::lane::host;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use std::pin::pin;

impl Gpu {
    /// Waits for `signal`, which a GPU callback sends. With `nudge`, empty submits follow until it comes.
    pub(super) async fn wait<T>(&self, signal: oneshot::Receiver<T>, nudge: bool) -> Result<T> {
        let gone = |_| self.fault(Kind::Internal, "the GPU dropped a callback");
        if cfg!(target_arch = "wasm32") && !nudge {
            return signal.await.map_err(gone);
        }
        let mut signal = signal;
        loop {
            #[cfg(not(target_arch = "wasm32"))]
            // A native device calls back only from inside a poll; a failed poll shows as a lost callback.
            let _ = self.device.poll(wgpu::PollType::Poll);
            match select(&mut signal, pin!(host::sleep(1))).await {
                Either::Left((value, _)) => return value.map_err(gone),
                Either::Right(_) if nudge => {
                    self.queue.submit(None);
                }
                Either::Right(_) => {}
            }
        }
    }

    /// Maps the first `bytes` of a readback buffer and copies them out.
    pub(super) async fn read(&self, buffer: &wgpu::Buffer, bytes: u64, nudge: bool) -> Result<Vec<u8>> {
        let (send, receive) = oneshot::channel();
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |result| {
            // The receiver is gone only when nobody waits any more.
            let _ = send.send(result);
        });
        self.wait(receive, nudge)
            .await?
            .map_err(|e| self.fault(Kind::Internal, format!("the outputs could not be mapped: {e}")))?;
        let copied = buffer
            .get_mapped_range(0..bytes)
            .map(|view| view.to_vec())
            .map_err(|e| self.fault(Kind::Internal, format!("the outputs could not be read: {e}")));
        buffer.unmap();
        copied
    }
}
