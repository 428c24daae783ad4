// Where things are.

import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What the bench builds; git ignores it. */
export const BUILD_FOLDER = join(ROOT, '.bench')
