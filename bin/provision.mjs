#!/usr/bin/env node
import { register } from 'tsx/esm/api'

register() // Node 20 does not read TypeScript by itself
await import('./provision.ts')
