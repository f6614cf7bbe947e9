//! What every provider has to keep to, ours and those of others.

use crate::chat::{Event, Message, Request, ResponseBuilder};
use crate::error::{ErrorKind, Phase};
use crate::provider::Provider;
use futures::StreamExt;

/// Proves that a provider keeps the contract of [`Provider`]. `make` gives a fresh provider that answers any good request with the
/// same text, again and again; `request` is such a request.
///
/// # Panics
/// With what was wrong.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// use syntra_core::{Message, Request, testing::{Script, ScriptedProvider, provider_conformance}};
/// let request = Request::new("m", vec![Message::user("hi")]);
/// provider_conformance(|| ScriptedProvider::always("test", Script::text("Hello there")), request).await;
/// # });
/// ```
pub async fn provider_conformance<P: Provider>(make: impl Fn() -> P, request: Request) {
    let provider = make();
    assert!(!provider.name().is_empty(), "a provider has a name");
    assert_eq!(provider.name(), make().name(), "two providers made alike are named alike");

    let whole = provider.complete(&request).await.unwrap_or_else(|e| fail(&format!("complete failed: {e}")));
    assert!(!whole.text().is_empty() || !whole.tool_calls().is_empty(), "the answer holds text or tool calls");

    let mut stream = provider.stream(&request).await.unwrap_or_else(|e| fail(&format!("stream failed: {e}")));
    let mut folded = ResponseBuilder::new();
    let mut finished = false;
    while let Some(item) = stream.next().await {
        let event = item.unwrap_or_else(|e| fail(&format!("the stream failed: {e}")));
        assert!(!finished, "nothing follows Finish, but {event:?} did");
        let own = matches!(
            event,
            Event::Started { .. }
                | Event::Text { .. }
                | Event::Reasoning { .. }
                | Event::ToolCall(_)
                | Event::Refusal { .. }
                | Event::Citation(_)
                | Event::Usage(_)
                | Event::Finish { .. }
        );
        assert!(own, "a provider sends no event of a turn, but {event:?} came");
        finished = matches!(event, Event::Finish { .. });
        folded.push(&event);
    }
    assert!(finished, "a stream without error ends in Finish");
    let folded = folded.build();
    assert_eq!(folded.text(), whole.text(), "streamed and whole, the text is the same");
    assert_eq!(folded.finish, whole.finish, "streamed and whole, the reason to finish is the same");
    assert_eq!(folded.usage, whole.usage, "streamed and whole, the usage is the same");

    // Polled beyond its end it stays at its end.
    let mut ended = provider.stream(&request).await.unwrap_or_else(|e| fail(&format!("stream failed: {e}"))).fuse();
    while ended.next().await.is_some() {}
    assert!(ended.next().await.is_none(), "an ended stream stays ended");

    // A dropped stream leaves the provider as it was.
    for _ in 0..3 {
        let mut stream = provider.stream(&request).await.unwrap_or_else(|e| fail(&format!("stream failed: {e}")));
        let _ = stream.next().await;
    }
    let again = provider.complete(&request).await.unwrap_or_else(|e| fail(&format!("complete failed: {e}")));
    assert_eq!(again.text(), whole.text(), "after dropped streams the provider answers as before");
}

/// Proves that a provider which fails says so as it should. `make` gives a provider whose calls all fail with `kind`.
///
/// # Panics
/// With what was wrong.
pub async fn provider_failure_conformance<P: Provider>(make: impl Fn() -> P, kind: ErrorKind) {
    let provider = make();
    let request = Request::new("conformance", vec![Message::user("hi")]);
    let Err(error) = provider.complete(&request).await else { fail("complete succeeded, though it has to fail") };
    assert_eq!(error.kind(), kind, "complete: {error}");
    assert_eq!(error.provider(), Some(provider.name()), "an error names its provider");
    assert_eq!(error.model(), Some("conformance"), "an error names the model");
    let streamed = match make().stream(&request).await {
        Err(error) => error,
        Ok(mut stream) => {
            let mut content = false;
            let error = loop {
                match stream.next().await {
                    Some(Ok(event)) => content |= event.is_content(),
                    Some(Err(error)) => break error,
                    None => fail("the stream ended well, though it has to fail"),
                }
            };
            assert_eq!(error.phase() == Phase::AfterContent, content, "the phase says whether content had come");
            assert!(stream.next().await.is_none(), "nothing follows an error");
            error
        }
    };
    assert_eq!(streamed.kind(), kind, "stream: {streamed}");
    assert_eq!(streamed.provider(), Some(provider.name()), "an error in a stream names its provider");
}

/// Fails the suite; this is what a conformance suite is for.
#[allow(clippy::panic)]
fn fail(why: &str) -> ! {
    panic!("{why}")
}
