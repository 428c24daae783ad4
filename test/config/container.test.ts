import { type RootlessSignal, rootlessSignal } from '../../src/config/container.js'
import { assert, test } from '../harness.js'
import { type Files, fakeMachine, IDENTITY_MAP } from './fake-machine.js'

const MAP = '/proc/self/uid_map'

function signal(files: Files, platform = 'linux'): RootlessSignal {
  return rootlessSignal(fakeMachine({ files, platform }))
}

test('rootlessSignal() is not-rootless when the map is the identity and no marker is there', () => {
  assert.is(signal({ [MAP]: IDENTITY_MAP }), 'not-rootless')
  assert.is(signal({ [MAP]: '0 0 4294967295' }), 'not-rootless')
  assert.is(signal({}), 'not-rootless')
})

test('rootlessSignal() is non-identity-uid-map for every other map', () => {
  for (const map of [
    '0 1000 1\n',
    '0 0 65536\n',
    '0 1 4294967295\n',
    '0 0 4294967295 0\n',
    `${IDENTITY_MAP}1000 1000 1\n`,
  ]) {
    assert.is(signal({ [MAP]: map }), 'non-identity-uid-map', map)
  }
})

test('rootlessSignal() looks for the marker files when the map tells nothing, Podman first', () => {
  assert.is(signal({ '/run/.containerenv': '' }), 'podman-containerenv')
  assert.is(signal({ '/.dockerenv': '', [MAP]: IDENTITY_MAP }), 'docker-env')
  assert.is(signal({ '/.dockerenv': '', '/run/.containerenv': '', [MAP]: '\n' }), 'podman-containerenv')
  assert.is(signal({ '/.dockerenv': '', [MAP]: '0 100000 65536\n' }), 'non-identity-uid-map')
})

test('rootlessSignal() is not-rootless off Linux, and is looked for once', () => {
  assert.is(signal({ '/.dockerenv': '' }, 'darwin'), 'not-rootless')
  let reads = 0
  const machine = fakeMachine({
    readFile: () => {
      reads++
      return IDENTITY_MAP
    },
  })
  rootlessSignal(machine)
  rootlessSignal(machine)
  assert.is(reads, 1)
})

test.run()
