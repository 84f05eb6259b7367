import { toggle } from 'mproxy-base';
import { addresses, keysOf } from 'mproxy-flow/addresses';
import { FROM_START, LINGER, MOLD_RECEIVE, MOLD_SEND, RETAIN } from 'mproxy-flow/endpoints/mold/flags';
import { CLIENT_BUFFER, UPSTREAM } from 'mproxy-flow/endpoints/tcp/flags';
import { DATAGRAMS, DESTINATIONS, UPSTREAMS } from 'mproxy-flow/endpoints/types';
import { STREAM } from 'mproxy-flow/stream/flags';
import { keyFlags } from 'mproxy-net/keys';
import { networks } from 'mproxy-net/networks';
import { TLS_CLIENT } from 'mproxy-net/tls-flags';

const ENDS = {
  udpListenAddr: addresses({
    accept: DATAGRAMS,
    // The first, if it is a group of UDP, also receives the data of TCP upstreams.
    roles: ['source', 'sink'],
    help: 'listen on UDP or a group',
  }),
  tcpConnectAddr: addresses({ accept: UPSTREAMS, roles: ['source'], help: 'connect to a TCP upstream' }),
  udpDownstreamAddr: addresses({
    accept: DESTINATIONS,
    roles: ['sink'],
    help: 'send to UDP, unicast, broadcast or a group, or to TCP; all get everything',
  }),
};

export const FLAGS = {
  'From and to': {
    ...ENDS,
    allow: networks('UDP listeners drop datagrams of senders outside this network'),
    tee: toggle({ short: '-t', help: 'copy what comes in to stdout' }),
  },
  'TCP upstreams': {
    ...UPSTREAM,
    once: toggle({
      help: 'connect each upstream once; end with 0 when all ended, 1 when one failed; so with sessions of frame=mold',
    }),
    ...STREAM,
  },
  'TCP destinations': CLIENT_BUFFER,
  'TLS connections': TLS_CLIENT,
  'Nothing lost (frame=mold, stream=NAME)': {
    ...MOLD_SEND,
    ...RETAIN,
    ...LINGER,
    ...FROM_START,
    ...MOLD_RECEIVE,
  },
  'Keys of an address, as flags for all': keyFlags(keysOf({ ENDS })),
};
