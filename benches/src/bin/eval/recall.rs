//! `eval -- recall DIR`: does the right memory come back, and how fast?
//!
//! Documents are remembered and questions recalled through [`Memories`], as an application does it, over a default store in a
//! temporary folder. DIR is one set, or a folder of sets.

mod data;
mod dump;
mod rankers;

use data::{Question, Set};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use syntra_core::embed::{Embedder, StaticEmbedder};
use syntra_core::memory::{Memories, NewMemory, RecallRequest, SqliteMemoryStore};
use syntra_core::search::{HybridRanker, RankQuery, Strategy};
use syntra_core::storage::Database;
use syntra_core::{Clock as _, Error, Result, Scope, SystemClock};

const USAGE: &str = "usage: eval -- recall DIR [--embedder static|static:FILE|fastembed:MODEL_DIR|none] [--k 5,10,20]
    [--ranker default|classic|classic-adaptive|keyword|vector] [--set weight=value,...]
    [--strategies vector,keyword,graph,profile,recent] [--per-query FILE] [--dump FILE.gz] [--ablate yes]
    [--rerank CROSS_ENCODER_DIR]";

/// What the command line says.
struct Options {
    dir: PathBuf,
    embedder: String,
    ks: Vec<usize>,
    ranker: String,
    weights: Vec<(String, f32)>,
    strategies: Vec<Strategy>,
    per_query: Option<PathBuf>,
    dump: Option<PathBuf>,
    ablate: bool,
    rerank: Option<PathBuf>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            dir: PathBuf::new(),
            embedder: "static".into(),
            ks: vec![5, 10, 20],
            ranker: "default".into(),
            weights: Vec::new(),
            strategies: Strategy::ALL.to_vec(),
            per_query: None,
            dump: None,
            ablate: false,
            rerank: None,
        };
        let wrong = |what: &str, value: &str| Error::invalid(format!("{what} {value:?} is not understood\n{USAGE}"));
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if !arg.starts_with("--") {
                options.dir = arg.into();
                continue;
            }
            let value = args.next().ok_or_else(|| Error::invalid(format!("{arg} needs a value\n{USAGE}")))?;
            match arg.as_str() {
                "--embedder" => options.embedder = value.clone(),
                "--ranker" => options.ranker = value.clone(),
                "--per-query" => options.per_query = Some(value.into()),
                "--ablate" => options.ablate = value == "yes",
                "--rerank" => options.rerank = Some(value.into()),
                "--dump" => options.dump = Some(value.into()),
                "--k" => {
                    let ks: std::result::Result<Vec<usize>, _> = value.split(',').map(|k| k.trim().parse()).collect();
                    options.ks = ks.map_err(|_| wrong("--k", value))?;
                    if options.ks.is_empty() || options.ks.iter().any(|k| *k == 0 || *k > 200) {
                        return Err(wrong("--k", value));
                    }
                }
                "--set" => {
                    for part in value.split(',') {
                        let (name, number) = part.split_once('=').ok_or_else(|| wrong("--set", part))?;
                        options.weights.push((name.into(), number.parse().map_err(|_| wrong("--set", part))?));
                    }
                }
                "--strategies" => {
                    let by_name = |name: &str| {
                        let named = |s: &Strategy| format!("{s:?}").eq_ignore_ascii_case(name.trim());
                        Strategy::ALL.into_iter().find(named).ok_or_else(|| wrong("--strategies", name))
                    };
                    options.strategies = value.split(',').map(by_name).collect::<Result<_>>()?;
                }
                _ => return Err(wrong("option", arg)),
            }
        }
        if options.dir.as_os_str().is_empty() {
            return Err(Error::invalid(USAGE));
        }
        if options.embedder == "none" {
            options.strategies.retain(|s| *s != Strategy::Vector);
        }
        Ok(options)
    }

    fn embedder(&self) -> Result<Arc<dyn Embedder>> {
        match self.embedder.split_once(':') {
            // Without an embedder the questions have no vector; the documents' vectors are then never read.
            None if self.embedder == "static" || self.embedder == "none" => Ok(Arc::new(StaticEmbedder::bundled()?)),
            Some(("static", file)) => Ok(Arc::new(StaticEmbedder::from_file(file)?)),
            Some(("fastembed", dir)) => fastembed(Path::new(dir)),
            _ => Err(Error::invalid(format!(
                "embedder {:?}: use static, static:FILE, fastembed:MODEL_DIR or none",
                self.embedder
            ))),
        }
    }
}

