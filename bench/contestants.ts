import { join } from 'node:path';
import { type Command, type Contestant, fromTo, GROUP, HOST, type Place } from './contestant.js';
import { gateways } from './gateways.js';
import type { Load } from './loads.js';
import { listenAddresses } from './many.js';
import { CERTIFICATE, isProgram, native, onPath, ROOT } from './native.js';
import { original } from './original.js';
import { REPAIRERS } from './repair.js';

const TS_PACKET = 188;
/** mproxy's receive buffer. Root may exceed net.core.rmem_max (SO_RCVBUFFORCE, socket(7)). */
const BUFFER = process.getuid?.() === 0 ? 'setsockopt-listen=1:33:i8388608' : 'rcvbuf=8388608';

/** @throws an Error if MPROXY_RS names a folder without the original */
export function contestants(): Contestant[] {
  const found: Contestant[] = [
    { name: 'mproxy', kind: 'ours', command: ours([]) },
    { name: 'mproxy, engine node', kind: 'node', command: nodeEngine },
    { name: 'bare C loop', kind: 'loop', command: loop },
  ];
  const { MPROXY_RS } = process.env;
  if (MPROXY_RS) found.push(original(MPROXY_RS));
  const peers = { socat, ncat, multicat };
  for (const [name, command] of Object.entries(peers))
    if (onPath(name)) found.push({ name, kind: 'peer', command });
  return [...found.map(withinLimits), ...REPAIRERS, ...gateways()];
}

