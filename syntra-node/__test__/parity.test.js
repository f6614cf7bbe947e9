'use strict'
// Everything that `tests/parity.json` lists has a working counterpart here.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')
const { Syntra, SyntraError } = require('..')
const { errorClasses } = require('../dist/errors')
const { root } = require('./mock')

const parity = JSON.parse(readFileSync(join(root, 'tests', 'parity.json'), 'utf8'))
const types = readFileSync(join(__dirname, '..', 'dist', 'types.d.ts'), 'utf8')
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())

/** The body of the interface or type `name`, with those that it extends. */
function declared(name) {
  const match = new RegExp(`export (?:interface|type) ${name}\\b([^{=]*)[{=]([\\s\\S]*?)\\n(?=export|type )`).exec(`${types}\nexport`)
  assert.ok(match, `types.d.ts has no ${name}`)
  const extended = /extends ([\w, ]+)/.exec(match[1])?.[1].split(',').map((n) => n.trim()) ?? []
  return match[2] + extended.map(declared).join('')
}

const has = (body, field) => new RegExp(`\\b${field}\\??:`).test(body)

test('methods', () => {
  for (const method of parity.methods) assert.equal(typeof Syntra.prototype[camel(method)], 'function', method)
})

test('options of a question', () => {
  const body = declared('AskOptions')
  for (const name of parity.ask) {
    for (const option of [parity.node.ask[name] ?? camel(name)].flat()) {
      assert.ok(option === 'question' || has(body, option), `AskOptions has no ${option}`)
    }
  }
})

test('settings', () => {
  const body = declared('SyntraOptions')
  for (const name of parity.settings) {
    assert.ok(has(body, camel(name)) || typeof Syntra[camel(name)] === 'function', `SyntraOptions has no ${camel(name)}`)
  }
})

test('error classes', () => {
  for (const kind of parity.errors) assert.ok(kind === 'unknown' || errorClasses[kind].prototype instanceof SyntraError, kind)
})

test('fields of results', () => {
  for (const [name, fields] of Object.entries(parity.results)) {
    const body = declared(parity.node.results[name] ?? name)
    for (const field of fields) assert.ok(has(body, camel(field)), `${name} has no ${camel(field)}`)
  }
})
