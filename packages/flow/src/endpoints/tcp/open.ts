import { readFileSync } from 'node:fs';
import { BlockList, isIPv4 } from 'node:net';
import { failure, type ValuesOf } from 'mproxy-base';
import {
  type Address,
  frameOf,
  type Network,
  readCredentials,
  resolveAll,
  type TLS_CLIENT,
  type TLS_SERVER,
  type TlsConnection,
  TlsIdentities,
} from 'mproxy-net';
import type { AnyValues, Opener } from '../../endpoint.js';
import type { Program } from '../../program.js';
import { ClientsSink } from './clients.js';
import { CERTIFICATES_RELOADED, TLS_INSECURE } from './events.js';
import { type CLIENT_BUFFER, type CLIENTS, type SENDERS, TCP_NAMES, type UPSTREAM } from './flags.js';
import { TcpListenSource } from './senders.js';
import { TcpSink } from './sink.js';
import { TcpConnectSource } from './source.js';

/** Values of flags that several types share. */
interface StreamValues {
  flushAfter?: number | undefined;
  once?: boolean;
  allow?: Network[];
}
type ConnectValues = ValuesOf<{ a: typeof UPSTREAM; b: typeof TLS_CLIENT }> &
  StreamValues & { clientBuffer?: number; linger?: number };
type ListenValues = ValuesOf<{
  d: typeof CLIENT_BUFFER;
  a: typeof CLIENTS;
  b: typeof SENDERS;
  c: typeof TLS_SERVER;
}> &
  StreamValues;

export const connections: Opener<Address> = {
  sharesSinks: true,
  async openSources(program, { address }, { payload, values }) {
    const { flushAfter, idleTimeout, once = false } = values as ConnectValues;
    const options = {
      payload,
      flushAfter,
      idleTimeout,
      once,
      greeting: readGreeting(values as ConnectValues),
    };
    const tls = tlsOf(program, address, values);
    return [new TcpConnectSource(program, address, { ...options, frame: frameOf(address), tls })];
  },
  async openSinks(program, targets, { waits = false, values }) {
    const { clientBuffer = 0, linger = 0 } = values as ConnectValues;
    return targets.map(({ address }) => {
      const tls = tlsOf(program, address, values);
      const options = { frame: frameOf(address), waits, clientBuffer, linger, tls };
      return program.sink(new TcpSink(program, address, options));
    });
  },
};

export const listeners: Opener<Address> = {
  sharesSinks: true,
  resolve: (address, _role, signal) => resolveAll(address, signal),
  async openSources(program, { address, answers }, { payload, values }) {
    const { flushAfter, maxSenders, senderTimeout, allow } = values as ListenValues;
    const source = program.source(
      new TcpListenSource(program, address, {
        ...{ frame: frameOf(address), payload, flushAfter, maxSenders, senderTimeout },
        ...{ allow: blockList(allow), identities: identitiesOf(program, address, values) },
      }),
    );
    await source.open(answers);
    return [source];
  },
  async openSinks(program, targets, { values }) {
    const { clientBuffer, clientTimeout, maxClients, allow } = values as ListenValues;
    const sinks: ClientsSink[] = [];
    for (const { address, answers } of targets) {
      const sink = new ClientsSink(program, address, {
        ...{ frame: frameOf(address), buffer: clientBuffer, timeout: clientTimeout, maxClients },
        ...{ allow: blockList(allow), identities: identitiesOf(program, address, values) },
      });
      sinks.push(program.sink(sink));
      await sink.open(answers);
    }
    return sinks;
  },
};

/** @throws MPROXY_FILE */
function readGreeting({ greeting = '', greetingFile }: ConnectValues): Buffer {
  if (greetingFile === undefined) return Buffer.from(greeting);
  try {
    return readFileSync(greetingFile);
  } catch (error) {
    throw failure('MPROXY_FILE', TCP_NAMES.greetingFile, greetingFile, error);
  }
}

export function blockList(allow: Network[] = []): BlockList | undefined {
  if (allow.length === 0) return undefined;
  const list = new BlockList();
  for (const { address, prefix } of allow) list.addSubnet(address, prefix, isIPv4(address) ? 'ipv4' : 'ipv6');
  return list;
}

/** The certificates of all TLS listeners of a program, read again on a reload. */
function identitiesOf(program: Program, { keys }: Address, values: AnyValues): TlsIdentities | undefined {
  if (!keys.tls) return undefined;
  return program.shared('tls identities', () => {
    const identities = new TlsIdentities(values as ListenValues);
    program.presents(() => identities.certificates());
    program.onReload(() => {
      identities.reload();
      program.emit(CERTIFICATES_RELOADED, {});
    });
    return identities;
  });
}

function tlsOf(program: Program, { keys }: Address, values: AnyValues) {
  return keys.tls ? tlsClient(program, values) : undefined;
}

/** How TLS connections of a program that present one certificate are secured. @throws MPROXY_TLS */
export function tlsClient(program: Program, values: AnyValues): TlsConnection {
  const {
    tlsServername: servername,
    tlsInsecure: insecure,
    tlsCert = '',
    tlsKey = '',
  } = values as ConnectValues;
  return program.shared(JSON.stringify(['tls client', tlsCert, tlsKey]), () => {
    if (insecure) program.emit(TLS_INSECURE, {});
    return { credentials: readCredentials(values as ConnectValues), servername, insecure };
  });
}
