// The states of an RDS instance: which are good, which pass by themselves, and which need a person, with what they mean and what
// to type. From docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html; a state that AWS invents is waited for.

import type { DBInstance } from '@aws-sdk/client-rds'
import { UserError } from '../errors.ts'

/** Passing: something is under way, and ends in one of the others. */
export type Standing = 'available' | 'stopped' | 'deleting' | 'passing' | 'trouble'

// Work behind the scenes on an instance that serves as ever, of up to a day: nobody waits for its end.
const SERVES_ALL_THE_SAME = ['storage-optimization', 'storage-initialization', 'storage-config-upgrade']

export function standingOf(status: string): Standing {
  if (status === 'available' || SERVES_ALL_THE_SAME.includes(status)) return 'available'
  if (status === 'stopped' || status === 'deleting') return status
  return status === 'delete-precheck' ? 'deleting' : status in TROUBLES ? 'trouble' : 'passing'
}

type Trouble = { means: string; type(name: string, instance: DBInstance): string }

const RESTORE_A_MOMENT = (name: string) =>
  `aws rds restore-db-instance-to-point-in-time --source-db-instance-identifier ${name} --target-db-instance-identifier ${name}-2 --use-latest-restorable-time`
const START_AGAIN = (name: string) => `aws rds start-db-instance --db-instance-identifier ${name}`

// RDS adds a tenth at the least, and then nothing for six hours: half as much again leaves room for a quarter's sentences.
const MORE_STORAGE = 1.5

const TROUBLES: Record<string, Trouble> = {
  'storage-full': {
    means: 'its storage is full, and it takes no more data',
    type: (name, { AllocatedStorage = 20 }) =>
      `aws rds modify-db-instance --db-instance-identifier ${name} --allocated-storage ${Math.ceil(AllocatedStorage * MORE_STORAGE)} --apply-immediately`,
  },
  failed: { means: 'it has failed, and AWS cannot bring it back', type: RESTORE_A_MOMENT },
  'restore-error': { means: 'AWS failed to restore it', type: RESTORE_A_MOMENT },
  'incompatible-create': {
    means: 'AWS could not make it with the settings it was given',
    type: name => `aws rds describe-events --source-type db-instance --source-identifier ${name} --duration 1440`,
  },
  'incompatible-restore': {
    means: 'AWS cannot restore it with the settings it was given, such as a parameter group of another version',
    type: name => `aws rds describe-events --source-type db-instance --source-identifier ${name} --duration 1440`,
  },
  'incompatible-network': {
    means: 'its network is not what it needs: a subnet without a free address, or one that is gone',
    type: (name, { DBSubnetGroup }) =>
      `aws rds describe-db-subnet-groups --db-subnet-group-name ${DBSubnetGroup?.DBSubnetGroupName ?? 'default'}; mend it, then ${START_AGAIN(name)}`,
  },
  'incompatible-option-group': {
    means: 'its option group asks for what it cannot do',
    type: (name, { EngineVersion = '' }) =>
      `aws rds modify-db-instance --db-instance-identifier ${name} --option-group-name default:postgres-${EngineVersion.split('.')[0]}`,
  },
  'incompatible-parameters': {
    means: 'its parameter group asks for what it cannot do, mostly for more memory than its class has',
    type: (name, { DBParameterGroups }) =>
      `aws rds reset-db-parameter-group --reset-all-parameters --db-parameter-group-name ${DBParameterGroups?.[0]?.DBParameterGroupName}, then aws rds reboot-db-instance --db-instance-identifier ${name}`,
  },
  'inaccessible-encryption-credentials': {
    means: 'the key that its data is encrypted with is out of reach, and it has to be restored from a backup',
    type: (name, { KmsKeyId }) => `aws kms enable-key --key-id ${KmsKeyId}, then ${RESTORE_A_MOMENT(name)}`,
  },
  'inaccessible-encryption-credentials-recoverable': {
    means: 'the key that its data is encrypted with is out of reach; nothing is lost while it can be switched on again',
    type: (name, { KmsKeyId }) => `aws kms enable-key --key-id ${KmsKeyId}, then ${START_AGAIN(name)}`,
  },
  'insufficient-capacity': {
    means: 'AWS has no machine of its class left in its zone',
    type: name => `wait, or restore it with another class: ${RESTORE_A_MOMENT(name)} --db-instance-class db.m6g.large`,
  },
}

/** For a state of which `standingOf` says trouble. */
export function troubleOf(name: string, instance: DBInstance): UserError {
  const status = instance.DBInstanceStatus ?? ''
  const { means, type } = TROUBLES[status]
  return new UserError(`${name} is in the state ${status}: ${means}`, type(name, instance))
}
