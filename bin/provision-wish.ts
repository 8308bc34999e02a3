// What a person may say to bin/provision.mjs, and what holds where he says nothing; checked before anything is asked of a cloud.

import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isHere, parseAddress } from '../lib/db/address.ts'
import { messageOf, UsageError } from '../lib/errors.ts'
import { type MethodName, optionalMethodFlag } from '../lib/flags.ts'
import { parseQuarter } from '../lib/text/quarters.ts'

export const HELP = `provision: rent one instance of AWS, run a quarter on it, bring the results back, give it back

  node bin/provision.mjs --quarter 2024Q3 [TRANSCRIPTS]
  node bin/provision.mjs --quarter 2024Q3 --dry-run   show every call, make the harmless ones
  node bin/provision.mjs --quarter 2024Q3 --end       end what is still there of this quarter

TRANSCRIPTS is a folder or a file, as for ingest; without it the sample that ships, or with
DATABASE_URL what is ingested already. Run again, it goes on with the instance that is still there.
What it will do and cost is shown first, and asked for.

  --yes                    do not ask
  --method METHOD          umap-hdbscan or communities, for topics and themes (default: what the
                           quarter in the database was made by, else umap-hdbscan)
  --max-hours HOURS        the instance ends itself after so long (default: 4)
  --max-dollars DOLLARS    or when it may have cost so much, with those before it (default: 2)
  --instance TYPE          instead of g4dn.2xlarge, then g5.xlarge; may be given several times.
                           c7i.2xlarge has no card, and is enough for the model that ships
  --region REGION          instead of the home region, then us-west-2 (or us-east-1); the same
  --database WHERE         embedded, or postgres, on the instance (default: by the size of the
                           transcripts); not with DATABASE_URL, which the instance must reach
  --from CIDR              who may use ssh (default: the address of this machine)
  --ssh-port PORT          where a firewall lets only some ports out, such as 443 (default: 22)
  --session-manager        no open port: ssh through AWS's Session Manager and its plugin here
  --instance-profile NAME  the instance's role; for that one with AmazonSSMManagedInstanceCore
  --subnet SUBNET          instead of the default network's subnets; in its region alone
  --security-group GROUP   one more for the instance, such as one that your database lets in
  --image IMAGE            instead of the newest Ubuntu 24.04; a Linux with cloud-init, systemd
  --ssh-user USER          the image's user (default: ubuntu)
  --help, --debug

How to set AWS up for it, what it does, what its messages mean: docs/operations.md, "A rented
instance".`

export type Wish = {
  quarter: string
  /** Absolute path, or undefined: what is in the database already. */
  transcripts: string | undefined
  /** Of clustering; undefined: as the quarter was made. */
  method: MethodName | undefined
  yes: boolean
  dryRun: boolean
  end: boolean
  maxHours: number
  maxDollars: number
  instances: string[]
  regions: string[]
  /** The instance's own, or undefined: as the size of the transcripts wants it. */
  database: 'embedded' | 'postgres' | undefined
  from: string | undefined
  sshPort: number
  sshUser: string
  sessionManager: boolean
  instanceProfile: string | undefined
  subnet: string | undefined
  securityGroups: string[]
  image: string | undefined
}

const NEXT = 'node bin/provision.mjs --help'
const SAMPLES = fileURLToPath(new URL('../data/samples/', import.meta.url))
// More than three days is no quarter any more, but something that was forgotten; and so are a hundred dollars.
const MOST_HOURS = 72
const MOST_DOLLARS = 100

