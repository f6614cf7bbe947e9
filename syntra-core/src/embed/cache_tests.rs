use super::*;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::Semaphore;

/// An embedder whose calls wait for a permit, and that fails when told to.
#[derive(Debug)]
struct Gate {
    permits: Semaphore,
    calls: AtomicUsize,
    texts: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
    bad_vector: std::sync::atomic::AtomicBool,
}

impl Gate {
    fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Semaphore::new(permits),
            calls: AtomicUsize::new(0),
            texts: AtomicUsize::new(0),
            down: false.into(),
            bad_vector: false.into(),
        })
    }
    fn calls(&self) -> (usize, usize) {
        (self.calls.load(Ordering::SeqCst), self.texts.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl Embedder for Gate {
    fn model(&self) -> &str {
        "gate-1"
    }
    fn dimensions(&self) -> usize {
        16
    }
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.texts.fetch_add(texts.len(), Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Connection, "down"));
        }
        if texts.contains(&"bad") {
            return Err(Error::invalid("a bad text"));
        }
        let fill = if self.bad_vector.load(Ordering::SeqCst) { 0.0 } else { 0.25 };
        Ok(texts.iter().map(|t| (0..16).map(|i| if i == t.len() % 16 { -fill } else { fill }).collect()).collect())
    }
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came to pass");
}

#[tokio::test]
async fn a_text_is_embedded_once_and_a_batch_asks_only_for_what_is_missing() {
    let gate = Gate::new(100);
    let cached = CachedEmbedder::new(gate.clone(), 1 << 20);
    let first = cached.embed(&["a", "bb", "a"]).await.unwrap();
    assert_eq!(first[0], first[2]);
    assert_ne!(first[0], first[1]);
    let second = cached.embed(&["ccc", "bb"]).await.unwrap();
    assert_eq!(second[1], first[1]);
    assert_eq!(gate.calls(), (2, 3));
    // A question is not a document: models may treat them differently.
    cached.embed_query("a").await.unwrap();
    cached.embed_query("a").await.unwrap();
    assert_eq!(gate.calls(), (3, 4));
    let stats = cached.stats();
    assert_eq!((stats.hits, stats.misses, stats.coalesced), (2, 4, 1));
    assert!((stats.hit_rate() - 3.0 / 7.0).abs() < 1e-9);
    cached.clear();
    cached.embed(&["a"]).await.unwrap();
    assert_eq!(gate.calls().0, 4);
}

#[tokio::test]
async fn the_same_text_at_the_same_time_is_one_call() {
    let gate = Gate::new(0);
    let cached = Arc::new(CachedEmbedder::new(gate.clone(), 1 << 20));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let cached = cached.clone();
            tokio::spawn(async move { cached.embed(&["same"]).await })
        })
        .collect();
    until(|| cached.stats().coalesced == 49).await;
    gate.permits.add_permits(1);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(gate.calls(), (1, 1));
}

#[tokio::test]
async fn overlapping_batches_share_what_they_have_in_common() {
    let gate = Gate::new(0);
    let cached = Arc::new(CachedEmbedder::new(gate.clone(), 1 << 20));
    let (one, two) = (cached.clone(), cached.clone());
    let one = tokio::spawn(async move { one.embed(&["a", "bb"]).await });
    until(|| gate.calls().0 == 1).await;
    let two = tokio::spawn(async move { two.embed(&["ccc", "bb"]).await });
    until(|| gate.calls().0 == 2).await;
    gate.permits.add_permits(2);
    assert_eq!(one.await.unwrap().unwrap()[1], two.await.unwrap().unwrap()[1]);
    assert_eq!(gate.calls(), (2, 3));
}

#[tokio::test]
async fn a_cancelled_leader_leaves_the_call_to_another() {
    let gate = Gate::new(0);
    let cached = Arc::new(CachedEmbedder::new(gate.clone(), 1 << 20));
    let (leader, follower) = (cached.clone(), cached.clone());
    let leader = tokio::spawn(async move { leader.embed(&["same"]).await });
    until(|| gate.calls().0 == 1).await;
    let follower = tokio::spawn(async move { follower.embed(&["same"]).await });
    until(|| cached.stats().coalesced == 1).await;
    leader.abort();
    until(|| gate.calls().0 == 2).await;
    gate.permits.add_permits(1);
    follower.await.unwrap().unwrap();
    assert!(lock(&cached.flights).is_empty());
}

#[tokio::test]
async fn an_error_is_shared_unless_it_is_another_texts_and_is_never_kept() {
    let gate = Gate::new(0);
    let cached = Arc::new(CachedEmbedder::new(gate.clone(), 1 << 20));
    // The leader's batch has a bad text; the follower wants only the good one, and asks again.
    let (leader, follower) = (cached.clone(), cached.clone());
    let leader = tokio::spawn(async move { leader.embed(&["good", "bad"]).await });
    until(|| gate.calls().0 == 1).await;
    let follower = tokio::spawn(async move { follower.embed(&["good"]).await });
    until(|| cached.stats().coalesced == 1).await;
    gate.permits.add_permits(2);
    assert_eq!(leader.await.unwrap().unwrap_err().kind(), ErrorKind::InvalidInput);
    follower.await.unwrap().unwrap();
    assert_eq!(gate.calls().0, 2);
    // The server is down: one call fails for all who wait.
    gate.down.store(true, Ordering::SeqCst);
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let cached = cached.clone();
            tokio::spawn(async move { cached.embed(&["new"]).await })
        })
        .collect();
    until(|| cached.stats().coalesced == 10).await;
    gate.permits.add_permits(1);
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap_err().kind(), ErrorKind::Connection);
    }
    assert_eq!(gate.calls().0, 3);
    gate.down.store(false, Ordering::SeqCst);
    gate.permits.add_permits(1);
    cached.embed(&["new"]).await.unwrap();
}

#[tokio::test]
async fn a_vector_that_cannot_be_used_is_an_error_and_is_not_kept() {
    let gate = Gate::new(100);
    let cached = CachedEmbedder::new(gate.clone(), 1 << 20);
    gate.bad_vector.store(true, Ordering::SeqCst);
    assert_eq!(cached.embed(&["a"]).await.unwrap_err().kind(), ErrorKind::Embedding);
    gate.bad_vector.store(false, Ordering::SeqCst);
    cached.embed(&["a"]).await.unwrap();
}

#[tokio::test]
async fn it_stays_within_its_bound() {
    let cached = CachedEmbedder::new(Gate::new(100_000), 20_000);
    for i in 0..2000 {
        cached.embed(&[format!("text {i}").as_str()]).await.unwrap();
    }
    cached.vectors.run_pending_tasks().await;
    assert!(cached.stats().entries <= 20_000 / (16 * 4 + 128), "{:?}", cached.stats());
    assert!(cached.vectors.weighted_size() <= 20_000);
}

#[tokio::test]
async fn it_conforms() {
    let inner: Arc<dyn Embedder> = Arc::new(super::super::StaticEmbedder::bundled().unwrap());
    let cached = CachedEmbedder::new(inner, 1 << 24);
    crate::testing::embedder_conformance(&cached).await.unwrap();
    crate::testing::embedder_conformance(&cached).await.unwrap();
}
