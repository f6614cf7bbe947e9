//! The module's own tokio runtimes: one for what is asked, and one of which only the threads that may block are used, for functions of the
//! host. Such a function may ask something itself, which may need a thread that may block: it is not one that functions wait on.
//!
//! A runtime that is never stopped calls into an interpreter that is being taken down, and after `os.fork` its threads do not exist
//! in the child. So they are stopped by `atexit`, with the GIL released, and the child of a fork begins new ones.

use pyo3::prelude::*;
use std::future::Future;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;

static RUNTIMES: RwLock<Option<Runtimes>> = RwLock::new(None);
static GENERATION: AtomicU64 = AtomicU64::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);
static CLOSING: Notify = Notify::const_new();
/// Threads that are waiting for a call.
static CALLERS: AtomicUsize = AtomicUsize::new(0);
/// The thread whose signal handlers Python runs; unknown where the package was first imported on another.
static MAIN: RwLock<Option<ThreadId>> = RwLock::new(None);

/// Functions of the host that run at once.
const MOST_FUNCTIONS: usize = 512;
/// How long a Ctrl-C may go unnoticed in a blocking call.
const SIGNAL_TICK: Duration = Duration::from_millis(50);
/// How long the interpreter's exit waits for callbacks that are running.
const EXIT_WAIT: Duration = Duration::from_secs(5);

/// Counts forks: what was made in another generation belongs to the parent process.
pub(crate) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

struct Runtimes {
    turns: Handle,
    functions: Handle,
    /// Until they are stopped.
    owned: Option<(Runtime, Runtime)>,
}

impl Runtimes {
    fn start() -> std::io::Result<Self> {
        let mut turns = Builder::new_multi_thread();
        let turns = turns.worker_threads(syntra_core::bridge::workers()).enable_all().thread_name("syntra").build()?;
        let mut functions = Builder::new_current_thread();
        let functions = functions.max_blocking_threads(MOST_FUNCTIONS).thread_name("syntra-function").build()?;
        Ok(Self {
            turns: turns.handle().clone(),
            functions: functions.handle().clone(),
            owned: Some((turns, functions)),
        })
    }
}

/// The handle of what is asked; the runtimes start when one is first asked for.
pub(crate) fn handle() -> PyResult<Handle> {
    of_runtimes(|runtimes| runtimes.turns.clone())
}

/// The handle of the threads on which functions of the host run.
pub(crate) fn functions() -> PyResult<Handle> {
    of_runtimes(|runtimes| runtimes.functions.clone())
}

fn of_runtimes<T>(take: impl Fn(&Runtimes) -> T) -> PyResult<T> {
    let gone = || pyo3::exceptions::PyRuntimeError::new_err("syntra: the interpreter is shutting down");
    if CLOSED.load(Ordering::Acquire) {
        return Err(gone());
    }
    if let Some(runtimes) = RUNTIMES.read().map_err(|_| gone())?.as_ref() {
        return Ok(take(runtimes));
    }
    let mut place = RUNTIMES.write().map_err(|_| gone())?;
    let runtimes = match place.take() {
        Some(runtimes) => runtimes,
        None => Runtimes::start()?,
    };
    Ok(take(place.insert(runtimes)))
}

/// Ends when the interpreter begins to exit.
pub(crate) async fn closing() {
    loop {
        let notified = CLOSING.notified();
        if CLOSED.load(Ordering::Acquire) {
            return;
        }
        notified.await;
    }
}

/// Counts a thread as waiting for a call.
struct Caller;

impl Caller {
    fn new() -> Self {
        CALLERS.fetch_add(1, Ordering::AcqRel);
        Self
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // In the child of a fork it counts from nothing.
        let _ = CALLERS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1));
    }
}

/// Waits for `future` with the GIL released; a signal that Python wants to handle (Ctrl-C) ends the wait and drops the future.
pub(crate) fn block_on<F, T>(py: Python<'_>, future: F) -> PyResult<T>
where
    F: Future<Output = T> + Send,
    T: Send,
{
    let handle = handle()?;
    // On another thread Python looks at no signals: asking in vain costs little.
    let on_main = MAIN.read().is_ok_and(|main| main.is_none_or(|main| main == std::thread::current().id()));
    py.detach(|| {
        let _caller = Caller::new();
        handle.block_on(async {
            let mut future = std::pin::pin!(future);
            let mut tick = tokio::time::interval(SIGNAL_TICK);
            loop {
                tokio::select! {
                    biased;
                    // A daemon thread must leave the runtime before it is taken down, and may not touch the interpreter then. A timer
                    // that is looked at afterwards panics, so this comes first.
                    _ = closing() => return Err(pyo3::exceptions::PyRuntimeError::new_err("syntra: the interpreter is shutting down")),
                    out = &mut future => return Ok(out),
                    _ = tick.tick(), if on_main => Python::attach(|py| py.check_signals())?,
                }
            }
        })
    })
}

/// For `atexit`: the interpreter is still whole. Waits, with the GIL released, until nothing of ours wants it any more.
#[pyfunction]
pub(crate) fn _shutdown(py: Python<'_>) {
    CLOSED.store(true, Ordering::Release);
    CLOSING.notify_waiters();
    let owned = RUNTIMES.write().ok().and_then(|mut place| place.as_mut().and_then(|runtimes| runtimes.owned.take()));
    py.detach(|| {
        let until = Instant::now() + EXIT_WAIT;
        while CALLERS.load(Ordering::Acquire) > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        if let Some((turns, functions)) = owned {
            turns.shutdown_timeout(EXIT_WAIT);
            functions.shutdown_timeout(EXIT_WAIT);
        }
        crate::deliver::stop();
    });
}

/// For `os.register_at_fork(after_in_child=…)`: the runtime's threads are not here; it is forgotten and a new one made when needed.
#[pyfunction]
pub(crate) fn _after_fork() {
    // Whoever held the lock is not in this process and will never let go: the old runtime is then found unusable, not waited for.
    if let Ok(mut place) = RUNTIMES.try_write() {
        std::mem::forget(place.take());
    }
    if let Ok(mut main) = MAIN.try_write() {
        *main = Some(std::thread::current().id());
    }
    // Nor are the threads that were waiting.
    CALLERS.store(0, Ordering::Release);
    crate::deliver::forget();
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// Registers the two hooks and notes the main thread, where it is this one and `threading` is there to say so: it is not imported for that.
pub(crate) fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let modules = py.import("sys")?.getattr("modules")?;
    if let Ok(threading) = modules.get_item("threading") {
        let main = threading.call_method0("main_thread")?.getattr("ident")?;
        if main.eq(threading.call_method0("get_ident")?)?
            && let Ok(mut slot) = MAIN.write()
        {
            *slot = Some(std::thread::current().id());
        }
    }
    py.import("atexit")?.call_method1("register", (module.getattr("_shutdown")?,))?;
    let os = py.import("os")?;
    if os.hasattr("register_at_fork")? {
        let arguments = pyo3::types::PyDict::new(py);
        arguments.set_item("after_in_child", module.getattr("_after_fork")?)?;
        os.call_method("register_at_fork", (), Some(&arguments))?;
    }
    Ok(())
}
