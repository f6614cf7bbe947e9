'use strict'
// The first lines that anybody reads do what they say.

const assert = require('node:assert/strict')
const { execFile } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { test } = require('node:test')
const { promisify } = require('node:util')

const run = promisify(execFile)
const folder = join(__dirname, '..')

test('the quickstart', async () => {
  const { stdout } = await run(process.execPath, [join(folder, 'examples', 'quickstart.mjs')], { timeout: 60_000 })
  assert.match(stdout, /under the blue pot.*back door/s)
})

test('what the README shows', async (t) => {
  const [, code] = /```js\n(.*?)```/s.exec(readFileSync(join(folder, 'README.md'), 'utf8'))
  // In the package's own folder, so that it finds itself by its name.
  const own = mkdtempSync(join(folder, 'dist', 'readme-'))
  t.after(() => rmSync(own, { recursive: true, force: true }))
  writeFileSync(join(own, 'readme.js'), `(async () => {\n${code}\n})()`)
  const { stdout } = await run(process.execPath, ['readme.js'], { cwd: own, timeout: 60_000 })
  assert.match(stdout, /under the blue pot/)
})
