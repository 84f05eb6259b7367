import type { FlagTable } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import type { AddressKeys, AddressRule, Answer, KeyName, Keys } from 'mproxy-net';
import type { EventDefinition } from './events.js';
import type { Program } from './program.js';
import type { Pace } from './route.js';
import type { Sink } from './sink.js';
import type { Source } from './source.js';

export type Role = 'source' | 'sink';

/** What is known of an address of any type. Types add their own fields. */
export interface AnyAddress extends AddressKeys {
  /** As it is shown to the user: as typed, without secrets. */
  text: string;
}

/**
 * A type of endpoint: what the parser, the help and the completions need of it. It is loaded at every start; what opens its
 * sockets or files is behind {@link load}.
 */
export interface EndpointType<A extends AnyAddress = any> {
  name: string;
  /** Schemes of its addresses. Those of the first type that a flag accepts may be left out. */
  schemes: readonly string[];
  /** How its addresses are written, for the help: `tls://HOST:PORT`. */
  syntax: string;
  /** The keys of its addresses in each role; none: it does not have the role. */
  keys: { readonly [R in Role]?: readonly KeyName[] };
  /** Keys that only its addresses have, in each role. They are no flags: a file of credentials is of one address. */
  ownKeys?: { readonly [R in Role]?: FlagTable };
  /** Datagrams pass unframed or as packets of `frame=mold`; a stream has any other frame. */
  carries: 'datagrams' | 'stream';
  /** Its datagrams are packets of `frame=mold`: sessions, which end. */
  mold?: true;
  /** Whether its sources wait while a sink has no room, as over a connection. Default: datagrams no, streams yes. */
  waits?: boolean;
  /** Its sources can leave out what sinks of the program send there: {@link Source.ignore}. */
  ignoresOwn?: true;
  /** Whether it listens in a role: port 0 is then picked by the system. */
  listens: readonly Role[];
  /** Flags that are an error without an address of the type. */
  flags?: readonly TypeFlags[];
  /** What its endpoints report. */
  events?: readonly EventDefinition[];
  /** Among types of one scheme, the first whose `claims` is true of an address has it. Default: true. */
  claims?(keys: Keys): boolean;
  /** Checks values of flags that the type uses. @throws MPROXY_USAGE */
  check?(values: AnyValues, roles: readonly Role[], address: A): void;
  /** No I/O. @throws MPROXY_USAGE */
  parse(text: string, rule: AddressRule, defaults: Keys): A;
  load(): Promise<Opener<A>>;
}

/** Flags of a type. */
export interface TypeFlags {
  table: FlagTable;
  role?: Role;
  /** Whether an address uses them; default all do. */
  appliesTo?(keys: Keys): boolean;
  /** The error where they are given without such an address. */
  unused: readonly [why: string, advice?: string];
}

/** An address of the command line, and its type. */
export interface Endpoint<A extends AnyAddress = any> {
  type: EndpointType<A>;
  address: A;
}

/** An endpoint that can be opened. */
export interface Target<A extends AnyAddress = any> extends Endpoint<A> {
  opener: Opener<A>;
  /** Its resolved addresses; empty where the type resolves later, or has none. */
  answers: Answer[];
}

/** Values of flags by their names in the tables. */
export type AnyValues = Record<string, any>;

export interface SinkContext {
  /** The frame of the route's stream; undefined: datagrams. */
  frame: Frame | undefined;
  /** Whether the sinks wait for room, as all their sources can. */
  waits?: boolean;
  /** Size to which datagrams are filled, in bytes. */
  payload: number;
  pace?: Pace | undefined;
  values: AnyValues;
}

export interface SourceContext {
  payload: number;
  values: AnyValues;
  /** Called every second while datagrams without a newline at their end arrive where the frame is `lines`. */
  unterminated?: (() => void) | undefined;
}

/** How endpoints of a type are opened, and what feeds what. */
export interface Opener<A extends AnyAddress = any> {
  /** Default: nothing is resolved before it is opened. @throws MPROXY_RESOLVE; the signal's reason */
  resolve?(address: A, role: Role, signal: AbortSignal): Promise<Answer[]>;
  /** Whether what is sent to the output is received by the input. Default: no. */
  feeds?(output: Target<A>, input: Target): boolean;
  /** Whether any number of senders and receivers meet at the target, as in a multicast group. Default: no. */
  meets?(target: Target<A>): boolean;
  /** The largest datagram that a target takes unfragmented, in bytes. Default: no limit. */
  payload?(target: Target<A>): Promise<number>;
  /** Whether all routes of a program share its sinks. Default: each route has its own. */
  sharesSinks?: true;
  /** One call opens all targets of a program whose types have this same function. */
  openSinks?(program: Program, targets: Target<A>[], context: SinkContext): Promise<Sink[]>;
  openSources?(program: Program, target: Target<A>, context: SourceContext): Promise<Source[]>;
}
