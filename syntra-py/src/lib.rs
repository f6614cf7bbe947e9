//! The native half of the Python package `syntra`: an engine that takes and gives JSON, and a runtime that ends with the
//! interpreter and survives a fork. Everything a user sees is written in Python over it, in `python/syntra/`.

mod deliver;
mod engine;
mod host;
mod inbox;
mod outcome;
mod rt;

/// A call allocates some hundreds of times, and the allocator of the C library takes twice as long over it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use pyo3::prelude::*;

/// Nothing here counts on the GIL: what is shared is locked, and Python's own counters are atomic. A free-threaded interpreter leaves it off.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use super::engine::{Engine, NativeError, Stream, Task};
    #[pymodule_export]
    use super::host::Done;
    #[pymodule_export]
    use super::inbox::Inbox;
    #[pymodule_export]
    use super::outcome::Lazy;
    #[pymodule_export]
    use super::rt::{_after_fork, _shutdown};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        super::rt::init(module)
    }
}
