import { frameOf } from 'mproxy-net';
import type { AnyValues, Opener, Target } from '../../endpoint.js';
import type { Program } from '../../program.js';
import type { Sink } from '../../sink.js';
import { tlsClient } from '../tcp/open.js';
import type { NatsAddress } from './address.js';
import { readCredsFile } from './credentials.js';
import { JetSink } from './jet-sink.js';
import { isSame } from './servers.js';
import { NatsSink } from './sink.js';
import { NatsSource } from './source.js';
import { matches } from './subject.js';

/** Values of flags that several types share. */
interface Values {
  clientBuffer?: number;
  linger?: number;
  retain?: number;
  fromStart?: boolean;
}

export const opener: Opener<NatsAddress> = {
  sharesSinks: true,
  meets: () => true,
  feeds: (output, input) => isNats(input) && feeds(output.address, input.address),
  async openSources(program, { address }, { payload, values, unterminated = () => undefined }) {
    const { subject, queue, stream, durable } = address;
    const { fromStart = false } = values as Values;
    const reading = stream === undefined ? undefined : { stream, durable, fromStart };
    const frame = frameOf(address);
    const options = { subject, queue, frame, payload, reading };
    const checked = frame === 'lines' ? unterminated : () => undefined;
    const client = clientOptions(program, address, values);
    return [program.source(new NatsSource(program, { ...client, ...options, unterminated: checked }))];
  },
  async openSinks(program, targets, { frame, waits = false, values }) {
    const { clientBuffer = 0, linger = 0, retain = 0 } = values as Values;
    return targets.map(({ address }) => {
      const { subject, stream, window } = address;
      const options = { ...clientOptions(program, address, values), subject, frame, waits, linger };
      const sink =
        stream === undefined
          ? new NatsSink(program, { ...options, clientBuffer })
          : new JetSink(program, { ...options, stream, window, retain });
      return program.sink<Sink>(sink);
    });
  },
};

function isNats(target: Target): target is Target<NatsAddress> {
  return target.type.schemes.includes('nats');
}

/** Whether an input gets what is sent to an output: one server and the same subject. Other servers of a cluster are unknown. */
function feeds(output: NatsAddress, input: NatsAddress): boolean {
  const isShared = output.servers.some((one) => input.servers.some((other) => isSame(one, other)));
  return isShared && matches(input.subject, output.subject);
}

/** @throws MPROXY_FILE, MPROXY_TLS: a file that cannot be used */
function clientOptions(program: Program, { text, servers, login, tls }: NatsAddress, values: AnyValues) {
  if (login.creds !== undefined) readCredsFile(login.creds);
  const secure = () => tlsClient(program, presented(values));
  if (tls) secure();
  return { streams: program.engine.streams, login, name: text, servers, requiresTls: tls, tls: secure };
}

/** In a program with TLS listeners certificate and key are theirs; a client then presents none. */
function presented({ tlsCert, tlsKey, ...values }: AnyValues): AnyValues {
  return Array.isArray(tlsCert) ? values : { ...values, tlsCert, tlsKey };
}
