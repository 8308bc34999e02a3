// What a piece of work is refused with: tests of errors begin here.

import { expect } from 'vitest'
import { UserError } from '../lib/errors.ts'

/** The error that the work ends in; a failed test where it ends well, or where no Error was thrown. */
export async function failureOf(work: Promise<unknown>): Promise<Error> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Error)
  return error as Error
}

/** The same for an error that a person can act on: it says what to do next. */
export async function refusalOf(work: Promise<unknown>): Promise<UserError> {
  const error = await failureOf(work)
  expect(error).toBeInstanceOf(UserError)
  expect((error as UserError).hint).not.toBe('')
  return error as UserError
}
