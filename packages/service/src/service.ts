import type { Context } from './context.js';
import type { Result } from './result.js';

/**
 * Maps an input to an output, now or later. A TCP service maps a connection to nothing: it is done when its result is there. An HTTP
 * service maps a request to a response.
 */
export interface Service<In, Out, C extends Context = Context> {
  /** An exception, or a rejected promise, is the caller's to report: it fails this call alone. */
  call(input: In, context: C): Result<Out>;
  /** Whether a call would be served at once; a full service may be waited for, or refuse. Default: always. */
  readonly ready?: boolean;
}

/** Wraps a service by another one. */
export type Layer<In, Out, C extends Context = Context> = (inner: Service<In, Out, C>) => Service<In, Out, C>;

/** A service of a function. */
export function service<In, Out, C extends Context = Context>(
  call: (input: In, context: C) => Result<Out>,
): Service<In, Out, C> {
  return { call };
}

/** Layers around a service, the first outermost. */
export function stack<In, Out, C extends Context = Context>(
  layers: readonly Layer<In, Out, C>[],
  inner: Service<In, Out, C>,
): Service<In, Out, C> {
  return layers.reduceRight((wrapped, layer) => layer(wrapped), inner);
}
