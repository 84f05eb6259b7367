import { duration, flagName, rate, size, text, toggle, usage } from 'mproxy-base';
import { MoldError, sessionName } from 'mproxy-mold/packet';
import { isGroup, parseAddress } from 'mproxy-net/address';

/** Places in the store take 32 bits, and the copier needs memory beside it. */
const RETAIN_RANGE = { min: 1024 ** 2, max: 4095 * 1024 ** 2, why: 'not a size from 1MiB to 4095MiB' };

export const RETAIN_FLAG = size({ default: '256MiB', help: 'retransmission buffer size' }, RETAIN_RANGE);

/** A flag of what keeps messages, to send them again. */
export const RETAIN = { retain: RETAIN_FLAG };
export const NO_RETAIN = ['no address sends by frame=mold or with stream=NAME'] as const;

/** Flags of what sends by `frame=mold`. */
export const MOLD_SEND = {
  session: session(),
  repairRate: rate({
    help: 'retransmission rate limit, in total, 100Mbps or 5000pps; default --rate, else 1Gbps',
  }),
};

export const LINGER = {
  linger: duration({
    default: '2s',
    help: 'after the end, answer retransmission requests, or wait for TCP destinations, this long',
  }),
};

export const NO_LINGER = ['no address sends by frame=mold or by TCP'] as const;

export const REPAIR_TIMEOUT_FLAG = duration({
  default: '10s',
  help: 'report a message as lost this long after its first request',
});

/** A flag of what can receive messages of the past. */
export const FROM_START = {
  fromStart: toggle({ help: 'request each session, or read each stream, from its first message' }),
};
export const NO_FROM_START = ['no address receives by frame=mold or with stream=NAME'] as const;

/** Flags of what receives by `frame=mold`. */
export const MOLD_RECEIVE = {
  repairTimeout: REPAIR_TIMEOUT_FLAG,
  requestAddr: requestAddr(),
};

/** The flags as the user writes them, for messages. */
export const MOLD_FLAG_NAMES = {
  session: flagName('session', MOLD_SEND.session),
  retain: flagName('retain', RETAIN_FLAG),
  repairTimeout: flagName('repairTimeout', REPAIR_TIMEOUT_FLAG),
  requestAddr: flagName('requestAddr', MOLD_RECEIVE.requestAddr),
  linger: flagName('linger', LINGER.linger),
};

function session() {
  const flag = text({
    value: 'NAME',
    help: 'name of the session, 1 to 10 characters, never used before; default a new one each run',
  });
  const read = (given: string | undefined, name: string) => {
    try {
      return given === undefined ? undefined : sessionName(given);
    } catch (error) {
      if (error instanceof MoldError) throw usage(name, given!, error.message);
      throw error;
    }
  };
  return { ...flag, read };
}

function requestAddr() {
  const flag = text({
    value: 'ADDR',
    help: 'HOST:PORT to send retransmission requests to; default the source of the data',
  });
  const read = (given: string | undefined, name: string) => {
    if (given === undefined) return undefined;
    const address = parseAddress(given, { flag: name, keys: [], listens: false });
    if (isGroup(address.host))
      throw usage(name, given, 'a group, and requests go to one host', "give the sender's address");
    return address;
  };
  return { ...flag, read };
}
