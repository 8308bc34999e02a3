// What a database on RDS is besides its data: a restore makes a new instance and gives it AWS's own choices for whatever it is not
// told, a closed network among them. So all of it is written into tags, which go with the snapshot, under the names that
// RestoreDBInstanceFromDBSnapshot and ModifyDBInstance have for it: a person can read them, and type them. No call is made here.

import type {
  DBInstance,
  ModifyDBInstanceMessage,
  RestoreDBInstanceFromDBSnapshotMessage,
  Tag,
} from '@aws-sdk/client-rds'

export const INSTANCE_TAG = 'quarterdeck:instance'
const SETTINGS_TAG = 'quarterdeck:settings-' // 1, 2, 3 …

export type Settings = {
  /** Told to the restore. */
  restore: Partial<RestoreDBInstanceFromDBSnapshotMessage>
  /** What a restore cannot be told: a change of the new instance. */
  afterwards: Partial<ModifyDBInstanceMessage>
}

const NUMBERS = [
  'Port',
  'Iops',
  'StorageThroughput',
  'BackupRetentionPeriod',
  'MaxAllocatedStorage',
  'PerformanceInsightsRetentionPeriod',
  'MonitoringInterval',
]
const SWITCHES = [
  'MultiAZ',
  'PubliclyAccessible',
  'AutoMinorVersionUpgrade',
  'CopyTagsToSnapshot',
  'EnableIAMDatabaseAuthentication',
  'DedicatedLogVolume',
  'ManageMasterUserPassword',
  'EnablePerformanceInsights',
]
const LISTS = ['VpcSecurityGroupIds', 'EnableCloudwatchLogsExports']
// Those of one line are one matter, and refused together.
const AFTERWARDS_TOGETHER = [
  ['PreferredMaintenanceWindow'],
  ['MaxAllocatedStorage'],
  [
    'EnablePerformanceInsights',
    'PerformanceInsightsRetentionPeriod',
    'PerformanceInsightsKMSKeyId',
    'DatabaseInsightsMode',
  ],
  ['MonitoringInterval', 'MonitoringRoleArn'],
]
const AFTERWARDS = AFTERWARDS_TOGETHER.flat()

// Below this, gp3 for Postgres has a speed of its own, and RDS refuses to be told one:
// docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html, "gp3 storage".
export const GP3_CHOOSES_SPEED_BELOW_GIGABYTES = 400

/** Deletion protection is not among them: what is deleted had none. */
export function settingsOf(instance: DBInstance): Settings {
  const { StorageType, AllocatedStorage = 0 } = instance
  const hasOwnSpeed =
    StorageType?.startsWith('io') || (StorageType === 'gp3' && AllocatedStorage >= GP3_CHOOSES_SPEED_BELOW_GIGABYTES)
  return {
    restore: {
      DBInstanceClass: instance.DBInstanceClass,
      DBSubnetGroupName: instance.DBSubnetGroup?.DBSubnetGroupName,
      VpcSecurityGroupIds: instance.VpcSecurityGroups?.flatMap(group => group.VpcSecurityGroupId ?? []),
      DBParameterGroupName: ownGroup(instance.DBParameterGroups?.[0]?.DBParameterGroupName),
      OptionGroupName: ownGroup(instance.OptionGroupMemberships?.[0]?.OptionGroupName),
      PubliclyAccessible: instance.PubliclyAccessible,
      Port: instance.Endpoint?.Port ?? (instance.DbInstancePort || undefined), // 0 where an endpoint has it
      NetworkType: instance.NetworkType,
      MultiAZ: instance.MultiAZ,
      StorageType,
      Iops: hasOwnSpeed ? instance.Iops : undefined,
      StorageThroughput: hasOwnSpeed ? instance.StorageThroughput || undefined : undefined, // io1 says 0
      DedicatedLogVolume: instance.DedicatedLogVolume,
      EnableIAMDatabaseAuthentication: instance.IAMDatabaseAuthenticationEnabled,
      // Its secret goes with the instance, and without a new one nobody would know the password that the snapshot holds.
      ManageMasterUserPassword: instance.MasterUserSecret === undefined ? undefined : true,
      MasterUserSecretKmsKeyId: instance.MasterUserSecret?.KmsKeyId,
      CACertificateIdentifier: instance.CACertificateIdentifier,
      AutoMinorVersionUpgrade: instance.AutoMinorVersionUpgrade,
      EngineLifecycleSupport: instance.EngineLifecycleSupport,
      CopyTagsToSnapshot: instance.CopyTagsToSnapshot,
      EnableCloudwatchLogsExports: instance.EnabledCloudwatchLogsExports,
      BackupRetentionPeriod: instance.BackupRetentionPeriod,
      PreferredBackupWindow: instance.PreferredBackupWindow,
    },
    afterwards: {
      PreferredMaintenanceWindow: instance.PreferredMaintenanceWindow,
      MaxAllocatedStorage: instance.MaxAllocatedStorage,
      EnablePerformanceInsights: instance.PerformanceInsightsEnabled,
      PerformanceInsightsRetentionPeriod: instance.PerformanceInsightsRetentionPeriod,
      PerformanceInsightsKMSKeyId: instance.PerformanceInsightsKMSKeyId,
      DatabaseInsightsMode: instance.DatabaseInsightsMode,
      MonitoringInterval: instance.MonitoringInterval,
      MonitoringRoleArn: instance.MonitoringRoleArn,
    },
  }
}

