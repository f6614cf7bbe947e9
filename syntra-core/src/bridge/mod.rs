//! The front door in JSON, for bindings and servers (feature `bridge`): [`call`] and [`stream`] take a method's arguments as text and
//! answer with text, [`build`] makes a [`crate::Syntra`] from a description, and a [`Host`] lends objects of another language to it. The
//! bindings are this and nothing else, so that no language has a logic of its own.
//!
//! May use everything that the front door speaks of. Nothing in the house uses it.

mod batch;
mod call;
mod config;
mod host;
mod inbox;
mod limits;
mod local;
mod reader;
mod servers;
mod words;

pub use batch::{Batches, event_json, events_json};
pub use call::{METHODS, Reply, answer, call, reply, stream, trace_json};
pub use config::{Bridged, build};
pub use host::{
    Host, HostClock, HostContextBuilder, HostEmbedder, HostFailure, HostMemoryStore, HostProvider, HostRanker,
    HostReranker, HostRouter, HostThreadStore, HostTool, error_json,
};
pub use inbox::{Inbox, Place};
pub use reader::Reader;

/// The most threads of [`workers`].
const MOST_WORKERS: usize = 4;

/// How many threads of a binding's runtime should carry turns: half the machine's, the other half being the host language's. Each thread
/// beyond the first costs: a call wakes one, which wakes the next to look for more, which finds nothing. What takes its time (writing, lent
/// objects) blocks threads of its own.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |n| (n.get() / 2).clamp(1, MOST_WORKERS))
}
