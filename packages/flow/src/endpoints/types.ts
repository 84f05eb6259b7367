import { file } from './file/type.js';
import { mold } from './mold/type.js';
import { nats } from './nats/type.js';
import { tcp, tcpListener } from './tcp/type.js';
import { udp } from './udp/type.js';

/** Where datagrams come from and go to. Of two types with one scheme the first is asked first. */
export const DATAGRAMS = [mold, udp, nats];

/** Where a program can send to. */
export const DESTINATIONS = [...DATAGRAMS, tcp];

/** Where a program can listen. */
export const LISTENERS = [...DATAGRAMS, tcpListener];

/** What a program can connect to and read. */
export const UPSTREAMS = [tcp];

/** Where a program can accept connections. */
export const ACCEPTING = [tcpListener];

export const FILES = [file];
