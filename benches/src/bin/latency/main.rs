//! Percentiles of recall, which criterion does not print: alone and with a writer, over one user's memories of several sizes, and the
//! first recall of one of many users after opening.
//!
//! `cargo run --release -p syntra-benches --bin latency -- 10000 100000` for those sizes (1000000 takes minutes to fill and 3 GB);
//! `folder=PATH` before a size keeps its store there, and takes the one that is there, so that a large one is filled once;
//! `users` for 10,000 users of 100 memories each; `vectors 100000` for the scan of vectors alone, with what it finds of the exact ten
//! (with `WITH_GRAPH=1` in the environment beside a graph, which takes minutes to build; `VECTORS_OF=FILE` embeds that file's lines).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use syntra_benches::recall_set::{memories, question, turn};
use syntra_core::embed::{Embedder as _, StaticEmbedder};
use syntra_core::memory::{Memories, RecallRequest};
use syntra_core::search::{FlatIndex, HnswIndex, VectorIndex};
use syntra_core::{Error, Result, Scope};

const BATCH: usize = 1_000;
const ASKED: usize = 2_000;
const USERS: usize = 10_000;
const OF_ONE_USER: usize = 100;

fn main() -> std::process::ExitCode {
    match run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let failed = |e: std::io::Error| Error::invalid(e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_none() {
        return Err(Error::invalid("name sizes (10000 100000), users, or vectors and sizes"));
    }
    let (mut of_vectors, mut kept) = (false, None);
    for argument in arguments {
        if let Some(path) = argument.strip_prefix("folder=") {
            kept = Some(std::path::PathBuf::from(path));
            continue;
        }
        match argument.as_str() {
            "users" => runtime.block_on(many_users())?,
            "vectors" => of_vectors = true,
            size => {
                let size = size.parse().map_err(|_| Error::invalid(format!("{size:?} is no size")))?;
                if of_vectors {
                    runtime.block_on(vectors(size))?
                } else {
                    runtime.block_on(one_user(size, kept.take()))?
                }
            }
        }
    }
    Ok(())
}

async fn one_user(size: usize, kept: Option<std::path::PathBuf>) -> Result<()> {
    let temporary = tempfile::tempdir().map_err(|e| Error::invalid(e.to_string()))?;
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let (stored, scope) = (memories(folder)?, Scope::local());
    let there = stored.stats(&scope).await?.total as usize;
    let begin = Instant::now();
    for from in (there..size).step_by(BATCH) {
        stored.remember(&scope, (from..(from + BATCH).min(size)).map(turn).collect()).await?;
    }
    if there < size {
        let rate = (size - there) as f64 / begin.elapsed().as_secs_f64();
        println!("{size} memories: {rate:.0} remembered a second with embedding");
    } else {
        println!("{there} memories that were there");
    }
    let first = Instant::now();
    stored.recall(&scope, question(1).into()).await?;
    let how = if there < size { "built from the rows" } else { "from the rows or the snapshot" };
    println!("  first recall, the index {how}: {:?}", first.elapsed());
    for _ in 0..3 {
        let begin = Instant::now();
        let opened = memories(folder)?;
        opened.recall(&scope, question(2).into()).await?;
        println!("  opened, and first recall from the snapshot: {:?}", begin.elapsed());
    }
    if let Some(held) = resident() {
        println!("  resident memory {held} MB");
    }
    ask(&stored, &scope, "alone").await?;

    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writer = tokio::spawn({
        let (stored, scope, stop, written) = (stored.clone(), scope.clone(), Arc::clone(&stop), Arc::clone(&written));
        async move {
            for at in size.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                stored.remember(&scope, vec![turn(at)]).await?;
                written.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Error>(())
        }
    });
    ask(&stored, &scope, "with a writer").await?;
    stop.store(true, Ordering::Relaxed);
    writer.await.map_err(|e| Error::invalid(e.to_string()))??;
    println!("  {} memories were written meanwhile", written.load(Ordering::Relaxed));
    Ok(())
}

/// Megabytes that the process holds, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kb| kb / 1024)
}

async fn ask(stored: &Memories, scope: &Scope, how: &str) -> Result<()> {
    let mut times = Vec::with_capacity(ASKED);
    let mut spans: Vec<(&'static str, Vec<Duration>)> = Vec::new();
    for asked in 0..ASKED {
        let request = RecallRequest::new(question(asked));
        let begin = Instant::now();
        let recall = stored.recall(scope, request).await?;
        times.push(begin.elapsed());
        for (name, elapsed) in recall.spans {
            match spans.iter_mut().find(|(held, _)| *held == name) {
                Some((_, all)) => all.push(elapsed),
                None => spans.push((name, vec![elapsed])),
            }
        }
    }
    let middle = |all: &mut Vec<Duration>| {
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or_default().as_micros()
    };
    let steps: Vec<String> = spans.iter_mut().map(|(name, all)| format!("{name} {}", middle(all))).collect();
    println!("  {how}: {} (p50 of {})", percentiles(&mut times), steps.join(", "));
    Ok(())
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or_default().as_micros();
    format!("p10 {} p50 {} p90 {} p99 {} us", at(0.1), at(0.5), at(0.9), at(0.99))
}

async fn many_users() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::invalid(e.to_string()))?;
    let scope = |user: usize| Scope::new("bench", format!("user-{user}"));
    let begin = Instant::now();
    {
        let stored = memories(folder.path())?;
        for user in 0..USERS {
            let items = (user * 31..user * 31 + OF_ONE_USER).map(turn).collect();
            stored.remember(&scope(user)?, items).await?;
        }
    }
    println!("{} memories of {USERS} users written in {:.0} s", USERS * OF_ONE_USER, begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let stored = memories(folder.path())?;
    let opened = begin.elapsed();
    let mut times = Vec::new();
    for user in (0..USERS).step_by(USERS / 200) {
        let begin = Instant::now();
        stored.recall(&scope(user)?, question(user).into()).await?;
        times.push(begin.elapsed());
    }
    println!("  opened in {opened:?}; first recall of a user: {}", percentiles(&mut times));
    Ok(())
}

