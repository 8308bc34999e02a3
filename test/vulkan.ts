// A graphics card made of software (test/setup-vulkan.sh): what a process needs in its environment to compute on it.
// Absent, such a test skips and says so; in CI it fails, so that nothing is skipped there unnoticed.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../.venv-vulkan/', import.meta.url))
const driver = `${folder}vk_swiftshader_icd.json`

export const hasVulkan = existsSync(driver)
if (!hasVulkan && process.env.CI) throw new Error('no Vulkan in software: sh test/setup-vulkan.sh')

/** Only this card is seen, whatever else is in the machine. */
export const VULKAN = { VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: folder }
