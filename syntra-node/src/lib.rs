//! The native half of the npm package `syntra`: an engine that takes and gives JSON. Everything a user sees is written in TypeScript over
//! it, in `ts/`.

pub mod engine;
mod host;
pub mod inbox;

use tokio::runtime::Builder;

/// The runtime of all that is asked; one that cannot be made is left to napi, which makes its own.
#[napi_derive::module_init]
fn init() {
    let threads = Builder::new_multi_thread().worker_threads(syntra_core::bridge::workers()).enable_all().build();
    if let Ok(runtime) = threads {
        napi::bindgen_prelude::create_custom_tokio_runtime(runtime);
    }
}

/// A call allocates some hundreds of times, and the allocator of the C library takes twice as long over it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
