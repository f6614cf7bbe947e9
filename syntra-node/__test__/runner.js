'use strict'
// Takes the steps of a behaviour case and judges the results; see `tests/cases/README.md`.

const assert = require('node:assert/strict')
const { mkdirSync, mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { dirname, join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { Syntra, SyntraError } = require('..')
const { errorClasses } = require('../dist/errors')
const { fromEngine, toEngine } = require('../dist/convert')
const { startMock } = require('./mock')

function resolve(value, path) {
  let found = [value]
  for (const step of path.split('.').filter((s) => s !== '')) {
    found = found.flatMap((item) => {
      if (item === null || item === undefined) return []
      if (step === '*') return Array.isArray(item) ? item : typeof item === 'object' ? Object.values(item) : []
      if (step === '#') return Array.isArray(item) ? [item.length] : typeof item === 'string' ? [[...item].length] : []
      return typeof item === 'object' && Object.hasOwn(item, step) ? [item[step]] : []
    })
  }
  return found.filter((item) => item !== null && item !== undefined)
}

function equals(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) < 1e-6
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

const operations = {
  equals,
  contains: (v, e) => (typeof v === 'string' ? v : JSON.stringify(v)).includes(e),
  at_least: (v, e) => v >= e,
  at_most: (v, e) => v <= e,
  one_of: (v, e) => e.includes(v),
  in_order: (v, e) => {
    let at = 0
    for (const item of v) if (at < e.length && equals(item, e[at])) at++
    return at === e.length
  },
}

function check(result, path, operation, expected) {
  const found = resolve(result, path)
  const negated = operation.startsWith('no_')
  const name = negated ? operation.slice(3) : operation
  let holds
  if (name === 'absent') holds = found.length === 0
  else if (name === 'present') holds = found.length > 0
  else holds = found.some((value) => operations[name](value, expected))
  const shown = JSON.stringify(found)?.slice(0, 2000)
  assert.notEqual(holds, negated, `${JSON.stringify(path)} should be ${operation} ${JSON.stringify(expected)}, found ${shown}`)
}

function substitute(value, saved) {
  if (typeof value === 'string' && value.startsWith('$')) {
    const [name, ...path] = value.slice(1).split('.')
    const [found] = resolve(saved[name], path.join('.'))
    assert.notEqual(found, undefined, `${value} is nothing`)
    return found
  }
  if (Array.isArray(value)) return value.map((v) => substitute(v, saved))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, substitute(v, saved)]))
  }
  return value
}

function settings(setup, mock, data) {
  const { providers, disk, files: _, organisation_policies: policies, tools, ...rest } = setup
  return {
    ...(disk ? { dataDir: data } : {}),
    providers: (providers ?? []).map((p) => ({ name: p.name, apiKey: p.api_key, models: p.models, baseUrl: mock.baseUrl(p.name) })),
    ...fromEngine(rest),
    ...(tools && { tools: Object.entries(tools).map(([name, tool]) => scripted(name, tool)) }),
    ...(policies && { organisationPolicies: Object.fromEntries(Object.entries(policies).map(([org, own]) => [org, fromEngine(own)])) }),
  }
}

/** A tool of a case. */
const scripted = (name, { description, parameters, returns, fails }) => ({
  name, description, parameters,
  execute: async (args, { scope }) => {
    if (fails !== undefined) throw new TypeError(fails)
    return returns.replace(/\{(\w+)\}/g, (_, key) => (key === 'user' ? scope.user : args[key]))
  },
})

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())

/** The step as a JavaScript program would write it. */
async function call(syntra, action, scope, given) {
  const { filter, rest } = filtered(given)
  // The words of the cases are the engine's; what is the user's own stays as it is.
  const { extra, json_schema: jsonSchema, ...words } = rest
  const options = { ...fromEngine(words), ...(extra && { extra }), ...(jsonSchema && { jsonSchema }) }
  const { question, items, query, id, ids, old, thread, messages, path, model, text, texts, provider, request, turnId } = options
  switch (action) {
    case 'ask':
    case 'plan': {
      const { question: _, ...asked } = options
      return syntra[action](scope, question ?? '', asked)
    }
    case 'trace': return syntra.trace(scope, turnId)
    case 'feedback': return syntra.feedback(scope, turnId, options.score)
    case 'experiments': return syntra.experiments(scope)
    case 'export_learned': return { learned: await syntra.exportLearned(scope) }
    case 'import_learned': return syntra.importLearned(scope, options.learned)
    case 'reset_learned': return syntra.resetLearned(scope)
    case 'complete': return syntra.complete(provider, request)
    case 'remember': return syntra.remember(scope, items)
    case 'recall': {
      const { query: _, ...asked } = options
      return syntra.recall(scope, query, { ...asked, filter })
    }
    case 'update_memory': {
      const { id: _, ...patch } = options
      return syntra.updateMemory(scope, id, patch)
    }
    case 'supersede': return syntra.supersede(scope, old, options.new)
    case 'forget':
    case 'memories': return syntra[action](scope, ids)
    case 'memories_as_of': {
      const { at, ...asked } = options
      return syntra.memoriesAsOf(scope, new Date(at), { ...asked, filter })
    }
    case 'list_memories': return syntra.listMemories(scope, { ...options, filter })
    case 'index_directory': return syntra.indexDirectory(scope, path, { only: options.only })
    case 'remove_directory': return syntra.removeDirectory(scope, path)
    case 'history': {
      const { thread: _, ...asked } = options
      return syntra.history(scope, thread, asked)
    }
    case 'append': return syntra.append(scope, thread, messages)
    case 'thread':
    case 'delete_thread': return syntra[camel(action)](scope, id)
    case 'create_thread':
    case 'threads': return syntra[camel(action)](scope, options)
    case 'document_stats':
    case 'memory_stats':
    case 'embed_missing':
    case 'erase': return syntra[camel(action)](scope)
    case 'count_tokens': return syntra.countTokens(model, text)
    case 'embed': return syntra.embed(texts)
    case 'providers':
    case 'models':
    case 'health': return syntra[action]()
    default: throw new TypeError(`the runner knows no step ${action}`)
  }
}