/** The executables of `npm run package`, and the same code under the Node version that they contain. */
export function executables(): Contestant[] {
  const packaged = (name: string) => [join(ROOT, 'dist', `mproxy-${name}`)];
  const node = join(ROOT, 'packaging', 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  for (const file of [...packaged('forward'), node])
    if (!isProgram(file)) throw new Error(`--executables: ${file}: not there: run npm run package first`);
  const twin = (name: string) => [node, join(ROOT, 'bin', `mproxy-${name}`)];
  const found: Contestant[] = [
    { name: 'mproxy', kind: 'ours', command: ours([], packaged) },
    { name: 'the same under node', kind: 'twin', command: ours([], twin) },
  ];
  return found.map(withinLimits);
}

/** Repair and gateway have their own contestants; many sockets, or groups, in one process are for mproxy alone. */
function withinLimits({ command, ...rest }: Contestant): Contestant {
  const own = ['repair', 'gateway', 'start'];
  const alone = rest.kind === 'loop' || rest.kind === 'peer' ? [...own, 'many'] : own;
  return {
    ...rest,
    command: (load, place) => (alone.includes(load.role) ? undefined : command(load, place)),
  };
}

function ours(flags: string[], program = underNode): Contestant['command'] {
  return (load, place) => {
    const run = (name: string, ...rest: string[]) => ({ argv: [...program(name), ...flags, ...rest] });
    if (load.role === 'client') {
      const size = ['--payload', `${load.size}`];
      const cut = {
        lines: load.told ? size : [],
        raw: ['--frame', 'raw', ...size],
        // No receiver requests retransmission.
        mold: ['--frame', 'mold', '--linger', '0', ...size],
      }[load.frame];
      return run('client', '--path', place.file, '--server-addr', `${HOST}:${place.out}`, ...cut);
    }
    if (load.role === 'server')
      return run('server', '--path', place.file, '--listen-addr', `${HOST}:${place.in}`);
    if (load.role === 'many') {
      const addresses = listenAddresses(load, place).flatMap((address) => ['--listen-addr', address]);
      return run('server', '--path', place.file, '--merge', ...addresses);
    }
    if (load.role === 'group') {
      const group = `${GROUP}:${place.in},interface=lo`;
      const output = `${load.tls ? 'tls://' : ''}${HOST}:${place.out}`;
      const { cert, key } = CERTIFICATE;
      const tls = load.tls ? ['--tls-cert', cert, '--tls-key', key] : [];
      return run('reverse', '--multicast-addr', group, '--tcp-output-addr', output, ...tls);
    }
    return run('forward', ...fromTo(place));
  };
}

/** The cost of mold is measured only with the default engine. */
function nodeEngine(load: Load, place: Place): Command | undefined {
  return cutsLines(load) ? undefined : ours(['--engine', 'node'])(load, place);
}

/** Whether a client must pack whole lines into datagrams of a given size, which only mproxy supports. */
function cutsLines({ role, frame, told }: Load): boolean {
  return role === 'client' && frame !== 'raw' && told;
}

function underNode(name: string): string[] {
  return [process.execPath, join(ROOT, 'bin', `mproxy-${name}`)];
}

function loop(load: Load, place: Place): Command | undefined {
  const at = [`${place.in}`, `${place.out}`];
  if (cutsLines(load)) return undefined;
  if (load.role === 'client')
    return { argv: [native('loop-client'), place.file, `${place.out}`, `${load.size}`] };
  if (load.role === 'server') return { argv: [native('loop-server'), `${place.in}`, place.file] };
  if (load.role === 'group') {
    const { cert, key } = CERTIFICATE;
    const args = [GROUP, ...at, `${load.clients}`];
    return {
      argv: load.tls ? [native('loop-fanout-tls'), ...args, cert, key] : [native('loop-fanout'), ...args],
    };
  }
  return { argv: [native('loop-relay'), ...at] };
}

/** socat forks a process per TCP client, each with its own socket in the group. */
function socat(load: Load, place: Place): Command | undefined {
  if (cutsLines(load)) return undefined;
  const listen = `UDP4-RECV:${place.in},bind=${HOST},${BUFFER}`;
  const send = `UDP4-SENDTO:${HOST}:${place.out}`;
  if (load.role === 'client')
    return { argv: ['socat', '-u', '-b', `${load.size}`, `OPEN:${place.file}`, send] };
  if (load.role === 'server')
    return { argv: ['socat', '-u', '-b', '65536', listen, `OPEN:${place.file},creat,append`] };
  if (load.role === 'group') {
    const { cert, key } = CERTIFICATE;
    const kind = load.tls
      ? `OPENSSL-LISTEN:${place.out},pf=ip4,cert=${cert},key=${key},verify=0`
      : `TCP4-LISTEN:${place.out}`;
    const door = `${kind},bind=${HOST},fork,reuseaddr,backlog=1000`;
    const join = `ip-add-membership=${GROUP}:${HOST}`;
    const source = `UDP4-RECV:${place.in},bind=${GROUP},reuseaddr,${join},${BUFFER}`;
    return { argv: ['socat', '-U', '-b', '65536', door, source], sockets: load.clients };
  }
  return { argv: ['socat', '-u', '-b', '65536', listen, send] };
}

/** ncat's broker supports only TCP, so it cannot serve a group. It has no option for the datagram size. */
function ncat(load: Load, place: Place): Command | undefined {
  const listen = ['ncat', '-u', '-l', HOST, `${place.in}`];
  if (load.role === 'group' || (load.role === 'client' && load.told)) return undefined;
  if (load.role === 'client')
    return { argv: ['ncat', '-u', '--send-only', HOST, `${place.out}`], stdin: place.file };
  if (load.role === 'server') return { argv: [...listen, '--recv-only'], stdout: place.file };
  return { argv: [...listen, '--sh-exec', `exec ncat -u ${HOST} ${place.out}`] };
}

/** multicat has no TCP, moves only whole MPEG TS packets, and reads only files with its own clock file. */
function multicat(load: Load, place: Place): Command | undefined {
  if (load.role === 'group' || load.role === 'client' || load.size % TS_PACKET) return undefined;
  const to = load.role === 'server' ? place.file : `${HOST}:${place.out}`;
  return { argv: ['multicat', '-u', '-U', '-m', `${load.size}`, `@${HOST}:${place.in}`, to] };
}
