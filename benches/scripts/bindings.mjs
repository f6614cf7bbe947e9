#!/usr/bin/env node
// What a call costs from Node, with routing, pacing and accounting on: CPU of this process (user and system, all of its threads) a call and a
// stream event, and what importing takes. Where the package `openai` is installed in the folder that this is run from, or in one above it, it takes
// turns with ours against the same server.
//
//     cargo build --release -p syntra-benches --bin overhead
//     (cd syntra-node && npm install && npm run build)
//     node benches/scripts/bindings.mjs [ROUNDS [CALLS]]
//
// Each figure is the median of the rounds. The last line is one JSON object.

import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', '..')
const [rounds, calls] = [Number(process.argv[2] ?? 7), Number(process.argv[3] ?? 300)]
const events = 200
const me = { org: 'bench', user: 'bench' }
const entry = join(root, 'syntra-node', 'dist', 'index.js')
const { Syntra } = createRequire(import.meta.url)(entry)

const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
const program = [process.env.CARGO_BUILD_TARGET ?? '', ''].map((triple) => join(target, triple, 'release', 'overhead')).find(existsSync)
if (program === undefined) throw new Error('build the server first: cargo build --release -p syntra-benches --bin overhead')
const server = spawn(program, ['serve'], { stdio: ['pipe', 'pipe', 'inherit'] })
const [line] = await once(server.stdout, 'data')
const baseUrl = `http://127.0.0.1:${Number(line)}/v1`

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const rounded = (number) => Number(number.toPrecision(3))

const syntra = await Syntra.open({
  providers: [{ name: 'openai', apiKey: 'sk-x', baseUrl, models: ['gpt-4o-mini', 'gpt-4o'] }],
  pacing: { requestsPerSecond: 1e6, concurrency: 4096 },
})
const bare = { recall: false, remember: false, history: [] }
const question = (n) => `Where is Lisbon, and what is it known for? ${n}`
const layers = { syntra: {
  async call(n) {
    const answer = await syntra.ask(me, question(n), bare)
    if (answer.usage.outputTokens !== 60 || answer.degraded) throw new Error('not the answer')
  },
  async stream(n) {
    let texts = 0
    for await (const event of syntra.stream(me, question(n), bare)) if (event.type === 'text') texts++
    if (texts !== events) throw new Error(`${texts} events`)
  },
} }
const openai = rival()
if (openai !== undefined) layers.openai = openai

/** A client that does nothing but call, without routing, pacing or accounting. */
function rival() {
  const here = createRequire(join(process.cwd(), 'index.js'))
  let OpenAI
  try {
    OpenAI = here('openai').OpenAI
  } catch {
    return undefined
  }
  const client = new OpenAI({ apiKey: 'sk-x', baseURL: baseUrl })
  const request = (n) => ({ model: 'gpt-4o-mini', messages: [{ role: 'user', content: question(n) }] })
  return {
    async call(n) {
      const answer = await client.chat.completions.create(request(n))
      if (answer.usage.completion_tokens !== 60) throw new Error('not the answer')
    },
    async stream(n) {
      let texts = 0
      const stream = await client.chat.completions.create({ ...request(n), stream: true, stream_options: { include_usage: true } })
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) texts++
      if (texts !== events) throw new Error(`${texts} events`)
    },
  }
}

async function run(call, count, atOnce) {
  let next = 0
  const worker = async () => { while (next < count) await call(next++) }
  const begun = process.cpuUsage()
  await Promise.all(Array.from({ length: atOnce }, worker))
  const { user, system } = process.cpuUsage(begun)
  return (user + system) / count
}

const taken = {}
for (let round = 0; round <= rounds; round++) {
  for (const [what, atOnce] of [['call', 1], ['call', 100], ['stream', 1], ['stream', 100]]) {
    const both = Object.entries(layers)
    for (const [name, own] of round % 2 === 0 ? both : both.reverse()) {
      const used = await run(own[what], what === 'stream' ? Math.max(calls / 4, 20) : calls, atOnce)
      if (round > 0) ((taken[`${what} x${atOnce}`] ??= {})[name] ??= []).push(used) // the first warms up
    }
  }
}
syntra.close()
server.stdin.end()

const figures = {}
for (const [what, used] of Object.entries(taken)) {
  const row = (figures[what] = {})
  for (const [name, us] of Object.entries(used)) {
    row[name] = rounded(median(us))
    if (what.startsWith('stream')) row[`${name} per event`] = rounded(median(us) / events)
  }
  if (row.openai !== undefined) row.ratio = rounded(row.syntra / row.openai)
}
const code = `const held = process.memoryUsage.rss(), used = process.cpuUsage(), begun = performance.now(); require(${JSON.stringify(entry)});
  require(${JSON.stringify(join(root, 'syntra-node', 'dist', 'native.js'))}).native(); const after = process.cpuUsage(used);
  console.log(performance.now() - begun, (after.user + after.system) / 1e3, (process.memoryUsage.rss() - held) / 1e6)`
const rows = Array.from({ length: 15 }, () => spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' }).stdout.trim().split(' ').map(Number))
const [wallMs, cpuMs, memoryMb] = [0, 1, 2].map((column) => rounded(median(rows.map((row) => row[column]))))
figures.import = { wallMs, cpuMs, memoryMb }
for (const [name, row] of Object.entries(figures)) console.log(name.padEnd(12), row)
console.log(JSON.stringify(figures))
