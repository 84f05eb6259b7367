import type { SocketAddress } from 'mproxy-base';
import type { SendCounts } from 'mproxy-net';
import type { AnyAddress, AnyValues, EndpointType, Opener, SourceContext, Target } from './endpoint.js';
import type { Program } from './program.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

/** A type of endpoint that carries datagrams: `frame=mold` runs over it. */
export interface Transport<A extends AnyAddress = any> extends EndpointType<A> {
  carries: 'datagrams';
  load(): Promise<PacketOpener<A>>;
}

/** How the endpoints of a transport are opened, plain and for packets of `frame=mold`. */
export interface PacketOpener<A extends AnyAddress = any> extends Opener<A> {
  openSources(program: Program, target: Target<A>, context: SourceContext): Promise<PacketSource[]>;
  /** The caller closes the sink. */
  openPacketSink(program: Program, target: Target<A>, options: PacketSinkOptions): Promise<PacketSink>;
}

/** A source of datagrams, each as it was sent. */
export interface PacketSource extends Source {
  /**
   * Where it receives. Then each batch names its senders, who take retransmission requests. Undefined: a packet comes from
   * the transport, which redelivers what it can by itself.
   */
  readonly local?: SocketAddress | undefined;
  /**
   * How it goes on where a former run of the program ended. `again`: packets that this run had received and not stored come
   * again, in the order of their arrival. Undefined: there was no such run.
   */
  readonly resumed?: { again: boolean } | undefined;
  /** Without `local`: what can be done about packets that the transport lost. */
  readonly lossAdvice?: string;
}

/** Sends a packet to a requester. */
export type Reply = (bytes: Buffer, to: SocketAddress) => void;

export interface PacketSinkOptions {
  /** Whether it waits for room, as all its sources can; else it drops. */
  waits: boolean;
  values: AnyValues;
  /** Takes a retransmission request, where receivers know the address of the sender. It may keep the bytes. */
  onRequest: (bytes: Buffer, from: SocketAddress, reply: Reply) => void;
}

/** A sink that sends each datagram of a batch as it is. */
export interface PacketSink extends Sink {
  /** Counts of the replies, which are not in its counts. Undefined: receivers do not know the address of the sender. */
  readonly replies?: SendCounts;
}
