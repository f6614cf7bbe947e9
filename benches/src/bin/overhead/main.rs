//! What Syntra costs over a bare HTTP call to the same server: CPU and wall time of a call and of a stream event.
//!
//! ```text
//! cargo run --release -p syntra-benches --bin overhead [-- ROUNDS [CALLS [LAYER,…]]]
//! ```
//!
//! The server is this program again, as a process of its own, so that its time is not counted. The layers are measured in turn, round
//! after round, and each figure is the median over the rounds: on a shared machine their ratios count, not the times. The last
//! line is one JSON object.

mod client;
mod server;

use client::{Layer, World};
use serde_json::json;
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// How many calls are under way at once.
const CONCURRENCY: [usize; 3] = [1, 100, 1_000];
/// Content events of a streamed answer.
const EVENTS: usize = 200;

/// What one run of a layer took.
#[derive(Clone, Copy)]
struct Cost {
    /// CPU of this process, in microseconds a call.
    cpu: f64,
    /// Wall time, in microseconds a call.
    wall: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|a| a == "serve") {
        return server::run(EVENTS).map_err(Into::into);
    }
    let number = |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |a| a.parse());
    let (rounds, calls) = (number(0, 5)?.max(1), number(1, 2_000)?.max(1));
    let layers = layers(arguments.get(2).map_or("bare,adapter,execute,stateless,turn,memory", String::as_str))?;
    let mut server =
        Command::new(std::env::current_exe()?).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(server.stdout.take().ok_or("the server has no output")?).read_line(&mut line)?;
    let world = Arc::new(World::new(&format!("http://127.0.0.1:{}/v1", line.trim()))?);
    let measured = measure(&world, &layers, rounds, calls);
    // Its standard input ends, and so does it.
    drop(server.stdin.take());
    server.wait()?;
    measured
}

fn measure(world: &Arc<World>, layers: &[Layer], rounds: usize, calls: usize) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut out = Vec::new();
    println!("{calls} calls a run, {EVENTS} events a stream, median of {rounds} rounds; microseconds a call");
    for streaming in [false, true] {
        for concurrency in CONCURRENCY {
            // A stream is two hundred events: fewer of them are as exact.
            let calls = if streaming { calls / 4 } else { calls }.max(concurrency);
            let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); layers.len()];
            for round in 0..=rounds {
                for (layer, costs) in layers.iter().zip(&mut costs) {
                    let (cpu, wall) = (cpu_time::ProcessTime::now(), Instant::now());
                    runtime.block_on(world.run(*layer, streaming, concurrency, calls))?;
                    let a_call = |seconds: f64| seconds * 1e6 / calls as f64;
                    let (cpu, wall) = (a_call(cpu.elapsed().as_secs_f64()), a_call(wall.elapsed().as_secs_f64()));
                    // The first round opens connections and fills caches.
                    if round > 0 {
                        costs.push(Cost { cpu, wall });
                    }
                }
            }
            let kind = if streaming { "stream" } else { "call" };
            println!(
                "\n{kind}, {concurrency} at once          cpu      wall   cpu over bare{}",
                if streaming { "   an event" } else { "" }
            );
            let bare = costs.first().map_or(0.0, |c| median(c, |c| c.cpu));
            for (layer, costs) in layers.iter().zip(&costs) {
                let (cpu, wall) = (median(costs, |c| c.cpu), median(costs, |c| c.wall));
                let over = cpu - bare;
                let event = over / EVENTS as f64;
                let last = if streaming { format!("   {event:8.2}") } else { String::new() };
                println!("  {:<22} {cpu:8.1}  {wall:8.1}        {over:8.1}{last}", layer.name());
                out.push(json!({
                    "kind": kind, "concurrency": concurrency, "layer": layer.name(),
                    "cpu_us": round1(cpu), "wall_us": round1(wall), "over_bare_cpu_us": round1(over),
                    "over_bare_event_us": streaming.then(|| (event * 100.0).round() / 100.0),
                }));
            }
        }
    }
    println!("{}", json!({ "events": EVENTS, "calls": calls, "rounds": rounds, "rows": out }));
    Ok(())
}

fn layers(names: &str) -> Result<Vec<Layer>, String> {
    let named = |name| Layer::ALL.into_iter().find(|layer| layer.key() == name);
    let unknown = |name| format!("no layer {name:?}: use bare, adapter, execute, stateless, turn or memory");
    names.split(',').map(|name| named(name).ok_or_else(|| unknown(name))).collect()
}

fn round1(x: f64) -> f64 {
    (x * 10.0).round() / 10.0
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_gets_its_answer_whole_and_streamed() {
        let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = server.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        server.spawn(server::accept(listener, EVENTS));
        let world = Arc::new(World::new(&base).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for layer in Layer::ALL {
            for streaming in [false, true] {
                runtime.block_on(world.run(layer, streaming, 2, 4)).unwrap_or_else(|e| panic!("{}: {e}", layer.name()));
            }
        }
    }
}
