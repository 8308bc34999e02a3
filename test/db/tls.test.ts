// TLS as a Postgres server itself speaks it (Debian's, which has no pgvector: that it is refused for that, and for nothing else,
// shows that the connection came about). The server admits nobody in the clear, so whoever got in spoke TLS.

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect } from '../../lib/db/connect.ts'
import { refusalOf } from '../refusal.ts'
import { hasServerWithoutPgvector, type RealServer, serverWithoutPgvector } from './servers.ts'

const openssl = spawnSync('openssl', ['version']).status === 0
if (!openssl && process.env.CI) throw new Error('no openssl for the TLS tests')

/** An authority, a certificate for `localhost` that it has signed, and another authority that signed nothing here. */
function certificates(folder: string): void {
  const make = (...words: string[]) => {
    const { status, stderr } = spawnSync('openssl', words, { cwd: folder, encoding: 'utf8' })
    if (status !== 0) throw new Error(`openssl ${words.join(' ')}: ${stderr}`)
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  for (const authority of ['authority', 'other'])
    make('req', '-x509', ...key, '-subj', `/CN=${authority}`, '-keyout', `${authority}.key`, '-out', `${authority}.pem`)
  make('req', ...key, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr')
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost')
  const signed = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial', '-extfile', 'names']
  make('x509', '-req', '-in', 'server.csr', ...signed, '-out', 'server.pem')
}

describe.skipIf(!hasServerWithoutPgvector || !openssl)('a server that speaks nothing but TLS', () => {
  let server: RealServer

  beforeAll(async () => {
    server = await serverWithoutPgvector(home => {
      certificates(home)
      writeFileSync(join(home, 'hba'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n')
      const [hba, certificate, key] = ['hba', 'server.pem', 'server.key'].map(name => join(home, name))
      return ['ssl=on', `hba_file=${hba}`, `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`]
    })
  })
  afterAll(async () => await server?.stop())

  it.each([
    ['', 'localhost', 'has no pgvector'], // prefer
    ['sslmode=allow', 'localhost', 'has no pgvector'],
    ['sslmode=require', '127.0.0.1', 'has no pgvector'],
    ['sslmode=verify-ca&sslrootcert=HOME/authority.pem', 'localhost', 'has no pgvector'],
    ['sslmode=verify-ca&sslrootcert=HOME/authority.pem', '127.0.0.1', 'has no pgvector'], // another name is good enough
    ['sslmode=verify-full&sslrootcert=HOME/authority.pem', 'localhost', 'has no pgvector'],
    ['sslmode=verify-full&sslrootcert=HOME/authority.pem', '127.0.0.1', 'cannot trust'],
    ['sslmode=verify-full&sslrootcert=HOME/other.pem', 'localhost', 'cannot trust'],
    ['sslmode=verify-ca&sslrootcert=HOME/other.pem', 'localhost', 'cannot trust'],
    ['sslmode=require&sslrootcert=HOME/other.pem', 'localhost', 'cannot trust'], // as libpq: who names one means it
    ['sslmode=verify-ca', 'localhost', 'cannot trust'], // no public authority has signed it
    ['sslrootcert=system', 'localhost', 'cannot trust'],
    ['sslmode=verify-full&sslrootcert=HOME/nowhere.pem', 'localhost', 'cannot read the certificates'],
    ['sslmode=verify-full&sslrootcert=HOME/hba', 'localhost', 'cannot trust'], // no certificate in it
    ['sslmode=disable', 'localhost', 'does not admit this user'],
  ])('with %s by the name %s: %s', async (query, host, says) => {
    const url = (server.settings.databaseUrl ?? '').replace('127.0.0.1', host)
    const databaseUrl = `${url}?${query.replaceAll('HOME', server.settings.home)}`
    const { message, hint } = await refusalOf(connect({ home: '/nowhere', databaseUrl }))
    expect(message).toContain(says)
    expect(`${message} ${hint}`).not.toContain(encodeURIComponent(server.password))
  })
})
