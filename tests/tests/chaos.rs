//! Every fault that servers and networks are known for, played to every dialect: what the caller sees, what reaches which server, what
//! is billed. The table in `docs/reliability.md` is what this found; `SYNTRA_BLESS=1` writes it anew.

use async_trait::async_trait;
use futures::StreamExt as _;
use std::path::Path;
use std::sync::Arc;
use syntra_core::chat::EventStream;
use syntra_core::provider::{HttpProvider, Provider};
use syntra_core::testing::chaos::{
    ChaosRow, ChaosSubject, ChatScript, Fault, chaos, chaos_table, faults, own_subjects,
};
use syntra_core::{Event, FinishReason, Request, Response, Result};

const BEGIN: &str = "<!-- chaos: begin -->";
const END: &str = "<!-- chaos: end -->";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_is_survived_on_every_dialect() {
    let mut rows: Vec<ChaosRow> = Vec::new();
    for subject in own_subjects().unwrap() {
        rows.extend(chaos(&subject).await.unwrap());
    }
    assert_eq!(rows.len(), faults().len() * 2 * 5, "each fault, whole and streamed, on each dialect");
    let breaches: Vec<String> = rows
        .iter()
        .flat_map(|r| r.breaches.iter().map(move |b| format!("{} {} {:?}: {b}", r.dialect, r.fault, r.asked)))
        .collect();
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
    documented(&chaos_table(&rows));
}

/// An adapter that takes the end of the connection for the end of the answer, as many do.
#[derive(Debug)]
struct Careless(HttpProvider);

#[async_trait]
impl Provider for Careless {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn complete(&self, request: &Request) -> Result<Response> {
        self.0.complete(request).await
    }

    async fn stream(&self, request: &Request) -> Result<EventStream> {
        let inner = self.0.stream(request).await?;
        let careless = inner.map(|item| item.or(Ok(Event::Finish { reason: FinishReason::Stop })));
        Ok(careless.boxed())
    }
}

#[tokio::test]
async fn a_careless_adapter_is_found_out() {
    let subject = ChaosSubject::new(Arc::new(ChatScript), |url, limits| {
        let careless = HttpProvider::compatible("primary", url, None)?.with_deadlines(limits.deadlines);
        Ok(Arc::new(Careless(careless)) as Arc<dyn Provider>)
    });
    let rows = chaos(&subject).await.unwrap();
    let found =
        |fault: &str| rows.iter().any(|r| r.fault == fault && r.breaches.iter().any(|b| b.contains("silently wrong")));
    for fault in ["end_missing", "cut_in_frame", "cut_in_character", "closed_in_body", "stall_later", "error_later"] {
        assert!(found(fault), "{fault} went unnoticed");
    }
}

#[test]
fn the_faults_are_many_and_told_apart() {
    let mut names: Vec<&str> = faults().iter().map(|f: &Fault| f.name).collect();
    assert!(names.len() >= 40, "{}", names.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), faults().len());
}

/// The page says what is so.
fn documented(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the mark where the table begins");
    let (_, after) = rest.split_once(END).expect("the page has the mark where the table ends");
    let now = format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", table.trim());
    if std::env::var_os("SYNTRA_BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
    } else {
        assert!(now == page, "docs/reliability.md is not what the suite found; run it with SYNTRA_BLESS=1");
    }
}
