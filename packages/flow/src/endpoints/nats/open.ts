import { frameOf } from 'mproxy-net';
import type { AnyValues, Target } from '../../endpoint.js';
import type { Program } from '../../program.js';
import type { PacketOpener } from '../../transport.js';
import { tlsClient } from '../tcp/open.js';
import type { NatsAddress } from './address.js';
import type { Action } from './client.js';
import { readCredsFile } from './credentials.js';
import { PACKETS_WRITTEN } from './events.js';
import { JetSink } from './jet-sink.js';
import { Loops } from './loops.js';
import { isSame } from './servers.js';
import { NatsSink, type NatsSinkOptions } from './sink.js';
import { NatsSource } from './source.js';
import { matches } from './subject.js';

/** Values of flags that several types share. */
interface Values {
  clientBuffer?: number;
  linger?: number;
  retain?: number;
  fromStart?: boolean;
}

export const opener: PacketOpener<NatsAddress> = {
  sharesSinks: true,
  meets: () => true,
  feeds: (output, input) => isNats(input) && feeds(output.address, input.address),
  async openSources(program, { address }, { values, unterminated }) {
    const { subject, queue, stream, durable } = address;
    const { fromStart = false } = values as Values;
    const reading = stream === undefined ? undefined : { stream, durable, fromStart };
    const frame = frameOf(address);
    const client = clientOptions(program, address, 'receiving', values);
    const writing = {
      unterminated: frame === 'lines' ? unterminated : undefined,
      onPackets:
        unterminated && frame !== 'mold'
          ? () => program.emit(PACKETS_WRITTEN, { address: client.name })
          : undefined,
    };
    return [program.source(new NatsSource(program, { ...client, ...writing, subject, queue, reading }))];
  },
  openSinks: async (program, targets, { frame, waits = false, values }) =>
    targets.map(({ address }) => program.sink(sinkTo(program, address, { frame, waits }, values))),
  openPacketSink: async (program, { address }, { waits, values }) =>
    sinkTo(program, address, { frame: undefined, waits }, values),
};

function sinkTo(
  program: Program,
  address: NatsAddress,
  sending: Pick<NatsSinkOptions, 'frame' | 'waits'>,
  values: AnyValues,
): NatsSink | JetSink {
  const { clientBuffer = 0, linger = 0, retain = 0 } = values as Values;
  const { subject, stream, window } = address;
  const options = { ...clientOptions(program, address, 'sending', values), ...sending, subject, linger };
  if (stream === undefined) return new NatsSink(program, { ...options, clientBuffer });
  return new JetSink(program, { ...options, stream, window, retain });
}

function isNats(target: Target): target is Target<NatsAddress> {
  return target.type.schemes.includes('nats');
}

/** Whether an input gets what is sent to an output: one server and the same subject. Other servers of a cluster are unknown. */
function feeds(output: NatsAddress, input: NatsAddress): boolean {
  const isShared = output.servers.some((one) => input.servers.some((other) => isSame(one, other)));
  return isShared && matches(input.subject, output.subject);
}

/** @throws MPROXY_FILE, MPROXY_TLS: a file that cannot be used */
function clientOptions(program: Program, address: NatsAddress, action: Action, values: AnyValues) {
  const { text, servers, login, certificate, tls } = address;
  if (login.creds !== undefined) readCredsFile(login.creds);
  const secure = () => tlsClient(program, presented(values, certificate));
  if (tls) secure();
  const admit = program.shared('loops of nats', () => new Loops(program)).check(address, action);
  return {
    streams: program.streams,
    login,
    name: text,
    servers,
    requiresTls: tls,
    tls: secure,
    admit,
  };
}

/** In a program with TLS listeners the flags are theirs; a client then presents what its address says, if anything. */
function presented(
  { tlsCert, tlsKey, ...values }: AnyValues,
  certificate: NatsAddress['certificate'],
): AnyValues {
  if (certificate) return { ...values, tlsCert: certificate.cert, tlsKey: certificate.key };
  return Array.isArray(tlsCert) ? values : { ...values, tlsCert, tlsKey };
}
