// Ordinary use, for `tsc --strict`: it must accept this and know the types that it names.

import {
  RateLimitError, Syntra, type Answer, type Embedder, type Event, type Memory, type Plan, type Provider, type Recall, type Scope, type Trace,
} from '..'

const echo: Provider = {
  name: 'echo',
  models: ['m1'],
  async *stream(request) {
    yield `${request.messages.length} messages`
    yield { type: 'usage', inputTokens: 3, outputTokens: 2, estimated: false }
  },
}

const letters: Embedder = {
  model: 'letters',
  dimensions: 2,
  embed: (texts) => texts.map((text) => [text.length, 1]),
}

export async function use(): Promise<number | undefined> {
  await using syntra = await Syntra.open({
    dataDir: 'data',
    providers: [{ name: 'openai', apiKey: 'sk-x', models: ['gpt-4o-mini'] }, echo],
    embedder: letters,
    budget: { total: 2000 },
  })
  const me: Scope = { org: 'acme', user: 'ada' }
  const [written] = await syntra.remember(me, [{ text: 'x', kind: 'profile' }, 'y'])
  const found: Recall = await syntra.recall(me, 'x', { filter: { kinds: ['profile'] }, limit: 3 })
  const memory: Memory | undefined = found.items[0]?.memory
  const year: number | undefined = memory?.saidAt.getFullYear()
  const answer: Answer = await syntra.ask(me, 'hi', {
    tools: [{ name: 'f', parameters: { type: 'object' } }],
    images: [{ url: 'https://example.com/x.png' }],
    signal: AbortSignal.timeout(1000),
  })
  const plan: Plan = await syntra.plan(me, { role: 'user', parts: [{ type: 'text', text: 'hi' }] })
  const trace: Trace | undefined = await syntra.trace(me, answer.turnId)
  for await (const event of syntra.stream(me, 'hi')) {
    const seen: Event = event
    if (seen.type === 'text') console.log(seen.text)
    else if (seen.type === 'done') console.log(seen.usage.outputTokens, written?.outcome, plan.intent, trace?.spans.length, year)
  }
  try {
    await syntra.forget(me, 'x')
  } catch (error) {
    if (error instanceof RateLimitError) return error.retryAfterMs
  }
  // @ts-expect-error a misspelt option
  await syntra.ask(me, 'hi', { temprature: 1 })
  // @ts-expect-error a scope names a user
  await syntra.ask({ org: 'acme' }, 'hi')
  // @ts-expect-error no such kind of memory
  await syntra.remember(me, 'x', { kind: 'semantics' })
  return answer.cost
}
