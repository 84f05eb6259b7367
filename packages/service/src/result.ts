/** What a service returns: its output, or a promise of it. */
export type Result<T> = T | PromiseLike<T>;

/**
 * An output that comes later, at less cost than a promise: whoever waits for it by {@link whenDone} or {@link mapResult} is called from
 * within `resolve` or `reject`, with no microtask in between. One that is awaited costs as much as a promise.
 */
export class Pending<T> implements PromiseLike<T> {
  #state: 'open' | 'resolved' | 'rejected' = 'open';
  #value: T | undefined;
  #error: unknown;
  #onValue: ((value: T) => void) | undefined;
  #onError: ((error: unknown) => void) | undefined;

  /** Further calls of this, or of {@link reject}, have no effect. */
  resolve(value: T): void {
    if (this.#state !== 'open') return;
    this.#state = 'resolved';
    this.#value = value;
    this.#onValue?.(value);
  }

  reject(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'rejected';
    this.#error = error;
    this.#onError?.(error);
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Calls one of the two, once, at once if it is done already. Called once. */
  wait(onValue: (value: T) => void, onError: (error: unknown) => void): void {
    if (this.#state === 'resolved') onValue(this.#value as T);
    else if (this.#state === 'rejected') onError(this.#error);
    else {
      this.#onValue = onValue;
      this.#onError = onError;
    }
  }

  // biome-ignore lint/suspicious/noThenProperty: it can be awaited
  then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return new Promise<T>((resolve, reject) => this.wait(resolve, reject)).then(onValue, onError);
  }
}

export function isLater<T>(result: Result<T>): result is PromiseLike<T> {
  return typeof (result as PromiseLike<T> | undefined)?.then === 'function';
}

/** Calls one of the two when the result is there: at once, if it is no promise. */
export function whenDone<T>(
  result: Result<T>,
  onValue: (value: T) => void,
  onError: (error: unknown) => void,
): void {
  if (result instanceof Pending) result.wait(onValue, onError);
  else if (isLater(result)) void result.then(onValue, onError);
  else onValue(result);
}

/** The result of a function of a result; of a value at once. An exception of the function is the failure of the new result. */
export function mapResult<T, U>(result: Result<T>, map: (value: T) => Result<U>): Result<U> {
  if (!isLater(result)) return map(result);
  const mapped = new Pending<U>();
  const failed = (error: unknown) => mapped.reject(error);
  whenDone(
    result,
    (value) => {
      try {
        whenDone(map(value), (output) => mapped.resolve(output), failed);
      } catch (error) {
        failed(error);
      }
    },
    failed,
  );
  return mapped;
}
