//! The native half of the npm package `syntra`: an engine that takes and gives JSON. Everything a user sees is written in TypeScript over
//! it, in `ts/`.

pub mod engine;
mod host;
pub mod inbox;

/// A call allocates some hundreds of times, and the allocator of the C library takes twice as long over it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
