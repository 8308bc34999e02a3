// What a rented instance is told before its first start: who may come in, which host key it shows, and when it is over. Read by
// cloud-init, which every image of Ubuntu, Debian and Amazon brings. What is installed later comes over ssh (bin/instance).
// The format: cloud-config, written as JSON, of which YAML is a superset, so that no quoting of our own can go wrong.

/** A pair of keys as ssh-keygen writes it, of the kind ed25519. */
export type KeyPair = { private: string; public: string }

export type FirstWords = {
  /** The line of the public key that may come in. */
  authorizedKey: string
  /** Made by us before, so that the very first connection knows whom it has reached. */
  hostKey: KeyPair
  sshPort: number
  /** When the instance switches itself off, whatever became of us. */
  ends: Date
  /** Name of the login. */
  user: string
}

const UNITS = '/etc/systemd/system'
const TIMER = 'quarterdeck-end'
const SSH_PORT = 22

export function userData({ authorizedKey, hostKey, sshPort, ends, user }: FirstWords): string {
  const moved = sshPort !== SSH_PORT
  const config = {
    // The image's own first login gets this name, so that it is right on an image of any maker.
    user: { name: user },
    ssh_authorized_keys: [authorizedKey.trim()],
    ssh_pwauth: false,
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: withLineBreak(hostKey.private), ed25519_public: hostKey.public.trim() },
    write_files: [
      ...deadMansTimer(ends),
      ...(moved ? [file('/etc/ssh/sshd_config.d/10-quarterdeck.conf', `Port ${sshPort}\n`)] : []),
    ],
    runcmd: [
      ['systemctl', 'daemon-reload'],
      ['systemctl', 'enable', '--now', `${TIMER}.timer`],
      // A time that is over when the timer is set would never come: a start that took hours, or a clock that was wrong.
      ['sh', '-c', `test "$(date +%s)" -lt ${secondsOf(ends)} || systemctl start ${TIMER}.service`],
      // Ubuntu from 22.10 on lets systemd listen, at the port of sshd's own settings as of the last reload (its note
      // discourse.ubuntu.com/t/30189); older ones and Debian let sshd itself. Only what is running is started again.
      ...(moved ? [['systemctl', 'try-restart', 'ssh.socket', 'ssh.service']] : []),
    ],
  }
  return `#cloud-config\n${JSON.stringify(config)}\n`
}

/**
 * Powers the machine off at an absolute time, and by EC2's rule for what powers itself off, which is set at launch, ends what
 * it costs. `Persistent` makes up for a time that came while the machine was being started again.
 */
function deadMansTimer(ends: Date): object[] {
  return [
    file(
      `${UNITS}/${TIMER}.service`,
      `[Unit]
Description=End of the rented time

[Service]
Type=oneshot
ExecStart=/usr/bin/systemctl poweroff
`,
    ),
    file(
      `${UNITS}/${TIMER}.timer`,
      `[Unit]
Description=End of the rented time

[Timer]
OnCalendar=${calendarTime(ends)}
AccuracySec=1s
Persistent=true

[Install]
WantedBy=timers.target
`,
    ),
  ]
}

function file(path: string, content: string): object {
  return { path, content, permissions: '0644' }
}

/** 2024-11-01 12:00:00 UTC: systemd would take a time without its zone for local time. */
function calendarTime(time: Date): string {
  return `${new Date(secondsOf(time) * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function secondsOf(time: Date): number {
  return Math.floor(time.getTime() / 1000)
}

/** sshd refuses a private key without a line break at its end. */
function withLineBreak(text: string): string {
  return `${text.trimEnd()}\n`
}
