import { failure } from 'mproxy-base';

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const FIRST = 3;

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The descriptor of a socket that the service manager passed.
 * @param which its number, or its name (systemd.socket(5), FileDescriptorName=)
 * @throws MPROXY_LISTEN if there is none, or several: of a unit with several sockets all have its name
 */
export function passedDescriptor(which: number | string, environment: Environment = process.env): number {
  if (typeof which === 'number') return which;
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES = '' } = environment;
  const passed = Number(LISTEN_PID) === process.pid ? Number(LISTEN_FDS) : 0;
  const names = LISTEN_FDNAMES.split(':').slice(0, passed);
  const at = names.indexOf(which);
  if (at >= 0 && at === names.lastIndexOf(which)) return FIRST + at;
  const problem =
    at >= 0
      ? `the service manager passed ${names.filter((name) => name === which).length} sockets of this name`
      : undefined;
  const why =
    problem ??
    (passed > 0 ? `the service manager passed ${names.join(', ')}` : 'no service manager passed a socket');
  throw failure(
    'MPROXY_LISTEN',
    'listening',
    `fd:${which}`,
    why,
    at >= 0
      ? 'give each a unit of its own, or name them by their numbers: fd:3, fd:4'
      : 'see systemd.socket(5), FileDescriptorName=',
  );
}
