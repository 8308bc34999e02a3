// npm run kernels: compiles lib/math/kernels.as.ts into lib/math/kernels-compiled.ts, which is committed, so that a user
// needs no compiler. test/math/kernels.test.ts compiles again and demands the same bytes.

import { writeFileSync } from 'node:fs'
import { compileKernels } from './compile-kernels.ts'

writeFileSync(new URL('../lib/math/kernels-compiled.ts', import.meta.url), await compileKernels())
