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
