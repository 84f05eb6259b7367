import type { Deliver, Engine, OwnSender, Receiver } from 'mproxy-udp';
import { type Address, isWildcard, showEndpoint } from '../address.js';
import { type SourceCounts, sourceCounts } from '../counts.js';
import { failure, reason } from '../errors.js';
import { type Answer, scoped } from '../resolve.js';
import type { Service } from '../service.js';
import type { Source } from '../source.js';
import { showMemory } from '../units.js';

/** Asked of the kernel unless the user says otherwise, in bytes. */
const RECEIVE_BUFFER = 8 * 1024 * 1024;

/** A UDP socket that listens: on an address of this host, or on a group. */
export class UdpSource implements Source {
  readonly #counts = sourceCounts();

  constructor(
    readonly address: Address,
    private readonly receiver: Receiver,
  ) {}

  get name(): string {
    return this.address.text;
  }

  get local(): string {
    return showEndpoint(this.receiver.local);
  }

  get counts(): SourceCounts {
    const kernelDropped = this.receiver.dropped();
    if (kernelDropped !== undefined) this.#counts.kernelDropped = kernelDropped;
    return this.#counts;
  }

  /** What would have spared the drops. */
  get advice(): string {
    return bufferAdvice(this.address.keys.rcvbuf ?? RECEIVE_BUFFER, this.receiver.receiveBuffer);
  }

  run(deliver: Deliver): Promise<void> {
    return this.receiver.run(deliver);
  }

  stop(): void {
    this.receiver.stop();
  }

  ignore(from: OwnSender): void {
    this.receiver.ignore(from);
  }
}

/**
 * Opens the sockets of one address to listen on: one for every answer of its name. An answer that is not this
 * host's is skipped with a notice, as long as one is left. Port 0 becomes one port for all.
 * @param others the other answers that the command listens on
 * @throws MPROXY_LISTEN, MPROXY_INTERFACE
 */
export async function openUdpSources(
  service: Service,
  address: Address,
  answers: Answer[],
  others: Answer[],
): Promise<UdpSource[]> {
  const sources: UdpSource[] = [];
  let port = address.port;
  for (const answer of answers) {
    try {
      const receiver = await openReceiver(service, address, { ...answer, port }, others);
      port = receiver.local.port;
      sources.push(new UdpSource(address, receiver));
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'EADDRNOTAVAIL' && answers.length > 1;
      if (!missing) throw listenFailure('udp', address, error);
      service.notice(`listening: ${address.text}: skipping ${answer.ip}: ${reason(error)}`);
    }
  }
  if (sources.length === 0)
    throw failure(
      'MPROXY_LISTEN',
      'listening',
      address.text,
      'none of its answers is an address of this host',
    );
  return sources;
}

/** An error of bind(2) as the user needs it. */
export function listenFailure(protocol: 'udp' | 'tcp', address: Address, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  const advice: Record<string, string> = {
    EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE',
    EADDRINUSE: `another program listens there; see: ss -lnp '${protocol === 'udp' ? '( udp )' : '( tcp )'}'`,
    EADDRNOTAVAIL: 'listen on an address of this host, or on 0.0.0.0 or [::]',
  };
  if (code === 'EADDRINUSE') advice.EADDRINUSE = `see who has it: ss -lnp sport = :${address.port}`;
  return failure('MPROXY_LISTEN', 'listening', address.text, error, advice[code ?? ''] ?? '');
}

/** How a kernel buffer that was not granted in full can be raised (socket(7)). */
export function bufferAdvice(
  asked: number,
  granted: number,
  limit: 'rmem_max' | 'wmem_max' = 'rmem_max',
): string {
  if (granted >= asked || process.platform !== 'linux') return `its buffer is ${showMemory(granted)}`;
  return `its buffer is ${showMemory(granted)} of ${showMemory(asked)}: sysctl -w net.core.${limit}=${asked}`;
}

async function openReceiver(
  service: Service,
  address: Address,
  answer: Answer,
  others: Answer[],
): Promise<Receiver> {
  const { family, ip, port, interface: on } = answer;
  const { keys } = address;
  const asked = keys.rcvbuf ?? RECEIVE_BUFFER;
  const wildcardToo = others.some((other) => other.ip === '0.0.0.0' && other.port === port);
  const receiver = await service.engine.openReceiver({
    address: on ? ip : scoped(answer),
    port,
    family,
    ipv6Only: ip === '::' && wildcardToo,
    ...(on && { membership: { interface: on, sources: keys.source ?? [] } }),
    receiveBuffer: asked,
    notice: service.notice,
  });
  announce(service, address, answer, receiver);
  return receiver;
}

function announce(service: Service, address: Address, answer: Answer, receiver: Receiver): void {
  const { ip, interface: on } = answer;
  const { keys } = address;
  const local = showEndpoint({ address: ip, port: receiver.local.port });
  const where = on ? `group ${local} on interface ${on.name}` : `udp ${local}`;
  const groupsToo = isWildcard(ip) && !service.engine.exactGroups;
  service.listening(
    `${where}${groupsToo ? ' (groups that this host joined on that port arrive too)' : ''}`,
    receiver.local,
  );
  if (keys.rcvbuf !== undefined && receiver.receiveBuffer < keys.rcvbuf) {
    service.notice(`rcvbuf: ${address.text}: ${bufferAdvice(keys.rcvbuf, receiver.receiveBuffer)}`);
  }
}

export type { Engine };
