// Debian packages of other suites and architectures, by apt itself: a state of its own in the cache folder, the mirror
// that this machine's own apt is configured for. Signatures are checked by apt, as ever.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './commands.js'

export type DebianArchitecture = 'amd64' | 'arm64'

/** The mirror of Debian's main archive among this machine's apt sources: one line per index, `URI label`. */
export function chooseMirror(indexTargets: string): string | null {
  for (const line of indexTargets.split('\n')) {
    const [uri, label] = line.split(' ')
    if (uri && label === 'Debian') return uri
  }
  return null
}

function mirror(): string {
  const ask = (): string | null =>
    chooseMirror(run('apt-get', ['indextargets', '--format', '$(REPO_URI) $(LABEL)', 'Created-By: Packages']))
  // Without its lists, as in a fresh container, apt does not know whose mirror it has.
  const known = ask()
  if (known !== null) return known
  run('apt-get', ['update'])
  const found = ask()
  if (found === null) throw new Error("no mirror of Debian's archive is among this machine's apt sources")
  return found
}

/** One suite of Debian for one architecture, seen from a machine on which nothing is installed. */
export class Suite {
  readonly #folder: string
  readonly #config: string

  constructor(suite: string, architecture: DebianArchitecture, cache: string) {
    this.#folder = join(cache, 'apt', `${suite}-${architecture}`)
    this.#config = join(this.#folder, 'apt.conf')
    for (const part of ['lists/partial', 'archives/partial']) {
      mkdirSync(join(this.#folder, part), { recursive: true })
    }
    const sources = join(this.#folder, 'sources.list')
    const status = join(this.#folder, 'status')
    writeFileSync(status, '')
    writeFileSync(sources, `deb [arch=${architecture}] ${mirror()} ${suite} main\n`)
    const settings = {
      'Dir::Etc::sourcelist': sources,
      'Dir::Etc::sourceparts': '/dev/null',
      'Dir::Etc::preferencesparts': '/dev/null',
      'Dir::State::lists': join(this.#folder, 'lists'),
      'Dir::State::status': status,
      'Dir::State::extended_states': join(this.#folder, 'extended_states'),
      'Dir::Cache::archives': join(this.#folder, 'archives'),
      'Dir::Cache::pkgcache': '',
      'Dir::Cache::srcpkgcache': '',
      'APT::Architecture': architecture,
      'APT::Sandbox::User': 'root',
      // Packages of other machines are none of this one's business.
      'APT::Update::Post-Invoke-Success': '',
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`)
    writeFileSync(
      this.#config,
      `${lines.join('')}#clear APT::Architectures;\nAPT::Architectures { "${architecture}"; };\n`,
    )
    run('apt-get', ['-c', this.#config, 'update', '-qq'])
  }

  /** The package that a meta package stands for: `linux-image-amd64` is `linux-image-6.1.0-50-amd64`. */
  behind(meta: string): string {
    const text = run('apt-cache', ['-c', this.#config, 'depends', meta])
    const found = /^ +Depends: (\S+)/m.exec(text)?.[1]
    if (found === undefined) throw new Error(`${meta} depends on nothing`)
    return found
  }

  /** Downloads packages, without what they depend on, and returns the files. What is here is not fetched again. */
  download(...packages: readonly string[]): string[] {
    const folder = join(this.#folder, 'single')
    mkdirSync(folder, { recursive: true })
    run('apt-get', ['-c', this.#config, 'download', '-qq', ...packages], { cwd: folder })
    const files = readdirSync(folder)
    return packages.map((name) =>
      join(
        folder,
        files
          .filter((file) => file.startsWith(`${name}_`))
          .sort()
          .at(-1)!,
      ),
    )
  }

  /** Downloads packages with everything they depend on and returns the files. */
  downloadClosure(packages: readonly string[]): string[] {
    // What is here already would not be listed.
    run('apt-get', ['-c', this.#config, 'clean'])
    const listed = run('apt-get', [
      '-c',
      this.#config,
      'install',
      '--download-only',
      '-y',
      '-qq',
      '--no-install-recommends',
      '--print-uris',
      ...packages,
    ])
    run('apt-get', [
      '-c',
      this.#config,
      'install',
      '--download-only',
      '-y',
      '-qq',
      '--no-install-recommends',
      ...packages,
    ])
    const files = [...listed.matchAll(/^'[^']+' (\S+\.deb) /gm)].map((match) => match[1]!)
    return files.map((file) => join(this.#folder, 'archives', file)).filter((file) => existsSync(file))
  }
}

/** Unpacks a package into a folder; nothing of it is run. */
export function unpack(file: string, folder: string): void {
  run('dpkg-deb', ['-x', file, folder])
}
