// The guest's TypeScript, made JavaScript before it boots: tsx would take eight seconds of an emulated processor for each
// test file and each of its children, and any module hooks four. Each `a.ts` becomes an `a.js`, which is what imports name, and
// a symlink to it for what is started by its name in TypeScript. A stand-in for tsx has nothing left to do.

import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { transformSync } from 'esbuild'

const FOLDERS = ['src', 'test', 'examples', 'bench', 'scripts']

const STAND_IN: Readonly<Record<string, string>> = {
  'package.json':
    '{ "name": "tsx", "version": "0.0.0", "type": "module", "exports": { ".": "./nothing.js", "./esm/api": "./nothing.js" } }\n',
  'nothing.js': 'export const register = () => {}\n',
}

/** Transpiles a checkout in place. */
export function transpile(checkout: string): void {
  for (const folder of FOLDERS) {
    const names = readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' })
    for (const name of names.filter((name) => name.endsWith('.ts'))) {
      const path = join(checkout, folder, name)
      const { code } = transformSync(readFileSync(path, 'utf8'), {
        loader: 'ts',
        format: 'esm',
        target: 'node20',
        sourcefile: name,
        tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
      })
      const compiled = path.replace(/ts$/, 'js')
      writeFileSync(compiled, code)
      rmSync(path)
      symlinkSync(basename(compiled), path)
    }
  }
  const standIn = join(checkout, 'node_modules', 'tsx')
  rmSync(standIn, { recursive: true, force: true })
  mkdirSync(standIn)
  for (const [name, text] of Object.entries(STAND_IN)) writeFileSync(join(standIn, name), text)
}
