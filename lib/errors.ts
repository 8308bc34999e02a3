// The errors a person can act on: what could not be done, to what, and the next command to type.
// bin/quarterdeck.ts prints the two lines and the exit code; everything else is a bug and keeps its stack.

/** The run failed for a reason the user can mend: `message` says what, `hint` says what to type next. */
export class UserError extends Error {
  readonly hint: string
  constructor(message: string, hint = '', options?: ErrorOptions) {
    super(message, options)
    this.name = 'UserError'
    this.hint = hint
  }
}

/** The command line itself is wrong: exit code 2, as getopt and grep do. */
export class UsageError extends UserError {
  override readonly name = 'UsageError'
}

/** The database went away in the middle: exit code 75 (EX_TEMPFAIL of sysexits.h), run the command again. */
export class DatabaseLost extends UserError {
  override readonly name = 'DatabaseLost'
}

/** The words of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
