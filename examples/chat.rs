//! A chat over the library: `cargo run --release --example chat`.
//!
//! With nothing set it indexes the project's own documents, remembers what is typed and quotes its answers from memory. With a key
//! variable set (`OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `GEMINI_API_KEY`, …), or a llama.cpp or Ollama server running on this
//! machine, it talks to real models. A question can be an argument, come through a pipe (one a line) or be typed.

use futures::StreamExt as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use syntra_core::documents::IndexProgress;
use syntra_core::memory::Page;
use syntra_core::search::Filter;
use syntra_core::{Answered, Ask, Error, Event, Result, Scope, Syntra, SyntraBuilder};

const HELP: &str = "\
usage: chat [options] [question ...]

  --data DIR    where memory is kept (default: SYNTRA_DATA_DIR, else .syntra)
  --docs DIR    a folder to index instead of this project's docs and README; may be given again
  --no-docs     index nothing
  --model P/M   insist on provider/model
  --thread ID   continue a thread (default: a new one for each start)
  --why         explain each answer: what was recalled, which models were considered, what it cost
  --help        this text

Without a question it reads lines: typed at a prompt, or from a pipe. At the prompt: /why, /memories, /forget ID, /new,
/model P/M, /help, /quit; Ctrl-C stops an answer.";

struct Options {
    data: Option<PathBuf>,
    docs: Option<Vec<PathBuf>>,
    model: Option<String>,
    thread: Option<String>,
    why: bool,
    question: Vec<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("{problem}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> std::result::Result<Option<Options>, String> {
    let mut options = Options { data: None, docs: None, model: None, thread: None, why: false, question: Vec::new() };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        match arg.as_str() {
            "--data" => options.data = Some(value()?.into()),
            "--docs" => options.docs.get_or_insert_default().push(value()?.into()),
            "--no-docs" => options.docs = Some(Vec::new()),
            "--model" => options.model = Some(value()?),
            "--thread" => options.thread = Some(value()?),
            "--why" => options.why = true,
            "--help" | "-h" => return Ok(None),
            other if other.starts_with("--") => return Err(format!("unknown option {other}")),
            _ => options.question.push(arg),
        }
    }
    Ok(Some(options))
}

