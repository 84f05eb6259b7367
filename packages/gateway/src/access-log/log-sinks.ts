import { addresses, Outputs, type Program, resolveTargets, type Sink } from 'mproxy-flow';
import { openPathSink } from 'mproxy-flow/endpoints/file/path';
import { readRotation } from 'mproxy-flow/endpoints/file/rotation/options';
import { udp } from 'mproxy-flow/endpoints/udp/type';
import type { AccessLogConfig } from '../config/types.js';

/** The largest payload of a UDP datagram over IPv4. */
const MAX_PAYLOAD = 65_507;
const DATAGRAMS = addresses({ accept: [udp], roles: ['sink'], help: 'send records to a UDP address or group' });

/** Opens what the records of an access log go to: each of them is a datagram there. @throws MPROXY_FILE, MPROXY_RESOLVE and others */
export async function openLogSinks(program: Program, config: AccessLogConfig): Promise<Sink[]> {
  const { to, ...rotation } = config;
  if (!to.startsWith('udp:')) {
    const { rotateSize, rotateEvery, keep, gzip } = rotation;
    return [openPathSink(program, to, 'lines', false, readRotation({ rotateSize, rotateEvery, keep, gzip }))];
  }
  const targets = await resolveTargets(program, DATAGRAMS.read(to, 'access_log', {}), 'sink');
  return new Outputs(program, targets, { payload: MAX_PAYLOAD, values: {} }).open();
}
