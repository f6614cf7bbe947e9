//! The scripted model server as a program, for the behaviour cases of Python and Node: reads a script (one line of JSON) from
//! standard input, prints its port, and ends when standard input does.

use std::io::{Read as _, Write as _};
use syntra_tests::mock::{Mock, Script};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let script: Script = serde_json::from_str(&line)?;
    let mock = Mock::start(script).await?;
    println!("{}", mock.port());
    std::io::stdout().flush()?;
    // A thread of its own: reading standard input blocks.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    Ok(())
}
