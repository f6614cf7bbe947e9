'use strict'
// Everything that `tests/parity.json` lists has a counterpart here; that they work is what the behaviour cases show, which call every method.

const assert = require('node:assert/strict')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')
const { Syntra, SyntraError } = require('..')
const { errorClasses } = require('../dist/errors')
const { root } = require('./mock')

const parity = JSON.parse(readFileSync(join(root, 'tests', 'parity.json'), 'utf8'))
const ours = parity.node
const declarationsOf = (file) => readFileSync(join(__dirname, '..', 'dist', `${file}.d.ts`), 'utf8')
const declarations = `${declarationsOf('types')}\n${declarationsOf('rooms')}\n`
const frontDoor = declarationsOf('syntra')
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())

/** The body of the interface or type `name`, with those that it extends. */
function declared(name) {
  const match = new RegExp(`export (?:interface|type|declare class) ${name}\\b([^{=]*)[{=]([\\s\\S]*?)\\n(?=export|type |interface |import )`).exec(`${declarations}\nexport`)
  assert.ok(match, `there is no type ${name}`)
  const extended = /extends ([\w, ]+)/.exec(match[1])?.[1].split(',').map((n) => n.trim()) ?? []
  return match[2] + extended.map(declared).join('')
}

const has = (body, field) => new RegExp(`\\b${field}\\??[:(]`).test(body)

/** What is declared of the field of that name. */
function field(body, name) {
  const match = new RegExp(`\\b${name}\\??: ([^;\\n]*)`).exec(body)
  assert.ok(match, `there is no field ${name}`)
  return match[1]
}

test('methods', () => {
  for (const [method, parameters] of Object.entries(parity.methods)) {
    const name = camel(method)
    assert.equal(typeof Syntra.prototype[name], 'function', method)
    const match = new RegExp(`^ {4}${name}\\(([\\s\\S]*?)\\): (?:Promise<|TurnStream)`, 'm').exec(frontDoor)
    assert.ok(match, `${name} is not declared`)
    for (const parameter of parameters) {
      for (const own of [ours.parameters[`${method}.${parameter}`] ?? camel(parameter)].flat()) {
        assert.match(match[1], new RegExp(`\\b${own}\\b`), `${name} takes no ${own}`)
      }
    }
    assert.match(match[1], /Abortable|AskOptions|MemoryOptions & Abortable/, `${name} takes no signal`)
  }
})

test('options of a question', () => {
  const body = declared('AskOptions')
  for (const name of parity.ask) {
    for (const option of [ours.ask[name] ?? camel(name)].flat()) {
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

test('types and their fields', () => {
  for (const [name, fields] of Object.entries(parity.types)) {
    const own = ours.types[name] ?? name
    // `Syntra.method` stands for its parameters.
    const body = own.startsWith('Syntra.') ? new RegExp(`^ {4}${own.slice(7)}\\(([\\s\\S]*?)\\): Promise<`, 'm').exec(frontDoor)[1] : declared(own)
    for (const f of fields) assert.ok(has(body, camel(ours.fields[`${name}.${f}`] ?? f)), `${name} has no ${camel(f)}`)
  }
})

test('words', () => {
  for (const [name, words] of Object.entries(parity.enums)) {
    const [type, of] = (ours.enums[name] ?? name).split('.')
    const body = of === undefined ? declared(type) : field(declared(type), of)
    // A part of a union may be declared by name.
    const named = [...body.matchAll(/\b[A-Z]\w+Part\b/g)].map(([part]) => declared(part)).join('')
    for (const word of words) assert.ok(`${body}${named}`.includes(`'${word}'`) || `${body}${named}`.includes(`"${word}"`), `${name} has no ${word}`)
  }
})

test('objects of a host', () => {
  for (const [name, { methods }] of Object.entries(parity.traits)) {
    const body = declared(ours.traits[name] ?? name)
    for (const method of methods) {
      const own = ours.fields[`${name}.${method}`] ?? camel(method)
      assert.ok(has(body, own), `${name} has no ${own}`)
    }
  }
})

test('what is built in, and its options', () => {
  for (const { is, options } of Object.values(parity.built_in)) {
    const body = declared(is)
    for (const option of Object.values(options)) assert.ok(has(body, camel(option)), `${is} has no ${camel(option)}`)
  }
})
