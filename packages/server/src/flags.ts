import { toggle } from 'mproxy-base';
import { addresses, keysOf } from 'mproxy-flow/addresses';
import { FILE_MODE, ROTATION } from 'mproxy-flow/endpoints/file/flags';
import { FROM_START, MOLD_RECEIVE } from 'mproxy-flow/endpoints/mold/flags';
import { SENDERS } from 'mproxy-flow/endpoints/tcp/flags';
import { FILES, LISTENERS } from 'mproxy-flow/endpoints/types';
import { FLUSH_AFTER } from 'mproxy-flow/stream/flags';
import { keyFlags } from 'mproxy-net/keys';
import { networks } from 'mproxy-net/networks';
import { TLS_SERVER, TLS_TRUST } from 'mproxy-net/tls-flags';

const ENDS = {
  listenAddr: addresses({
    accept: LISTENERS,
    roles: ['source'],
    stream: true,
    required: ['there is nothing to listen on'],
    help: 'where to listen',
  }),
  path: addresses({
    accept: FILES,
    roles: ['sink'],
    single: true,
    value: 'FILE|-',
    required: ['there is nowhere to write', 'give a file, or - for stdout'],
    help: 'output, appended to: a file, FIFO or device; - is stdout. Several listeners: FILE.ADDR each',
  }),
};

export const FLAGS = {
  'From and to': {
    ...ENDS,
    allow: networks('accept datagrams and connections only from this network'),
    fileMode: FILE_MODE,
    merge: toggle({ help: 'several listeners: all into FILE' }),
    tee: toggle({ short: '-t', help: 'copy what is received to stdout' }),
  },
  'Rotation, to FILE.YYYYMMDD-HHMMSS.mmm (local time)': ROTATION,
  'TCP listeners': { ...SENDERS, ...FLUSH_AFTER },
  'TLS listeners': TLS_SERVER,
  'TLS connections': TLS_TRUST,
  'Nothing lost (--frame mold, stream=NAME)': {
    once: toggle({ help: 'end when every session has ended: with 0 when nothing is missing, else 1' }),
    ...FROM_START,
    ...MOLD_RECEIVE,
  },
  'Keys of an address, as flags for all': keyFlags(keysOf({ ENDS })),
};
