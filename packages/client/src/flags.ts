import { rate, toggle } from 'mproxy-base';
import { addresses, keysOf } from 'mproxy-flow/addresses';
import { READ } from 'mproxy-flow/endpoints/file/flags';
import { LINGER, MOLD_SEND, RETAIN } from 'mproxy-flow/endpoints/mold/flags';
import { DESTINATIONS, FILES } from 'mproxy-flow/endpoints/types';
import { STREAM } from 'mproxy-flow/stream/flags';
import { keyFlags } from 'mproxy-net/keys';
import { TLS_CLIENT } from 'mproxy-net/tls-flags';

const ENDS = {
  path: addresses({
    accept: FILES,
    roles: ['source'],
    single: true,
    value: 'FILE|-',
    required: ['there is nothing to read', 'give a file, or - for stdin'],
    help: 'input: a file, FIFO or device; - is stdin',
  }),
  serverAddr: addresses({
    accept: DESTINATIONS,
    roles: ['sink'],
    stream: true,
    help: 'where to send, all get the same',
  }),
};

export const FLAGS = {
  'From and to': { ...ENDS, tee: toggle({ short: '-t', help: 'copy what is read to stdout' }), ...READ },
  'How it is sent': {
    rate: rate({ help: 'rate limit of each destination, in payload: 100Mbps or 5000pps' }),
    ...STREAM,
    progress: toggle({ help: 'show a bar; default if stderr is a terminal and the input a regular file' }),
  },
  'TLS destinations': TLS_CLIENT,
  'Nothing lost (--frame mold, stream=NAME)': { ...MOLD_SEND, ...RETAIN, ...LINGER },
  'Keys of an address, as flags for all': keyFlags(keysOf({ ENDS })),
};
