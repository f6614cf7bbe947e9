//! What holds of every execution, whatever the providers do.
//!
//! All models know the same answer, each word of which comes once. So text that is shown twice, lost or out of order shows.

use super::*;
use crate::chat::{Event, EventStream, FinishReason, Message, Request, Response, ResponseBuilder, Role, Scope, Usage};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::provider::Provider;
use crate::router::{CandidateReport, Intent, Plan, Planned, Standing, Target};
use async_trait::async_trait;
use futures::StreamExt as _;
use proptest::prelude::*;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const ANSWER: &str = "one two\nthree  four five \n\n six seven eight nine ten";

/// How a call goes.
#[derive(Clone, Debug)]
enum Course {
    /// It fails before anything.
    Fails(ErrorKind, Option<u64>),
    /// It says some of what it has to say and then breaks off: thinking if `thinks`, then this many pieces.
    Breaks { thinks: bool, pieces: usize, kind: ErrorKind },
    /// The same, and then it says nothing more.
    Stalls { thinks: bool, pieces: usize },
    /// It takes so many seconds and then answers.
    Answers { after: u64, thinks: bool },
}

#[derive(Clone, Debug)]
struct Model {
    provider: usize,
    window: Option<u64>,
    resumes: bool,
    /// The letters in a piece of its stream.
    step: usize,
    courses: Vec<Course>,
}

#[derive(Clone, Debug)]
struct Case {
    models: Vec<Model>,
    recovery: Recovery,
    streaming: bool,
    deadline: Option<u64>,
    hedge_after: Option<u64>,
    /// The reader leaves after so many updates.
    leaves: Option<usize>,
}

/// The tokio clock as ours.
#[derive(Debug)]
struct Paused(Instant);
impl Clock for Paused {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// One call that reached a provider.
#[derive(Clone, Debug)]
struct Reached {
    target: Target,
    resumed: bool,
    begun: Instant,
    /// When its stream was let go.
    ended: Option<Instant>,
    course: Option<Course>,
}

type Log = Arc<Mutex<Vec<Reached>>>;

#[derive(Debug)]
struct Scripted {
    name: String,
    resumes: HashMap<String, bool>,
    steps: HashMap<String, usize>,
    courses: Mutex<HashMap<String, VecDeque<Course>>>,
    log: Log,
}

/// Notes when a call ends, however it does.
struct Ends(Log, usize);
impl Drop for Ends {
    fn drop(&mut self) {
        self.0.lock().unwrap()[self.1].ended = Some(Instant::now());
    }
}

#[async_trait]
impl Provider for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        let mut stream = self.stream(request).await?;
        let mut builder = ResponseBuilder::new();
        while let Some(event) = stream.next().await {
            builder.push(&event?);
        }
        Ok(builder.build())
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        let course = self.courses.lock().unwrap().get_mut(&request.model).and_then(VecDeque::pop_front);
        let told = request.messages.last().filter(|m| m.role == Role::Assistant).map(Message::text);
        let number = {
            let mut log = self.log.lock().unwrap();
            let target = Target::new(self.name.clone(), request.model.clone());
            let resumed = told.is_some();
            log.push(Reached { target, resumed, begun: Instant::now(), ended: None, course: course.clone() });
            log.len() - 1
        };
        let ends = Ends(self.log.clone(), number);
        let rest = match &told {
            None => ANSWER,
            Some(told) => ANSWER.strip_prefix(told.as_str()).expect("only what was shown is given to go on from"),
        };
        let letters: Vec<char> = rest.chars().collect();
        let pieces = letters.chunks(self.steps[&request.model]).map(|c| Event::Text { text: c.iter().collect() });
        let thought = || Event::Reasoning { text: "hm".into(), opaque: None };
        let error = |kind, phase| Error::new(kind, "scripted").with_phase(phase);
        let usage = |output| Usage { input_tokens: Some(7), output_tokens: Some(output), ..Usage::default() };
        let mut events: Vec<Result<Event>> = vec![Ok(Event::Started { id: None, model: None })];
        let (mut stalls, mut pause) = (false, 0);
        match course {
            None => return Err(error(ErrorKind::ModelUnavailable, Phase::BeforeContent)),
            Some(Course::Fails(kind, wait)) => {
                let error = error(kind, Phase::BeforeContent);
                return Err(match wait {
                    Some(seconds) => error.with_retry_after(Duration::from_secs(seconds)),
                    None => error,
                });
            }
            Some(Course::Breaks { thinks, pieces: n, kind }) => {
                events.extend(thinks.then(|| Ok(thought())));
                events.extend(pieces.take(n).map(Ok));
                events.push(Err(error(kind, Phase::AfterContent)));
            }
            Some(Course::Stalls { thinks, pieces: n }) => {
                events.push(Ok(Event::Usage(usage(0))));
                events.extend(thinks.then(|| Ok(thought())));
                events.extend(pieces.take(n).map(Ok));
                stalls = true;
            }
            Some(Course::Answers { after, thinks }) => {
                pause = after;
                events.extend(thinks.then(|| Ok(thought())));
                events.extend(pieces.map(Ok));
                events.push(Ok(Event::Usage(usage(rest.len() as u64))));
                events.push(Ok(Event::Finish { reason: FinishReason::Stop }));
            }
        }
        let state = (VecDeque::from(events), ends, pause);
        Ok(futures::stream::unfold(state, move |(mut events, ends, pause)| async move {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            match events.pop_front() {
                Some(event) => Some((event, (events, ends, 0))),
                None if stalls => std::future::pending().await,
                None => None,
            }
        })
        .boxed())
    }

    fn can_resume(&self, request: &Request) -> bool {
        self.resumes[&request.model]
    }
}