/** Undefined when only the help was asked for. `databaseUrl` says whether a database elsewhere may have the transcripts. */
export function readWish(words: string[], databaseUrl: string | undefined): Wish | undefined {
  const { values, positionals } = parsed(words)
  if (values.help) return undefined
  const { quarter: text, database, from, 'instance-profile': instanceProfile } = values
  if (text === undefined) throw new UsageError('which quarter? --quarter is missing', '--quarter 2024Q3')
  if (positionals.length > 1)
    throw new UsageError(`one folder or file of transcripts is taken, and ${positionals.length} were given`, NEXT)
  if (database !== undefined && database !== 'embedded' && database !== 'postgres')
    throw new UsageError(`--database is ${JSON.stringify(database)}; it must be embedded or postgres`, NEXT)
  if (database !== undefined && databaseUrl !== undefined)
    throw new UsageError('--database is for the instance’s own, and DATABASE_URL names another', 'unset DATABASE_URL')
  if (from !== undefined && !isRange(from))
    throw new UsageError(`--from is ${JSON.stringify(from)}; it must be a range such as 198.51.100.7/32`, NEXT)
  if (values['session-manager'] && instanceProfile === undefined)
    throw new UsageError(
      '--session-manager needs a role for the instance, and --instance-profile is missing',
      '--instance-profile NAME, of a role with the policy AmazonSSMManagedInstanceCore',
    )
  if (databaseUrl !== undefined && !values.end) refuseLocal(databaseUrl)
  const quarter = quarterOf(text)
  return {
    quarter,
    transcripts: values.end ? undefined : transcriptsOf(positionals[0], quarter, databaseUrl),
    method: optionalMethodFlag({ method: values.method }),
    yes: values.yes,
    dryRun: values['dry-run'],
    end: values.end,
    maxHours: numberOf('max-hours', values['max-hours'], 4, MOST_HOURS),
    maxDollars: numberOf('max-dollars', values['max-dollars'], 2, MOST_DOLLARS),
    instances: [...new Set(values.instance)],
    regions: [...new Set(values.region)],
    database,
    from,
    sshPort: portOf(values['ssh-port']),
    sshUser: values['ssh-user'],
    sessionManager: values['session-manager'],
    instanceProfile,
    subnet: values.subnet,
    securityGroups: values['security-group'],
    image: values.image,
  }
}

function parsed(words: string[]) {
  const several = { type: 'string', multiple: true, default: [] as string[] } as const
  const asked = { type: 'boolean', default: false } as const
  const text = { type: 'string' } as const
  try {
    return parseArgs({
      args: words,
      allowPositionals: true,
      options: {
        quarter: text,
        method: text,
        yes: asked,
        'dry-run': asked,
        end: asked,
        'max-hours': text,
        'max-dollars': text,
        instance: several,
        region: several,
        database: text,
        from: text,
        'ssh-port': text,
        'ssh-user': { type: 'string', default: 'ubuntu' },
        'session-manager': asked,
        'instance-profile': text,
        subnet: text,
        'security-group': several,
        image: text,
        help: asked,
        debug: asked,
      },
    })
  } catch (error) {
    throw new UsageError(messageOf(error), NEXT, { cause: error })
  }
}

function quarterOf(text: string): string {
  try {
    return parseQuarter(text)
  } catch (error) {
    throw new UsageError(`--quarter: ${messageOf(error)}`, '--quarter 2024Q3')
  }
}

/** A server of this machine is none that the instance could reach. */
function refuseLocal(databaseUrl: string): void {
  const address = parseAddress(databaseUrl)
  if (!isHere(address)) return
  throw new UsageError(
    `DATABASE_URL is ${address.shown}, a server of this machine, which the instance cannot reach`,
    'unset DATABASE_URL: the instance has a database of its own, which comes back as a file',
  )
}

function transcriptsOf(word: string | undefined, quarter: string, databaseUrl: string | undefined): string | undefined {
  const path = resolve(word ?? join(SAMPLES, quarter))
  if (existsSync(path)) return path
  if (word !== undefined) throw new UsageError(`${word} is not there`, 'name the folder or file of the transcripts')
  if (databaseUrl !== undefined) return undefined
  throw new UsageError(
    `no transcripts of ${quarter}: none were named, and no sample of it ships`,
    `node bin/provision.mjs --quarter ${quarter} ~/calls`,
  )
}

function numberOf(name: string, text: string | undefined, standard: number, most: number): number {
  const value = text === undefined ? standard : Number(text)
  if (value > 0 && value <= most) return value
  throw new UsageError(
    `--${name} is ${JSON.stringify(text)}; it must be a number above 0, to ${most}`,
    `--${name} ${standard}`,
  )
}

function portOf(text: string | undefined): number {
  const value = text === undefined ? 22 : Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 65_535) return value
  throw new UsageError(
    `--ssh-port is ${JSON.stringify(text)}; it must be a whole number from 1 to 65535`,
    '--ssh-port 443',
  )
}

function isRange(text: string): boolean {
  const [address = '', bits = '', ...more] = text.split('/')
  return isIP(address) === 4 && /^\d+$/.test(bits) && Number(bits) <= 32 && more.length === 0
}
