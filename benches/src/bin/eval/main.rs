//! The evaluations: each runs the product's own public API over a data set, prints a table for people, and as its last line one
//! JSON object.

mod intents;
mod recall;
mod routing;
mod week;
mod wire;

use std::process::ExitCode;

const USAGE: &str = "usage:
    eval intents FILE [--errors|--learn OUT]  what is asked for, against labelled questions
    eval recall DIR [--embedder static|static:FILE|fastembed:MODEL_DIR|none] [--k 5,10,20] [--ranker NAME] [--strategies A,B]
                                           does the right memory come back, and how fast
    eval routing FILE [--folds 5] [--cold] quality for money, against single models, their mix and an oracle
    eval week [--svg OUT]                  a week in virtual time, against each model alone and an oracle
    eval wire DIR [--write-size 1|3|0]     recorded answers of real servers through the real adapters";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let args: Vec<String> = args.collect();
    let done = match command.as_str() {
        "intents" => intents::run(&args),
        "recall" => recall::run(&args),
        "routing" => routing::run(&args),
        "week" => week::run(&args),
        "wire" => wire::run(&args),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