function filtered({ kinds, conversation, said_from, said_to, ...rest }) {
  const date = (text) => (text === undefined ? undefined : new Date(text))
  return { filter: { kinds, conversation, from: date(said_from), to: date(said_to) }, rest }
}

async function stream(syntra, scope, given, stopAfter) {
  const { question, extra, ...words } = given
  const events = []
  let raised
  try {
    for await (const event of syntra.stream(scope, question ?? '', { ...fromEngine(words), ...(extra && { extra }) })) {
      events.push(toEngine(event))
      if (event.type === stopAfter) break
    }
  } catch (error) {
    if (!(error instanceof SyntraError)) throw error
    raised = error
  }
  const types = events.map((e) => e.type)
  const value = {
    order: [...new Set(types)],
    last: types.at(-1),
    text: events.filter((e) => e.type === 'text').map((e) => e.text).join(''),
    terminals: types.filter((type) => type === 'done').length + (raised === undefined ? 0 : 1),
    done: events.find((e) => e.type === 'done'),
    events,
  }
  return { value, raised }
}

function errorJson(error) {
  assert.equal(error.constructor, errorClasses[error.kind] ?? SyntraError, 'the class follows from the kind')
  return { ...toEngine({ ...error }), kind: error.kind, message: error.message }
}

function writeFiles(folder, files) {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
}

async function run(t, testCase) {
  const mock = await startMock(t, testCase.server)
  const folder = mkdtempSync(join(tmpdir(), 'syntra-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const [files, data] = [join(folder, 'files'), join(folder, 'data')]
  mkdirSync(files)
  const setup = testCase.setup ?? {}
  writeFiles(files, setup.files ?? {})
  const saved = { dir: files }
  const open = () => Syntra.open(settings(setup, mock, data))
  let syntra = await open()
  t.after(() => syntra.close())

  const take = async (step) => {
    const given = substitute(step.with ?? {}, saved)
    const [org, user] = (step.scope ?? 'acme/ada').split('/')
    let value
    let raised
    if (step.do === 'sent') value = await mock.log()
    else if (step.do === 'files') writeFiles(files, given)
    else if (step.do === 'reopen') {
      syntra.close()
      syntra = await open()
    } else if (step.do === 'stream') ({ value, raised } = await stream(syntra, { org, user }, given, step.stop_after))
    else {
      try {
        value = toEngine(await call(syntra, step.do, { org, user }, given))
      } catch (error) {
        if (!(error instanceof SyntraError)) throw error
        raised = error
      }
    }
    if (step.error !== undefined) {
      assert.ok(raised, `should have failed with ${JSON.stringify(step.error)}, gave ${JSON.stringify(value)}`)
      const shown = errorJson(raised)
      for (const [name, expected] of Object.entries(step.error)) {
        if (name === 'message_contains') check(shown, 'message', 'contains', expected)
        else check(shown, name, 'equals', expected)
      }
    } else if (raised !== undefined) throw raised
    for (const [path, operation, expected] of step.expect ?? []) check(value, path, operation, substitute(expected, saved))
    if (step.save !== undefined) saved[step.save] = value
  }

  for (const [number, step] of testCase.steps.entries()) {
    for (let tries = step.eventually ? 100 : 0; ; tries--) {
      try {
        await take(step)
        break
      } catch (error) {
        if (tries <= 0) {
          error.message = `step ${number + 1} (${step.do}): ${error.message}`
          throw error
        }
        await sleep(50)
      }
    }
  }
}

module.exports = { run }
