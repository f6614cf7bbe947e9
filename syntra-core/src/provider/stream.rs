//! A stream as it comes: bytes to frames to events, within the deadlines.

use super::whole::readable;
use super::{Dialect, StreamDecoder};
use crate::chat::{Event, EventStream};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::transport::{Deadlines, Frame, FrameDecoder, Framing, HttpResponse, TimeoutStage, after};
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One answer that is coming in. Dropping it closes the connection.
pub(super) struct Live {
    /// Gone once the answer is complete.
    response: Option<HttpResponse>,
    status: u16,
    max_body: usize,
    max_stream: u64,
    max_frame: usize,
    dialect: Arc<dyn Dialect>,
    frames: FrameDecoder,
    /// Bytes so far.
    received: u64,
    decoder: Box<dyn StreamDecoder>,
    deadlines: Deadlines,
    first: Instant,
    total: Instant,
    /// Until when the next piece has to come, where only keep-alives came since the last.
    waiting: Option<Instant>,
    /// Events that were decoded and not yet handed over.
    ready: VecDeque<Event>,
    /// Empty between reads, and kept for their room.
    cut: Vec<Frame>,
    decoded: Vec<Event>,
    /// The error that follows the events in `ready`.
    failed: Option<Error>,
    /// The raw body, kept until it is known whether it is a stream at all.
    whole: Option<Vec<u8>>,
    /// The JSON values of that body so far; a second one shows that it is a stream after all.
    held: Vec<Frame>,
    content: bool,
    ended: bool,
}

impl Live {
    pub(super) fn new(
        response: HttpResponse,
        dialect: Arc<dyn Dialect>,
        deadlines: Deadlines,
        first: Instant,
        total: Instant,
    ) -> Self {
        let declared = match FrameDecoder::for_content_type(response.header("content-type")) {
            Framing::Auto => dialect.framing(),
            found => found,
        };
        Self {
            frames: FrameDecoder::new(declared).with_limit(response.max_frame),
            received: 0,
            decoder: dialect.stream_decoder(),
            status: response.status,
            max_body: response.max_body,
            max_stream: response.max_stream,
            max_frame: response.max_frame,
            response: Some(response),
            dialect,
            deadlines,
            first,
            total,
            waiting: None,
            ready: VecDeque::new(),
            cut: Vec::new(),
            decoded: Vec::new(),
            failed: None,
            whole: Some(Vec::new()),
            held: Vec::new(),
            content: false,
            ended: false,
        }
    }

    pub(super) fn into_stream(self, sign: impl Fn(Error) -> Error + Send + 'static) -> EventStream {
        // Boxed: the state would be moved with every event.
        futures::stream::unfold((Box::new(self), sign), |(mut live, sign)| async move {
            let item = live.next().await?.map_err(&sign);
            Some((item, (live, sign)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(event) = self.ready.pop_front() {
                self.content |= event.is_content();
                self.ended = matches!(event, Event::Finish { .. });
                if self.ended
                    && let Some(response) = self.response.take()
                {
                    response.drain();
                }
                return Some(Ok(event));
            }
            if let Some(error) = self.failed.take() {
                self.ended = true;
                // Nothing more is wanted, however long the reader keeps the stream.
                self.response = None;
                let status = error.status().unwrap_or(self.status);
                let phase = if self.content { Phase::AfterContent } else { Phase::BeforeContent };
                return Some(Err(error.with_status(status).with_phase(phase)));
            }
            self.read().await;
        }
    }

    /// Reads once more from the wire; afterwards there are events, or an error, or it has to be called again.
    async fn read(&mut self) {
        let (until, stage) = self.deadline();
        let Some(response) = &mut self.response else {
            self.ended = true;
            return;
        };
        let chunk = response.chunk(until, stage).await;
        let (mut frames, mut events) = (std::mem::take(&mut self.cut), std::mem::take(&mut self.decoded));
        let done = match chunk {
            Ok(Some(bytes)) => {
                let taken = self.take(&bytes, &mut frames, &mut events);
                // A keep-alive is no progress: it does not move the deadline.
                let idle = frames.is_empty() && self.frames.is_between_frames();
                self.waiting = (idle && self.content).then_some(until);
                taken
            }
            Ok(None) => self.end(&mut frames, &mut events),
            // A connection that breaks after the terminal frame has broken nothing.
            Err(error) if error.kind() == ErrorKind::Connection => {
                self.end(&mut frames, &mut events).map_err(|_| error)
            }
            Err(error) => Err(error),
        };
        self.ready.extend(events.drain(..));
        self.failed = done.err();
        frames.clear();
        (self.cut, self.decoded) = (frames, events);
    }

    fn take(&mut self, bytes: &[u8], frames: &mut Vec<Frame>, events: &mut Vec<Event>) -> Result<()> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.received > self.max_stream {
            let words = format!("the server sent a stream of more than {} bytes", self.max_stream);
            return Err(Error::new(ErrorKind::Decode, words).with_code("stream_too_large"));
        }
        if let Some(whole) = &mut self.whole {
            if whole.len() + bytes.len() > self.max_body {
                let words = format!("the server sent a body of more than {} bytes", self.max_body);
                return Err(Error::new(ErrorKind::Decode, words).with_code("body_too_large"));
            }
            whole.extend_from_slice(bytes);
        }
        // One value that is larger than any event may be is an answer in one piece, whose bound is another.
        if self.is_whole() && self.whole.as_ref().is_some_and(|whole| whole.len() > self.max_frame) {
            return Ok(());
        }
        let pushed = self.frames.push(bytes, frames);
        if self.is_whole() {
            self.held.append(frames);
            if self.held.len() < 2 {
                return Ok(());
            }
            // One value after the other: lines of JSON where events were due.
            frames.append(&mut self.held);
        }
        if self.frames.framing().is_some() {
            self.whole = None;
        }
        self.decode(frames, events)?;
        pushed
    }

    /// Whether one JSON object came where events were due: then it is an answer, or an error, in one piece.
    fn is_whole(&self) -> bool {
        self.whole.is_some() && self.dialect.framing() == Framing::Sse && self.frames.framing() == Some(Framing::Ndjson)
    }

    fn end(&mut self, frames: &mut Vec<Frame>, events: &mut Vec<Event>) -> Result<()> {
        if self.is_whole() {
            let body = self.whole.take().unwrap_or_default();
            events.extend(self.dialect.decode(&readable(&body))?.into_events());
            return Ok(());
        }
        self.frames.finish(frames)?;
        self.decode(frames, events)?;
        if self.decoded_finish(events) {
            return Ok(());
        }
        self.decoder.finish(events)?;
        if self.decoded_finish(events) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, "the stream ended before its terminal event"))
    }

    fn decode(&mut self, frames: &[Frame], events: &mut Vec<Event>) -> Result<()> {
        for frame in frames {
            // Nothing counts after the end.
            if self.decoded_finish(events) {
                break;
            }
            self.decoder.frame(frame, events)?;
        }
        Ok(())
    }

    fn decoded_finish(&self, events: &[Event]) -> bool {
        matches!(events.last(), Some(Event::Finish { .. }))
    }

    fn deadline(&self) -> (Instant, (TimeoutStage, Duration)) {
        let (until, stage) = if self.content {
            let until = self.waiting.unwrap_or_else(|| after(self.deadlines.between_chunks));
            (until, (TimeoutStage::BetweenChunks, self.deadlines.between_chunks))
        } else {
            (self.first, (TimeoutStage::FirstToken, self.deadlines.first_token))
        };
        if self.total < until { (self.total, (TimeoutStage::Total, self.deadlines.total)) } else { (until, stage) }
    }
}
