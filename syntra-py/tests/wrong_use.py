"""What a type checker must refuse, each line with the code it must give."""

from syntra import Scope, Syntra

client = Syntra(history_messages="ten")  # type: ignore[arg-type]
me = Scope("acme")  # type: ignore[call-arg]
client.ask(me, "hi", temprature=1)  # type: ignore[call-arg]
client.remember(me, "x", kind="semantics")  # type: ignore[arg-type]
client.ask(me, "hi").txt  # type: ignore[attr-defined]
