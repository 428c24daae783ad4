// Child of the `transfer` suite: one patch, signature or delta a run. `buffered` and `mapped` say how the basis is read.

import { readFileSync, rmSync } from 'node:fs'
import { deltaFile, patchFile, signatureFile } from '../../src/transfer/index.js'
import { serve, timeUnits } from '../harness/serve.js'

const [task, first, second, output, basis] = process.argv.slice(2) as [string, string, string, string, string]

async function work(): Promise<void> {
  if (task === 'patch')
    await patchFile(first, second, output, { basis: basis === 'mapped' ? 'mmap' : 'buffered' })
  else if (task === 'signature') await signatureFile(first, output)
  else await deltaFile(first, second, output)
}

/** The most memory that this process has had, in MiB. */
function peakMebibytes(): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!
  return Number(kibibytes) / 1024
}

await serve(async () => {
  // A target that is there would cost the pages of a second file: in a virtual machine, more than all the rest.
  rmSync(output, { force: true })
  const measured = await timeUnits({ opsPerUnit: 1, loop: work }, 1)
  return { ...measured, details: { peakMebibytes: peakMebibytes() } }
})