async fn run(options: Options) -> Result<ExitCode> {
    let syntra = open(options.data).await?;
    let scope = Scope::local();
    let mut chat = Chat {
        why: options.why,
        model: options.model,
        thread: options.thread.unwrap_or_else(new_thread),
        last_turn: None,
        syntra,
        scope,
    };
    chat.announce();
    let folders = match options.docs {
        Some(folders) => folders.into_iter().map(|folder| (folder, Vec::new())).collect(),
        None => project_documents(),
    };
    chat.index(folders).await?;
    if !options.question.is_empty() {
        return Ok(if chat.ask(&options.question.join(" ")).await { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    chat.read_lines().await
}

async fn open(data: Option<PathBuf>) -> Result<Syntra> {
    let mut builder: SyntraBuilder = Syntra::builder().from_env()?;
    if let Some(data) = data {
        builder = builder.data_dir(data);
    }
    builder.discover_local_servers().await.build()
}

/// The folder of the checkout that this example was built from, and what to read of it.
fn project_documents() -> Vec<(PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default();
    let only: Vec<String> = ["README.md", "docs"].iter().filter(|n| root.join(n).exists()).map(|&n| n.into()).collect();
    if only.is_empty() { Vec::new() } else { vec![(root, only)] }
}

fn new_thread() -> String {
    format!("chat-{}", syntra_core::Timestamp::now().as_millisecond())
}

struct Chat {
    syntra: Syntra,
    scope: Scope,
    thread: String,
    model: Option<String>,
    why: bool,
    last_turn: Option<String>,
}

impl Chat {
    fn announce(&self) {
        let models = self.syntra.models();
        if models.is_empty() {
            eprintln!(
                "No key is set and no local model server answers, so answers are quoted from memory.\n\
                 Set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, PERPLEXITY_API_KEY, MOONSHOT_API_KEY or OPENROUTER_API_KEY,\n\
                 or start a llama.cpp or Ollama server: a model then writes the answers, chosen for each question, with the same memory."
            );
        } else {
            eprintln!("{} models of {} can answer.", models.len(), self.syntra.providers().join(", "));
        }
    }

    async fn index(&self, folders: Vec<(PathBuf, Vec<String>)>) -> Result<()> {
        let tty = std::io::stderr().is_terminal();
        for (folder, only) in folders {
            let report = self
                .syntra
                .index_directory(&self.scope, &folder, &only, |progress: IndexProgress| {
                    let Some(path) = &progress.path else { return };
                    // A line that is drawn over where somebody watches, a line a file where it is kept.
                    let (before, after) = if tty { ("\r\x1b[K", "") } else { ("", "\n") };
                    eprint!("{before}Indexing {}/{} {path}{after}", progress.done + 1, progress.total);
                    let _ = std::io::stderr().flush();
                })
                .await?;
            if tty {
                eprint!("\r\x1b[K");
            }
            let what = if only.is_empty() { folder.display().to_string() } else { only.join(" and ") };
            eprintln!("Documents in {what}: {report}.");
            for skipped in &report.skipped {
                eprintln!("  skipped {}: {}", skipped.path, skipped.reason);
            }
        }
        Ok(())
    }

    async fn read_lines(&mut self) -> Result<ExitCode> {
        let interactive = std::io::stdin().is_terminal();
        let mut all_answered = true;
        loop {
            if interactive {
                print!("\n> ");
                let _ = std::io::stdout().flush();
            }
            // Reading blocks; a thread of its own keeps the runtime free.
            let line = tokio::task::spawn_blocking(|| {
                let mut line = String::new();
                std::io::stdin().lock().read_line(&mut line).map(|n| (n > 0).then_some(line))
            })
            .await;
            let line = match line {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    eprintln!("chat: input cannot be read: {error}");
                    return Ok(ExitCode::FAILURE);
                }
                Err(_) => return Ok(ExitCode::FAILURE),
            };
            let line = line.trim();
            match line.strip_prefix('/') {
                _ if line.is_empty() => {}
                Some(command) => {
                    if !self.command(command).await? {
                        break;
                    }
                }
                None => {
                    if !interactive {
                        println!("\n> {line}");
                    }
                    all_answered &= self.ask(line).await;
                }
            }
        }
        Ok(if all_answered { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// False when the chat is over.
    async fn command(&mut self, command: &str) -> Result<bool> {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        match (name, rest.trim()) {
            ("quit" | "exit" | "q", _) => return Ok(false),
            ("why", _) => match self.last_turn.as_deref().and_then(|turn| self.syntra.trace(&self.scope, turn)) {
                Some(trace) => println!("{}", trace.explain()),
                None => println!("Ask something first."),
            },
            ("memories", _) => {
                let stats = self.syntra.memory_stats(&self.scope).await?;
                println!("{} memories ({} superseded)", stats.total, stats.superseded);
                let skip = (stats.total + stats.superseded).saturating_sub(10);
                for memory in
                    self.syntra.list_memories(&self.scope, &Filter::default(), Page { offset: skip, limit: 10 }).await?
                {
                    let text: String = memory.text.chars().take(100).collect();
                    println!("  {} {}: {}", memory.id, memory.kind.as_str(), text.replace('\n', " "));
                }
            }
            ("forget", id) if !id.is_empty() => {
                let n = self.syntra.forget(&self.scope, &[id.to_owned()]).await?;
                println!("{}", if n == 0 { "There is no such memory." } else { "Forgotten." });
            }
            ("new", _) => {
                self.thread = new_thread();
                println!("A new thread; memory stays.");
            }
            ("model", "") => {
                self.model = None;
                println!("The router chooses.");
            }
            ("model", model) => self.model = Some(model.to_owned()),
            _ => println!("{HELP}"),
        }
        Ok(true)
    }

    /// Whether it was answered.
    async fn ask(&mut self, question: &str) -> bool {
        let mut ask = Ask::new(question).with_thread(&self.thread);
        if let Some(model) = &self.model {
            ask = ask.with_model(model);
        }
        let mut stream = match self.syntra.stream(&self.scope, ask) {
            Ok(stream) => stream,
            Err(error) => {
                eprintln!("chat: {error}");
                return false;
            }
        };
        self.last_turn = Some(stream.turn_id().to_owned());
        let mut sources = Vec::new();
        loop {
            let event = tokio::select! {
                event = stream.next() => event,
                _ = tokio::signal::ctrl_c() => {
                    println!("\n[stopped]");
                    return false;
                }
            };
            match event {
                Some(Event::Routed(routed)) => eprintln!("[{}/{}: {}]", routed.provider, routed.model, routed.reason),
                Some(Event::Text { text } | Event::Refusal { text }) => {
                    print!("{text}");
                    let _ = std::io::stdout().flush();
                }
                Some(Event::Citation(citation)) => sources.push(citation),
                Some(Event::Error(error)) => {
                    println!();
                    return failed(&error);
                }
                Some(Event::Done(done)) => {
                    println!();
                    for (n, source) in sources.iter().enumerate() {
                        let title = source.title.as_deref().map(|t| format!(" ({t})")).unwrap_or_default();
                        println!("  [{}] {}{title}", n + 1, source.url);
                    }
                    self.conclude(&done);
                    return true;
                }
                Some(_) => {}
                None => return false,
            }
        }
    }

    fn conclude(&self, done: &Answered) {
        let who = match (&done.provider, &done.model) {
            (Some(provider), Some(model)) => format!("{provider}/{model}"),
            _ => "memory, no model".to_owned(),
        };
        let cost = done.cost.map_or("cost unknown".to_owned(), |cost| format!("cost {cost}"));
        let tokens = done.usage.total_tokens().map(|n| format!(", {n} tokens")).unwrap_or_default();
        eprintln!("[{who}; {cost}{tokens}; {} ms]", done.elapsed_ms);
        if self.why
            && let Some(trace) = self.syntra.trace(&self.scope, &done.turn_id)
        {
            eprintln!("{}", trace.explain());
        }
    }
}

fn failed(error: &Error) -> bool {
    eprintln!("chat: {error}");
    for attempt in error.attempts() {
        eprintln!("  tried {}/{}: {} ({})", attempt.provider, attempt.model, attempt.message, attempt.kind);
    }
    false
}