/// How many pieces come before a break: often none.
fn pieces() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0_usize), 0_usize..20]
}

fn courses() -> impl Strategy<Value = Course> {
    use ErrorKind::*;
    let kind = prop::sample::select(vec![
        Transient,
        Transient,
        Timeout,
        Connection,
        Truncated,
        Decode,
        RateLimit,
        Overloaded,
        QuotaExhausted,
        Credential,
        Region,
        ModelUnavailable,
        ContextTooLong,
        ContentPolicy,
        Unsupported,
        Unknown,
        BadRequest,
    ]);
    let middle = prop::sample::select(vec![Connection, Truncated, Overloaded, Decode, Unknown]);
    prop_oneof![
        3 => (kind, prop::option::weighted(0.2, 0_u64..20)).prop_map(|(kind, wait)| Course::Fails(kind, wait)),
        3 => (any::<bool>(), pieces(), middle)
            .prop_map(|(thinks, pieces, kind)| Course::Breaks { thinks, pieces, kind }),
        2 => (any::<bool>(), pieces()).prop_map(|(thinks, pieces)| Course::Stalls { thinks, pieces }),
        3 => (prop_oneof![Just(0_u64), 0_u64..50], any::<bool>())
            .prop_map(|(after, thinks)| Course::Answers { after, thinks }),
    ]
}

fn cases() -> impl Strategy<Value = Case> {
    let window = prop::option::of(prop::sample::select(vec![8_000_u64, 32_000, 128_000]));
    let model = (0_usize..3, window, any::<bool>(), 1_usize..9, prop::collection::vec(courses(), 0..4))
        .prop_map(|(provider, window, resumes, step, courses)| Model { provider, window, resumes, step, courses });
    let recovery = prop::sample::select(vec![Recovery::Resume, Recovery::ResumeOrRestart, Recovery::Fail]);
    (
        prop::collection::vec(model, 1..5),
        recovery,
        prop::bool::weighted(0.8),
        prop::option::weighted(0.2, 0_u64..100),
        prop::option::weighted(0.5, 0_u64..10),
        prop::option::weighted(0.2, 0_usize..30),
    )
        .prop_map(|(models, recovery, streaming, deadline, hedge_after, leaves)| Case {
            models,
            recovery,
            streaming,
            deadline,
            hedge_after,
            leaves,
        })
}

