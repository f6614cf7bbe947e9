'use strict'
// The behaviour cases that Rust and Python run too.

const assert = require('node:assert/strict')
const { readdirSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')
const { root } = require('./mock')
const { run } = require('./runner')

const folder = join(root, 'tests', 'cases')
let count = 0
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json')).sort()) {
  for (const testCase of JSON.parse(readFileSync(join(folder, file), 'utf8')).cases) {
    count++
    test(`${file.replace('.json', '')}: ${testCase.name}`, (t) => run(t, testCase))
  }
}
test('there are cases', () => assert.ok(count >= 25))
