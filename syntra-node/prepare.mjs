// What `npm install` in this folder does after the packages are there: the TypeScript is compiled, and the binary is built where there is none.
// Not part of the package: who installs that gets both ready made.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))

function run(script) {
  const { status } = spawnSync(`npm run --silent ${script}`, { cwd: folder, stdio: 'inherit', shell: true })
  if (status !== 0) process.exit(status ?? 1)
}

run('build:ts')
const { platformName } = createRequire(import.meta.url)('./dist/native')
if (!existsSync(join(folder, `syntra.${platformName()}.node`))) run('build:native -- --release')