/// The execution of `case`, and what reaches its providers.
fn set_up(case: &Case) -> (Execution, Log, Arc<Mutex<Vec<AttemptRecord>>>) {
    let log = Log::default();
    let target = |number: usize, model: &Model| Target::new(format!("p{}", model.provider), format!("m{number}"));
    let mut by_name: HashMap<String, Scripted> = HashMap::new();
    let (mut order, mut reports) = (Vec::new(), Vec::new());
    for (number, model) in case.models.iter().enumerate() {
        let target = target(number, model);
        let provider = by_name.entry(target.provider.clone()).or_insert_with(|| Scripted {
            name: target.provider.clone(),
            resumes: HashMap::new(),
            steps: HashMap::new(),
            courses: Mutex::default(),
            log: log.clone(),
        });
        provider.resumes.insert(target.model.clone(), model.resumes);
        provider.steps.insert(target.model.clone(), model.step);
        provider.courses.lock().unwrap().insert(target.model.clone(), model.courses.clone().into());
        let mut report = CandidateReport::new(target.clone(), Standing::Fallback, Some(number), "");
        report.context_window = model.window;
        reports.push(report);
        order.push(Planned { target, reason: "test".into() });
    }
    let by_name = by_name.into_iter().map(|(name, p)| (name, Arc::new(p) as Arc<dyn Provider>)).collect();
    let mut execution = Execution::new(
        Plan::new(order, reports, Intent::QaRetrieval, 1.0),
        Scope::local(),
        Arc::new(by_name),
        Request::new("", vec![Message::user("count")]),
        Arc::new(Paused(Instant::now())),
    );
    execution.streaming = case.streaming;
    execution.recovery = case.recovery;
    execution.jitter = Jitter::none();
    execution.deadline = case.deadline.map(Duration::from_secs);
    execution.meter = Some(Meter { prompt_tokens: 11, count: Arc::new(|_, text| text.len() as u64) });
    execution.hedger = case.hedge_after.map(|seconds| {
        Hedger::new(HedgePolicy { after: Some(Duration::from_secs(seconds)), most_share: 1.0 }).unwrap()
    });
    let left = Arc::new(Mutex::new(Vec::new()));
    let leaving = left.clone();
    execution.on_drop = Some(OnDrop::new(move |record| leaving.lock().unwrap().push(record)));
    (execution, log, left)
}

/// What a reader has who keeps to the events.
#[derive(Default)]
struct Reader {
    text: String,
    usage: Usage,
    finishes: usize,
    restarts: usize,
}

impl Reader {
    fn read(&mut self, event: &Event, case: &Case) {
        assert_eq!(self.finishes, 0, "nothing follows the finish");
        match event {
            Event::Text { text } => {
                self.text.push_str(text);
                assert!(ANSWER.starts_with(&self.text), "{:?} is no beginning of the answer", self.text);
            }
            Event::Restart(_) => {
                let announced = case.recovery == Recovery::ResumeOrRestart || self.text.is_empty();
                assert!(announced && case.recovery != Recovery::Fail, "nobody asked for a restart");
                self.restarts += 1;
                self.text.clear();
            }
            Event::Usage(usage) => self.usage = usage.clone(),
            Event::Finish { .. } => self.finishes += 1,
            _ => {}
        }
    }
}

