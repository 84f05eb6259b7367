import type { EndpointType } from '../endpoint.js';
import type { Transport } from '../transport.js';
import { file } from './file/type.js';
import { moldOver } from './mold/type.js';
import { nats, natsStream } from './nats/type.js';
import { tcp, tcpListener } from './tcp/type.js';
import { udp } from './udp/type.js';

/** What carries datagrams, and so packets of `frame=mold` too. */
const TRANSPORTS: readonly Transport[] = [udp, natsStream, nats];

/** Where datagrams come from and go to. Of two types with one scheme the first is asked first. */
export const DATAGRAMS: EndpointType[] = TRANSPORTS.flatMap((transport) => [moldOver(transport), transport]);

/** Where a program can send to. */
export const DESTINATIONS = [...DATAGRAMS, tcp];

/** Where a program can listen. */
export const LISTENERS = [...DATAGRAMS, tcpListener];

/** What a program can connect to and read. */
export const UPSTREAMS = [tcp];

/** Where a program can accept connections. */
export const ACCEPTING = [tcpListener];

export const FILES = [file];

export const TYPES = [...DATAGRAMS, tcp, tcpListener, file];
