'use strict'
// The scripted model server of the workspace, started for a test and stopped with it.

const { spawn } = require('node:child_process')
const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')

const root = join(__dirname, '..', '..')

function program() {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
  const name = process.platform === 'win32' ? 'mock_server.exe' : 'mock_server'
  const folders = [join(target, process.env.CARGO_BUILD_TARGET ?? '', 'debug'), join(target, 'debug')]
  const found = folders.map((folder) => join(folder, name)).find(existsSync)
  if (found === undefined) throw new Error('build it first: cargo build -p syntra-tests --bin mock_server')
  return found
}

/** Starts a server that answers as `script` says; it ends with the test `t`. */
async function startMock(t, script) {
  const child = spawn(program(), { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.write(`${JSON.stringify(script ?? {})}\n`)
  const port = Number(await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data)))))
  t.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.stdin.end()
    await ended
  })
  const log = async () => (await fetch(`http://127.0.0.1:${port}/log`)).json()
  return {
    baseUrl: (provider) => `http://127.0.0.1:${port}/${provider}/v1`,
    log,
    async waitFor(holds) {
      for (let tries = 0; tries < 500; tries++) {
        const entries = await log()
        if (holds(entries)) return entries
        await sleep(20)
      }
      throw new Error(`never came: ${JSON.stringify(await log())}`)
    },
  }
}

module.exports = { root, startMock }
