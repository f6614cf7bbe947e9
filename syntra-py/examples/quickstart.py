"""Remember, ask, stream: no key, no server and no download needed."""

from syntra import Scope, Syntra

me = Scope("acme", "ada")
with Syntra() as assistant:  # Syntra("folder") keeps everything; Syntra.from_env() takes the providers that your key variables name
    assistant.remember(me, ["The spare key is under the blue pot.", "The pot stands by the back door."])
    answer = assistant.ask(me, "Where is the spare key?")
    print(answer.text, [citation.url for citation in answer.citations])
    for piece in assistant.stream(me, "And where does the pot stand?", thread=answer.thread_id).texts():
        print(piece, end="", flush=True)
    print()
    print(assistant.recall(me, "blue pot").memories[0].text)