#[cfg(feature = "fastembed")]
fn fastembed(dir: &Path) -> Result<Arc<dyn Embedder>> {
    Ok(Arc::new(syntra_core::embed::FastEmbedder::from_dir(dir, syntra_core::embed::FastEmbedOptions::new())?))
}

#[cfg(feature = "fastembed")]
fn reranked(memories: Memories, dir: &Path) -> Result<Memories> {
    use syntra_core::embed::{FastEmbedOptions, FastReranker};
    Ok(memories.with_reranker(Arc::new(FastReranker::from_dir(dir, FastEmbedOptions::new())?)))
}

#[cfg(not(feature = "fastembed"))]
fn reranked(_: Memories, _: &Path) -> Result<Memories> {
    Err(Error::invalid("this build has no fastembed: build with --features fastembed"))
}

#[cfg(not(feature = "fastembed"))]
fn fastembed(_: &Path) -> Result<Arc<dyn Embedder>> {
    Err(Error::invalid("this build has no fastembed: build with --features fastembed"))
}

/// Runs the command: prints tables, returns the JSON of the last line.
pub(crate) fn run(args: &[String]) -> std::result::Result<Value, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(run_all(args)).map_err(|e| e.to_string())
}

async fn run_all(args: &[String]) -> Result<Value> {
    let options = Options::parse(args)?;
    let mut results = Vec::new();
    let mut dump = options.dump.as_deref().map(dump::Dump::create).transpose()?;
    for dir in &data::sets(&options.dir)? {
        let result = evaluate(&Set::read(dir)?, &options, dump.as_mut()).await?;
        print_table(&result);
        results.push(result);
    }
    if let Some(dump) = dump {
        dump.finish()?;
    }
    Ok(match <[Value; 1]>::try_from(results) {
        Ok([one]) => one,
        Err(many) => json!({ "sets": many }),
    })
}

/// Counts the time that goes into embedding.
#[derive(Debug)]
struct TimedEmbedder {
    inner: Arc<dyn Embedder>,
    nanos: AtomicU64,
}

impl TimedEmbedder {
    fn add(&self, since: Instant) {
        self.nanos.fetch_add(since.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }

    fn take_us(&self) -> f64 {
        self.nanos.swap(0, Ordering::Relaxed) as f64 / 1e3
    }
}

#[async_trait::async_trait]
impl Embedder for TimedEmbedder {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn dimensions(&self) -> usize {
        self.inner.dimensions()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let begin = Instant::now();
        let vectors = self.inner.embed(texts).await;
        self.add(begin);
        vectors
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let begin = Instant::now();
        let vector = self.inner.embed_query(text).await;
        self.add(begin);
        vector
    }
}

/// Sums of what is measured over questions.
#[derive(Default)]
struct Sums {
    queries: usize,
    recall: Vec<f64>,
    hit: Vec<f64>,
    ndcg: f64,
}

impl Sums {
    fn add(&mut self, ks: &[usize], gold: &[String], found: &[String]) {
        self.recall.resize(ks.len(), 0.0);
        self.hit.resize(ks.len(), 0.0);
        self.queries += 1;
        for ((k, recall), hit) in ks.iter().zip(&mut self.recall).zip(&mut self.hit) {
            let got = found.iter().take(*k).filter(|id| gold.contains(id)).count() as f64;
            *recall += got / gold.len() as f64;
            *hit += f64::from(u8::from(got > 0.0));
        }
        let gain = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
        let dcg: f64 =
            found.iter().take(10).enumerate().filter(|(_, id)| gold.contains(id)).map(|(rank, _)| gain(rank)).sum();
        let ideal: f64 = (0..gold.len().min(10)).map(gain).sum();
        self.ndcg += dcg / ideal;
    }

