// How many processors an account may rent: EC2 counts in vCPUs, by family and market, and a new account may have none with a
// card. Asked before anything is rented, because more of them take a person a day or two to get.

import { GetServiceQuotaCommand, ServiceQuotasClient } from '@aws-sdk/client-service-quotas'
import { type Cloud, CloudError, read } from './aws.ts'
import type { Market } from './ec2.ts'

type Quota = { code: string; name: string }

// docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html: families by the letters before the generation. P5 and
// what is newer have codes of their own on the spot market: what is not here is not checked, and EC2 refuses it at the launch.
const QUOTAS: { family: RegExp; spot: Quota; 'on-demand': Quota }[] = [
  {
    family: /^(g|gr|vt)\d/,
    spot: { code: 'L-3819A6DF', name: 'All G and VT Spot Instance Requests' },
    'on-demand': { code: 'L-DB2E81BA', name: 'Running On-Demand G and VT instances' },
  },
  {
    family: /^p[2-4]/,
    spot: { code: 'L-7212CCBC', name: 'All P4, P3 and P2 Spot Instance Requests' },
    'on-demand': { code: 'L-417A185B', name: 'Running On-Demand P instances' },
  },
  {
    family: /^([acdhimrtz]|im|is)\d/,
    spot: { code: 'L-34B43A08', name: 'All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests' },
    'on-demand': { code: 'L-1216C47A', name: 'Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances' },
  },
]

/** The quota that a kind of instance counts against. */
export function quotaOf(instanceType: string, market: Market): Quota | undefined {
  return QUOTAS.find(({ family }) => family.test(instanceType))?.[market]
}

/** Its vCPUs in a region, used ones included; or why they are not known. */
export async function limitOf(cloud: Cloud, region: string, { code }: Quota): Promise<number | { unknown: string }> {
  const command = new GetServiceQuotaCommand({ ServiceCode: 'ec2', QuotaCode: code })
  try {
    const { Quota } = await read(cloud, ServiceQuotasClient, region, command)
    return Quota?.Value ?? { unknown: 'AWS names no number' }
  } catch (error) {
    // EC2 checks for itself at the launch: not to know it before is no reason to stop.
    if (error instanceof CloudError && error.trouble !== 'login') return { unknown: error.message }
    throw error
  }
}

/** Where a person asks for more. */
export function pageOf(region: string, { code }: Quota): string {
  return `https://${region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/${code}`
}