/** default.postgres16 and default:postgres-16 belong to a version: which it is then, RDS knows best. */
function ownGroup(name: string | undefined): string | undefined {
  return name?.startsWith('default') ? undefined : name
}

/** What of the settings afterwards is not so yet; undefined where all is. */
export function stillToChange(
  instance: DBInstance,
  { afterwards }: Settings,
): Partial<ModifyDBInstanceMessage> | undefined {
  const now: Record<string, unknown> = settingsOf(instance).afterwards
  const open = Object.entries(afterwards).filter(([name, wanted]) => now[name] !== wanted)
  return open.length === 0 ? undefined : Object.fromEntries(open)
}

/** The same settings, each matter for itself. */
export function matters(afterwards: Partial<ModifyDBInstanceMessage>): Partial<ModifyDBInstanceMessage>[] {
  return AFTERWARDS_TOGETHER.map(names =>
    Object.fromEntries(Object.entries(afterwards).filter(([name]) => names.includes(name))),
  ).filter(matter => Object.keys(matter).length > 0)
}

/** What neither a restore nor a change brings back as it was, in words. */
export function lostForGood({ AssociatedRoles = [], DomainMemberships = [], MasterUserSecret }: DBInstance): string[] {
  return [
    ...AssociatedRoles.map(role => `its role for ${role.FeatureName} (${role.RoleArn})`),
    ...DomainMemberships.map(domain => `its membership of the domain ${domain.Domain}`),
    ...(MasterUserSecret === undefined ? [] : [`its password, for which Secrets Manager makes a new one`]),
  ]
}

// A value of a tag has 256 characters at most, of letters, digits, spaces and _.:/=+-@ (API_Tag.html of RDS). The text ends with
// a word, so that neither a tag that is missing nor one that an earlier attempt left behind passes unnoticed.
const LONGEST_VALUE = 256
const END = 'end'

export function tagsOf(name: string, { restore, afterwards }: Settings): Tag[] {
  const words = Object.entries({ ...restore, ...afterwards }).flatMap(([key, value]) => {
    if (value === undefined) return []
    const values = Array.isArray(value) ? value : [value]
    return `${key}=${values.map(one => escaped(String(one))).join('/')}`
  })
  const text = `${[...words, END].join('+')}+`
  const pieces = text.match(new RegExp(`.{1,${LONGEST_VALUE}}`, 'g')) ?? []
  return [
    { Key: INSTANCE_TAG, Value: name },
    ...pieces.map((piece, i) => ({ Key: `${SETTINGS_TAG}${i + 1}`, Value: piece })),
  ]
}

/** The settings that tags hold, or undefined where they do not hold all of them. */
export function settingsIn(tags: readonly Tag[] = []): Settings | undefined {
  const valueIn = (key: string) => tags.find(tag => tag.Key === key)?.Value
  let text = ''
  for (let i = 1; ; i++) {
    const piece = valueIn(`${SETTINGS_TAG}${i}`)
    if (piece === undefined) break
    text += piece
  }
  const words = text.split('+')
  const end = words.indexOf(END)
  if (end < 0) return undefined
  const settings: { restore: Record<string, unknown>; afterwards: Record<string, unknown> } = {
    restore: {},
    afterwards: {},
  }
  for (const word of words.slice(0, end)) {
    const [key, value = ''] = word.split('=')
    settings[AFTERWARDS.includes(key) ? 'afterwards' : 'restore'][key] = valueFrom(key, value)
  }
  return settings
}

function valueFrom(key: string, text: string): unknown {
  if (LISTS.includes(key)) return text === '' ? [] : text.split('/').map(plain)
  if (NUMBERS.includes(key)) return Number(text)
  return SWITCHES.includes(key) ? text === 'true' : plain(text)
}

// + / and = stand between values; a role's name may have a comma, which a tag may not.
function escaped(value: string): string {
  return value.replace(
    /[^\w.:-]/g,
    character => `@${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

function plain(value: string): string {
  return value.replace(/@([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
}

/** The tags that a person gave: not ours, and not those of AWS, which it gives itself. */
export function ownTags(tags: readonly Tag[] = []): Tag[] {
  return tags.filter(tag => !/^(quarterdeck|aws|rds):/.test(tag.Key ?? ''))
}