async fn check(case: Case) {
    let (execution, log, left) = set_up(&case);
    let policy = execution.policy.clone();
    let coalescer = execution.coalescer.clone();
    let began = Instant::now();
    let mut updates = execute(execution);
    let (mut reader, mut records, mut error) = (Reader::default(), Vec::new(), None);
    let mut ended = false;
    for count in 0.. {
        if case.leaves.is_some_and(|most| count >= most) {
            break;
        }
        let Some(update) = updates.next().await else {
            ended = true;
            break;
        };
        assert!(error.is_none(), "nothing follows an error");
        match update {
            Ok(ExecutionUpdate::Event(event)) => reader.read(&event, &case),
            Ok(ExecutionUpdate::Attempt(record)) => records.push(record),
            Err(failed) => error = Some(failed),
        }
    }
    let took = began.elapsed();
    drop(updates);
    assert_eq!(coalescer.in_flight(), 0);

    let log = log.lock().unwrap().clone();
    assert!(log.iter().all(|call| call.ended.is_some()), "every call was let go");
    if let Some(seconds) = case.deadline {
        assert!(took <= Duration::from_secs(seconds) + Duration::from_millis(1), "{took:?} for {seconds} s");
    }

    // Attempts are bounded, each has one record, and each record at most one call: one may be let go before it is begun.
    let mut all: Vec<AttemptRecord> = records.clone();
    if !ended {
        // What was said and not read yet is lost with the stream; what was under way is told of.
        assert!(left.lock().unwrap().iter().all(|record| record.error == Some(ErrorKind::Cancelled)));
        all.extend(left.lock().unwrap().iter().cloned());
    } else {
        assert!(left.lock().unwrap().is_empty());
        assert!(log.len() <= all.len() && all.len() <= log.len() + 2, "{} calls, {} records", log.len(), all.len());
    }
    assert!(log.len() <= policy.max_attempts);
    let mut by_target: HashMap<&Target, usize> = HashMap::new();
    for call in &log {
        *by_target.entry(&call.target).or_default() += 1;
    }
    assert!(by_target.values().all(|calls| *calls <= policy.max_per_target));

    // A caller's own fault is the last thing that is tried, unless it was our prefill that was refused.
    for (number, call) in log.iter().enumerate() {
        if matches!(call.course, Some(Course::Fails(ErrorKind::BadRequest, _))) && !call.resumed {
            let after = log.iter().skip(number + 1).filter(|later| later.begun > call.begun).count();
            assert_eq!(after, 0, "the caller's own fault was tried again");
        }
    }

    // Nobody sleeps while there is an untried target: none is called for the first time after a pause in which nothing was under way.
    let mut seen: HashSet<&Target> = HashSet::new();
    for (number, call) in log.iter().enumerate() {
        let before = log.iter().take(number).filter_map(|c| c.ended).max();
        let overlaps = log.iter().take(number).any(|c| c.ended.is_some_and(|at| at >= call.begun));
        let waited = before.map_or(Duration::ZERO, |at| call.begun.saturating_duration_since(at));
        if seen.insert(&call.target) && !overlaps {
            // Timers are rounded up to a millisecond.
            assert!(waited <= Duration::from_millis(1), "{} waited {waited:?} for its first call", call.target);
        }
    }

    if !ended {
        return;
    }
    // Exactly one end, and one bill.
    let mut billed = Usage::default();
    all.iter().for_each(|record| billed.add(&record.usage));
    match &error {
        None => {
            assert_eq!((reader.text.as_str(), reader.finishes), (ANSWER, 1));
            assert_eq!(reader.usage, billed);
            assert_eq!(all.last().map(|record| record.error), Some(None));
        }
        Some(error) => {
            assert_eq!(reader.finishes, 0);
            assert!(all.iter().all(|record| record.error.is_some()));
            if !reader.text.is_empty() {
                assert_eq!(error.phase(), Phase::AfterContent);
                assert_eq!(error.retry(), crate::Retry::Never);
            }
            let failed = all.iter().filter(|record| record.error != Some(ErrorKind::Cancelled)).count();
            assert_eq!(error.attempts().len(), failed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_providers_do(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check(case));
    }
}