const DIMENSIONS: usize = 256;

/// Vectors to search, as many as are asked for.
enum Vectors {
    /// Around two thousand centres: as hard to tell apart as vectors get.
    MadeUp { centres: Vec<Vec<f32>>, state: u64 },
    /// What the model in the package makes of lines of text; past their end, of two of them joined.
    OfLines { lines: Vec<String>, embedder: StaticEmbedder, state: u64 },
}

/// A number from 0 to 2^31.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn spread(state: &mut u64) -> f32 {
    draw(state) as f32 / (1u64 << 30) as f32 - 1.0
}

impl Vectors {
    /// Of the lines of the file that `VECTORS_OF` names, else made up.
    fn new() -> Result<Self> {
        let mut state = 7;
        if let Some(path) = std::env::var_os("VECTORS_OF") {
            let text = std::fs::read_to_string(&path).map_err(|e| Error::invalid(format!("VECTORS_OF: {e}")))?;
            let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
            if lines.is_empty() {
                return Err(Error::invalid("VECTORS_OF: the file has no lines"));
            }
            return Ok(Self::OfLines { lines, embedder: StaticEmbedder::bundled()?, state });
        }
        let centres = (0..2_000).map(|_| (0..DIMENSIONS).map(|_| spread(&mut state)).collect()).collect();
        Ok(Self::MadeUp { centres, state })
    }

    async fn make(&mut self, i: usize) -> Result<Vec<f32>> {
        match self {
            Self::MadeUp { centres, state } => {
                let centre = centres.get(i % centres.len()).map_or(&[][..], |c| c);
                Ok(centre.iter().map(|x| x + 1.2 * spread(state)).collect())
            }
            Self::OfLines { lines, embedder, state } => {
                let line = |i: usize| lines.get(i % lines.len()).map_or("", String::as_str);
                let other = if i < lines.len() { "" } else { line(draw(state) as usize) };
                let mut made = embedder.embed(&[&format!("{} {other}", line(i))]).await?;
                made.pop().ok_or_else(|| Error::invalid("no vector came back"))
            }
        }
    }
}

/// Times and recall of the 150 nearest of `questions` in `index`, beside what `flat` finds in full precision.
fn measure(name: &str, size: usize, questions: &[Vec<f32>], index: &dyn VectorIndex, flat: &FlatIndex) -> Result<()> {
    let everything = |_: u32| true;
    let (mut times, mut same_10, mut same_150) = (Vec::new(), 0, 0);
    for question in questions {
        let begin = Instant::now();
        let found = index.search(question, 150, None)?;
        times.push(begin.elapsed());
        // Asking for half of all is answered in full precision.
        let exact = flat.search(question, size / 2, Some(&everything))?;
        let of = |k: usize| found.iter().take(k).filter(|f| exact.iter().take(k).any(|e| e.0 == f.0)).count();
        same_10 += of(10);
        same_150 += of(150);
    }
    println!(
        "{size} vectors, {name}, 150 nearest: {}; recall@10 {:.4}, recall@150 {:.4}",
        percentiles(&mut times),
        same_10 as f64 / (10 * questions.len()) as f64,
        same_150 as f64 / (150 * questions.len()) as f64
    );
    Ok(())
}

async fn vectors(size: usize) -> Result<()> {
    const QUESTIONS: usize = 100;
    let mut made = Vectors::new()?;
    let mut flat = FlatIndex::new(DIMENSIONS);
    let mut graph = std::env::var_os("WITH_GRAPH").map(|_| HnswIndex::starting_at(DIMENSIONS, size));
    for key in 0..size {
        let vector = made.make(key).await?;
        flat.upsert(key as u32, &vector)?;
        if let Some(graph) = &mut graph {
            graph.upsert(key as u32, &vector)?;
        }
    }
    if let Some(graph) = &mut graph {
        let begin = Instant::now();
        graph.settle();
        println!("{size} vectors: graph built in {:.0} s", begin.elapsed().as_secs_f64());
    }
    // Past the end of what is held: none of them is there already.
    let mut questions = Vec::with_capacity(QUESTIONS);
    for i in 0..QUESTIONS {
        questions.push(made.make(size + i * 17).await?);
    }
    measure("scan", size, &questions, &flat, &flat)?;
    if let Some(graph) = &graph {
        measure("graph", size, &questions, graph, &flat)?;
    }
    if size >= FlatIndex::ARRANGED_FROM {
        let begin = Instant::now();
        flat.arrange();
        println!("{size} vectors: arranged in {:.1} s", begin.elapsed().as_secs_f64());
        measure("scan, arranged", size, &questions, &flat, &flat)?;
    }
    Ok(())
}
