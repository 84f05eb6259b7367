import type { Frame } from 'mproxy-framing';
import {
  type Address,
  type Answer,
  interfaceMtu,
  resolveAll,
  resolveFirst,
  routeInterface,
  scoped,
} from 'mproxy-net';
import type { PacketOpener } from '../../transport.js';
import { feeds } from './loops.js';
import { openSocketSink, openUdpSink, type UdpSink } from './sink.js';
import { openUdpSources } from './source.js';

/** Used where the MTU is unknown: Ethernet's 1500 bytes less the IPv6 and UDP headers. */
const DEFAULT_PAYLOAD = 1452;
/** IP and UDP headers without options (RFC 791, RFC 8200, RFC 768). */
const HEADERS = { 4: 28, 6: 48 };

export const opener: PacketOpener<Address> = {
  resolve: async (address, role, signal) =>
    role === 'source' ? resolveAll(address, signal) : [await resolveFirst(address, signal)],
  feeds: (output, input) =>
    input.type.schemes.includes('udp') &&
    output.answers.some((out) => input.answers.some((into) => feeds(out, into))),
  meets: ({ answers }) => answers[0]?.interface !== undefined,
  payload: ({ answers }) => payloadFor(answers[0]!),
  openSinks(program, targets, { frame, waits, payload, values }) {
    const { frame: rule = 'lines' } = values as { frame?: Frame };
    const relay = { frame: rule, payload, waits: waits ?? false };
    return Promise.all(
      targets.map(({ address, answers }) => openUdpSink(program, address, answers[0]!, frame, relay)),
    );
  },
  openSources: openUdpSources,
  async openPacketSink(program, { address, answers }, { waits, onRequest }) {
    const sink: UdpSink = await openSocketSink(program, address, answers[0]!, {
      ...{ waits, cutAfter: false },
      onMessage: (bytes, from) => onRequest(bytes, from, (reply, to) => sink.reply(reply, to)),
    });
    return sink;
  },
};

async function payloadFor(answer: Answer): Promise<number> {
  const via = answer.interface ?? (await routeInterface(scoped(answer)));
  const mtu = via && interfaceMtu(via.name);
  return mtu === undefined ? DEFAULT_PAYLOAD : mtu - HEADERS[answer.family];
}
