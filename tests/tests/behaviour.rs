//! The behaviour cases through the typed Rust API; Python and Node run the same files.

mod runner;

use syntra_tests::cases::{Case, load};

#[test]
fn every_case_holds() {
    let mut count = 0;
    let mut failed = Vec::new();
    for (file, cases) in load() {
        for case in &cases.cases {
            count += 1;
            if let Err(why) = run(case) {
                failed.push(format!("{file}: {}\n    {why}", case.name));
            }
        }
    }
    assert!(count >= 25, "only {count} cases");
    assert!(failed.is_empty(), "{} of {count} cases failed:\n{}", failed.len(), failed.join("\n"));
    println!("{count} cases");
}

/// Each case has a runtime of its own, so that what one leaves behind cannot reach the next.
fn run(case: &Case) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    runtime.block_on(runner::run(case))
}