    fn put(&self, ks: &[usize], out: &mut Map<String, Value>) {
        let mean = |sum: f64| json!((sum / self.queries.max(1) as f64 * 1e4).round() / 1e4);
        out.insert("queries".into(), json!(self.queries));
        for (k, sum) in ks.iter().zip(&self.recall) {
            out.insert(format!("R@{k}"), mean(*sum));
        }
        for (k, sum) in ks.iter().zip(&self.hit) {
            out.insert(format!("H@{k}"), mean(*sum));
        }
        out.insert("nDCG@10".into(), mean(self.ndcg));
    }
}

async fn evaluate(set: &Set, options: &Options, mut dump: Option<&mut dump::Dump>) -> Result<Value> {
    let folder = tempfile::tempdir().map_err(|e| Error::invalid(format!("no temporary folder: {e}")))?;
    let clock = Arc::new(SystemClock::new());
    let embedder = Arc::new(TimedEmbedder { inner: options.embedder()?, nanos: AtomicU64::new(0) });
    let database = Database::open(folder.path())?;
    let store = SqliteMemoryStore::new(database, clock.clone()).with_model(embedder.model(), embedder.dimensions())?;
    let ranker: Arc<dyn HybridRanker> = rankers::by_name(&options.ranker, &options.weights)?;
    let ranker_name = ranker.name().to_owned();
    let seen = Arc::new(dump::Seen::new(ranker.clone()));
    let ranker = if dump.is_some() || options.ablate { seen.clone() } else { ranker };
    let mut ablation: Vec<(String, Arc<dyn HybridRanker>, Sums)> = match options.ablate {
        true => rankers::ablation()?.into_iter().map(|(name, ranker)| (name, ranker, Sums::default())).collect(),
        false => Vec::new(),
    };
    let mut memories = Memories::new(Arc::new(store), embedder.clone(), ranker, clock.clone());
    if let Some(dir) = &options.rerank {
        memories = reranked(memories, dir)?;
    }

    let most = options.ks.iter().copied().max().unwrap_or(10).max(10);
    let mut sums = Sums::default();
    let mut by_category: HashMap<String, Sums> = HashMap::new();
    let (mut recall_us, mut embed_us) = (Vec::new(), Vec::new());
    let mut spans: HashMap<&'static str, f64> = HashMap::new();
    let (mut documents, mut remember_us, mut remember_embed_us) = (0usize, 0.0, 0.0);
    let mut per_query = Vec::new();

    for space in &set.spaces {
        let scope = Scope::new("eval", space.id.as_str())?;
        // A conversation arrives a turn or a few at a time; a folder of documents in one go. Both are the same call.
        for batch in set.documents(space).chunks(256) {
            let items: Vec<NewMemory> = batch.to_vec();
            documents += items.len();
            let begin = Instant::now();
            memories.remember(&scope, items).await?;
            remember_us += begin.elapsed().as_secs_f64() * 1e6;
            remember_embed_us += embedder.take_us();
        }
        for question in &space.questions {
            let request = request(question, most, &options.strategies);
            let begin = Instant::now();
            let recall = memories.recall(&scope, request).await?;
            recall_us.push(begin.elapsed().as_secs_f64() * 1e6);
            embed_us.push(embedder.take_us());
            for (name, span) in &recall.spans {
                *spans.entry(name).or_insert(0.0) += span.as_secs_f64() * 1e6;
            }
            let reranked = recall.rerank.as_ref().and_then(|report| report.error.clone());
            if let Some(error) = recall.strategies.iter().find_map(|s| s.error.clone()).or(reranked) {
                return Err(error);
            }
            let found: Vec<String> = recall.items.iter().map(|item| item.memory.id.clone()).collect();
            if dump.is_some() || options.ablate {
                let given = seen.take();
                if let Some(dump) = dump.as_deref_mut() {
                    dump.add(set, space, question, &recall.analysis, &given)?;
                }
                let analysis = &recall.analysis;
                for (_, ranker, sums) in &mut ablation {
                    let (text, intent, now) =
                        (question.text.as_str(), analysis.intent, question.date.unwrap_or(clock.now()));
                    let ranked = ranker.rank(&RankQuery { text, analysis, intent, now, limit: most }, given.clone());
                    let found: Vec<String> = ranked.iter().take(most).map(|r| r.candidate.id.to_string()).collect();
                    sums.add(&options.ks, &question.gold, &found);
                }
            }
            sums.add(&options.ks, &question.gold, &found);
            by_category.entry(question.category.clone()).or_default().add(&options.ks, &question.gold, &found);
            if options.per_query.is_some() {
                let parts: Vec<Value> = recall
                    .items
                    .iter()
                    .map(|item| json!({ "id": item.memory.id, "score": item.score, "parts": item.parts }))
                    .collect();
                per_query.push(json!({ "id": question.id, "gold": question.gold, "found": parts }).to_string());
            }
        }
    }
    if let Some(path) = &options.per_query {
        std::fs::write(path, per_query.join("\n")).map_err(|e| Error::invalid(format!("{}: {e}", path.display())))?;
    }

    let mut out = Map::new();
    out.insert("set".into(), json!(set.name));
    out.insert("embedder".into(), json!(if options.embedder == "none" { "none" } else { embedder.model() }));
    out.insert("ranker".into(), json!(ranker_name));
    out.insert("documents".into(), json!(documents));
    sums.put(&options.ks, &mut out);
    let us = |values: &mut Vec<f64>, share: f64| {
        values.sort_by(f64::total_cmp);
        let at = ((values.len() as f64 * share) as usize).min(values.len().saturating_sub(1));
        json!(values.get(at).map_or(0.0, |v| v.round()))
    };
    out.insert("recall_p50_us".into(), us(&mut recall_us, 0.5));
    out.insert("recall_p99_us".into(), us(&mut recall_us, 0.99));
    out.insert("recall_embed_p50_us".into(), us(&mut embed_us, 0.5));
    let each = |total: f64| json!((total / documents.max(1) as f64 * 10.0).round() / 10.0);
    out.insert("remember_us".into(), each(remember_us));
    out.insert("remember_embed_us".into(), each(remember_embed_us));
    let spans: Map<String, Value> = spans
        .into_iter()
        .map(|(name, total)| (name.to_owned(), json!((total / sums.queries.max(1) as f64).round())))
        .collect();
    out.insert("mean_spans_us".into(), Value::Object(spans));
    let categories: Map<String, Value> = by_category
        .into_iter()
        .map(|(name, sums)| {
            let mut row = Map::new();
            sums.put(&options.ks, &mut row);
            (name, Value::Object(row))
        })
        .collect();
    out.insert("categories".into(), Value::Object(categories));
    if options.ablate {
        let rows = ablation.into_iter().map(|(name, _, sums)| {
            let mut row = Map::new();
            sums.put(&options.ks, &mut row);
            row.insert("name".into(), json!(name));
            Value::Object(row)
        });
        out.insert("ablation".into(), rows.collect());
    }
    Ok(Value::Object(out))
}

fn request(question: &Question, limit: usize, strategies: &[Strategy]) -> RecallRequest {
    let request =
        RecallRequest::new(question.text.as_str()).with_limit(limit).with_strategies(strategies.iter().copied());
    match question.date {
        Some(now) => request.with_now(now),
        None => request,
    }
}

fn print_table(result: &Value) {
    let field = |row: &Value, name: &str| row.get(name).map_or_else(String::new, ToString::to_string);
    println!("\n{} ({}, {})", field(result, "set"), field(result, "embedder"), field(result, "ranker"));
    let is_metric = |name: &&String| name.contains('@');
    let metrics: Vec<String> =
        result.as_object().map(|o| o.keys().filter(is_metric).cloned().collect()).unwrap_or_default();
    let line = |name: &str, row: &Value| {
        let cells: Vec<String> =
            metrics.iter().map(|m| format!("{:>8.4}", row.get(m).and_then(Value::as_f64).unwrap_or(0.0))).collect();
        println!("{name:<28}{:>8}{}", field(row, "queries"), cells.join(""));
    };
    let header: Vec<String> = metrics.iter().map(|m| format!("{m:>8}")).collect();
    println!("{:<28}{:>8}{}", "", "queries", header.join(""));
    line("all", result);
    for (name, row) in result.get("categories").and_then(Value::as_object).into_iter().flatten() {
        line(name, row);
    }
    for row in result.get("ablation").and_then(Value::as_array).into_iter().flatten() {
        line(row.get("name").and_then(Value::as_str).unwrap_or(""), row);
    }
    println!(
        "recall p50 {} us, p99 {} us (embedding {} us); remember {} us each (embedding {} us); mean spans {}",
        field(result, "recall_p50_us"),
        field(result, "recall_p99_us"),
        field(result, "recall_embed_p50_us"),
        field(result, "remember_us"),
        field(result, "remember_embed_us"),
        field(result, "mean_spans_us"),
    );
}
