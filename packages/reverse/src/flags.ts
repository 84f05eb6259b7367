import { toggle } from 'mproxy-base';
import { addresses, keysOf } from 'mproxy-flow/addresses';
import { FROM_START, LINGER, MOLD_RECEIVE, MOLD_SEND, RETAIN } from 'mproxy-flow/endpoints/mold/flags';
import { CLIENT_BUFFER, CLIENTS, SENDERS } from 'mproxy-flow/endpoints/tcp/flags';
import { ACCEPTING, DATAGRAMS } from 'mproxy-flow/endpoints/types';
import { STREAM } from 'mproxy-flow/stream/flags';
import { keyFlags } from 'mproxy-net/keys';
import { networks } from 'mproxy-net/networks';
import { TLS_SERVER, TLS_TRUST } from 'mproxy-net/tls-flags';

const INPUTS = {
  udpListenAddr: addresses({ accept: DATAGRAMS, roles: ['source'], help: 'listen on UDP or a group' }),
  tcpListenAddr: addresses({ accept: ACCEPTING, roles: ['source'], help: 'accept TCP senders' }),
};
const GROUP = {
  multicastAddr: addresses({
    accept: DATAGRAMS,
    roles: ['sink', 'source'],
    single: true,
    default: '[ff02::1]:9918',
    help: 'the group',
  }),
};
const OUTPUTS = {
  tcpOutputAddr: addresses({
    accept: ACCEPTING,
    roles: ['sink'],
    help: 'accept TCP clients, each gets everything',
  }),
  udpOutputAddr: addresses({ accept: DATAGRAMS, roles: ['sink'], help: 'send to UDP' }),
};

export const FLAGS = {
  'Into the group': { ...INPUTS, ...STREAM, ...SENDERS },
  'The group in the middle': {
    ...GROUP,
    tee: toggle({
      short: '-t',
      help: 'copy what the listeners take in, or without any what the group delivers, to stdout',
    }),
  },
  'From the group': { ...OUTPUTS, ...CLIENT_BUFFER, ...CLIENTS },
  Access: { allow: networks('accept connections and datagrams only from this network') },
  'TLS listeners': TLS_SERVER,
  'TLS connections': TLS_TRUST,
  'Nothing lost (frame=mold, stream=NAME)': {
    once: toggle({ help: 'end when every session has ended: with 0 when nothing is missing, else 1' }),
    ...MOLD_SEND,
    ...RETAIN,
    ...LINGER,
    ...FROM_START,
    ...MOLD_RECEIVE,
  },
  'Keys of an address, as flags for all': keyFlags(keysOf({ INPUTS, GROUP, OUTPUTS })),
};
